"""SYSTEM$CANCEL_ALL_QUERIES: one session ends what another one of the same user runs."""

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
