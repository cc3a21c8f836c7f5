"""The connection to Snowflake: opened late, reopened once when its session is gone, closed for certain."""

from __future__ import annotations

import queue
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Self, TypeVar

import snowflake.connector
from snowflake.connector.errors import Error as SnowflakeError

from report_service import log
from report_service.login import LoginSource, SnowflakeLogin

if TYPE_CHECKING:
    import pyarrow as pa

Result = TypeVar("Result")

# Session no longer exists, token expired, session gone, master token gone, not connected, connection closed.
_SESSION_GONE = {390104, 390111, 390112, 390114, 390115, 390195, 250001, 250002}
_GONE_STATES = ("08001", "08002", "08003", "08006")

_LOCK_TIMEOUT = 625
_NOT_CONVERTED = 252005  # the connector's own, no statement's
_TIMES = (4, 6, 7, 8)  # the type codes of the connector: TIMESTAMP, and with _LTZ, _TZ and _NTZ

# Object does not exist or not authorized; no current database or schema; no active warehouse.
_MISSING = {2003, 2043, 90105, 90106, 606}


class TransactionTooLongError(Exception):
    """A transaction that was rolled back because it took too long; nothing of it is there."""


class BusyError(Exception):
    """All sessions are lent, and none came back in time."""


class UnreadableError(Exception):
    """A result that the connector cannot convert; `columns` may be why: times finer than microseconds."""

    def __init__(self, reason: str, columns: list[str]) -> None:
        super().__init__(reason)
        self.columns = columns


class Warehouse:
    """One session of one thread. Values are always bound by the server (`?`), never written into the text.

    A statement waits `lock_seconds` for another transaction's rows. A transaction that has taken `transaction_seconds`
    is rolled back in place of its COMMIT: others may have taken it for a dead session's and ended it. Autocommit is off
    for the same reason: what comes after such an end would else stay, alone. With `autocommit` a session saves the
    COMMIT of single changes, and has no transactions. A statement that Snowflake has not answered after `query_seconds`
    is an error; 0, the default, waits for ever.
    """

    def __init__(
        self,
        secret: LoginSource,
        *,
        database: str,
        schema: str,
        query_tag: str,
        login_seconds: int = 20,
        lock_seconds: int = 10,
        transaction_seconds: float = 20,
        query_seconds: int = 0,
        autocommit: bool = False,
    ) -> None:
        self._secret = secret
        self._database = database
        self._schema = schema
        self._query_tag = query_tag
        self._login_seconds = login_seconds
        self._lock_seconds = lock_seconds
        self._transaction_seconds = transaction_seconds
        self._query_seconds = query_seconds
        self._autocommit = autocommit
        self._connection: Any = None
        self._in_transaction = False
        self._read = False  # a query was run outside a transaction
        self._begun = False  # something of the transaction is done

    def open(self) -> None:
        """Log in now, not with the first statement; raises Snowflake's error."""
        self._connect()

    @property
    def session_id(self) -> int | None:
        """Snowflake's id of the session, by which another session can end its query; None while there is none."""
        return None if self._connection is None else self._connection.session_id

    def rows(self, sql: str, values: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        """Run a query and return all its rows; for the small answers of the queue's tables."""
        self._read = self._read or not self._in_transaction
        return self._run(lambda cursor: list(cursor.execute(sql, tuple(values) or None).fetchall()))

    def change(self, sql: str, values: Sequence[Any] = ()) -> int:
        """Run a statement that changes rows and return how many it changed; outside a transaction it is committed."""
        self._begin_anew()
        count = self._run(lambda cursor: int(cursor.execute(sql, tuple(values) or None).rowcount or 0))
        if not self._in_transaction and not self._autocommit:
            self._run(lambda cursor: cursor.execute("COMMIT"))
        return count

    @contextmanager
    def batches(
        self, sql: str, values: Sequence[Any] = (), *, query_tag: str | None = None
    ) -> Iterator[Iterator[pa.Table]]:
        """Run a query and yield an iterator over its Arrow tables, fetched as they are asked for.

        A result without rows gives one table without rows, so that the columns are always known. Raises UnreadableError
        for one that the connector cannot convert.
        """
        tag = {"QUERY_TAG": query_tag} if query_tag else None

        def start(cursor: Any) -> Any:
            return cursor.execute(sql, tuple(values) or None, _statement_params=tag)

        cursor = self._run(start, keep=True)
        try:
            yield _tables(cursor)
        finally:
            cursor.close()

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Commit what is done inside, or roll it back when an error leaves it.

        Raises TransactionTooLongError in place of a COMMIT that comes too late.
        """
        if self._autocommit:
            raise RuntimeError("A session with autocommit has no transactions.")
        self._begin_anew()
        started = time.monotonic()
        self._in_transaction, self._begun = True, False
        try:
            yield
            if time.monotonic() - started > self._transaction_seconds:
                raise TransactionTooLongError(f"The transaction took more than {self._transaction_seconds:g} s.")
            self.change("COMMIT")
        except BaseException:
            self._roll_back()
            raise
        finally:
            self._in_transaction = False

    def close(self) -> None:
        """End the session; an error while doing so is logged, for the work is done by then."""
        connection, self._connection = self._connection, None
        if connection is None:
            return
        try:
            connection.close()
        except SnowflakeError as error:
            log.error("warehouse.close_failed", error)

    def __enter__(self) -> Self:
        """Return itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close."""
        self.close()

    def _begin_anew(self) -> None:
        """End what an earlier query has opened (Snowflake: "Transactions"): it may be old, and others may end it."""
        if self._read and not self._autocommit and not self._in_transaction:
            self._read = False
            self._run(lambda cursor: cursor.execute("ROLLBACK"))

    def _run(self, work: Callable[[Any], Result], *, keep: bool = False) -> Result:
        self._connect()
        try:
            result = self._attempt(work, keep)
            self._begun = True
            return result
        except SnowflakeError as error:
            if (self._in_transaction and self._begun) or not session_is_gone(error):
                raise
            log.warning("warehouse.reconnect", reason=str(error)[:200])
            self.close()
            self._connect()
            return self._attempt(work, keep)

    def _attempt(self, work: Callable[[Any], Result], keep: bool) -> Result:
        cursor = self._connection.cursor()
        done = False
        try:
            result = work(cursor)
            done = True
            return result
        finally:
            if not (keep and done):
                cursor.close()

    def _roll_back(self) -> None:
        try:
            self.change("ROLLBACK")
        except SnowflakeError as error:
            # A session that cannot roll back is given up: closing it rolls back on the server.
            log.error("warehouse.rollback_failed", error)
            self.close()

    def _connect(self) -> None:
        if self._connection is not None:
            return
        login = self._secret.login()
        try:
            self._connection = self._log_in(login)
        except SnowflakeError as error:
            newer = self._secret.after_refusal(login)
            if newer == login:
                raise
            log.warning("warehouse.newer_login", user=newer.user, reason=str(error)[:200])
            self._connection = self._log_in(newer)

    def _log_in(self, login: SnowflakeLogin) -> Any:
        return snowflake.connector.connect(
            account=login.account,
            user=login.user,
            database=self._database,
            schema=self._schema,
            application="Snowgate",
            query_tag=self._query_tag,
            paramstyle="qmark",
            arrow_number_to_decimal=True,  # money must not become a float
            autocommit=self._autocommit,
            login_timeout=self._login_seconds,
            query_timeout=self._query_seconds,
            session_parameters={
                # Snowflake's own limit is 12 hours: one dead session with a lock would hold every worker up.
                "LOCK_TIMEOUT": self._lock_seconds,
                # What the connector fetches ahead of a report; with its own 4 threads and no limit it grows with rows.
                "CLIENT_PREFETCH_THREADS": 2,
                "CLIENT_MEMORY_LIMIT": 64,  # MB
            },
            client_session_keep_alive=True,
            enable_server_session_keep_alive_auto_detection=False,
            **login.way,
            **login.where,
        )


class Warehouses:
    """A store of open sessions, for threads that need one for a while."""

    def __init__(self, make: Callable[[], Warehouse]) -> None:
        self._make = make
        self._idle: queue.LifoQueue[Warehouse] = queue.LifoQueue()

    @contextmanager
    def borrow(self) -> Iterator[Warehouse]:
        """Lend a session to one thread; the number of sessions is the number of borrowers at once."""
        try:
            warehouse = self._idle.get_nowait()
        except queue.Empty:
            warehouse = self._make()
        try:
            yield warehouse
        except SnowflakeError as error:
            if session_is_gone(error):
                warehouse.close()
            raise
        finally:
            self._idle.put(warehouse)

    def close(self) -> None:
        """Close the sessions that nobody has borrowed."""
        while True:
            try:
                self._idle.get_nowait().close()
            except queue.Empty:
                return


def session_is_gone(error: SnowflakeError) -> bool:
    """Tell whether `error` means that the session no longer exists and a new one may do."""
    return error.errno in _SESSION_GONE or (error.sqlstate or "") in _GONE_STATES


def waited_for_a_lock(error: SnowflakeError) -> bool:
    """Tell whether `error` means that another transaction held the rows for too long."""
    return error.errno == _LOCK_TIMEOUT


def object_is_missing(error: SnowflakeError) -> bool:
    """Tell whether `error` means that a table, a view or the whole database is not there (yet)."""
    return error.errno in _MISSING


def _tables(cursor: Any) -> Iterator[pa.Table]:
    empty = True
    try:
        for table in cursor.fetch_arrow_batches():
            empty = False
            yield table
    except SnowflakeError as error:
        if error.errno != _NOT_CONVERTED:
            raise
        fine = [column.name for column in cursor.description if column.type_code in _TIMES and (column.scale or 0) > 6]
        raise UnreadableError(str(error.raw_msg or error), fine) from error
    if empty:
        yield cursor.fetch_arrow_all(force_return_table=True)
