"""Who may read and change rows in the stand-in: tables, views, streams, sequences, functions, the warehouse."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from warehouse_roles import FORBIDDEN, UNSEEN, Someone

Run = Callable[..., list[tuple[Any, ...]]]

CHANGES = {
    "INSERT": "INSERT INTO T VALUES (2)",
    "UPDATE": "UPDATE T SET N = 3 WHERE TRUE",
    "DELETE": "DELETE FROM T WHERE N = 1",
    "TRUNCATE": "TRUNCATE TABLE T",
}


@pytest.fixture(autouse=True)
def table(run: Run) -> None:
    run("CREATE TABLE T (N NUMBER)")
    run("INSERT INTO T VALUES (1)")


def test_a_table_without_any_privilege_does_not_exist(someone: Someone) -> None:
    for sql in ("SELECT * FROM T", *CHANGES.values(), "DESC TABLE T", "SELECT 1 FROM T WHERE 1 = 0"):
        someone.is_refused(sql, UNSEEN, "does not exist or not authorized")


def test_a_table_that_may_be_read_may_not_be_changed(someone: Someone) -> None:
    someone.may("SELECT ON TABLE T")
    assert someone.run("SELECT N FROM T") == [(1,)]
    for sql in CHANGES.values():
        someone.is_refused(sql, FORBIDDEN, "Insufficient privileges to operate on table 'T'")


@pytest.mark.parametrize("privilege", CHANGES)
def test_each_change_needs_its_own_privilege(someone: Someone, privilege: str) -> None:
    someone.may(f"{privilege} ON TABLE T")
    for other, sql in CHANGES.items():
        if other != privilege:
            someone.is_refused(sql, FORBIDDEN)
    someone.is_refused("SELECT N FROM T", FORBIDDEN)
    someone.run(CHANGES[privilege])


def test_insert_overwrite_needs_delete_too(someone: Someone) -> None:
    someone.may("INSERT ON TABLE T")
    someone.is_refused("INSERT OVERWRITE INTO T SELECT 5", FORBIDDEN)
    someone.may("DELETE ON TABLE T")
    someone.run("INSERT OVERWRITE INTO T SELECT 5")


def test_merge_needs_what_its_clauses_do(someone: Someone, run: Run) -> None:
    merge = (
        "MERGE INTO T USING (SELECT 1 AS M) S ON T.N = S.M WHEN MATCHED THEN UPDATE SET N = 9 "
        "WHEN NOT MATCHED THEN INSERT (N) VALUES (S.M)"
    )
    someone.may("SELECT, UPDATE ON TABLE T")
    someone.is_refused(merge, FORBIDDEN)
    someone.may("INSERT ON TABLE T")
    someone.run(merge)
    assert run("SELECT N FROM T") == [(9,)]


def test_privileges_on_a_table_are_worth_nothing_without_its_schema_and_database(
    someone: Someone, connection: Any
) -> None:
    someone.may("SELECT ON TABLE T")
    someone.may_no_longer(f"USAGE ON SCHEMA TESTS.{connection.schema}")
    someone.is_refused("SELECT N FROM T", UNSEEN)
    someone.may(f"USAGE ON SCHEMA TESTS.{connection.schema}")
    someone.may_no_longer("USAGE ON DATABASE TESTS")
    someone.is_refused(f"SELECT N FROM TESTS.{connection.schema}.T", UNSEEN)


def test_every_table_of_a_query_is_looked_at(someone: Someone, run: Run) -> None:
    run("CREATE TABLE SECRET_ROWS (N NUMBER)")
    someone.may("SELECT, INSERT ON TABLE T")
    for sql in (
        "SELECT * FROM T JOIN SECRET_ROWS S ON S.N = T.N",
        "SELECT (SELECT MAX(N) FROM SECRET_ROWS) FROM T",
        "WITH A AS (SELECT N FROM SECRET_ROWS) SELECT * FROM A",
        "SELECT N FROM T WHERE N IN (SELECT N FROM SECRET_ROWS)",
        "INSERT INTO T SELECT N FROM SECRET_ROWS",
        "SELECT N FROM T UNION ALL SELECT N FROM SECRET_ROWS",
        "WITH RECURSIVE SECRET_ROWS AS (SELECT * FROM SECRET_ROWS) SELECT * FROM SECRET_ROWS",
        "WITH A AS (SELECT * FROM SECRET_ROWS), SECRET_ROWS AS (SELECT 1 AS N) SELECT * FROM A",
        'WITH "secret_rows" AS (SELECT 1 AS N) SELECT * FROM SECRET_ROWS',
        'SELECT S.N FROM INFORMATION_SCHEMA.TABLES, "secret_rows" S',
    ):
        someone.is_refused(sql, UNSEEN, "(?i)SECRET_ROWS")


def test_no_way_around_the_names_leads_to_a_table(someone: Someone) -> None:
    for sql in (
        "SELECT * FROM IDENTIFIER('T')",
        "INSERT INTO IDENTIFIER('T') VALUES (1)",
        "SELECT * FROM '/etc/x.csv'",
    ):
        someone.is_refused(sql, (2,), "Unsupported feature")


def test_if_exists_and_show_tell_nothing_of_what_is_unseen(someone: Someone, run: Run, connection: Any) -> None:
    someone.run("TRUNCATE TABLE IF EXISTS T")
    assert run("SELECT N FROM T") == [(1,)]
    someone.may_no_longer(f"USAGE ON SCHEMA TESTS.{connection.schema}")
    someone.is_refused(f"SHOW TABLES IN SCHEMA TESTS.{connection.schema}", UNSEEN)


def test_a_common_table_expression_needs_no_privilege(someone: Someone) -> None:
    assert someone.run("WITH X AS (SELECT 1 AS N) SELECT N FROM X") == [(1,)]
    assert someone.run("WITH X AS (SELECT 1 AS N), Y AS (SELECT N + 1 AS N FROM X) SELECT N FROM Y") == [(2,)]
    counted = "WITH RECURSIVE X AS (SELECT 1 AS N UNION ALL SELECT N + 1 FROM X WHERE N < 3) SELECT MAX(N) FROM X"
    assert someone.run(counted) == [(3,)]


# --- views


def test_a_view_reads_with_its_owners_privileges(someone: Someone, run: Run) -> None:
    run("CREATE VIEW V AS SELECT N FROM T")
    someone.is_refused("SELECT * FROM V", UNSEEN)
    someone.may("SELECT ON VIEW V")
    assert someone.run("SELECT N FROM V") == [(1,)]
    someone.is_refused("SELECT N FROM T", UNSEEN)


def test_a_view_breaks_when_its_owner_loses_the_table(someone: Someone, run: Run, connection: Any) -> None:
    someone.may("SELECT ON TABLE T", f"CREATE VIEW ON SCHEMA {connection.schema}")
    someone.run("CREATE VIEW V AS SELECT N FROM T")
    someone.run("CREATE VIEW W AS SELECT N FROM V")
    someone.may_no_longer("SELECT ON TABLE T")
    for view in ("V", "W"):
        someone.is_refused(f"SELECT N FROM {view}", (2037,), "(?s)Failure during expansion of view.*T' does not exist")


def test_a_view_is_made_only_of_what_its_maker_may_read(someone: Someone, connection: Any) -> None:
    someone.may(f"CREATE VIEW, CREATE TABLE ON SCHEMA {connection.schema}")
    someone.is_refused("CREATE VIEW V AS SELECT N FROM T", UNSEEN)
    someone.is_refused("CREATE TABLE COPY AS SELECT N FROM T", UNSEEN)


# --- streams, sequences, functions


def test_a_stream_needs_select_on_itself_and_on_its_table(someone: Someone, run: Run) -> None:
    run("CREATE STREAM S ON TABLE T APPEND_ONLY = TRUE")
    someone.may("SELECT ON STREAM S")
    someone.is_refused("SELECT * FROM S", UNSEEN)
    someone.may("SELECT ON TABLE T")
    assert someone.run("SELECT * FROM S") == []
    someone.may_no_longer("SELECT ON STREAM S")
    someone.is_refused("SELECT * FROM S", UNSEEN)


def test_a_sequence_needs_usage(someone: Someone, run: Run) -> None:
    run("CREATE SEQUENCE Q")
    someone.is_refused("SELECT Q.NEXTVAL", UNSEEN)
    someone.may("USAGE ON SEQUENCE Q")
    assert someone.run("SELECT Q.NEXTVAL") == [(1,)]


def test_a_function_without_usage_is_unknown(someone: Someone, run: Run) -> None:
    run(
        "CREATE FUNCTION TWICE(N NUMBER) RETURNS NUMBER LANGUAGE PYTHON RUNTIME_VERSION = '3.11' HANDLER = 'f' "
        "AS $$\ndef f(n):\n    return 2 * n\n$$"
    )
    someone.is_refused("SELECT TWICE(2)", (2140, 2141), "Unknown function")
    someone.may("USAGE ON FUNCTION TWICE(NUMBER)")
    assert someone.run("SELECT TWICE(2)") == [(4,)]


# --- the warehouse


def test_rows_need_a_warehouse_that_may_be_used(someone: Someone) -> None:
    someone.may("SELECT, INSERT ON TABLE T")
    someone.may_no_longer("USAGE ON WAREHOUSE WH")
    for sql in ("SELECT N FROM T", "INSERT INTO T VALUES (2)"):
        someone.is_refused(sql, (606,), "No active warehouse selected")
    someone.is_refused("USE WAREHOUSE WH", UNSEEN)


def test_programs_are_called_and_made_on_a_warehouse(someone: Someone, run: Run, connection: Any) -> None:
    python = "LANGUAGE PYTHON RUNTIME_VERSION = '3.11' HANDLER = 'f' AS $$\ndef f(n):\n    return 2\n$$"
    procedure = python.replace("HANDLER", "PACKAGES = ('snowflake-snowpark-python') HANDLER")
    run(f"CREATE PROCEDURE P() RETURNS NUMBER {procedure}")
    someone.may("USAGE ON PROCEDURE P()", f"CREATE FUNCTION ON SCHEMA {connection.schema}")
    someone.may_no_longer("USAGE ON WAREHOUSE WH")
    someone.is_refused("CALL P()", (606,), "No active warehouse selected")
    someone.is_refused(f"CREATE FUNCTION F(N NUMBER) RETURNS NUMBER {python}", (391531,), "An active warehouse")
    someone.may("USAGE ON WAREHOUSE WH")
    assert someone.run("CALL P()") == [(2,)]
    someone.run(f"CREATE FUNCTION F(N NUMBER) RETURNS NUMBER {python}")


def test_what_reads_no_rows_needs_no_warehouse(someone: Someone, connection: Any) -> None:
    someone.may_no_longer("USAGE ON WAREHOUSE WH")
    someone.may(f"CREATE TABLE ON SCHEMA {connection.schema}")
    someone.run("SELECT CURRENT_ROLE()")
    someone.run("CREATE TABLE OF_MINE (N NUMBER)")
    someone.run("SHOW TABLES")
    someone.run("DESC TABLE OF_MINE")
