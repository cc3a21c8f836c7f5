"""UNDROP TABLE: a dropped table comes back with its rows, and what hung on it does not."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import snowflake.connector
from warehouse_server import warehouse

Run = Callable[..., list[tuple[Any, ...]]]
TABLE = "CREATE TABLE T (ID NUMBER AUTOINCREMENT, NAME VARCHAR(20) NOT NULL, KIND VARCHAR DEFAULT 'x') COMMENT = 'kept'"


@pytest.fixture(autouse=True)
def table(run: Run) -> None:
    run(TABLE)
    run("INSERT INTO T (NAME) VALUES ('a'), ('b')")


def test_rows_defaults_numbers_and_comment_come_back(run: Run) -> None:
    described = run("DESC TABLE T")
    run("DROP TABLE T")

    assert run("UNDROP TABLE T") == [("Table T successfully restored.",)]
    run("INSERT INTO T (NAME) VALUES ('c')")
    assert run("SELECT ID, NAME, KIND FROM T ORDER BY ID") == [(1, "a", "x"), (2, "b", "x"), (3, "c", "x")]
    assert run("DESC TABLE T") == described
    assert [row[5] for row in run("SHOW TABLES LIKE 'T'")] == ["kept"]


def test_a_dropped_table_is_nowhere_to_be_seen(run: Run) -> None:
    run("DROP TABLE T")
    assert run("SHOW TABLES") == []
    assert run("SELECT TABLE_NAME FROM INFORMATION_SCHEMA.TABLES WHERE TABLE_SCHEMA = CURRENT_SCHEMA()") == []
    with pytest.raises(snowflake.connector.ProgrammingError, match="does not exist"):
        run("SELECT * FROM T")


def test_the_table_that_was_dropped_last_is_the_one_that_comes_back(run: Run) -> None:
    run("DROP TABLE T")
    run("CREATE TABLE T (OTHER NUMBER)")
    run("DROP TABLE T")
    run("UNDROP TABLE T")
    assert [row[0] for row in run("DESC TABLE T")] == ["OTHER"]


def test_nothing_comes_back_where_a_name_is_taken_or_nothing_was_dropped(run: Run) -> None:
    with pytest.raises(snowflake.connector.ProgrammingError, match="already exists"):
        run("UNDROP TABLE T")
    with pytest.raises(snowflake.connector.ProgrammingError, match="does not exist"):
        run("UNDROP TABLE NEVER")


def test_a_table_without_retention_is_gone(run: Run) -> None:
    run("ALTER TABLE T SET DATA_RETENTION_TIME_IN_DAYS = 0")
    run("DROP TABLE T")
    with pytest.raises(snowflake.connector.ProgrammingError, match="does not exist"):
        run("UNDROP TABLE T")


def test_its_stream_stays_stale_and_a_new_one_sees_what_is_inserted(run: Run) -> None:
    run("CREATE STREAM S ON TABLE T APPEND_ONLY = TRUE")
    run("DROP TABLE T")
    run("UNDROP TABLE T")
    with pytest.raises(snowflake.connector.ProgrammingError, match="recreate the stream"):
        run("SELECT SYSTEM$STREAM_HAS_DATA('S')")

    run("CREATE OR REPLACE STREAM S ON TABLE T APPEND_ONLY = TRUE")
    run("INSERT INTO T (NAME) VALUES ('c')")
    assert run("SELECT NAME FROM S") == [("c",)]


def test_who_does_not_own_it_cannot_bring_it_back(run: Run) -> None:
    run("CREATE ROLE IF NOT EXISTS STRANGER")
    run("GRANT ROLE STRANGER TO USER ADMIN")
    run("DROP TABLE T")
    run("USE ROLE STRANGER")
    run("USE SECONDARY ROLES NONE")
    try:
        with pytest.raises(snowflake.connector.ProgrammingError, match="does not exist"):
            run("UNDROP TABLE T")
    finally:
        run("USE ROLE ACCOUNTADMIN")
        run("USE SECONDARY ROLES ALL")


def test_a_dropped_table_comes_back_after_a_restart(tmp_path: Path) -> None:
    with warehouse(tmp_path, task_interval=60) as first:
        for sql in ("CREATE DATABASE D", "CREATE TABLE D.PUBLIC.T (N NUMBER)", "INSERT INTO D.PUBLIC.T VALUES (7)"):
            first.rows(sql)
        first.rows("DROP TABLE D.PUBLIC.T")
    with warehouse(tmp_path, task_interval=60) as second:
        second.rows("UNDROP TABLE D.PUBLIC.T")
        assert second.rows("SELECT N FROM D.PUBLIC.T") == [(7,)]
