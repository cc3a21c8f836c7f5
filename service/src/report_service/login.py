"""The Snowflake login: the task's own IAM role, or the key pair of a JSON secret that this role may read."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

from botocore.exceptions import BotoCoreError, ClientError
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)

from report_service import log
from report_service.aws import client
from report_service.settings import Settings

REQUIRED = ("account", "user", "private_key")
ADDRESS = ("host", "port", "protocol")
READ_AGAIN_SECONDS = 3600.0
TRY_AGAIN_SECONDS = 60.0


class LoginError(Exception):
    """A login secret that cannot be used; never tells the secret's values."""


@dataclass(frozen=True)
class SnowflakeLogin:
    """Who logs in, and where; the key never shows in a representation. Without one the IAM role is the login."""

    account: str
    user: str
    private_key: bytes | None = field(default=None, repr=False)
    warehouse: str | None = None
    role: str | None = None
    host: str | None = None
    port: int | None = None
    protocol: str | None = None

    @property
    def way(self) -> dict[str, Any]:
        """The connector's arguments for the way of logging in."""
        if self.private_key is None:
            return {"authenticator": "WORKLOAD_IDENTITY", "workload_identity_provider": "AWS"}
        return {"authenticator": "SNOWFLAKE_JWT", "private_key": self.private_key}

    @property
    def where(self) -> dict[str, Any]:
        """The connector's arguments for the address, the role and the warehouse, as far as they are known."""
        named = {name: getattr(self, name) for name in (*ADDRESS, "role", "warehouse")}
        return {name: value for name, value in named.items() if value is not None}


class LoginSource(Protocol):
    """Where sessions get their login."""

    def login(self) -> SnowflakeLogin:
        """Return the login."""

    def after_refusal(self, refused: SnowflakeLogin) -> SnowflakeLogin:
        """Return the login to try after Snowflake has refused one: the same if there is no other."""


class WorkloadIdentity:
    """The IAM role of the task: there is nothing to read, and nothing that could be exchanged."""

    def __init__(self, login: SnowflakeLogin) -> None:
        self._login = login

    def login(self) -> SnowflakeLogin:
        """Return who the role is in Snowflake."""
        return self._login

    def after_refusal(self, refused: SnowflakeLogin) -> SnowflakeLogin:
        """Return the same: there is no other."""
        return refused


class LoginSecret:
    """The login in Secrets Manager, whose key is exchanged while the service runs.

    It is read again when Snowflake refuses it, and by the next session that opens an hour after it was read: so the key
    before, which works until the next rotation, is given up long before that. `address` goes over the secret's own.
    """

    def __init__(
        self,
        secret_arn: str,
        secrets_manager: Any,
        *,
        address: Mapping[str, Any] | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._secret_arn = secret_arn
        self._secrets_manager = secrets_manager
        self._address = dict(address or {})
        self._clock = clock
        self._login: SnowflakeLogin | None = None
        self._read_at = 0.0
        self._reading = threading.Lock()

    def login(self) -> SnowflakeLogin:
        """Return the login; raises as `read_login` does if there is none to go on with."""
        with self._reading:
            if self._login is None:
                self._login = self._read()
            elif self._clock() - self._read_at >= READ_AGAIN_SECONDS:
                self._read_again(self._login)
            return self._login

    def after_refusal(self, refused: SnowflakeLogin) -> SnowflakeLogin:
        """Return the login that the secret holds now: `refused` itself if nothing else can be read."""
        with self._reading:
            if self._login == refused:  # else another session has read it again already
                self._read_again(refused)
            return self._login or refused

    def _read(self) -> SnowflakeLogin:
        login = read_login(self._secret_arn, self._secrets_manager)
        self._read_at = self._clock()
        return replace(login, **self._address)

    def _read_again(self, before: SnowflakeLogin) -> None:
        try:
            self._login = self._read()
        except (LoginError, BotoCoreError, ClientError) as error:
            log.error("login.not_read_again", error)
            self._login = before
            # Sessions that open meanwhile go on with it: none waits for a try of its own.
            self._read_at = self._clock() - READ_AGAIN_SECONDS + TRY_AGAIN_SECONDS


def login_source(settings: Settings) -> LoginSource:
    """Return the login that the environment names."""
    address = {name: value for name in ADDRESS if (value := getattr(settings, f"snowflake_{name}")) is not None}
    if settings.snowflake_secret_arn:
        return LoginSecret(settings.snowflake_secret_arn, client("secretsmanager"), address=address)
    account, user = settings.snowflake_account or "", settings.snowflake_user or ""
    return WorkloadIdentity(SnowflakeLogin(account, user, role=settings.snowflake_role, **address))


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
            "Put a key pair's PEM into private_key instead and remove password, or use a workload identity."
        )
    missing = [name for name in REQUIRED if not isinstance(given.get(name), str) or not given[name]]
    if missing:
        raise LoginError(f"The secret {origin} lacks {_names(missing)}; it holds {_names(sorted(given))}.")
    return SnowflakeLogin(
        account=given["account"],
        user=given["user"],
        private_key=_private_key(given["private_key"], _passphrase(given), origin),
        warehouse=given.get("warehouse") or None,
        role=given.get("role") or None,
        host=given.get("host") or None,
        port=_port(given.get("port"), origin),
        protocol=_protocol(given.get("protocol"), origin),
    )


def _passphrase(given: Mapping[str, Any]) -> str | None:
    """Return the key's passphrase; Secrets Manager's own Snowflake secrets call the field `passphrase`."""
    return given.get("private_key_passphrase") or given.get("passphrase") or None


def _private_key(pem: str, passphrase: str | None, origin: str) -> bytes:
    """Return the key as unencrypted DER; the PEM's line ends may be real or a backslash and an n."""
    text = pem.replace("\\n", "\n").replace("\\r", "").strip() + "\n"
    if "ENCRYPTED" in text and not passphrase:
        raise LoginError(f"The private_key of the secret {origin} cannot be read: it lacks private_key_passphrase.")
    try:
        key = load_pem_private_key(text.encode(), passphrase.encode() if passphrase else None)
    except TypeError:
        raise LoginError(
            f"The private_key of the secret {origin} is not encrypted; remove private_key_passphrase."
        ) from None
    except (ValueError, UnsupportedAlgorithm):
        raise LoginError(
            f"The private_key of the secret {origin} cannot be read: it is no PEM key, or its private_key_passphrase "
            "is wrong."
        ) from None
    if not isinstance(key, RSAPrivateKey):
        raise LoginError(f"The private_key of the secret {origin} is no RSA key, which Snowflake needs.")
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
