"""A connection to Snowflake that runs statements one by one, each within the invocation's time."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import snowflake.connector
from snowflake.connector.errors import Error as SnowflakeError

from .deadline import Deadline
from .deployer_login import Login, LoginError, deployer_login
from .redaction import Secrets

_IDENTIFIER = re.compile(r"[A-Za-z_][A-Za-z0-9_$]{0,254}")
# 2003: object does not exist or not authorized; 2043: the same for what contains it.
GONE = (2003, 2043)


class StatementFailed(RuntimeError):
    """Snowflake refused a statement."""

    def __init__(self, message: str, errno: int | None) -> None:
        super().__init__(message)
        self.errno = errno


class Session:
    """A connection that runs one statement after the other, each within the invocation's time."""

    def __init__(self, connection: Any, login: Login, deadline: Deadline) -> None:
        self._connection = connection
        self._deadline = deadline
        self.login = login
        self.last_query_id = ""

    def run(self, statement: str, place: str, *, changes: bool = True) -> list[dict[str, Any]]:
        """Run a statement and give its rows by column name.

        One that only looks says ``changes=False``. Snowflake ends it with the invocation's time at the latest, even if
        nobody waits for it any more.

        Raises:
            OutOfTime: it was not begun because time is nearly over.
            StatementFailed: Snowflake refused it; the message begins with ``place``.
        """
        self._deadline.begin(place, changes=changes)
        limit = {"STATEMENT_TIMEOUT_IN_SECONDS": max(1, int(self._deadline.seconds_of_invocation()))}
        started = time.monotonic()
        with self._connection.cursor() as cursor:
            try:
                cursor.execute(statement, _statement_params=limit)
                columns = [column[0] for column in cursor.description or []]
                rows = [dict(zip(columns, row, strict=True)) for row in cursor.fetchall()]
            except SnowflakeError as error:
                self.last_query_id = error.sfqid or ""
                raise StatementFailed(f"{place}: {str(error).strip()}", error.errno) from error
            self.last_query_id = cursor.sfqid or ""
            seconds = round(time.monotonic() - started, 3)
            print(json.dumps({"level": "info", "ran": place, "query_id": cursor.sfqid, "seconds": seconds}))
        return rows

    def run_unless_gone(self, statement: str, place: str) -> None:
        """Run a DROP or the like; that the object, or what contained it, is not there any more is success."""
        try:
            self.run(statement, place)
        except StatementFailed as error:
            if error.errno not in GONE:
                raise
            print(json.dumps({"level": "info", "gone already": place, "message": str(error)}))


@contextmanager
def connect(secrets: Secrets, deadline: Deadline, *, role: str | None = None) -> Iterator[Session]:
    """Log in as the deployer that the environment names, in its own role or the given one.

    Raises:
        LoginError: the login cannot be read or lacks something, or Snowflake refuses it.
    """
    login = deployer_login(secrets, deadline)
    with log_in(login, deadline, role=role) as session:
        yield session


@contextmanager
def log_in(login: Login, deadline: Deadline, *, role: str | None = None) -> Iterator[Session]:
    """Log in with ``login``, in its own role or the given one.

    Raises:
        LoginError: Snowflake refuses it.
    """
    deadline.begin(f"logging in to Snowflake as {login.user}")
    try:
        connection = snowflake.connector.connect(
            account=login.account,
            user=login.user,
            role=role or login.role,
            login_timeout=20,
            enable_server_session_keep_alive_auto_detection=False,
            **login.way,
            **login.address,
        )
    except SnowflakeError as error:
        raise LoginError(
            f"User {login.user} cannot log in to Snowflake account {login.account} by {login.by}: "
            f"{str(error).strip()} {login.hint}"
        ) from error
    try:
        yield Session(connection, login, deadline)
    finally:
        connection.close()


def identifier(name: str, what: str) -> str:
    """A name that goes into SQL unquoted.

    Raises:
        ValueError: it is not an unquoted identifier ("Identifier requirements" in the SQL reference).
    """
    if not _IDENTIFIER.fullmatch(name):
        raise ValueError(f"{what} {name!r} is no unquoted Snowflake name: letters, digits, _ and $, no digit first.")
    return name


def literal(text: str) -> str:
    """A text as a SQL string."""
    return "'" + text.replace("\\", "\\\\").replace("'", "''") + "'"
