"""SHOW and DESC out of the catalogue, in Snowflake's column names."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from local.warehouse import lookup
from local.warehouse.catalog import Record
from local.warehouse.errors import unsupported
from local.warehouse.names import ACCOUNT_KINDS, dotted, full_name
from local.warehouse.programs_grammar import signature_type
from local.warehouse.results import Result, text_result
from local.warehouse.session import DEFAULTS
from local.warehouse.statements import Name, Show

if TYPE_CHECKING:
    from local.warehouse.account import Account
    from local.warehouse.session import Session

Columns = dict[str, Callable[[Record], Any]]


PLACE: Columns = {"database_name": lambda r: r["name"][0], "schema_name": lambda r: r["name"][1]}
HEAD: Columns = {"created_on": lambda r: r["created_on"], "name": lambda r: r["name"][-1]}
OWNER: Columns = {"owner": lambda r: r["owner"]}
ROLE_TYPE: Columns = {"owner_role_type": lambda _: "ROLE"}


def comment(record: Record) -> Any:
    """An object's comment."""
    return record.get("COMMENT", record.get("comment")) or ""


def _yes(value: Any) -> str:
    return "Y" if value else "N"


def true(value: Any) -> str:
    """A truth value as SHOW has it."""
    return "true" if value else "false"


def _arguments(record: Record) -> str:
    types = ", ".join(
        f"DEFAULT {signature_type(p['type'])}" if p["default"] else signature_type(p["type"])
        for p in record["parameters"]
    )
    return f"{record['name'][-1]}({types}) RETURN {signature_type(record['returns'])}"


_PROGRAM: Columns = {
    **HEAD,
    "schema_name": lambda r: r["name"][1],
    "is_builtin": lambda _: "N",
    "is_aggregate": lambda _: "N",
    "is_ansi": lambda _: "N",
    "min_num_arguments": lambda r: sum(p["default"] is None for p in r["parameters"]),
    "max_num_arguments": lambda r: len(r["parameters"]),
    "arguments": _arguments,
    "description": lambda r: comment(r) or "user-defined function",
    "catalog_name": lambda r: r["name"][0],
    "is_table_function": lambda _: "N",
    "valid_for_clustering": lambda _: "N",
    "is_secure": lambda _: "N",
    "is_external_function": lambda r: _yes(r["language"] == "EXTERNAL"),
    "language": lambda r: r["language"],
}
_TASK: Columns = {
    **HEAD,
    "id": lambda r: r["id"],
    **PLACE,
    **OWNER,
    "comment": comment,
    "warehouse": lambda r: r.get("WAREHOUSE"),
    "schedule": lambda r: r.get("SCHEDULE"),
    "predecessors": lambda r: "[" + ", ".join(f'"{key}"' for key in r["after"]) + "]",
    "state": lambda r: r["state"],
    "definition": lambda r: r["definition"],
    "condition": lambda r: r["condition"],
    "allow_overlapping_execution": lambda r: true(r.get("ALLOW_OVERLAPPING_EXECUTION")),
    "error_integration": lambda _: "null",
    "last_committed_on": lambda r: r["created_on"],
    "last_suspended_on": lambda _: None,
    **ROLE_TYPE,
    "config": lambda r: r.get("CONFIG"),
}
_STREAM: Columns = {
    **HEAD,
    **PLACE,
    **OWNER,
    "comment": comment,
    "table_name": lambda r: dotted(tuple(r["table"])),
    "source_type": lambda _: "Table",
    "base_tables": lambda r: dotted(tuple(r["table"])),
    "type": lambda _: "DELTA",
    "stale": lambda r: true(r.get("stale")),
    "mode": lambda _: "APPEND_ONLY",
    "stale_after": lambda _: None,
    "invalid_reason": lambda _: "N/A",
    **ROLE_TYPE,
}
KINDS: dict[str, Columns] = {
    "WAREHOUSE": {
        "name": lambda r: r["name"][-1],
        "state": lambda r: r["state"],
        "type": lambda r: r.get("WAREHOUSE_TYPE", "STANDARD"),
        "size": lambda r: r["WAREHOUSE_SIZE"],
        "auto_suspend": lambda r: r["AUTO_SUSPEND"],
        "auto_resume": lambda r: true(r["AUTO_RESUME"]),
        "created_on": lambda r: r["created_on"],
        **OWNER,
        "comment": comment,
    },
    "ROLE": {**HEAD, **OWNER, "comment": comment},
    "USER": {
        **dict(reversed(HEAD.items())),
        "login_name": lambda r: r.get("LOGIN_NAME", r["key"]),
        "display_name": lambda r: r.get("DISPLAY_NAME", r["key"]),
        "email": lambda r: r.get("EMAIL"),
        "disabled": lambda r: true(r.get("DISABLED")),
        "default_warehouse": lambda r: r.get("DEFAULT_WAREHOUSE"),
        "default_namespace": lambda r: r.get("DEFAULT_NAMESPACE"),
        "default_role": lambda r: r.get("DEFAULT_ROLE"),
        **OWNER,
        "has_password": lambda r: true(r.get("PASSWORD")),
        "has_rsa_public_key": lambda r: true(r.get("RSA_PUBLIC_KEY")),
        "type": lambda r: r.get("TYPE", "PERSON"),
        "has_workload_identity": lambda r: true(r.get("WORKLOAD_IDENTITY")),
        "comment": comment,
    },
    "DATABASE": {
        **HEAD,
        **OWNER,
        "comment": comment,
        "retention_time": lambda r: r.get("DATA_RETENTION_TIME_IN_DAYS", 1),
    },
    "SCHEMA": {
        **HEAD,
        "database_name": lambda r: r["name"][0],
        **OWNER,
        "comment": comment,
        "options": lambda r: "MANAGED ACCESS" if r.get("WITH MANAGED ACCESS") else "",
    },
    "NETWORK RULE": {
        **HEAD, **PLACE, **OWNER, "comment": comment, "type": lambda r: r["TYPE"],
        "mode": lambda r: r.get("MODE", "INGRESS"), "entries_in_valuelist": lambda r: len(r["VALUE_LIST"]), **ROLE_TYPE,
    },
    "SECRET": {**HEAD, **PLACE, **OWNER, "comment": comment, "secret_type": lambda r: r["TYPE"], **ROLE_TYPE},
    "INTEGRATION": {
        "name": lambda r: r["name"][-1],
        "type": lambda r: "EXTERNAL_API" if r["type"] == "API" else "EXTERNAL_ACCESS",
        "category": lambda r: "API" if r["type"] == "API" else "EXTERNAL_ACCESS",
        "enabled": lambda r: true(r["ENABLED"]),
        "comment": comment,
        "created_on": lambda r: r["created_on"],
    },
    "FUNCTION": _PROGRAM,
    "PROCEDURE": _PROGRAM,
    "STREAM": _STREAM,
    "TASK": _TASK,
    "TABLE": {**HEAD, **PLACE, "kind": lambda _: "TABLE", "comment": comment, **OWNER, **ROLE_TYPE},
    "VIEW": {**HEAD, **PLACE, "comment": comment, **OWNER, **ROLE_TYPE},
    "SEQUENCE": {**HEAD, **PLACE, **OWNER, "comment": comment, **ROLE_TYPE},
}  # fmt: skip
_COLUMN = [
    "table_name",
    "schema_name",
    "column_name",
    "data_type",
    "null?",
    "default",
    "kind",
    "comment",
    "database_name",
]


def show(account: Account, session: Session, statement: Show) -> Result:
    """SHOW <kinds> [LIKE] [IN] [STARTS WITH] [LIMIT]."""
    if statement.kind == "PARAMETER":
        return _parameters(session, statement)
    if statement.kind == "COLUMN":
        return _columns(account, session, statement)
    stored = lookup.stored_kind(statement.kind)
    columns = KINDS.get(stored)
    if columns is None:
        raise unsupported(f"SHOW {statement.kind}S")
    records = [r for r in account.catalog.all(stored) if _of_kind(r, statement.kind)]
    if stored not in ACCOUNT_KINDS:
        records = _within(account, session, statement, records)
    records = [r for r in records if _matches(r["name"][-1], statement)][: statement.limit]
    return text_result(list(columns), [[read(r) for read in columns.values()] for r in records], 0x4400)


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
    """SHOW's LIKE: any case, `%` and `_`."""
    translated = "".join({"%": ".*", "_": "."}.get(char, re.escape(char)) for char in pattern)
    return re.fullmatch(translated, name, re.IGNORECASE | re.DOTALL) is not None


def _within(account: Account, session: Session, statement: Show, records: list[Record]) -> list[Record]:
    """Those in the scope: the one named, else the current schema, else the current database, else the account."""
    kind, name = statement.scope or (None, ())
    if kind == "ACCOUNT":
        return records
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
        account.need_container("DATABASE" if len(container) == 1 else "SCHEMA", container)
    return [r for r in records if tuple(r["name"][: len(container)]) == container]


def _columns(account: Account, session: Session, statement: Show) -> Result:
    if statement.scope and statement.scope[0] in ("TABLE", "VIEW"):
        records = [lookup.find(account, session, statement.scope[0], statement.scope[1])]
    else:
        records = _within(account, session, statement, [*account.catalog.all("TABLE"), *account.catalog.all("VIEW")])
    rows = [
        [
            r["name"][2],
            r["name"][1],
            key,
            c["type"],
            true(c["null"]),
            c["default"] or "",
            "COLUMN",
            c["comment"] or "",
            r["name"][0],
        ]
        for r in records
        for key, c in r["columns"].items()
        if _matches(key, statement)
    ]
    return text_result(_COLUMN, rows, 0x4400)


def _parameters(session: Session, statement: Show) -> Result:
    rows = [
        [key, session.parameter(key), default, "SESSION" if session.parameters.get(key) is not None else "", ""]
        for key, default in DEFAULTS.items()
        if _matches(key, statement)
    ]
    return text_result(["key", "value", "default", "level", "description"], rows, 0x4400)
