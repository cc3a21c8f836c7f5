"""The query history, what is kept out of it, tags, and statements that take too long."""

from __future__ import annotations

import json
import time
import urllib.request
from collections.abc import Callable
from typing import Any

import pytest
import snowflake.connector
from warehouse_server import Warehouse

Run = Callable[..., list[tuple[Any, ...]]]
CANARY = "canary-5b1f-hush"


def _history(run: Run, columns: str = "QUERY_TEXT, EXECUTION_STATUS, ERROR_CODE", limit: int = 10) -> list[Any]:
    found = run(f"SELECT {columns} FROM TABLE(INFORMATION_SCHEMA.QUERY_HISTORY_BY_SESSION(RESULT_LIMIT => {limit}))")
    return found[1:]  # the first is the question itself


def test_every_statement_is_in_the_history_with_how_it_ended(run: Run) -> None:
    run("ALTER SESSION SET QUERY_TAG = 'tests of the log'")
    run("SELECT 1 AS N")
    last = run("SELECT LAST_QUERY_ID()")[0][0]
    with pytest.raises(snowflake.connector.ProgrammingError):
        run("SELECT * FROM MISSING")
    columns = "QUERY_ID, QUERY_TEXT, USER_NAME, ROLE_NAME, EXECUTION_STATUS, ERROR_CODE, QUERY_TAG"
    columns += ", START_TIME, END_TIME"
    failed, _, succeeded, *_ = _history(run, columns)
    assert succeeded[:7] == (last, "SELECT 1 AS N", "ADMIN", "ACCOUNTADMIN", "SUCCESS", None, "tests of the log")
    assert succeeded[7] <= succeeded[8]
    assert failed[1:6] == ("SELECT * FROM MISSING", "ADMIN", "ACCOUNTADMIN", "FAILED_WITH_ERROR", 2003)


def test_what_a_procedure_runs_is_in_the_history_too(run: Run) -> None:
    run(
        """CREATE PROCEDURE P() RETURNS VARCHAR LANGUAGE PYTHON RUNTIME_VERSION = '3.11'
        PACKAGES = ('snowflake-snowpark-python') HANDLER = 'run' AS $$
def run(session):
    session.sql("SELECT 41 + 1").collect()
$$"""
    )
    run("CALL P()")
    assert [row[0] for row in _history(run)[:2]] == ["SELECT 41 + 1", "CALL P()"]


@pytest.mark.parametrize(
    "sql",
    [
        f"CREATE SECRET S TYPE = GENERIC_STRING SECRET_STRING = '{CANARY}'",
        f"CREATE SECRET S TYPE = PASSWORD USERNAME = 'u' PASSWORD = '{CANARY}'",
        f"CREATE SECRET S TYPE = GENERIC_STRING SECRET_STRING = '{CANARY}' COLOR = 'red'",
        f"CREATE SECRET S TYPE = GENERIC_STRING SECRET_STRING = '{CANARY}' 'and more'",
        f"CREATE SECRET S TYPE = GENERIC_STRING SECRET_STRING '{CANARY}'",
        f"ALTER SECRET S SET SECRET_STRING = 'the first half', '{CANARY}'",
        f"ALTER SECRET S SET SECRET_STRING = '{CANARY}",
        f"CREATE SECRET S TYPE = GENERIC_STRING SECRET_STRING = '{CANARY}",
        f'CREATE SECRET S TYPE = GENERIC_STRING SECRET_STRING = "{CANARY}"',
        f"CREATE SECRET S TYPE = '{CANARY}' SECRET_STRING = '{CANARY}'",
        f"ALTER SECRET MISSING SET SECRET_STRING = $${CANARY}$$",
        f"CREATE USER CANARIES PASSWORD = '{CANARY}' COMMENT = 1",
        f"SELECT 1 FROM WHERE PASSWORD = '{CANARY}'",
    ],
)
def test_no_secret_is_in_the_history_an_error_or_the_log(run: Run, account: Warehouse, sql: str) -> None:
    said = ""
    try:
        run(sql)
    except snowflake.connector.Error as error:
        said = str(error)
    assert CANARY not in said
    assert CANARY not in str(_history(run, "QUERY_TEXT, ERROR_MESSAGE"))
    assert CANARY not in (account.folder / "warehouse.log").read_text()


def test_the_text_around_a_secret_stays_and_what_does_not_parse_goes(run: Run) -> None:
    run(f"CREATE SECRET S TYPE = GENERIC_STRING SECRET_STRING = '{CANARY}' COMMENT = 'kept'")
    with pytest.raises(snowflake.connector.ProgrammingError):
        run("SELECT 1 FROM")
    unparsed, secret = _history(run, "QUERY_TEXT")[:2]
    assert unparsed == ("<redacted>",)
    assert secret == ("CREATE SECRET S TYPE = GENERIC_STRING SECRET_STRING = '☺☺☺☺☺☺' COMMENT = 'kept'",)


def test_a_statement_that_takes_too_long_is_cancelled(run: Run) -> None:
    run("CREATE TABLE T (N NUMBER)")
    run("ALTER SESSION SET STATEMENT_TIMEOUT_IN_SECONDS = 1")
    many = "TABLE(GENERATOR(ROWCOUNT => 1000000))"
    for sql in (f"INSERT INTO T SELECT COUNT(*) FROM {many} A, {many} B", "SELECT SYSTEM$WAIT(20)"):
        started = time.monotonic()
        with pytest.raises(snowflake.connector.DatabaseError, match="timeout of 1 second") as caught:
            run(sql)
        assert caught.value.errno == 630
        assert time.monotonic() - started < 5
    run("ALTER SESSION UNSET STATEMENT_TIMEOUT_IN_SECONDS")
    assert run("SELECT COUNT(*) FROM T") == [(0,)]


def test_a_statement_that_waits_for_a_lock_is_cancelled_too(run: Run, account: Warehouse, connection: Any) -> None:
    run("CREATE TABLE T (N NUMBER)")
    with account.connect(database="TESTS", schema=connection.schema, warehouse="WH") as other:
        other.cursor().execute("BEGIN")
        other.cursor().execute("INSERT INTO T VALUES (1)")
        run("ALTER SESSION SET STATEMENT_TIMEOUT_IN_SECONDS = 1")
        with pytest.raises(snowflake.connector.DatabaseError, match="timeout of 1 second"):
            run("INSERT INTO T VALUES (2)")


def test_a_warehouse_limits_the_statements_it_runs(run: Run) -> None:
    run("CREATE WAREHOUSE SHORT STATEMENT_TIMEOUT_IN_SECONDS = 1")
    with pytest.raises(snowflake.connector.DatabaseError, match="timeout of 1 second"):
        run("SELECT SYSTEM$WAIT(20)")
    run("USE WAREHOUSE WH")
    run("DROP WAREHOUSE SHORT")


def test_a_test_can_ask_for_an_error_that_chance_brings(run: Run, account: Warehouse) -> None:
    wanted = {"matching": "SELECT 'unlucky'", "number": 91423, "times": 2, "message": "graph was modified"}
    request = urllib.request.Request(
        f"http://127.0.0.1:{account.port}/_warehouse/faults", json.dumps(wanted).encode(), method="POST"
    )
    with urllib.request.urlopen(request, timeout=5) as answer:
        assert json.load(answer)["success"]
    for _ in range(2):
        with pytest.raises(snowflake.connector.DatabaseError, match="graph was modified") as caught:
            run("SELECT 'unlucky'")
        assert caught.value.errno == 91423
        assert caught.value.sfqid
    assert run("SELECT 'unlucky'") == [("unlucky",)]
