"""Users: their properties, and how they prove who they are."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
from typing import TYPE_CHECKING, Any

import jwt
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import load_der_public_key

from local.warehouse.catalog import Catalog, Record
from local.warehouse.errors import SnowflakeError, compilation_error, invalid_property
from local.warehouse.statements import Create, Name

if TYPE_CHECKING:
    from local.warehouse.account import Account
    from local.warehouse.session import Session

ADMINISTRATOR = "ADMIN"
BAD_LOGIN = SnowflakeError(390100, "08001", "Incorrect username or password was specified.")
BAD_TOKEN = 390144


def log_in(catalog: Catalog, data: dict[str, Any], password: str | None) -> Record:
    """The user of a login request. Raises 390100 or 390144."""
    name = str(data.get("LOGIN_NAME") or "").upper()
    user = next((u for u in catalog.all("USER") if u.get("LOGIN_NAME", u["key"]) == name), None)
    if user is None or user.get("DISABLED"):
        raise BAD_LOGIN
    authenticator = str(data.get("AUTHENTICATOR") or "SNOWFLAKE").upper()
    if authenticator == "SNOWFLAKE_JWT":
        _check_token(user, str(data.get("TOKEN") or ""))
        return user
    if authenticator != "SNOWFLAKE":
        raise SnowflakeError(390190, "08001", f"The local stand-in has no authenticator {authenticator}.")
    expected = password if user["key"] == ADMINISTRATOR else user.get("PASSWORD")
    if (
        user.get("TYPE") == "SERVICE"
        or not expected
        or not hmac.compare_digest(expected, str(data.get("PASSWORD") or ""))
    ):
        raise BAD_LOGIN
    return user


def fingerprint(key: str) -> str:
    """`SHA256:…` of a public key, as DESC USER shows it and tokens name it."""

    return "SHA256:" + base64.b64encode(hashlib.sha256(base64.b64decode(key)).digest()).decode()


def _check_token(user: Record, token: str) -> None:
    """Signed with one of the user's keys, for this account and user, issued by that key's fingerprint, in time."""
    subject = f"LOCAL.{user['key']}"
    for key in (user.get("RSA_PUBLIC_KEY"), user.get("RSA_PUBLIC_KEY_2")):
        if not key:
            continue
        try:
            claims = jwt.decode(
                token, load_der_public_key(base64.b64decode(key)), algorithms=["RS256"], options={"verify_aud": False}
            )
        except jwt.InvalidTokenError:
            continue
        if (
            str(claims.get("sub", "")).upper() == subject.upper()
            and claims.get("iss") == f"{claims['sub']}.{fingerprint(key)}"
        ):
            return
    raise SnowflakeError(BAD_TOKEN, "08001", "JWT token is invalid.")


def key_text(value: str, name: str) -> str:
    """The base64 of a public key without line breaks. Raises for what is no RSA key."""
    text = "".join(line for line in value.replace("\\n", "\n").split("\n") if "-----" not in line).strip()
    try:
        load_der_public_key(base64.b64decode(text, validate=True))
    except (binascii.Error, ValueError, UnsupportedAlgorithm):
        raise compilation_error(
            390432, "22023", f"New public key rejected by current policy. Reason: 'Invalid public key' ({name})"
        ) from None
    return text


def user_values(values: dict[str, Any]) -> dict[str, Any]:
    """A user's properties, checked as a whole: keys are keys, a service has no password."""
    checked = dict(values)
    for name in ("RSA_PUBLIC_KEY", "RSA_PUBLIC_KEY_2"):
        if checked.get(name):
            checked[name] = key_text(checked[name], name)
    if checked.get("TYPE") == "SERVICE" and checked.get("PASSWORD"):
        raise invalid_property("PASSWORD", "USER of TYPE = SERVICE")
    return checked


def make_user(account: Account, session: Session, statement: Create, name: Name) -> dict[str, Any]:
    """The record of a new user."""
    return {"TYPE": "PERSON", "COMMENT": ""} | user_values(statement.clauses)


def check_secret(record: Record, values: dict[str, Any]) -> None:
    """Raise for a property that this type of secret does not have."""
    allowed = {"GENERIC_STRING": {"SECRET_STRING"}, "PASSWORD": {"USERNAME", "PASSWORD"}}[record["TYPE"]] | {"COMMENT"}
    for key in values:
        if key not in allowed:
            raise invalid_property(key, f"SECRET of TYPE = {record['TYPE']}")
