"""Log in to Snowflake with the deployer's JSON secret, and run statements one by one."""

from __future__ import annotations

import json
import os
import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

import boto3
import snowflake.connector
from botocore.exceptions import ClientError
from cryptography.hazmat.primitives import serialization
from snowflake.connector.errors import Error as SnowflakeError

from .deadline import Deadline
from .patience import once_allowed
from .redaction import Secrets

_IDENTIFIER = re.compile(r"[A-Za-z_][A-Za-z0-9_$]{0,254}")
# 2003: object does not exist or not authorized; 2043: the same for what contains it.
GONE = (2003, 2043)


class LoginError(RuntimeError):
    """The deployer's secret cannot be used."""


class StatementFailed(RuntimeError):
    """Snowflake refused a statement."""

    def __init__(self, message: str, errno: int | None) -> None:
        super().__init__(message)
        self.errno = errno


class Login(NamedTuple):
    """The fields of a JSON login secret."""

    account: str
    user: str
    private_key: str
    role: str
    passphrase: str | None
    address: dict[str, Any]


class Session:
    """A connection that runs one statement after the other, each within the invocation's time."""

    def __init__(self, connection: Any, login: Login, deadline: Deadline) -> None:
        self._connection = connection
        self._deadline = deadline
        self.login = login

    def run(self, statement: str, place: str) -> list[dict[str, Any]]:
        """Run a statement and give its rows by column name.

        Raises:
            OutOfTime: it was not begun because time is nearly over.
            StatementFailed: Snowflake refused it; the message begins with ``place``.
        """
        self._deadline.begin(place, changes=True)
        started = time.monotonic()
        with self._connection.cursor() as cursor:
            try:
                cursor.execute(statement)
                columns = [column[0] for column in cursor.description or []]
                rows = [dict(zip(columns, row, strict=True)) for row in cursor.fetchall()]
            except SnowflakeError as error:
                raise StatementFailed(f"{place}: {str(error).strip()}", error.errno) from error
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
    """Log in as the deployer of the secret LOGIN_SECRET_ARN, in its own role or the given one.

    Raises:
        LoginError: the secret cannot be read, lacks a field or has no usable key, or Snowflake refuses the login.
    """
    deadline.begin("reading the deployer's login")
    arn = os.environ["LOGIN_SECRET_ARN"]
    store = boto3.client("secretsmanager")
    try:
        answer = once_allowed(lambda: store.get_secret_value(SecretId=arn), deadline)
    except ClientError as error:
        raise LoginError(f"Secret {arn} cannot be read: {error}. {_WANTED}") from error
    login = read_login(answer["SecretString"], arn, secrets)
    key = read_private_key(login.private_key, login.passphrase, arn)
    deadline.begin("logging in to Snowflake")
    try:
        connection = snowflake.connector.connect(
            account=login.account,
            user=login.user,
            authenticator="SNOWFLAKE_JWT",
            private_key=key,
            role=role or login.role,
            login_timeout=20,
            enable_server_session_keep_alive_auto_detection=False,
            **login.address,
        )
    except SnowflakeError as error:
        raise LoginError(
            f"User {login.user} cannot log in to Snowflake account {login.account}: {str(error).strip()} An "
            "ACCOUNTADMIN makes the user and registers its key with the file of `make snowflake-bootstrap`."
        ) from error
    try:
        yield Session(connection, login, deadline)
    finally:
        connection.close()


def read_login(text: str, source: str, secrets: Secrets) -> Login:
    """Read the JSON of a login secret; host, port and protocol are for an account that is not Snowflake's own.

    Raises:
        LoginError: it is not JSON, or account, user, private_key or role is missing.
    """
    secrets.add(text)
    try:
        fields = json.loads(text)
    except ValueError as error:
        raise LoginError(f"Secret {source} is not JSON. {_WANTED}") from error
    if not isinstance(fields, dict):
        raise LoginError(f"Secret {source} is not a JSON object. {_WANTED}")
    for name in ("private_key", "private_key_passphrase"):
        secrets.add(str(fields.get(name) or ""))
    missing = [name for name in ("account", "user", "private_key", "role") if not isinstance(fields.get(name), str)]
    if missing:
        raise LoginError(f"Secret {source} lacks {', '.join(missing)}. {_WANTED}")
    address = {name: fields[name] for name in ("host", "port", "protocol") if fields.get(name)}
    passphrase = fields.get("private_key_passphrase")
    return Login(fields["account"], fields["user"], fields["private_key"], fields["role"], passphrase, address)


def read_private_key(pem: str, passphrase: str | None, source: str) -> bytes:
    """The key in the form that the connector takes (DER, PKCS 8); PEM with real or literal ``\\n``.

    Raises:
        LoginError: the key, or its passphrase, is wrong.
    """
    text = pem.replace("\\n", "\n").strip() + "\n"
    try:
        key = serialization.load_pem_private_key(text.encode(), passphrase.encode() if passphrase else None)
    except (ValueError, TypeError) as error:
        # The library's own message may quote the text, so it is not passed on.
        raise LoginError(f"The private_key of secret {source} is no PEM key, or its passphrase is wrong.") from error
    return key.private_bytes(
        serialization.Encoding.DER, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


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


_WANTED = "Wanted is {account, user, private_key, role}; `make snowflake-bootstrap` says how to make it."
