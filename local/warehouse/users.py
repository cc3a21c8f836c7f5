"""Users: their properties, and how they prove who they are."""

from __future__ import annotations

import hmac
from typing import TYPE_CHECKING, Any

from local.warehouse import key_tokens, workload_identity
from local.warehouse.catalog import Catalog, Record
from local.warehouse.errors import SnowflakeError, invalid_property, invalid_value
from local.warehouse.statements import Create, Name

if TYPE_CHECKING:
    from local.warehouse.account import Account
    from local.warehouse.session import Session

ADMINISTRATOR = "ADMIN"
BAD_LOGIN = SnowflakeError(390100, "08001", "Incorrect username or password was specified.")
fingerprint = key_tokens.fingerprint


def log_in(catalog: Catalog, data: dict[str, Any], password: str | None) -> Record:
    """The user of a login request. Raises 390100 or 390144."""
    authenticator = str(data.get("AUTHENTICATOR") or "SNOWFLAKE").upper()
    if authenticator == "WORKLOAD_IDENTITY":
        return _workload(catalog, data)
    name = str(data.get("LOGIN_NAME") or "").upper()
    user = next((u for u in catalog.all("USER") if u.get("LOGIN_NAME", u["key"]) == name), None)
    if user is None or user.get("DISABLED"):
        raise BAD_LOGIN
    if authenticator == "SNOWFLAKE_JWT":
        key_tokens.check(user, str(data.get("TOKEN") or ""))
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


def _workload(catalog: Catalog, data: dict[str, Any]) -> Record:
    """The service user with the identity that AWS told; the login itself names none, or must name the same."""
    caller = workload_identity.caller(str(data.get("PROVIDER") or ""), str(data.get("TOKEN") or ""))
    named = str(data.get("LOGIN_NAME") or "").upper()
    for user in catalog.all("USER"):
        is_caller = (user.get("WORKLOAD_IDENTITY") or {}).get("ARN") == caller and not user.get("DISABLED")
        if is_caller and named in ("", user.get("LOGIN_NAME", user["key"])):
            return user
    raise workload_identity.refusal(f"no user has the workload identity {caller}.")


def user_values(values: dict[str, Any]) -> dict[str, Any]:
    """A user's properties, checked as a whole: keys are keys, a service has no password."""
    checked = dict(values)
    for name in key_tokens.KEY_SLOTS:
        if checked.get(name):
            checked[name] = key_tokens.key_text(checked[name], name)
    if identity := checked.get("WORKLOAD_IDENTITY"):
        if checked.get("TYPE") not in ("SERVICE", "LEGACY_SERVICE"):
            raise invalid_property("WORKLOAD_IDENTITY", f"USER of TYPE = {checked.get('TYPE') or 'PERSON'}")
        if not workload_identity.is_arn(identity["ARN"]):
            raise invalid_value(identity["ARN"], "ARN", "arn:aws:iam::<account>:role/<name>")
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
