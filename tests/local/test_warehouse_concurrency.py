"""Many processes on one table: they wait for each other, nobody gets a conflict, nothing is claimed twice."""

from __future__ import annotations

import multiprocessing
from typing import Any

import pytest
import snowflake.connector
from warehouse_server import Warehouse

PROCESSES, REQUESTS, BATCH = 4, 60, 3
CLAIM = f"""UPDATE REQUESTS SET STATUS = 'PROCESSING', CLAIM_TOKEN = %s WHERE ID IN (
  SELECT ID FROM REQUESTS WHERE STATUS = 'PENDING' ORDER BY PRIORITY, ID LIMIT {BATCH})"""


def _work(login: dict[str, Any], number: int) -> int:
    """Claim and finish until nothing is left; how many were finished."""
    done = turn = 0
    with snowflake.connector.connect(**login) as connection, connection.cursor() as cursor:
        while True:
            token = f"{number}-{(turn := turn + 1)}"
            cursor.execute(CLAIM, (token,))
            if not cursor.rowcount:
                return done
            cursor.execute("BEGIN")
            cursor.execute("INSERT INTO LOG (TOKEN) SELECT CLAIM_TOKEN FROM REQUESTS WHERE CLAIM_TOKEN = %s", (token,))
            cursor.execute("UPDATE REQUESTS SET STATUS = 'DONE' WHERE CLAIM_TOKEN = %s", (token,))
            done += cursor.rowcount
            cursor.execute("COMMIT")


def test_processes_claim_every_request_exactly_once(account: Warehouse, run: Any, connection: Any) -> None:
    run(
        "CREATE TABLE REQUESTS (ID NUMBER AUTOINCREMENT, PRIORITY NUMBER, STATUS VARCHAR DEFAULT 'PENDING', "
        "CLAIM_TOKEN VARCHAR)"
    )
    run("CREATE TABLE LOG (TOKEN VARCHAR)")
    run("CREATE STREAM S ON TABLE REQUESTS APPEND_ONLY = TRUE")
    run(f"INSERT INTO REQUESTS (PRIORITY) SELECT MOD(SEQ4(), 7) FROM TABLE(GENERATOR(ROWCOUNT => {REQUESTS}))")
    login = account.login(database="TESTS", schema=connection.schema)
    with multiprocessing.get_context("spawn").Pool(PROCESSES) as pool:
        done = pool.starmap(_work, [(login, number) for number in range(PROCESSES)])
    assert sum(done) == REQUESTS
    assert run("SELECT STATUS, COUNT(*) FROM REQUESTS GROUP BY STATUS") == [("DONE", REQUESTS)]
    assert run("SELECT COUNT(*), MAX(N) FROM (SELECT TOKEN, COUNT(*) AS N FROM LOG GROUP BY TOKEN)")[0][1] <= BATCH
    assert run("SELECT COUNT(*) FROM LOG") == [(REQUESTS,)]


def test_a_change_waits_for_the_transaction_that_changed_the_table(
    account: Warehouse, run: Any, connection: Any
) -> None:
    run("CREATE TABLE T (N NUMBER)")
    run("INSERT INTO T VALUES (0)")
    run("BEGIN")
    run("UPDATE T SET N = N + 1")
    with account.connect(database="TESTS", schema=connection.schema) as other, other.cursor() as cursor:
        cursor.execute("ALTER SESSION SET LOCK_TIMEOUT = 1")
        with pytest.raises(snowflake.connector.ProgrammingError, match="lock of table") as caught:
            cursor.execute("UPDATE T SET N = N + 1")
        assert caught.value.errno == 625
        run("COMMIT")
        cursor.execute("UPDATE T SET N = N + 1")
    assert run("SELECT N FROM T") == [(2,)]


def test_a_transaction_changes_rows_that_others_have_committed_meanwhile(
    account: Warehouse, run: Any, connection: Any
) -> None:
    where = {"database": "TESTS", "schema": connection.schema}
    run("CREATE TABLE T (N NUMBER)")
    run("CREATE TABLE LOG (ID NUMBER AUTOINCREMENT, WHAT VARCHAR, AT_TIME TIMESTAMP_NTZ DEFAULT SYSDATE())")
    run("INSERT INTO T VALUES (0)")
    run("BEGIN")
    run("INSERT INTO LOG (WHAT) VALUES ('first')")
    account.rows("UPDATE T SET N = N + 1", **where)
    run("UPDATE T SET N = N + 10")
    run("INSERT INTO LOG (WHAT) VALUES ('second')")
    run("COMMIT")
    assert run("SELECT N FROM T") == [(11,)]
    assert run("SELECT WHAT FROM LOG ORDER BY AT_TIME") == [("first",), ("second",)]


def test_a_deadlock_ends_with_an_error_for_one_of_the_two(account: Warehouse, run: Any, connection: Any) -> None:
    run("CREATE TABLE A (N NUMBER)")
    run("CREATE TABLE B (N NUMBER)")
    run("BEGIN")
    run("INSERT INTO A VALUES (1)")
    login = account.login(database="TESTS", schema=connection.schema)
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        other = pool.apply_async(_take_both, (login,))
        while (
            "TESTS" not in str(account.state()["locks"].get(f"TESTS.{connection.schema}.B", "")) and not other.ready()
        ):
            if f"TESTS.{connection.schema}.B" in account.state()["locks"]:
                break
        errors = []
        try:
            run("INSERT INTO B VALUES (1)")
        except snowflake.connector.ProgrammingError as error:
            errors.append(error.errno)
        run("ROLLBACK")
        errors += other.get(timeout=30)
    assert errors == [635]


def _take_both(login: dict[str, Any]) -> list[int | None]:
    with snowflake.connector.connect(**login) as connection, connection.cursor() as cursor:
        cursor.execute("BEGIN")
        cursor.execute("INSERT INTO B VALUES (2)")
        try:
            cursor.execute("INSERT INTO A VALUES (2)")
        except snowflake.connector.ProgrammingError as error:
            return [error.errno]
        return []
