"""DESC of what is neither a table nor a view, in Snowflake's column names."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from local.warehouse import guard, lookup, query_log, show_kinds, streams, users, workload_identity
from local.warehouse.catalog import Record
from local.warehouse.errors import unsupported
from local.warehouse.results import Result, text_result
from local.warehouse.statements import Describe

if TYPE_CHECKING:
    from local.warehouse.account import Account
    from local.warehouse.session import Session

_PROPERTY = ["property", "property_type", "property_value", "property_default"]
_IDENTITY = ["name", "type", "comment", "last_used", "created_on", "additional_info"]


def describe(account: Account, session: Session, statement: Describe) -> Result:
    """DESC of what is not a table or a view."""
    if statement.kind == "WORKLOAD IDENTITY":
        user = lookup.find(account, session, "USER", statement.name)
        return text_result(_IDENTITY, workload_identity.methods(user))
    record = lookup.find(account, session, statement.kind, statement.name, statement.types)
    kind = lookup.stored_kind(statement.kind)
    if kind == "INTEGRATION":
        return text_result(_PROPERTY, _integration(record))
    if kind in ("FUNCTION", "PROCEDURE"):
        return text_result(["property", "value"], _program(record))
    if kind == "USER":
        return text_result(["property", "value", "default", "description"], _user(record))
    if kind in ("DATABASE", "SCHEMA"):
        return text_result(["created_on", "name", "kind"], _contents(account, session, record))
    if (columns := show_kinds.DESCRIBED.get(kind)) is not None:
        row = {key: read(record) for key, read in columns.items()}
        if kind == "STREAM":
            row["stale"] = show_kinds.true(streams.is_stale(account, record))
        return text_result(list(columns), [list(row.values())])
    raise unsupported(f"DESC {statement.kind}")


def _contents(account: Account, session: Session, record: Record) -> list[list[Any]]:
    """What lies directly in a database or a schema."""
    place = record["name"]
    inside = [
        other
        for kind, _, other in account.catalog.everything()
        if kind != "GRANT" and len(other["name"]) == len(place) + 1 and other["name"][: len(place)] == place
    ]
    return [
        [other["created_on"], other["name"][-1], other["kind"]]
        for other in sorted(guard.visible(account, session, inside), key=lambda r: (r["kind"], r["key"]))
    ]


def _integration(record: Record) -> list[list[Any]]:
    """Sources: the pages DESCRIBE INTEGRATION, CREATE API INTEGRATION and CREATE EXTERNAL ACCESS INTEGRATION."""
    api = record["type"] == "API"
    return [_property(key, record.get(key)) for key in (_API if api else _EXTERNAL_ACCESS)]


def _property(key: str, value: Any) -> list[Any]:
    if key == "ENABLED":
        return [key, "Boolean", show_kinds.true(value), "false"]
    if key.endswith("S") and key != "COMMENTS":
        return [key, "List", value if isinstance(value, str) else ",".join(value or []), "[]"]
    if key == "API_KEY":
        return [key, "String", query_log.HIDDEN if value else "", ""]
    return [key, "String", value or "", ""]


_API = (
    "ENABLED", "API_KEY", "API_PROVIDER", "API_AWS_IAM_USER_ARN", "API_AWS_ROLE_ARN", "API_AWS_EXTERNAL_ID",
    "API_ALLOWED_PREFIXES", "API_BLOCKED_PREFIXES", "COMMENT",
)  # fmt: skip
_EXTERNAL_ACCESS = (
    "ENABLED", "ALLOWED_NETWORK_RULES", "ALLOWED_API_AUTHENTICATION_INTEGRATIONS", "ALLOWED_AUTHENTICATION_SECRETS",
    "COMMENT",
)  # fmt: skip


def _program(record: Record) -> list[list[Any]]:
    """Sources: the pages DESCRIBE FUNCTION and DESCRIBE PROCEDURE."""
    signature = "(" + ", ".join(f"{p['name']} {p['type']}" for p in record["parameters"]) + ")"
    nulls = "RETURNS NULL ON NULL INPUT" if record.get("strict") else "CALLED ON NULL INPUT"
    returns = f"{record['returns']}{' NOT NULL' if record.get('not_null') else ''}"
    rows = [["signature", signature], ["returns", returns], ["language", record["language"]]]
    rows += [["null handling", nulls], ["volatility", "VOLATILE"]]
    if record["language"] == "EXTERNAL":
        return [
            *rows,
            ["body", record["url"]],
            ["headers", json.dumps(record.get("headers") or {})],
            ["context_headers", json.dumps(record.get("context_headers") or [])],
            ["max_batch_rows", record["max_batch_rows"] or "not set"],
            ["compression", record.get("compression") or "AUTO"],
            ["api_integration", record["integration"]],
        ]
    rows += [["body", record["body"]], ["runtime_version", record["runtime"]]]
    rows += [["packages", str(list(record["packages"]))], ["handler", record["handler"]]]
    rows += [["external_access_integrations", ",".join(record.get("integrations") or [])]]
    rows += [["secrets", json.dumps(record.get("secrets") or {})]]
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
    identity = show_kinds.true(record.get("WORKLOAD_IDENTITY"))
    rows = [["NAME", record["key"], "null", ""], *([key, record.get(key), "null", ""] for key in shown)]
    for key in ("RSA_PUBLIC_KEY", "RSA_PUBLIC_KEY_2"):
        text = record.get(key)
        rows += [[key, text, "null", ""], [f"{key}_FP", users.fingerprint(text) if text else None, "null", ""]]
    rows.append(["DISABLED", show_kinds.true(record.get("DISABLED")), "false", ""])
    return [*rows, ["HAS_WORKLOAD_IDENTITY", identity, "false", ""]]
