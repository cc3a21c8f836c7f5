"""How the deployer logs in: with a workload identity, or with the key pair of a JSON secret.

The function's environment says which: SNOWFLAKE_SECRET_ARN names the secret; without it SNOWFLAKE_ACCOUNT,
SNOWFLAKE_USER and SNOWFLAKE_ROLE say who its IAM role is. SNOWFLAKE_HOST, SNOWFLAKE_PORT and SNOWFLAKE_PROTOCOL lead to
another address than Snowflake's own; a secret may name them too (host, port, protocol).
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from typing import Any, NamedTuple

import boto3
from botocore.exceptions import ClientError

from .deadline import Deadline
from .patience import once_allowed
from .pem import UnusableKey, read_private_key
from .redaction import Secrets

ADDRESS = ("host", "port", "protocol")
_WANTED = "Wanted is {account, user, private_key, role}; `make snowflake-bootstrap` says how to make it."
_ONE_WAY = "set SNOWFLAKE_SECRET_ARN, or SNOWFLAKE_ACCOUNT, SNOWFLAKE_USER and SNOWFLAKE_ROLE"


class LoginError(RuntimeError):
    """A login that cannot be used, or that Snowflake refuses."""


class Login(NamedTuple):
    """Who logs in where, and how: ``way`` are the connector's arguments for it, ``address`` those for another host.

    ``named_address`` is the part of the address that the login itself names; it goes into the logins made from it.
    """

    account: str
    user: str
    role: str
    way: Mapping[str, Any]
    address: Mapping[str, Any]
    named_address: Mapping[str, Any]

    @property
    def by(self) -> str:
        """The way in words."""
        return "key pair" if "private_key" in self.way else "workload identity"

    @property
    def hint(self) -> str:
        """What most likely helps when Snowflake refuses it."""
        if "private_key" in self.way:
            return "An ACCOUNTADMIN makes the user and registers its key with the file of `make snowflake-bootstrap`."
        return (
            "The user's WORKLOAD_IDENTITY must name the ARN of the IAM role that logs in: an ACCOUNTADMIN sets it with "
            "the file of `make snowflake-bootstrap`."
        )


def deployer_login(secrets: Secrets, deadline: Deadline) -> Login:
    """The login that the environment names.

    Raises:
        LoginError: the environment names none or two, or its secret cannot be read or used.
    """
    deadline.begin("reading the deployer's login")
    arn, given = os.environ.get("SNOWFLAKE_SECRET_ARN"), _identity()
    if arn and given:
        raise LoginError(f"Two logins are named, SNOWFLAKE_SECRET_ARN and {', '.join(given)}: {_ONE_WAY}.")
    if not arn:
        return _workload_identity(given)
    store = boto3.client("secretsmanager")
    try:
        answer = once_allowed(lambda: store.get_secret_value(SecretId=arn), deadline)
    except ClientError as error:
        raise LoginError(f"Secret {arn} cannot be read: {error}. {_WANTED}") from error
    return read_login(answer["SecretString"], arn, secrets)


def read_login(text: str, source: str, secrets: Secrets) -> Login:
    """Read the JSON of a login secret: account, user, private_key, role and, for a locked key, private_key_passphrase.

    ``passphrase`` is taken for the last one too: Secrets Manager's own Snowflake secrets call it so.

    Raises:
        LoginError: it is not JSON, a field is missing, the key cannot be used, or it holds a password.
    """
    secrets.add(text)
    try:
        fields = json.loads(text)
    except ValueError as error:
        raise LoginError(f"Secret {source} is not JSON. {_WANTED}") from error
    if not isinstance(fields, dict):
        raise LoginError(f"Secret {source} is not a JSON object. {_WANTED}")
    for name in ("private_key", "private_key_passphrase", "passphrase", "password"):
        secrets.add(str(fields.get(name) or ""))
    if "password" in fields:
        raise LoginError(
            f"Secret {source} holds a password; Snowflake switches passwords off for services. Put a key pair's PEM "
            "into private_key instead and take password out, or use a workload identity, which needs no secret."
        )
    missing = [name for name in ("account", "user", "private_key", "role") if not isinstance(fields.get(name), str)]
    if missing:
        raise LoginError(f"Secret {source} lacks {', '.join(missing)}. {_WANTED}")
    try:
        key = read_private_key(fields["private_key"], passphrase_of(fields), source)
    except UnusableKey as error:
        raise LoginError(str(error)) from error
    way = {"authenticator": "SNOWFLAKE_JWT", "private_key": key}
    named = {name: fields[name] for name in ADDRESS if fields.get(name)}
    return Login(fields["account"], fields["user"], fields["role"], way, named | _address(), named)


def passphrase_of(fields: Mapping[str, Any]) -> str | None:
    """The passphrase of a login secret's key, under either of its names."""
    return fields.get("private_key_passphrase") or fields.get("passphrase") or None


def _identity() -> dict[str, str]:
    names = ("SNOWFLAKE_ACCOUNT", "SNOWFLAKE_USER", "SNOWFLAKE_ROLE")
    return {name: os.environ[name] for name in names if os.environ.get(name)}


def _workload_identity(given: Mapping[str, str]) -> Login:
    if len(given) < 3:
        raise LoginError(f"No login is named, only {', '.join(given) or 'nothing'}: {_ONE_WAY}.")
    way = {"authenticator": "WORKLOAD_IDENTITY", "workload_identity_provider": "AWS"}
    return Login(given["SNOWFLAKE_ACCOUNT"], given["SNOWFLAKE_USER"], given["SNOWFLAKE_ROLE"], way, _address(), {})


def _address() -> dict[str, Any]:
    given = {name: value for name in ADDRESS if (value := os.environ.get(f"SNOWFLAKE_{name.upper()}"))}
    return given | ({"port": int(given["port"])} if "port" in given else {})
