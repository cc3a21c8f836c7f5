"""Python procedures and functions, run as they were deployed."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
import snowflake.connector

Run = Callable[..., list[tuple[Any, ...]]]

PROCEDURE = """CREATE OR REPLACE PROCEDURE {name}({parameters}) RETURNS {returns} LANGUAGE PYTHON
RUNTIME_VERSION = '3.12' PACKAGES = ('snowflake-snowpark-python') HANDLER = 'main' {more} AS $$
{body}
$$"""
FUNCTION = """CREATE OR REPLACE FUNCTION {name}({parameters}) RETURNS {returns} LANGUAGE PYTHON RUNTIME_VERSION = '3.12'
HANDLER = 'main' AS $$
{body}
$$"""


def _procedure(body: str, name: str = "P", parameters: str = "", returns: str = "VARIANT", more: str = "") -> str:
    return PROCEDURE.format(name=name, parameters=parameters, returns=returns, more=more, body=body)


def test_a_procedure_gets_its_arguments_and_answers_a_variant(run: Run) -> None:
    run(
        _procedure(
            "def main(session, n, text, doc):\n    return {'n': n + 1, 'text': text, 'doc': doc}",
            parameters="N NUMBER, T VARCHAR, D VARIANT",
        )
    )
    answer = run("CALL P(1 + 1, ?, PARSE_JSON('[1]'))", "it's")[0][0]
    assert json.loads(answer) == {"n": 3, "text": "it's", "doc": [1]}


def test_rows_are_read_by_position_name_attribute_and_as_dict(run: Run) -> None:
    body = """
def main(session):
    row = session.sql("SELECT 1 AS A, 'x' AS B, PARSE_JSON('{}') AS C").collect()[0]
    return [row[0], row["A"], row["a"], row.B, row.as_dict(), len(row)]
"""
    run(_procedure(body))
    assert json.loads(run("CALL P()")[0][0]) == [1, 1, 1, "x", {"A": 1, "B": "x", "C": "{}"}, 3]


def test_a_procedure_commits_its_own_transaction(run: Run) -> None:
    run("CREATE TABLE T (N NUMBER)")
    body = """
def main(session):
    session.sql("BEGIN").collect()
    session.sql("INSERT INTO T SELECT ?", params=[5]).collect()
    session.sql("COMMIT").collect()
"""
    run(_procedure(body))
    assert run("CALL P()") == [(None,)]
    assert run("SELECT N FROM T") == [(5,)]


def test_a_failing_procedure_rolls_back_and_shows_its_traceback(run: Run) -> None:
    run("CREATE TABLE T (N NUMBER)")
    body = """
def main(session):
    session.sql("BEGIN").collect()
    session.sql("INSERT INTO T VALUES (1)").collect()
    raise ValueError("out of paper")
"""
    run(_procedure(body))
    with pytest.raises(
        snowflake.connector.ProgrammingError, match="(?s)line 6, in main.*ValueError: out of paper"
    ) as caught:
        run("CALL P()")
    assert caught.value.errno == 100357
    assert run("SELECT COUNT(*) FROM T") == [(0,)]


def test_a_transaction_left_open_by_a_procedure_is_rolled_back_with_an_error(run: Run) -> None:
    run("CREATE TABLE T (N NUMBER)")
    run(
        _procedure(
            'def main(session):\n    session.sql("BEGIN").collect()\n'
            '    session.sql("INSERT INTO T VALUES (1)").collect()'
        )
    )
    with pytest.raises(snowflake.connector.ProgrammingError, match="not finished"):
        run("CALL P()")
    assert run("SELECT COUNT(*) FROM T") == [(0,)]


def test_a_procedure_calls_another_and_knows_where_it_is(run: Run, connection: Any) -> None:
    run(
        _procedure("def main(session, n):\n    return n * 2", name="INNER_ONE", parameters="N NUMBER", returns="NUMBER")
    )
    run(
        _procedure(
            "def main(session):\n    return [session.call('INNER_ONE', 21), session.get_current_schema(), "
            "session.get_current_user()]"
        )
    )
    assert json.loads(run("CALL P()")[0][0]) == [42, f'"{connection.schema}"', '"ADMIN"']


def test_a_default_argument_may_be_left_out(run: Run) -> None:
    run(
        _procedure(
            "def main(session, a, b):\n    return a + b",
            parameters="A VARCHAR, B VARCHAR DEFAULT '!'",
            returns="VARCHAR",
        )
    )
    assert run("CALL P('x')") == [("x!",)]
    assert run("CALL P('x', 'y')") == [("xy",)]


def test_what_the_small_session_lacks_is_refused_by_name(run: Run) -> None:
    run(_procedure("def main(session):\n    return session.table('T').count()"))
    with pytest.raises(snowflake.connector.ProgrammingError, match=r"Unsupported feature 'snowpark Session\.table'"):
        run("CALL P()")


def test_an_owners_rights_procedure_runs_in_its_owners_role(run: Run, connection: Any) -> None:
    run("CREATE ROLE IF NOT EXISTS PROGRAM_OWNER")
    run("GRANT ROLE PROGRAM_OWNER TO ROLE ACCOUNTADMIN")
    run("GRANT USAGE ON DATABASE TESTS TO ROLE PROGRAM_OWNER")
    run(f"GRANT USAGE, CREATE PROCEDURE ON SCHEMA {connection.schema} TO ROLE PROGRAM_OWNER")
    run("USE ROLE PROGRAM_OWNER")
    body = 'def main(session):\n    return session.sql("SELECT CURRENT_ROLE() AS R").collect()[0].R'
    run(_procedure(body, name="AS_OWNER", returns="VARCHAR", more="EXECUTE AS OWNER"))
    run(_procedure(body, name="AS_CALLER", returns="VARCHAR", more="EXECUTE AS CALLER"))
    run("USE ROLE ACCOUNTADMIN")
    assert run("CALL AS_OWNER()") == [("PROGRAM_OWNER",)]
    assert run("CALL AS_CALLER()") == [("ACCOUNTADMIN",)]
    assert run("SELECT CURRENT_ROLE()") == [("ACCOUNTADMIN",)]


def test_a_body_that_is_no_python_is_refused_when_it_is_created(run: Run) -> None:
    with pytest.raises(snowflake.connector.ProgrammingError, match="SyntaxError"):
        run(_procedure("def main(session:\n    pass"))


def test_a_call_with_wrong_arguments_is_refused(run: Run) -> None:
    run(_procedure("def main(session, n):\n    return n", parameters="N NUMBER"))
    with pytest.raises(snowflake.connector.ProgrammingError, match="argument"):
        run("CALL P(1, 2)")
    with pytest.raises(snowflake.connector.ProgrammingError, match="Unknown function"):
        run("CALL MISSING()")


def test_a_python_function_works_in_every_part_of_a_query(run: Run) -> None:
    run(
        FUNCTION.format(
            name="TWICE",
            parameters="N NUMBER",
            returns="NUMBER",
            body="def main(n):\n    return None if n is None else n * 2",
        )
    )
    run("CREATE TABLE T (N NUMBER)")
    run("INSERT INTO T VALUES (1), (2), (NULL)")
    assert run("SELECT TWICE(N) AS D FROM T WHERE TWICE(N) > 1 ORDER BY TWICE(N) DESC") == [(4,), (2,)]
    assert run("SELECT SUM(TWICE(N)), TWICE(NULL) FROM T") == [(6, None)]
    run("INSERT INTO T SELECT TWICE(N) * 10 FROM T WHERE N = 1")
    assert run("SELECT MAX(N) FROM T") == [(20,)]


def test_a_failing_function_shows_its_error(run: Run) -> None:
    run(FUNCTION.format(name="F", parameters="N NUMBER", returns="NUMBER", body="def main(n):\n    return 1 / n"))
    with pytest.raises(snowflake.connector.ProgrammingError, match="ZeroDivisionError"):
        run("SELECT F(0)")


def test_a_dropped_procedure_is_gone_by_its_signature(run: Run) -> None:
    run(_procedure("def main(session, n):\n    return n", parameters="N NUMBER"))
    with pytest.raises(snowflake.connector.ProgrammingError, match="does not exist"):
        run("DROP PROCEDURE P(VARCHAR)")
    run("DROP PROCEDURE P(NUMBER)")
    run("DROP PROCEDURE IF EXISTS P(NUMBER)")
    with pytest.raises(snowflake.connector.ProgrammingError, match="Unknown function"):
        run("CALL P(1)")
