"""What one session ends of another one: its query, and its transaction; an administrator anybody's."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any

import pytest
import snowflake.connector
from snowflake.connector.errors import ProgrammingError
from warehouse_server import Warehouse

Run = Callable[..., list[tuple[Any, ...]]]
LONG = "SELECT COUNT(*) FROM TABLE(GENERATOR(ROWCOUNT => 300000)) A, TABLE(GENERATOR(ROWCOUNT => 300000)) B"


def test_a_running_query_is_ended_from_another_session_of_the_same_user(account: Warehouse, run: Run) -> None:
    errors = []
    with account.connect() as running:

        def wait() -> None:
            try:
                running.cursor().execute(LONG)
            except ProgrammingError as error:
                errors.append(error.errno)

        thread = threading.Thread(target=wait)
        thread.start()
        time.sleep(1)
        run(f"SELECT SYSTEM$CANCEL_ALL_QUERIES({running.session_id})")
        thread.join(10)
        assert errors == [604]
        found = running.cursor().execute("SELECT CURRENT_SESSION()")
        assert found is not None
        assert found.fetchone() == (str(running.session_id),)


def test_a_session_that_is_not_there_is_refused(run: Run) -> None:
    with pytest.raises(snowflake.connector.ProgrammingError, match="123"):
        run("SELECT SYSTEM$CANCEL_ALL_QUERIES(123)")


def test_a_transaction_that_its_session_left_open_is_seen_and_ended(account: Warehouse, run: Run) -> None:
    run("CREATE OR REPLACE TABLE LEFT_OPEN (N NUMBER)")
    assert run("SHOW TRANSACTIONS") == []
    with account.connect() as gone:
        gone.cursor().execute("BEGIN")
        place = run("SELECT CURRENT_DATABASE() || '.' || CURRENT_SCHEMA()")[0][0]
        gone.cursor().execute(f"INSERT INTO {place}.LEFT_OPEN VALUES (1)")
        ((number, _, session, *_),) = run("SHOW TRANSACTIONS")
        assert session == str(gone.session_id)
        run(f"SELECT SYSTEM$ABORT_TRANSACTION({number})")
        assert run("SHOW TRANSACTIONS") == []
        run("INSERT INTO LEFT_OPEN VALUES (2)")
        gone.cursor().execute("COMMIT")
    assert run("SELECT N FROM LEFT_OPEN") == [(2,)]
    with pytest.raises(snowflake.connector.ProgrammingError, match=str(number)):
        run(f"SELECT SYSTEM$ABORT_TRANSACTION({number})")


def test_an_administrator_alone_sees_and_ends_the_transactions_of_all_users(account: Warehouse, run: Run) -> None:
    run("CREATE OR REPLACE USER LEAVER PASSWORD = 'of-a-test'")
    with account.connect(user="LEAVER", password="of-a-test") as gone, gone.cursor() as cursor:
        cursor.execute("BEGIN")
        assert run("SHOW TRANSACTIONS") == []
        ((number, user, session, *_),) = run("SHOW TRANSACTIONS IN ACCOUNT")
        assert (user, session) == ("LEAVER", str(gone.session_id))
        run("USE ROLE PUBLIC")
        with pytest.raises(ProgrammingError, match="SHOW TRANSACTIONS IN ACCOUNT"):
            run("SHOW TRANSACTIONS IN ACCOUNT")
        with pytest.raises(ProgrammingError, match="Insufficient privileges"):
            run(f"SELECT SYSTEM$ABORT_TRANSACTION({number})")
        run("USE ROLE ACCOUNTADMIN")
        run(f"SELECT SYSTEM$ABORT_TRANSACTION({number})")
        assert run("SHOW TRANSACTIONS IN ACCOUNT") == []
