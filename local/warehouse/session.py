"""A session: who, in which role, with which current objects, and its transaction.

Transactions are Snowflake's: READ COMMITTED, DDL commits what is open, autocommit=False opens one at the first change.
DuckDB's transaction begins at the first change, after the table's lock is held, so it never sees an old version of that
table.
"""

from __future__ import annotations

import datetime
import secrets
import threading
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import duckdb

from local.warehouse.errors import SnowflakeError, invalid_value
from local.warehouse.locks import TableLocks

DEFAULTS: dict[str, Any] = {
    "AUTOCOMMIT": True,
    "TIMEZONE": "America/Los_Angeles",
    "QUERY_TAG": "",
    "LOCK_TIMEOUT": 43200,
    "STATEMENT_TIMEOUT_IN_SECONDS": 172800,
    "ABORT_DETACHED_QUERY": False,
}
LONGEST_WAIT = 120.0  # seconds; Snowflake waits LOCK_TIMEOUT, twelve hours, which no test should


ABANDONED_AFTER = 300.0  # seconds; as long as Snowflake lets an idle session's transaction block others


@dataclass(frozen=True)
class Change:
    """A change that a transaction has made, to make it again: its text, its values, its time and how many rows.

    TRUNCATE does not tell how many: None.
    """

    sql: str
    bindings: Any
    clock: datetime.datetime
    affected: int | None


@dataclass
class Transaction:
    """What a transaction holds: whether DuckDB's has begun, the ranges of streams it has read, what it has changed.

    One of a single statement's `own` ends with that statement, however it goes.
    """

    id: int = field(default_factory=time.time_ns)
    begun: bool = False
    broken: str | None = None
    own: bool = False
    streams: dict[str, tuple[int, int]] = field(default_factory=dict)
    consumed: set[str] = field(default_factory=set)
    changes: list[Change] = field(default_factory=list)


class Session:
    """One login's state on the server. Use it from one thread at a time, under `busy`."""

    def __init__(self, connection: Any, locks: TableLocks, user: str, role: str) -> None:
        self.id = str(uuid.uuid4().int >> 75)  # a driver reads it as a number of JSON
        self.token = secrets.token_urlsafe(32)
        self.master_token = secrets.token_urlsafe(32)
        self.connection = connection
        self.locks = locks
        self.user = user
        self.role = role
        self.secondary_roles = "ALL"
        self.warehouse: str | None = None
        self.parameters: dict[str, Any] = {}
        self.transaction: Transaction | None = None
        self.outside: Transaction | None = None  # what was open when the procedure that runs was called
        self.owners_rights = False  # does a procedure with its owner's rights run, or what it called?
        self.last_query_id = ""
        self.current_query_id = ""
        self.depth = 0
        self.deadline: float | None = None
        self._variables: dict[str, str] = {}  # DuckDB's variables as they are set; ROLLBACK leaves them
        self._wanted: dict[str, str] = {}  # and as the statement that runs needs them
        self.busy = threading.RLock()
        self.clock = datetime.datetime.now(datetime.UTC)

    @property
    def duck(self) -> duckdb.DuckDBPyConnection:
        """DuckDB's connection, with the variables of the statement that runs.

        Many statements never ask for it, and setting the variables takes longer than most of those.
        """
        changed = {name: value for name, value in self._wanted.items() if self._variables.get(name) != value}
        if changed:
            self._bare.execute("; ".join(f"SET VARIABLE {name} = {value}" for name, value in changed.items()))
            self._variables |= changed
        self._wanted = {}
        return self._bare

    def interrupt(self) -> None:
        """End the statement that runs, from another thread."""
        self._bare.interrupt()

    @property
    def _bare(self) -> duckdb.DuckDBPyConnection:
        """DuckDB's connection as it is: a transaction that failed takes ROLLBACK and nothing else, no SET either."""
        connection: duckdb.DuckDBPyConnection = self.connection._duck_conn  # noqa: SLF001
        return connection

    @property
    def database(self) -> str | None:
        """The current database."""
        return self.connection.database if self.connection.database_set else None

    @property
    def schema(self) -> str | None:
        """The current schema."""
        return self.connection.schema if self.connection.schema_set else None

    def use(self, database: str | None, schema: str | None) -> None:
        """Make database and schema current; both must exist."""
        self.connection.database, self.connection._schema = database, schema  # noqa: SLF001
        self.connection.database_set, self.connection.schema_set = database is not None, schema is not None
        if database is not None:
            self.duck.execute(f'SET schema = \'"{database}"."{schema or "main"}"\'')

    def parameter(self, name: str) -> Any:
        """A session parameter's value."""
        value = self.parameters.get(name)
        return DEFAULTS[name] if value is None else value

    @property
    def autocommit(self) -> bool:
        """Does a change outside BEGIN commit at once?"""
        return bool(self.parameter("AUTOCOMMIT"))

    def start_statement(self) -> str:
        """A new query id; and what CURRENT_USER(), SYSDATE() and their like return in this statement."""
        self.refuse_if_late()
        query_id = self.current_query_id = str(uuid.uuid4())
        values = {
            "_user": self.user,
            "_role": self.role,
            "_warehouse": self.warehouse,
            "_database": self.database,
            "_schema": self.schema,
            "_session": self.id,
            "_last_query": self.last_query_id or None,
            "_query": query_id,
        }
        self._wanted |= {name: _literal(value) for name, value in values.items()}
        self.set_clock(datetime.datetime.now(datetime.UTC))
        return query_id

    def refuse_if_late(self) -> None:
        """Raise 000604 if the statement that runs has used up its time; `statement_timeout` says how much it had."""
        if self.deadline is not None and time.monotonic() > self.deadline:
            raise SnowflakeError(604, "57014", "SQL execution canceled")

    def set_clock(self, now: datetime.datetime) -> None:
        """What SYSDATE() and CURRENT_TIMESTAMP() return until the next statement."""
        self.clock = now
        text = now.strftime("%Y-%m-%d %H:%M:%S.%f")
        self._wanted |= {"_now": f"TIMESTAMP '{text}'", "_now_tz": f"TIMESTAMPTZ '{text}+00'"}

    def apply_time_zone(self) -> None:
        """Tell DuckDB the session's time zone. Raises 001008 for an unknown one."""
        zone = self.parameter("TIMEZONE")
        try:
            self.duck.execute(f"SET TimeZone = {_literal(zone)}")
        except duckdb.Error:
            self.parameters.pop("TIMEZONE", None)
            raise invalid_value(zone, "TIMEZONE", "names of the IANA time zone database") from None

    def begin(self) -> None:
        """Open a transaction, unless one is open."""
        if self.transaction is None:
            self.transaction = Transaction()

    def refuse_if_broken(self) -> None:
        """Raise if a statement of the open transaction failed while it ran."""
        if self.transaction is not None and self.transaction.broken:
            raise SnowflakeError(
                90231, "25000", f"The transaction is broken ({self.transaction.broken}); the stand-in needs a ROLLBACK."
            )

    def commit(self) -> None:
        """End the transaction and keep its changes. Raises if a statement in it had failed while it ran."""
        transaction, self.transaction = self.transaction, None
        if transaction is None:
            return
        try:
            if transaction.broken:
                self._bare.execute("ROLLBACK")
                raise SnowflakeError(
                    90231,
                    "25000",
                    "The stand-in cannot keep a transaction after a statement of it failed while it ran "
                    f"({transaction.broken}); it was rolled back. Snowflake would commit the rest.",
                )
            if transaction.begun:
                self._bare.execute("COMMIT")
        finally:
            self.locks.release(self.id)

    def rollback(self) -> None:
        """End the transaction and drop its changes."""
        transaction, self.transaction = self.transaction, None
        try:
            if transaction is not None and transaction.begun:
                self._bare.execute("ROLLBACK")
        finally:
            if transaction is not None:
                self.locks.release(self.id)

    @contextmanager
    def change(self, tables: list[str]) -> Iterator[Transaction]:
        """Run a change of these tables: in the open transaction, else in one of its own that ends with it."""
        own = self.transaction is None and self.autocommit
        if self.transaction is None:
            self.transaction = Transaction(own=own)
        transaction = self.transaction
        try:
            for table in sorted(tables):
                self.locks.take(table, self.id, self._patience())
            if not transaction.begun:
                self._bare.execute("BEGIN")
                transaction.begun = True
            yield transaction
        except BaseException as error:
            if own:
                self.rollback()
            elif transaction.begun and not self._alive():
                transaction.broken = str(error)
            raise
        if own:
            self.commit()

    @contextmanager
    def definition(self, tables: list[str]) -> Iterator[Transaction]:
        """Run DDL: it commits what is open before it, and itself at its end, whatever AUTOCOMMIT says."""
        self.commit()
        self.begin()
        try:
            with self.change(tables) as transaction:
                yield transaction
        except BaseException:
            self.rollback()
            raise
        self.commit()

    def _patience(self) -> float:
        """Seconds to wait for a lock."""
        left = LONGEST_WAIT if self.deadline is None else max(self.deadline - time.monotonic(), 0)
        return min(LONGEST_WAIT, float(self.parameter("LOCK_TIMEOUT")), left)

    def begin_again(self) -> list[Change]:
        """Begin DuckDB's transaction anew, with the newest rows, locks and streams kept; the changes to make again."""
        transaction = self.transaction
        if transaction is None:
            return []
        self._bare.execute("ROLLBACK")
        self._bare.execute("BEGIN")
        changes, transaction.changes, transaction.broken = transaction.changes, [], None
        return changes

    def give_up(self, idle_seconds: float = ABANDONED_AFTER) -> bool:
        """Roll back if nothing runs here and nothing did for so long; True if it was rolled back."""
        idle = (datetime.datetime.now(datetime.UTC) - self.clock).total_seconds()
        if idle < idle_seconds or not self.busy.acquire(blocking=False):
            return False
        try:
            self.rollback()
        finally:
            self.busy.release()
        return True

    def _alive(self) -> bool:
        """Does DuckDB still accept statements in its transaction?"""
        try:
            self._bare.execute("SELECT 1")
        except duckdb.Error:
            return False
        return True

    def close(self, patience: float = -1) -> bool:
        """Roll back what is open and close the connection; False if a statement still ran after `patience` seconds."""
        if not self.busy.acquire(timeout=patience):
            return False
        try:
            self.rollback()
        finally:
            self.connection.close()
            self.busy.release()
        return True


def _literal(value: str | None) -> str:
    return "NULL::VARCHAR" if value is None else "'" + value.replace("'", "''") + "'"
