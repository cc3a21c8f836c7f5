"""SHOW GRANTS: on an object, to a role or a user, of a role."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from local.warehouse import lookup
from local.warehouse.catalog import Catalog, Record
from local.warehouse.results import Result, text_result
from local.warehouse.statements import ShowGrants

if TYPE_CHECKING:
    from local.warehouse.account import Account
    from local.warehouse.session import Session

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
    if statement.direction.startswith("FUTURE"):
        return text_result(_FUTURE_COLUMNS, _future(account, session, statement))
    if statement.direction == "ON":
        key = (
            "LOCAL"
            if statement.kind == "ACCOUNT"
            else lookup.find(account, session, statement.kind, statement.name, statement.types)["key"]
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


_FUTURE_COLUMNS = ["created_on", "privilege", "grant_on", "name", "grant_to", "grantee_name", "grant_option"]


def _future(account: Account, session: Session, statement: ShowGrants) -> list[list[Any]]:
    """Of a database or schema itself, or to a role."""
    if statement.direction == "FUTURE TO":
        field, value = "role", account.catalog.need("ROLE", statement.name)["key"]
    else:
        field, value = "on", lookup.find(account, session, statement.kind, statement.name)["key"]
    return [
        [g["created_on"], g["privilege"], kind.replace(" ", "_"), f"{g['on']}.<{kind}>", "ROLE", g["role"],
         str(g["option"]).lower()]
        for g in account.catalog.all("GRANT")
        if g["on_kind"].startswith("FUTURE ") and g[field] == value
        for kind in (g["on_kind"].removeprefix("FUTURE "),)
    ]  # fmt: skip


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
