"""The sessions that requests share."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

import psycopg
from psycopg_pool import ConnectionPool

from weather_warehouse.schema import migrate
from weather_warehouse.settings import WebSettings

_POOL_SECONDS = 5.0  # a request that waits longer for a session is refused, while its caller still listens


class Database:
    """A pool of sessions that only read. It opens them by itself, so that the API answers before the database does."""

    def __init__(self, settings: WebSettings) -> None:
        self._conninfo, self._answer_seconds = settings.conninfo, settings.web_answer_seconds
        self._pool = ConnectionPool(
            self._conninfo,
            min_size=1,
            max_size=settings.web_connections,
            timeout=_POOL_SECONDS,
            configure=self._configure,
            check=ConnectionPool.check_connection,  # after a fail-over none of the old ones is any good
            open=False,
        )
        self._migrating = threading.Lock()
        self._migrated = False

    def open(self) -> None:
        """Begin to connect, and do not wait for it."""
        self._pool.open()

    def close(self) -> None:
        """Close every session."""
        self._pool.close()

    @contextmanager
    def session(self) -> Iterator[psycopg.Connection]:
        """Lend a session in a transaction that sees one state of the tables; raises psycopg.OperationalError."""
        self._migrate()
        with self._pool.connection() as connection:
            yield connection

    def _migrate(self) -> None:
        """Make the tables once, for before the first ingestion there may be none."""
        with self._migrating:
            if not self._migrated:
                with psycopg.connect(self._conninfo, autocommit=True) as connection:
                    migrate(connection)
                self._migrated = True

    def _configure(self, connection: psycopg.Connection) -> None:
        connection.autocommit = True
        connection.execute("SELECT set_config('statement_timeout', %s, false)", [f"{self._answer_seconds}s"])
        connection.autocommit = False
        connection.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
        connection.read_only = True
