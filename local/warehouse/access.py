"""Roles: those of every account, who has which, in which one a session acts; and what falls away with an object.

Source: Snowflake's page "Overview of access control".
"""

from __future__ import annotations

import datetime
from typing import TYPE_CHECKING, Any

from local.warehouse import lookup, users
from local.warehouse.authority import Authority
from local.warehouse.catalog import Catalog, Record
from local.warehouse.errors import SnowflakeError, compilation_error, missing
from local.warehouse.names import ACCOUNT_KINDS, dotted
from local.warehouse.results import Result, status
from local.warehouse.statements import GrantRole, Name

if TYPE_CHECKING:
    from local.warehouse.account import Account
    from local.warehouse.session import Session

SYSTEM_ROLES = ("ACCOUNTADMIN", "SECURITYADMIN", "USERADMIN", "SYSADMIN", "PUBLIC")
WAREHOUSE = "COMPUTE_WH"
FIRST_WAREHOUSE: dict[str, Any] = {
    "WAREHOUSE_SIZE": "XSMALL", "AUTO_SUSPEND": 600, "AUTO_RESUME": True, "COMMENT": "", "state": "STARTED",
}  # fmt: skip
# Which role has which other from the start.
_HIERARCHY = {"SYSADMIN": "ACCOUNTADMIN", "SECURITYADMIN": "ACCOUNTADMIN", "USERADMIN": "SECURITYADMIN"}


def seed(catalog: Catalog) -> None:
    """What every new account has: the roles, the administrator and the administrator's default warehouse."""
    for role in SYSTEM_ROLES:
        if catalog.get("ROLE", (role,)) is None:
            catalog.add("ROLE", (role,), "", COMMENT="")
    for role, parent in _HIERARCHY.items():
        _add_role_grant(catalog, role, "ROLE", parent, "")
    if catalog.get("USER", (users.ADMINISTRATOR,)) is None:
        catalog.add(
            "USER", (users.ADMINISTRATOR,), "ACCOUNTADMIN", DEFAULT_ROLE="ACCOUNTADMIN", TYPE="PERSON", COMMENT=""
        )
    _add_role_grant(catalog, "ACCOUNTADMIN", "USER", users.ADMINISTRATOR, "")
    administrator = catalog.need("USER", (users.ADMINISTRATOR,))
    if "DEFAULT_WAREHOUSE" not in administrator:
        catalog.add("WAREHOUSE", (WAREHOUSE,), "ACCOUNTADMIN", **FIRST_WAREHOUSE)
        catalog.change(administrator, DEFAULT_WAREHOUSE=WAREHOUSE)


def login_role(catalog: Catalog, user: Record, wanted: str | None) -> str:
    """The role a session starts in: the one asked for, else the user's default, else PUBLIC. Raises 390189."""
    role = wanted or user.get("DEFAULT_ROLE") or "PUBLIC"
    if role in Authority(catalog).of_user(user["key"]):
        return str(role)
    if wanted is None:
        return "PUBLIC"
    raise SnowflakeError(
        390189,
        "08001",
        f"Role '{role}' specified in the connect string does not exist or not authorized. "
        "Contact your local system administrator, or attempt to login with another role, e.g. PUBLIC.",
    )


def use_role(account: Account, session: Session, role: str) -> Result:
    """USE ROLE; only a role that was granted."""
    if account.catalog.get("ROLE", (role,)) is None or role not in account.authority.of_user(session.user):
        raise SnowflakeError(
            2043 if account.catalog.get("ROLE", (role,)) is None else 3013,
            "42501",
            f"Requested role '{role}' is not assigned to the executing user. Specify another role to activate."
            if account.catalog.get("ROLE", (role,))
            else f"SQL compilation error:\nObject does not exist, or operation cannot be performed: role '{role}'.",
        )
    session.role = role
    return status(lookup.EXECUTED)


def _add_role_grant(catalog: Catalog, role: str, kind: str, grantee: str, by: str) -> None:
    key = f"{role} TO {kind} {grantee}"
    if catalog.get("ROLE GRANT", key) is None:
        catalog.add("ROLE GRANT", (key,), by, key=key, role=role, grantee_kind=kind, grantee=grantee)


def grant_role(account: Account, session: Session, statement: GrantRole) -> Result:
    """GRANT ROLE and REVOKE ROLE."""
    session.commit()
    catalog = account.catalog
    catalog.need("ROLE", (statement.role,))
    catalog.need(statement.grantee_kind, (statement.grantee,))
    if statement.revoke:
        catalog.drop("ROLE GRANT", f"{statement.role} TO {statement.grantee_kind} {statement.grantee}")
        return status(lookup.EXECUTED)
    if statement.grantee_kind == "ROLE" and _is_circle(account, statement):
        raise compilation_error(
            3007, "42501", f"Cannot grant role '{statement.role}' to '{statement.grantee}': a cycle would result."
        )
    _add_role_grant(catalog, statement.role, statement.grantee_kind, statement.grantee, session.role)
    return status(lookup.EXECUTED)


def _is_circle(account: Account, statement: GrantRole) -> bool:
    return statement.grantee != "PUBLIC" and statement.grantee in account.authority.closure(statement.role)


def forget_grants(account: Account, kind: str, key: str) -> None:
    """Dropping or replacing an object takes its grants along."""
    for record in list(account.catalog.all("GRANT")):
        if record["on"] == key and record["on_kind"] in (kind, f"FUTURE {kind}"):
            account.catalog.drop("GRANT", record["key"])


def forget_within(account: Account, container: Name) -> None:
    """Dropping a database or a schema takes along the grants on everything in it, and on what was to come."""
    within = (dotted(container), dotted(container) + ".")
    for record in list(account.catalog.all("GRANT")):
        if record["on_kind"] not in ACCOUNT_KINDS and (record["on"] == within[0] or record["on"].startswith(within[1])):
            account.catalog.drop("GRANT", record["key"])
    if len(container) == 1:
        forget_grants(account, "DATABASE", dotted(container))


def forget_role(account: Account, role: str) -> None:
    """Dropping a role takes along what was granted to it and whom it was granted to."""
    for record in list(account.catalog.all("GRANT")):
        if record["role"] == role:
            account.catalog.drop("GRANT", record["key"])
    for record in list(account.catalog.all("ROLE GRANT")):
        if role in (record["role"], record["grantee"] if record["grantee_kind"] == "ROLE" else None):
            account.catalog.drop("ROLE GRANT", record["key"])


def need_warehouse(catalog: Catalog, name: str) -> Record:
    """The warehouse, or 002043."""
    record = catalog.get("WAREHOUSE", (name,))
    if record is None:
        raise missing("WAREHOUSE", name)
    return record


def now() -> str:
    """Now as records and SHOW have it."""
    return datetime.datetime.now(datetime.UTC).isoformat()
