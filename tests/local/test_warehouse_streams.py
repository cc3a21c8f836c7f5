"""Append-only streams: what they show, and when they move."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import snowflake.connector
from warehouse_server import Warehouse

Run = Callable[..., list[tuple[Any, ...]]]


@pytest.fixture(autouse=True)
def stream(run: Run) -> None:
    run("CREATE TABLE REQUESTS (ID NUMBER AUTOINCREMENT, NAME VARCHAR, STATUS VARCHAR DEFAULT 'PENDING')")
    run("CREATE TABLE SEEN (N NUMBER)")
    run("CREATE STREAM INSERTS ON TABLE REQUESTS APPEND_ONLY = TRUE")


def _has_data(run: Run) -> bool:
    return bool(run("SELECT SYSTEM$STREAM_HAS_DATA('INSERTS')")[0][0])


def test_a_new_stream_is_empty_and_shows_what_is_inserted_later(run: Run) -> None:
    assert not _has_data(run)
    run("INSERT INTO REQUESTS (NAME) VALUES ('a'), ('b')")
    assert _has_data(run)
    rows = run("SELECT NAME, METADATA$ACTION, METADATA$ISUPDATE FROM INSERTS ORDER BY NAME")
    assert rows == [("a", "INSERT", False), ("b", "INSERT", False)]
    identities = run("SELECT METADATA$ROW_ID FROM INSERTS")
    assert len(set(identities)) == 2


def test_rows_that_were_there_before_the_stream_are_not_shown(run: Run) -> None:
    run("INSERT INTO REQUESTS (NAME) VALUES ('a')")
    run("CREATE OR REPLACE STREAM INSERTS ON TABLE REQUESTS APPEND_ONLY = TRUE")
    assert not _has_data(run)


def test_a_select_does_not_move_the_stream(run: Run) -> None:
    run("INSERT INTO REQUESTS (NAME) VALUES ('a')")
    run("SELECT * FROM INSERTS")
    assert run("SELECT COUNT(*) FROM INSERTS") == [(1,)]


def test_a_committed_change_that_reads_the_stream_moves_it(run: Run) -> None:
    run("INSERT INTO REQUESTS (NAME) VALUES ('a'), ('b')")
    run("INSERT INTO SEEN SELECT COUNT(*) FROM INSERTS")
    assert run("SELECT N FROM SEEN") == [(2,)]
    assert not _has_data(run)


def test_a_change_that_is_rolled_back_leaves_the_stream(run: Run) -> None:
    run("INSERT INTO REQUESTS (NAME) VALUES ('a')")
    run("BEGIN")
    run("INSERT INTO SEEN SELECT COUNT(*) FROM INSERTS")
    run("ROLLBACK")
    assert _has_data(run)
    run("BEGIN")
    run("INSERT INTO SEEN SELECT COUNT(*) FROM INSERTS")
    run("COMMIT")
    assert not _has_data(run)


def test_a_change_that_fails_leaves_the_stream(run: Run) -> None:
    run("INSERT INTO REQUESTS (NAME) VALUES ('a')")
    with pytest.raises(snowflake.connector.ProgrammingError):
        run("INSERT INTO SEEN SELECT NAME::NUMBER FROM INSERTS")
    assert _has_data(run)


def test_autocommit_off_moves_the_stream_at_commit(account: Warehouse, run: Run, connection: Any) -> None:
    run("INSERT INTO REQUESTS (NAME) VALUES ('a')")
    with account.connect(database="TESTS", schema=connection.schema, autocommit=False) as other:
        other.cursor().execute("INSERT INTO SEEN SELECT COUNT(*) FROM INSERTS")
        assert _has_data(run)
        other.commit()
        assert not _has_data(run)


def test_a_transaction_sees_the_same_rows_of_a_stream_until_it_ends(
    account: Warehouse, run: Run, connection: Any
) -> None:
    run("INSERT INTO REQUESTS (NAME) VALUES ('a')")
    run("BEGIN")
    assert run("SELECT COUNT(*) FROM INSERTS") == [(1,)]
    account.rows("INSERT INTO REQUESTS (NAME) VALUES ('later')", database="TESTS", schema=connection.schema)
    assert run("SELECT COUNT(*) FROM INSERTS") == [(1,)]
    run("INSERT INTO SEEN SELECT COUNT(*) FROM INSERTS")
    run("COMMIT")
    assert run("SELECT N FROM SEEN") == [(1,)]
    assert run("SELECT NAME FROM INSERTS") == [("later",)]


def test_inserts_of_a_transaction_show_after_its_commit(account: Warehouse, run: Run, connection: Any) -> None:
    where = {"database": "TESTS", "schema": connection.schema}
    run("BEGIN")
    run("INSERT INTO REQUESTS (NAME) VALUES ('a')")
    run("INSERT INTO REQUESTS (NAME) VALUES ('b')")
    assert account.rows("SELECT SYSTEM$STREAM_HAS_DATA('INSERTS')", **where) == [(False,)]
    run("COMMIT")
    assert account.rows("SELECT NAME FROM INSERTS ORDER BY NAME", **where) == [("a",), ("b",)]


def test_updates_and_deletes_do_not_change_what_was_inserted(run: Run) -> None:
    run("INSERT INTO REQUESTS (NAME) VALUES ('a'), ('b')")
    run("UPDATE REQUESTS SET STATUS = 'DONE'")
    run("DELETE FROM REQUESTS")
    assert run("SELECT NAME, STATUS FROM INSERTS ORDER BY NAME") == [("a", "PENDING"), ("b", "PENDING")]
    run("INSERT INTO SEEN SELECT COUNT(*) FROM INSERTS")
    run("INSERT INTO REQUESTS (NAME) VALUES ('c')")
    assert run("SELECT NAME FROM INSERTS") == [("c",)]


def test_rows_that_merge_inserts_are_in_the_stream_and_those_it_updates_are_not(run: Run) -> None:
    run("INSERT INTO REQUESTS (NAME) VALUES ('old')")
    run("INSERT INTO SEEN SELECT COUNT(*) FROM INSERTS")
    run(
        """MERGE INTO REQUESTS t USING (SELECT 'old' AS NAME UNION ALL SELECT 'new') s ON t.NAME = s.NAME
           WHEN MATCHED THEN UPDATE SET STATUS = 'X' WHEN NOT MATCHED THEN INSERT (NAME) VALUES (s.NAME)"""
    )
    assert run("SELECT NAME FROM INSERTS") == [("new",)]


def test_two_streams_on_a_table_move_apart(run: Run) -> None:
    run("CREATE STREAM OTHER ON TABLE REQUESTS APPEND_ONLY = TRUE")
    run("INSERT INTO REQUESTS (NAME) VALUES ('a')")
    run("INSERT INTO SEEN SELECT COUNT(*) FROM INSERTS")
    run("INSERT INTO REQUESTS (NAME) VALUES ('b')")
    assert run("SELECT NAME FROM INSERTS") == [("b",)]
    assert run("SELECT NAME FROM OTHER ORDER BY NAME") == [("a",), ("b",)]


def test_a_column_added_later_is_in_the_stream_too(run: Run) -> None:
    run("INSERT INTO REQUESTS (NAME) VALUES ('before')")
    run("ALTER TABLE REQUESTS ADD COLUMN SOURCE VARCHAR DEFAULT 'SQL'")
    run("INSERT INTO REQUESTS (NAME, SOURCE) VALUES ('after', 'HTTP')")
    assert run("SELECT NAME, SOURCE FROM INSERTS ORDER BY NAME") == [("after", "HTTP"), ("before", "SQL")]


def test_a_stream_of_a_replaced_table_says_that_it_is_stale(run: Run) -> None:
    run("CREATE OR REPLACE TABLE REQUESTS (ID NUMBER)")
    with pytest.raises(snowflake.connector.ProgrammingError, match="dropped or replaced"):
        run("SELECT * FROM INSERTS")


def test_show_streams_has_snowflakes_columns(connection: snowflake.connector.SnowflakeConnection) -> None:
    with connection.cursor(snowflake.connector.DictCursor) as cursor:
        (row,) = cursor.execute("SHOW STREAMS LIKE 'ins%'").fetchall()
    assert (row["name"], row["mode"], row["stale"]) == ("INSERTS", "APPEND_ONLY", "false")
    assert row["table_name"] == f"TESTS.{connection.schema}.REQUESTS"
    with connection.cursor() as cursor:
        assert cursor.execute("SHOW STREAMS LIKE 'nothing%'").fetchall() == []


def test_a_dropped_stream_is_gone(run: Run) -> None:
    run("DROP STREAM INSERTS")
    run("DROP STREAM IF EXISTS INSERTS")
    with pytest.raises(snowflake.connector.ProgrammingError, match="does not exist"):
        run("SELECT * FROM INSERTS")
