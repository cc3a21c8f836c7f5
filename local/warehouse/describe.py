"""DESC of what is neither a table nor a view, in Snowflake's column names."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from local.warehouse import lookup, show, users
from local.warehouse.catalog import Record
from local.warehouse.errors import unsupported
from local.warehouse.results import Result, text_result
from local.warehouse.statements import Describe

if TYPE_CHECKING:
    from local.warehouse.account import Account
    from local.warehouse.session import Session

_PROPERTY = ["property", "property_type", "property_value", "property_default"]
_INTEGRATION_TYPES = {bool: "Boolean", list: "List"}
_HIDDEN = {"kind", "name", "key", "id", "owner", "created_on", "type", "API_KEY"}


def describe(account: Account, session: Session, statement: Describe) -> Result:
    """DESC of what is not a table or a view."""
    record = lookup.find(account, session, statement.kind, statement.name, statement.types)
    kind = lookup.stored_kind(statement.kind)
    if kind == "INTEGRATION":
        return text_result(_PROPERTY, _integration(record))
    if kind in ("FUNCTION", "PROCEDURE"):
        return text_result(["property", "value"], _program(record))
    if kind == "USER":
        return text_result(["property", "value", "default", "description"], _user(record))
    if kind == "NETWORK RULE":
        columns: show.Columns = {
            **show.HEAD,
            **show.PLACE,
            **show.OWNER,
            "comment": show.comment,
            "type": lambda r: r["TYPE"],
        }
        columns |= {"mode": lambda r: r.get("MODE", "INGRESS"), "value_list": lambda r: ",".join(r["VALUE_LIST"])}
        return text_result(list(columns), [[read(record) for read in columns.values()]])
    if kind in ("STREAM", "TASK", "SECRET", "WAREHOUSE"):
        columns = show.KINDS[kind]
        return text_result(list(columns), [[read(record) for read in columns.values()]])
    raise unsupported(f"DESC {statement.kind}")


def _integration(record: Record) -> list[list[Any]]:
    rows = []
    for key, value in record.items():
        if key in _HIDDEN:
            continue
        text = ",".join(value) if isinstance(value, list) else show.true(value) if isinstance(value, bool) else value
        rows.append([key, _INTEGRATION_TYPES.get(type(value), "String"), text, "[]" if isinstance(value, list) else ""])
    return rows


def _program(record: Record) -> list[list[Any]]:
    signature = "(" + ", ".join(f"{p['name']} {p['type']}" for p in record["parameters"]) + ")"
    rows = [["signature", signature], ["returns", record["returns"]], ["language", record["language"]]]
    if record["language"] == "EXTERNAL":
        return [
            *rows,
            ["api_integration", record["integration"]],
            ["max_batch_rows", record["max_batch_rows"]],
            ["body", record["url"]],
        ]
    more = {"runtime_version": "runtime", "packages": "packages", "handler": "handler", "body": "body"}
    rows += [[label, record[key]] for label, key in more.items()]
    return [*rows, ["execute as", record["execute_as"]]] if record["kind"] == "PROCEDURE" else rows


def _user(record: Record) -> list[list[Any]]:
    shown = [
        "LOGIN_NAME",
        "DISPLAY_NAME",
        "EMAIL",
        "DEFAULT_ROLE",
        "DEFAULT_WAREHOUSE",
        "DEFAULT_NAMESPACE",
        "TYPE",
        "COMMENT",
    ]
    rows = [["NAME", record["key"], "null", ""], *([key, record.get(key), "null", ""] for key in shown)]
    for key in ("RSA_PUBLIC_KEY", "RSA_PUBLIC_KEY_2"):
        text = record.get(key)
        rows += [[key, text, "null", ""], [f"{key}_FP", users.fingerprint(text) if text else None, "null", ""]]
    return rows
