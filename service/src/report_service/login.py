"""The Snowflake login: one JSON secret in AWS Secrets Manager, read at run time by the task's own role."""

from __future__ import annotations

import json
import threading
from dataclasses import dataclass, field
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)

from report_service import log

REQUIRED = ("account", "user", "private_key")


class LoginError(Exception):
    """A login secret that cannot be used; never tells the secret's values."""


@dataclass(frozen=True)
class SnowflakeLogin:
    """Who logs in, and where; the key never shows in a representation."""

    account: str
    user: str
    private_key: bytes = field(repr=False)
    warehouse: str | None = None
    role: str | None = None
    host: str | None = None
    port: int | None = None
    protocol: str | None = None


class LoginSecret:
    """The login in Secrets Manager: read once, and again when Snowflake refuses it, for keys are exchanged."""

    def __init__(self, secret_arn: str, secrets_manager: Any) -> None:
        self._secret_arn = secret_arn
        self._secrets_manager = secrets_manager
        self._login: SnowflakeLogin | None = None
        self._reading = threading.Lock()

    def login(self) -> SnowflakeLogin:
        """Return the login; raises as `read_login` does."""
        with self._reading:
            if self._login is None:
                self._login = read_login(self._secret_arn, self._secrets_manager)
            return self._login

    def after_refusal(self, refused: SnowflakeLogin) -> SnowflakeLogin:
        """Return the login that the secret holds now: `refused` itself if nothing else can be read."""
        with self._reading:
            if self._login == refused:  # else another session has read it again already
                try:
                    self._login = read_login(self._secret_arn, self._secrets_manager)
                except (LoginError, BotoCoreError, ClientError) as error:
                    log.error("login.not_read_again", error)
                    return refused
            return self._login or refused


def read_login(secret_arn: str, secrets_manager: Any) -> SnowflakeLogin:
    """Read and check the login from Secrets Manager; raises LoginError naming the secret, and AWS's own errors."""
    answer = secrets_manager.get_secret_value(SecretId=secret_arn)
    return parse_login(answer.get("SecretString", ""), origin=secret_arn)


def parse_login(text: str, *, origin: str) -> SnowflakeLogin:
    """Check a login's JSON text; raises LoginError that names `origin` and the key that is wrong."""
    try:
        given = json.loads(text)
    except json.JSONDecodeError:
        raise LoginError(f"The secret {origin} is not JSON; it must be an object with {_names(REQUIRED)}.") from None
    if not isinstance(given, dict):
        raise LoginError(f"The secret {origin} is not a JSON object; it must hold {_names(REQUIRED)}.")
    if "password" in given:
        raise LoginError(
            f"The secret {origin} holds a password; Snowflake switches passwords off for services. "
            "Put a key pair's PEM into private_key instead and remove password."
        )
    missing = [name for name in REQUIRED if not isinstance(given.get(name), str) or not given[name]]
    if missing:
        raise LoginError(f"The secret {origin} lacks {_names(missing)}; it holds {_names(sorted(given))}.")
    return SnowflakeLogin(
        account=given["account"],
        user=given["user"],
        private_key=_private_key(given["private_key"], given.get("passphrase"), origin),
        warehouse=given.get("warehouse") or None,
        role=given.get("role") or None,
        host=given.get("host") or None,
        port=_port(given.get("port"), origin),
        protocol=_protocol(given.get("protocol"), origin),
    )


def _private_key(pem: str, passphrase: str | None, origin: str) -> bytes:
    """Return the key as unencrypted DER; the PEM's line ends may be real or a backslash and an n."""
    text = pem.replace("\\n", "\n").strip() + "\n"
    try:
        key = load_pem_private_key(text.encode(), passphrase.encode() if passphrase else None)
    except (ValueError, TypeError) as error:
        raise LoginError(f"The private_key of the secret {origin} cannot be read: {error}") from None
    return key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())


def _port(value: Any, origin: str) -> int | None:
    if value in (None, ""):
        return None
    if not str(value).isdigit() or not 0 < int(value) < 65536:
        raise LoginError(f"The port of the secret {origin} is {value!r}; a number from 1 to 65535 is allowed.")
    return int(value)


def _protocol(value: Any, origin: str) -> str | None:
    if value in (None, ""):
        return None
    if value not in ("http", "https"):
        raise LoginError(f"The protocol of the secret {origin} is {value!r}; http and https are allowed.")
    return str(value)


def _names(names: Any) -> str:
    return ", ".join(names) or "nothing"
