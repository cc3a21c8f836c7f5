"""The sessions that requests share."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import psycopg
from psycopg_pool import ConnectionPool

from weather_warehouse.login import Login
from weather_warehouse.schema import migrate
from weather_warehouse.settings import WebSettings

_POOL_SECONDS = 5.0  # a request that waits longer for a session is refused, while its caller still listens


class Database:
    """A pool of sessions that only read. It opens them by itself, so that the API answers before the database does."""

    def __init__(self, settings: WebSettings) -> None:
        self._answer_seconds = settings.web_answer_seconds
        self._pool = ConnectionPool(
            settings.conninfo,
            kwargs=Login(settings),
            min_size=1,
            max_size=settings.web_connections,
            timeout=_POOL_SECONDS,
            configure=self._configure,
            check=ConnectionPool.check_connection,  # after a fail-over none of the old ones is any good
            open=False,
        )

    def open(self) -> None:
        """Begin to connect, and do not wait for it."""
        self._pool.open()

    def close(self) -> None:
        """Close every session."""
        self._pool.close()

    @contextmanager
    def session(self) -> Iterator[psycopg.Connection]:
        """Lend a session in a transaction that sees one state of the tables; raises psycopg.OperationalError."""
        with self._pool.connection() as connection:
            yield connection

    def _configure(self, connection: psycopg.Connection) -> None:
        connection.autocommit = True
        migrate(connection)  # before the first ingestion there may be no table
        connection.execute("SELECT set_config('statement_timeout', %s, false)", [f"{self._answer_seconds}s"])
        connection.autocommit = False
        connection.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
        connection.read_only = True
