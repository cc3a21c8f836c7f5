"""One Snowflake stand-in for all tests of this folder, a fresh schema in it for each."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import snowflake.connector
from warehouse_roles import Someone
from warehouse_server import Warehouse, warehouse

_numbers = itertools.count(1)


@pytest.fixture(scope="session")
def account(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Warehouse]:
    """The stand-in, with a database TESTS and a warehouse WH."""
    with warehouse(tmp_path_factory.mktemp("warehouse")) as running:
        running.rows("CREATE DATABASE TESTS")
        running.rows("CREATE WAREHOUSE WH")
        yield running


@pytest.fixture
def connection(account: Warehouse) -> Iterator[snowflake.connector.SnowflakeConnection]:
    """A session of ADMIN in a schema of its own, with the warehouse."""
    with account.connect(database="TESTS", warehouse="WH", paramstyle="qmark") as connection:
        connection.cursor().execute(f"CREATE SCHEMA TESTS.S{next(_numbers)}")
        yield connection


Run = Callable[..., list[tuple[Any, ...]]]


@pytest.fixture
def run(connection: snowflake.connector.SnowflakeConnection) -> Run:
    """Run a statement in the test's session; its rows."""

    def run(sql: str, *values: Any) -> list[tuple[Any, ...]]:
        with connection.cursor() as cursor:
            cursor.execute(sql, values or None)
            return list(cursor.fetchall())

    return run


@pytest.fixture
def someone(account: Warehouse, connection: snowflake.connector.SnowflakeConnection, run: Run) -> Iterator[Someone]:
    """A role of the test's own that may use the database, the test's schema and the warehouse, and nothing else."""
    place = {"database": "TESTS", "schema": connection.schema, "warehouse": "WH"}
    found = Someone(run, lambda **options: snowflake.connector.connect(**account.login(**place, **options)))
    found.may("USAGE ON DATABASE TESTS", f"USAGE ON SCHEMA TESTS.{connection.schema}", "USAGE ON WAREHOUSE WH")
    yield found
    found.connection.close()
