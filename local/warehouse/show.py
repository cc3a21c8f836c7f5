"""SHOW out of the catalogue: which records, with the columns of `show_kinds`."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from local.warehouse import guard, lookup, show_parameters, streams, transactions
from local.warehouse.catalog import Record
from local.warehouse.errors import unsupported
from local.warehouse.names import ACCOUNT_KINDS, full_name
from local.warehouse.results import Result, text_result
from local.warehouse.show_kinds import KINDS, TERSE, true
from local.warehouse.statements import Name, Show

if TYPE_CHECKING:
    from local.warehouse.account import Account
    from local.warehouse.session import Session

TYPE_ID = 0x4400
_COLUMN = [
    "table_name", "schema_name", "column_name", "data_type", "null?", "default", "kind", "expression", "comment",
    "database_name", "autoincrement",
]  # fmt: skip


def show(account: Account, session: Session, statement: Show) -> Result:
    """SHOW <kinds> [LIKE] [IN] [STARTS WITH] [LIMIT]."""
    if statement.kind == "PARAMETER":
        known = show_parameters.rows(account, session, statement)
        return text_result(show_parameters.COLUMNS, [row for row in known if _matches(row[0], statement)], TYPE_ID)
    if statement.kind == "TRANSACTION":
        return text_result(transactions.COLUMNS, transactions.rows(account, session, statement), TYPE_ID)
    if statement.kind == "COLUMN":
        return _columns(account, session, statement)
    stored = lookup.stored_kind(statement.kind)
    columns = KINDS.get(stored)
    if columns is None:
        raise unsupported(f"SHOW {statement.kind}S")
    records = guard.visible(account, session, (r for r in account.catalog.all(stored) if _of_kind(r, statement.kind)))
    if stored not in ACCOUNT_KINDS:
        records = _within(account, session, statement, records)
    records = [r for r in records if _matches(r["name"][-1], statement)][: statement.limit]
    rows = [_row(account, session, stored, record) for record in records]
    names = [key for key in TERSE if key in columns] if statement.terse else list(columns)
    return text_result(names, [[row[key] for key in names] for row in rows], TYPE_ID)


def _row(account: Account, session: Session, kind: str, record: Record) -> dict[str, Any]:
    """A record's columns, with what depends on the session and on other records."""
    row = {key: read(record) for key, read in KINDS[kind].items()}
    name = tuple(record["name"])
    if kind in ("WAREHOUSE", "ROLE", "DATABASE", "SCHEMA"):
        current = {"WAREHOUSE": (session.warehouse,), "ROLE": (session.role,), "DATABASE": (session.database,)}
        row["is_current"] = "Y" if name == current.get(kind, (session.database, session.schema)) else "N"
    if kind == "STREAM":
        row["stale"] = true(streams.is_stale(account, record))
    elif kind == "TABLE":
        quoted = ".".join(f'"{part}"' for part in name)
        row["rows"] = session.duck.execute(f"SELECT count(*) FROM {quoted}").fetchall()[0][0]
    elif kind == "ROLE":
        row |= _role_counts(account, record["key"])
    return row


def _role_counts(account: Account, role: str) -> dict[str, int]:
    grants = account.catalog.all("ROLE GRANT")
    to = [grant["grantee_kind"] for grant in grants if grant["role"] == role]
    granted = sum(grant["grantee_kind"] == "ROLE" and grant["grantee"] == role for grant in grants)
    return {
        "assigned_to_users": to.count("USER"),
        "granted_to_roles": to.count("ROLE"),
        "granted_roles": granted,
    }


def _of_kind(record: Record, kind: str) -> bool:
    if kind == "API INTEGRATION":
        return bool(record["type"] == "API")
    if kind == "EXTERNAL ACCESS INTEGRATION":
        return bool(record["type"] == "EXTERNAL_ACCESS")
    if kind == "EXTERNAL FUNCTION":
        return bool(record["language"] == "EXTERNAL")
    return True


def _matches(name: str, statement: Show) -> bool:
    if statement.starts_with is not None and not name.startswith(statement.starts_with):
        return False
    return statement.like is None or like(name, statement.like)


def like(name: str, pattern: str) -> bool:
    """SHOW's LIKE: any case, `%` and `_`; a backslash before one of them means the character itself."""
    parts = re.findall(r"\\.|.", pattern, re.DOTALL)
    translated = "".join({"%": ".*", "_": "."}.get(part) or re.escape(part[-1]) for part in parts)
    return re.fullmatch(translated, name, re.IGNORECASE | re.DOTALL) is not None


def _within(account: Account, session: Session, statement: Show, records: Iterable[Record]) -> list[Record]:
    """Those in the scope: the one named, else the current schema, else the current database, else the account."""
    kind, name = statement.scope or (None, ())
    if kind == "ACCOUNT":
        return list(records)
    parts: tuple[str | None, ...]
    if kind == "DATABASE":
        parts = full_name("DATABASE", name, session) if name else (session.database,)
    elif name:
        parts = full_name("SCHEMA", name, session)
    elif statement.kind == "SCHEMA" or session.schema is None:
        parts = (session.database,)
    else:
        parts = (session.database, session.schema)
    container: Name = tuple(part for part in parts if part is not None)
    if container:
        place = account.need_container("DATABASE" if len(container) == 1 else "SCHEMA", container)
        if name:
            guard.need(account, session, place, guard.ANY)
    return [r for r in records if tuple(r["name"][: len(container)]) == container]


# --- columns


def _columns(account: Account, session: Session, statement: Show) -> Result:
    if statement.scope and statement.scope[0] in ("TABLE", "VIEW"):
        records = [lookup.find(account, session, statement.scope[0], statement.scope[1])]
        guard.need(account, session, records[0], guard.ANY)
    else:
        seen = guard.visible(account, session, [*account.catalog.all("TABLE"), *account.catalog.all("VIEW")])
        records = _within(account, session, statement, seen)
    rows = [
        _column(record, key, column)
        for record in records
        for key, column in record["columns"].items()
        if _matches(key, statement)
    ]
    return text_result(_COLUMN, rows[: statement.limit], TYPE_ID)


def _column(record: Record, key: str, column: dict[str, Any]) -> list[Any]:
    database, schema, table = record["name"]
    default = str(column["default"] or "")
    identity = default if default.startswith("IDENTITY") else ""
    return [
        table, schema, key, json.dumps(data_type(column["type"], column["null"])), str(bool(column["null"])).lower(),
        "" if identity else default, "COLUMN", "", column["comment"] or "", database, identity,
    ]  # fmt: skip


def data_type(text: str, nullable: bool) -> dict[str, Any]:
    """A column's type as SHOW COLUMNS has it, `{"type": "FIXED", "precision": 38, "scale": 0, "nullable": true}`."""
    base, _, size = text.rstrip(")").partition("(")
    sizes = [int(part) for part in size.split(",")] if size else []
    found: dict[str, Any] = {"type": {"NUMBER": "FIXED", "VARCHAR": "TEXT", "FLOAT": "REAL"}.get(base, base)}
    if base == "NUMBER":
        found |= {"precision": sizes[0], "scale": sizes[1]}
    elif base in ("VARCHAR", "BINARY"):
        found |= {"length": sizes[0], "byteLength": sizes[0] if base == "BINARY" else min(sizes[0] * 4, 16_777_216)}
    elif base.startswith("TIME"):
        found |= {"precision": 0, "scale": sizes[0] if sizes else 9}
    return found | {"nullable": bool(nullable)} | ({"fixed": False} if base == "VARCHAR" else {})
