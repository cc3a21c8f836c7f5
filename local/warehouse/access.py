"""Users, roles and grants.

Grants are recorded and shown, and roles are checked where they are used; tables are not guarded.
"""

from __future__ import annotations

import datetime
from typing import TYPE_CHECKING, Any

from local.warehouse import grants_grammar, lookup, users
from local.warehouse.catalog import Catalog, Record
from local.warehouse.errors import SnowflakeError, compilation_error, missing
from local.warehouse.names import dotted, full_name
from local.warehouse.results import Result, status, text_result
from local.warehouse.statements import Grant, GrantRole, Name, ShowGrants

if TYPE_CHECKING:
    from local.warehouse.account import Account
    from local.warehouse.session import Session

SYSTEM_ROLES = ("ACCOUNTADMIN", "SECURITYADMIN", "USERADMIN", "SYSADMIN", "PUBLIC")
# Which role has which other from the start.
_HIERARCHY = {"SYSADMIN": "ACCOUNTADMIN", "SECURITYADMIN": "ACCOUNTADMIN", "USERADMIN": "SECURITYADMIN"}


def seed(catalog: Catalog) -> None:
    """The roles of every account, and the administrator."""
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


def roles_of(catalog: Catalog, user: str) -> set[str]:
    """Every role a user can take, directly or through another role."""
    found = {"PUBLIC"}
    open_ = [g["role"] for g in catalog.all("ROLE GRANT") if g["grantee_kind"] == "USER" and g["grantee"] == user]
    while open_:
        role = open_.pop()
        if role not in found:
            found.add(role)
            open_ += [
                g["role"] for g in catalog.all("ROLE GRANT") if g["grantee_kind"] == "ROLE" and g["grantee"] == role
            ]
    return found


def login_role(catalog: Catalog, user: Record, wanted: str | None) -> str:
    """The role a session starts in: the one asked for, else the user's default, else PUBLIC. Raises 390189."""
    role = wanted or user.get("DEFAULT_ROLE") or "PUBLIC"
    if role in roles_of(catalog, user["key"]):
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
    if account.catalog.get("ROLE", (role,)) is None or role not in roles_of(account.catalog, session.user):
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
    if statement.grantee_kind == "ROLE" and _reaches(catalog, statement.role, statement.grantee):
        raise compilation_error(
            3007, "42501", f"Cannot grant role '{statement.role}' to '{statement.grantee}': a cycle would result."
        )
    _add_role_grant(catalog, statement.role, statement.grantee_kind, statement.grantee, session.role)
    return status(lookup.EXECUTED)


def _reaches(catalog: Catalog, role: str, target: str) -> bool:
    if role == target:
        return True
    below = [g["role"] for g in catalog.all("ROLE GRANT") if g["grantee_kind"] == "ROLE" and g["grantee"] == role]
    return any(_reaches(catalog, other, target) for other in below)


# --- privileges


def grant(account: Account, session: Session, statement: Grant) -> Result:
    """GRANT and REVOKE of privileges: the role and the object must exist."""
    session.commit()
    account.catalog.need("ROLE", (statement.role,))
    if statement.scope != "ON":
        container = full_name(statement.container, statement.name, session)
        account.need_container(statement.container, container)
        if statement.scope == "FUTURE":
            _record(account, session, statement, f"FUTURE {statement.kind}", dotted(container))
            return status(lookup.EXECUTED)
        for record in list(account.catalog.all(statement.kind)):
            if tuple(record["name"][: len(container)]) == container:
                _record(account, session, statement, statement.kind, record["key"])
        return status(lookup.EXECUTED)
    if statement.kind == "ACCOUNT":
        _record(account, session, statement, "ACCOUNT", "LOCAL")
        return status(lookup.EXECUTED)
    record = _object(account, session, statement.kind, statement.name, statement.types)
    _record(account, session, statement, statement.kind, record["key"])
    if statement.privileges == ("OWNERSHIP",):
        account.catalog.change(record, owner=statement.role)
    return status(lookup.EXECUTED)


def _object(account: Account, session: Session, kind: str, name: Name, types: tuple[str, ...] | None) -> Record:
    full = full_name(kind, name, session)
    if kind in ("DATABASE", "SCHEMA"):
        return account.need_container(kind, full)
    return lookup.find(account, session, kind, name, types)


def _record(account: Account, session: Session, statement: Grant, kind: str, key: str) -> None:
    base = kind.removeprefix("FUTURE ")
    names = grants_grammar.PRIVILEGES[base] if statement.privileges == ("ALL",) else statement.privileges
    for privilege in names:
        if privilege == "OWNERSHIP":
            continue
        grant_key = f"{privilege} ON {kind} {key} TO {statement.role}"
        if statement.revoke:
            account.catalog.drop("GRANT", grant_key)
        elif account.catalog.get("GRANT", grant_key) is None:
            account.catalog.add(
                "GRANT", (grant_key,), session.role, key=grant_key, privilege=privilege, on_kind=kind, on=key,
                role=statement.role, option=statement.with_grant_option,
            )  # fmt: skip


def forget_grants(account: Account, kind: str, key: str) -> None:
    """Dropping or replacing an object takes its grants along."""
    for record in list(account.catalog.all("GRANT")):
        if record["on"] == key and record["on_kind"] in (kind, f"FUTURE {kind}"):
            account.catalog.drop("GRANT", record["key"])


def forget_role(account: Account, role: str) -> None:
    """Dropping a role takes along what was granted to it and whom it was granted to."""
    for record in list(account.catalog.all("GRANT")):
        if record["role"] == role:
            account.catalog.drop("GRANT", record["key"])
    for record in list(account.catalog.all("ROLE GRANT")):
        if role in (record["role"], record["grantee"] if record["grantee_kind"] == "ROLE" else None):
            account.catalog.drop("ROLE GRANT", record["key"])


GRANT_COLUMNS = [
    "created_on",
    "privilege",
    "granted_on",
    "name",
    "granted_to",
    "grantee_name",
    "grant_option",
    "granted_by",
]


def show(account: Account, session: Session, statement: ShowGrants) -> Result:
    """SHOW GRANTS."""
    catalog = account.catalog
    if statement.direction == "OF":
        catalog.need("ROLE", statement.name)
        rows = [
            [g["created_on"], g["role"], g["grantee_kind"], g["grantee"], g["owner"]]
            for g in catalog.all("ROLE GRANT")
            if g["role"] == statement.name[0]
        ]
        return text_result(["created_on", "role", "granted_to", "grantee_name", "granted_by"], rows)
    if statement.direction == "ON":
        key = (
            "LOCAL"
            if statement.kind == "ACCOUNT"
            else _object(account, session, statement.kind, statement.name, statement.types)["key"]
        )
        return text_result(
            GRANT_COLUMNS, [*_owned(catalog, statement.kind, key), *_granted(catalog, "on", key, statement.kind)]
        )
    if statement.kind == "ROLE":
        catalog.need("ROLE", statement.name)
        role = statement.name[0]
        inherited = [
            _role_row(g) for g in catalog.all("ROLE GRANT") if g["grantee_kind"] == "ROLE" and g["grantee"] == role
        ]
        owned = [
            row
            for kind, _, r in catalog.everything()
            if r["owner"] == role and "GRANT" not in kind
            for row in _owned(catalog, kind, r["key"])
        ]
        return text_result(GRANT_COLUMNS, [*owned, *_granted(catalog, "role", role), *inherited])
    user = session.user if statement.kind == "CURRENT USER" else statement.name[0]
    catalog.need("USER", (user,))
    rows = [
        [g["created_on"], g["role"], "USER", g["grantee"], g["owner"]]
        for g in catalog.all("ROLE GRANT")
        if g["grantee_kind"] == "USER" and g["grantee"] == user
    ]
    return text_result(["created_on", "role", "granted_to", "grantee_name", "granted_by"], rows)


def _role_row(g: Record) -> list[Any]:
    return [g["created_on"], "USAGE", "ROLE", g["role"], g["grantee_kind"], g["grantee"], "false", g["owner"]]


def _owned(catalog: Catalog, kind: str, key: str) -> list[list[Any]]:
    record = catalog.get(lookup.stored_kind(kind), key)
    if record is None or not record["owner"]:
        return []
    return [
        [
            record["created_on"],
            "OWNERSHIP",
            kind.replace(" ", "_"),
            key,
            "ROLE",
            record["owner"],
            "true",
            record["owner"],
        ]
    ]


def _granted(catalog: Catalog, field: str, value: str, kind: str | None = None) -> list[list[Any]]:
    return [
        [
            g["created_on"],
            g["privilege"],
            g["on_kind"].replace(" ", "_"),
            g["on"],
            "ROLE",
            g["role"],
            str(g["option"]).lower(),
            g["owner"],
        ]
        for g in catalog.all("GRANT")
        if g[field] == value and (kind is None or g["on_kind"] == kind) and not g["on_kind"].startswith("FUTURE")
    ]


def need_warehouse(catalog: Catalog, name: str) -> Record:
    """The warehouse, or 002043."""
    record = catalog.get("WAREHOUSE", (name,))
    if record is None:
        raise missing("WAREHOUSE", name)
    return record


def now() -> str:
    """Now as records and SHOW have it."""
    return datetime.datetime.now(datetime.UTC).isoformat()
