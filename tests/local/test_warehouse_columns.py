"""ALTER TABLE … COLUMN, CREATE OR ALTER TABLE and CREATE TABLE … AS SELECT with columns, within Snowflake's limits."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import pytest
import snowflake.connector
from warehouse_server import Warehouse

Run = Callable[..., list[tuple[Any, ...]]]


@pytest.fixture
def rows(run: Run) -> None:
    run("CREATE TABLE T (ID NUMBER AUTOINCREMENT ORDER, NAME VARCHAR(10) NOT NULL DEFAULT 'x', AMOUNT NUMBER(5,2))")
    run("INSERT INTO T (NAME) VALUES ('a'), ('b')")


def _columns(run: Run) -> dict[str, tuple[Any, ...]]:
    return {row[0]: (row[1], row[3], row[4]) for row in run("DESC TABLE T")}


@pytest.mark.usefixtures("rows")
def test_a_new_column_that_is_never_null_needs_a_default_where_rows_are(run: Run) -> None:
    with pytest.raises(snowflake.connector.ProgrammingError, match="unless it has a non-null default value"):
        run("ALTER TABLE T ADD COLUMN N NUMBER NOT NULL")
    run("ALTER TABLE T ADD COLUMN N NUMBER NOT NULL DEFAULT 5")
    assert run("SELECT N FROM T") == [(5,), (5,)]
    run("CREATE TABLE EMPTY (A NUMBER)")
    run("ALTER TABLE EMPTY ADD COLUMN N NUMBER NOT NULL, M TIMESTAMP_NTZ DEFAULT SYSDATE()")


@pytest.mark.usefixtures("rows")
def test_a_new_column_takes_a_constant_as_default_where_rows_are(run: Run) -> None:
    with pytest.raises(snowflake.connector.ProgrammingError, match="non-constant default"):
        run("ALTER TABLE T ADD COLUMN AT TIMESTAMP_NTZ DEFAULT SYSDATE()")


@pytest.mark.usefixtures("rows")
def test_a_column_that_is_there_is_added_again_only_with_if_not_exists(run: Run) -> None:
    run("ALTER TABLE T ADD COLUMN IF NOT EXISTS NAME NUMBER")
    assert _columns(run)["NAME"][0] == "VARCHAR(10)"
    with pytest.raises(snowflake.connector.ProgrammingError, match="column 'NAME' already exists") as caught:
        run("ALTER TABLE T ADD COLUMN NAME NUMBER")
    assert caught.value.errno == 1430


@pytest.mark.usefixtures("rows")
def test_types_get_wider_and_never_narrower(run: Run) -> None:
    run("ALTER TABLE T ALTER COLUMN NAME SET DATA TYPE VARCHAR(20)")
    run("ALTER TABLE T MODIFY AMOUNT NUMBER(9,2)")
    run("UPDATE T SET NAME = 'twelve chars', AMOUNT = 1234567.89")
    assert {_columns(run)["NAME"][0], _columns(run)["AMOUNT"][0]} == {"VARCHAR(20)", "NUMBER(9,2)"}
    for wrong in ("NAME SET DATA TYPE VARCHAR(5)", "NAME TYPE NUMBER", "AMOUNT TYPE NUMBER(9,4)", "ID TYPE NUMBER(5)"):
        with pytest.raises(snowflake.connector.ProgrammingError, match="Cannot change column"):
            run(f"ALTER TABLE T ALTER COLUMN {wrong}")


@pytest.mark.usefixtures("rows")
def test_not_null_and_defaults_go_and_come(run: Run) -> None:
    run("ALTER TABLE T ALTER COLUMN NAME DROP NOT NULL")
    run("ALTER TABLE T ALTER COLUMN NAME DROP DEFAULT")
    run("INSERT INTO T (AMOUNT) VALUES (1)")
    assert _columns(run)["NAME"] == ("VARCHAR(10)", "Y", None)
    with pytest.raises(snowflake.connector.ProgrammingError, match="contains null values"):
        run("ALTER TABLE T ALTER COLUMN NAME SET NOT NULL")
    run("DELETE FROM T WHERE NAME IS NULL")
    run("ALTER TABLE T ALTER COLUMN NAME SET NOT NULL")
    with pytest.raises(snowflake.connector.IntegrityError, match="NULL result in a non-nullable column"):
        run("INSERT INTO T (AMOUNT) VALUES (2)")
    with pytest.raises(snowflake.connector.ProgrammingError, match="cannot be set"):
        run("ALTER TABLE T ALTER COLUMN NAME SET DEFAULT 'y'")


@pytest.mark.usefixtures("rows")
def test_a_changed_table_keeps_its_rows_numbers_and_streams(run: Run) -> None:
    run("CREATE STREAM S ON TABLE T APPEND_ONLY = TRUE")
    run("INSERT INTO T (NAME) VALUES ('c')")
    run("ALTER TABLE T ADD COLUMN N NUMBER NOT NULL DEFAULT 7")
    run("ALTER TABLE T RENAME COLUMN NAME TO TITLE")
    run("ALTER TABLE T DROP COLUMN AMOUNT")
    run("INSERT INTO T (TITLE) VALUES ('d')")
    assert run("SELECT ID, TITLE, N FROM T ORDER BY ID") == [(1, "a", 7), (2, "b", 7), (3, "c", 7), (4, "d", 7)]
    assert run("SELECT ID, TITLE, N FROM S ORDER BY ID") == [(3, "c", 7), (4, "d", 7)]


@pytest.mark.usefixtures("rows")
def test_create_or_alter_table_makes_the_table_what_is_declared_and_keeps_rows_and_grants(run: Run) -> None:
    run("CREATE ROLE IF NOT EXISTS READER")
    run("GRANT SELECT ON TABLE T TO ROLE READER")
    declared = "CREATE OR ALTER TABLE T (ID NUMBER AUTOINCREMENT ORDER, NAME VARCHAR(30), KIND VARCHAR DEFAULT 'k')"
    run(declared)
    run(declared)
    assert _columns(run) == {
        "ID": ("NUMBER(38,0)", "Y", "IDENTITY START 1 INCREMENT 1 ORDER"),
        "NAME": ("VARCHAR(30)", "Y", None),
        "KIND": ("VARCHAR(16777216)", "Y", "'k'"),
    }
    assert run("SELECT * FROM T ORDER BY ID") == [(1, "a", "k"), (2, "b", "k")]
    assert "SELECT" in {row[1] for row in run("SHOW GRANTS ON TABLE T")}
    with pytest.raises(snowflake.connector.ProgrammingError, match="cannot reorder"):
        run("CREATE OR ALTER TABLE T (NAME VARCHAR(30), ID NUMBER AUTOINCREMENT ORDER)")


def test_a_column_may_be_called_what_the_engine_keeps_for_itself(run: Run) -> None:
    run("CREATE TABLE EVENTS (AT TIMESTAMP_NTZ, N NUMBER)")
    run("ALTER TABLE EVENTS ADD COLUMN DO VARCHAR(3) DEFAULT 'x'")
    run("INSERT INTO EVENTS (AT, N) SELECT SYSDATE(), 1")
    assert run("SELECT E.N, DO FROM EVENTS E WHERE AT IS NOT NULL") == [(1, "x")]


def test_a_table_is_made_with_its_first_row_once(run: Run, account: Warehouse, connection: Any) -> None:
    sql = (
        f"CREATE TABLE IF NOT EXISTS TESTS.{connection.schema}.LOCK (HOLDER VARCHAR(20), N NUMBER NOT NULL DEFAULT 1) "
        "AS SELECT NULL, 7"
    )
    threads = [threading.Thread(target=account.rows, args=(sql,)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert run("SELECT * FROM LOCK") == [(None, 7)]
    run("INSERT INTO LOCK (HOLDER) VALUES ('a')")
    assert run("SELECT N FROM LOCK WHERE HOLDER = 'a'") == [(1,)]


def test_ddl_commits_itself_where_autocommit_is_off(account: Warehouse, connection: Any) -> None:
    with account.connect(database="TESTS", schema=connection.schema, warehouse="WH", autocommit=False) as other:
        other.cursor().execute("CREATE TABLE BEFORE (N NUMBER)")
        other.cursor().execute("INSERT INTO BEFORE VALUES (1)")
        other.cursor().execute("CREATE TABLE AFTERWARDS (N NUMBER)")
        other.rollback()
    where = {"database": "TESTS", "schema": connection.schema, "warehouse": "WH"}
    assert account.rows("SELECT COUNT(*) FROM BEFORE", **where) == [(1,)]
    assert account.rows("SELECT COUNT(*) FROM AFTERWARDS", **where) == [(0,)]
