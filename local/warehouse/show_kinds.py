"""The columns of SHOW for every kind, in Snowflake's names and order; read from the catalogue's records.

Sources: the pages SHOW WAREHOUSES, SHOW ROLES, SHOW USERS, SHOW DATABASES and so on. What the stand-in has no idea of
is empty or zero, never left out, for clients read columns by name and by position.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from local.warehouse import get_ddl
from local.warehouse.catalog import Record
from local.warehouse.names import dotted
from local.warehouse.programs_grammar import signature_type

Columns = dict[str, Callable[[Record], Any]]


def comment(record: Record) -> Any:
    """An object's comment."""
    return record.get("COMMENT", record.get("comment")) or ""


def true(value: Any) -> str:
    """A truth value as most of SHOW has it."""
    return "true" if value else "false"


def _yes(value: Any) -> str:
    return "Y" if value else "N"


def _fixed(value: Any) -> Callable[[Record], Any]:
    return lambda _: value


def _empty(*names: str) -> Columns:
    return dict.fromkeys(names, _fixed(None))


CREATED: Columns = {"created_on": lambda r: r["created_on"]}
NAME: Columns = {"name": lambda r: r["name"][-1]}
HEAD: Columns = {**CREATED, **NAME}
PLACE: Columns = {"database_name": lambda r: r["name"][0], "schema_name": lambda r: r["name"][1]}
OWNER: Columns = {"owner": lambda r: r["owner"]}
COMMENT: Columns = {"comment": comment}
ROLE_TYPE: Columns = {"owner_role_type": _fixed("ROLE")}
# What only a session knows; `show` fills it in.
CURRENT: Columns = {"is_default": _fixed("N"), "is_current": _fixed("N")}
RETENTION: Columns = {"retention_time": lambda r: r.get("DATA_RETENTION_TIME_IN_DAYS") or 1}
_SIZES = {"XSMALL": "X-Small", "SMALL": "Small", "MEDIUM": "Medium", "LARGE": "Large", "XLARGE": "X-Large"}


def _arguments(record: Record) -> str:
    types = ", ".join(
        f"DEFAULT {signature_type(p['type'])}" if p["default"] else signature_type(p["type"])
        for p in record["parameters"]
    )
    return f"{record['name'][-1]}({types}) RETURN {signature_type(record['returns'])}"


_PROGRAM: Columns = {
    **HEAD,
    "schema_name": lambda r: r["name"][1],
    "is_builtin": _fixed("N"),
    "is_aggregate": _fixed("N"),
    "is_ansi": _fixed("N"),
    "min_num_arguments": lambda r: sum(p["default"] is None for p in r["parameters"]),
    "max_num_arguments": lambda r: len(r["parameters"]),
    "arguments": _arguments,
    "description": lambda r: comment(r) or f"user-defined {r['kind'].lower()}",
    "catalog_name": lambda r: r["name"][0],
    "is_table_function": _fixed("N"),
    "valid_for_clustering": _fixed("N"),
    "is_secure": lambda r: _yes(r.get("secure")),
    "secrets": lambda r: json.dumps(r["secrets"]) if r.get("secrets") else "",
    "external_access_integrations": lambda r: ",".join(r.get("integrations") or []),
}
_FUNCTION: Columns = {
    **_PROGRAM,
    "is_external_function": lambda r: _yes(r["language"] == "EXTERNAL"),
    "language": lambda r: r["language"],
    "is_memoizable": _fixed("N"),
    "is_data_metric": _fixed("N"),
}


def _predecessors(record: Record) -> str:
    return json.dumps(record["after"])


_TASK: Columns = {
    **HEAD,
    "id": lambda r: r["id"],
    **PLACE,
    **OWNER,
    **COMMENT,
    "warehouse": lambda r: r.get("WAREHOUSE"),
    "schedule": lambda r: r.get("SCHEDULE"),
    "predecessors": _predecessors,
    "state": lambda r: r["state"],
    "definition": lambda r: r["definition"],
    "condition": lambda r: r["condition"],
    "allow_overlapping_execution": lambda r: true(r.get("ALLOW_OVERLAPPING_EXECUTION")),
    "error_integration": _fixed("null"),
    "last_committed_on": lambda r: r["created_on"],
    "last_suspended_on": lambda r: r.get("last_suspended_on"),
    **ROLE_TYPE,
    "config": lambda r: r.get("CONFIG"),
    "budget": _fixed(None),
    "task_relations": lambda r: json.dumps({"Predecessors": r["after"]} if r["after"] else {}),
    "last_suspended_reason": lambda r: r.get("last_suspended_reason"),
    "success_integration": _fixed("null"),
    "scheduling_mode": _fixed(None),
    "target_completion_interval": lambda r: r.get("TARGET_COMPLETION_INTERVAL"),
}
_STREAM: Columns = {
    **HEAD,
    **PLACE,
    **OWNER,
    **COMMENT,
    "table_name": lambda r: dotted(tuple(r["table"])),
    "source_type": _fixed("Table"),
    "base_tables": lambda r: dotted(tuple(r["table"])),
    "type": _fixed("DELTA"),
    "stale": lambda r: true(r.get("stale")),
    "mode": _fixed("APPEND_ONLY"),
    "stale_after": _fixed(None),
    "invalid_reason": _fixed("N/A"),
    **ROLE_TYPE,
}
_WAREHOUSE: Columns = {
    **NAME,
    "state": lambda r: r["state"],
    "type": lambda r: r.get("WAREHOUSE_TYPE") or "STANDARD",
    "size": lambda r: _SIZES.get(str(r["WAREHOUSE_SIZE"]).replace("-", ""), r["WAREHOUSE_SIZE"]),
    "min_cluster_count": lambda r: r.get("MIN_CLUSTER_COUNT") or 1,
    "max_cluster_count": lambda r: r.get("MAX_CLUSTER_COUNT") or 1,
    "started_clusters": lambda r: int(r["state"] == "STARTED"),
    "running": _fixed(0),
    "queued": _fixed(0),
    **CURRENT,
    "auto_suspend": lambda r: r["AUTO_SUSPEND"],
    "auto_resume": lambda r: true(r["AUTO_RESUME"]),
    **_empty("available", "provisioning", "quiescing", "other"),
    **CREATED,
    "resumed_on": lambda r: r["created_on"],
    "updated_on": lambda r: r["created_on"],
    **OWNER,
    **COMMENT,
    "enable_query_acceleration": lambda r: true(r.get("ENABLE_QUERY_ACCELERATION")),
    "query_acceleration_max_scale_factor": _fixed(8),
    "resource_monitor": _fixed("null"),
    "scaling_policy": lambda r: r.get("SCALING_POLICY") or "STANDARD",
    **ROLE_TYPE,
}
_USER: Columns = {
    **NAME,
    **CREATED,
    "login_name": lambda r: r.get("LOGIN_NAME") or r["key"],
    "display_name": lambda r: r.get("DISPLAY_NAME") or r["key"],
    "first_name": lambda r: r.get("FIRST_NAME"),
    "last_name": lambda r: r.get("LAST_NAME"),
    "email": lambda r: r.get("EMAIL"),
    **_empty("mins_to_unlock", "days_to_expiry"),
    **COMMENT,
    "disabled": lambda r: true(r.get("DISABLED")),
    "must_change_password": lambda r: true(r.get("MUST_CHANGE_PASSWORD")),
    "snowflake_lock": _fixed("false"),
    "default_warehouse": lambda r: r.get("DEFAULT_WAREHOUSE"),
    "default_namespace": lambda r: r.get("DEFAULT_NAMESPACE"),
    "default_role": lambda r: r.get("DEFAULT_ROLE"),
    "default_secondary_roles": lambda r: json.dumps(r.get("DEFAULT_SECONDARY_ROLES") or ["ALL"]),
    **_empty("ext_authn_duo", "ext_authn_uid", "mins_to_bypass_mfa"),
    **OWNER,
    **_empty("last_success_login", "expires_at_time", "locked_until_time"),
    "has_password": lambda r: true(r.get("PASSWORD")),
    "has_rsa_public_key": lambda r: true(r.get("RSA_PUBLIC_KEY") or r.get("RSA_PUBLIC_KEY_2")),
    "type": lambda r: r.get("TYPE") or "PERSON",
    "has_mfa": _fixed("false"),
    "has_pat": _fixed("false"),
    "has_workload_identity": lambda r: true(r.get("WORKLOAD_IDENTITY")),
}


def _settings(record: Record) -> dict[str, Any]:
    return record.get("settings") or {}


def _view_text(record: Record) -> str:
    return get_ddl.view_text(record)


_TABLE: Columns = {
    **HEAD,
    **PLACE,
    "kind": lambda r: "TRANSIENT" if r.get("transient") else "TABLE",
    **COMMENT,
    "cluster_by": lambda r: f"LINEAR{r['cluster_by']}" if r.get("cluster_by") else "",
    "rows": lambda r: r.get("rows"),
    "bytes": _fixed(None),
    **OWNER,
    "retention_time": lambda r: _settings(r).get("DATA_RETENTION_TIME_IN_DAYS", 1),
    "automatic_clustering": lambda r: "ON" if r.get("cluster_by") else "OFF",
    "change_tracking": lambda r: "ON" if _settings(r).get("CHANGE_TRACKING") else "OFF",
    "is_external": _fixed("N"),
    "enable_schema_evolution": _fixed("N"),
    **ROLE_TYPE,
    "is_event": _fixed("N"),
    "is_hybrid": _fixed("N"),
    "is_iceberg": _fixed("N"),
    "is_dynamic": _fixed("N"),
    "is_immutable": _fixed("N"),
}
_VIEW: Columns = {
    **HEAD,
    "reserved": _fixed(""),
    **PLACE,
    **OWNER,
    **COMMENT,
    "text": _view_text,
    "is_secure": lambda r: true(r.get("secure")),
    "is_materialized": _fixed("false"),
    **ROLE_TYPE,
    "change_tracking": _fixed("OFF"),
}
_SECRET: Columns = {
    **HEAD,
    "schema_name": lambda r: r["name"][1],
    "database_name": lambda r: r["name"][0],
    **OWNER,
    **COMMENT,
    "secret_type": lambda r: r["TYPE"],
}
KINDS: dict[str, Columns] = {
    "WAREHOUSE": _WAREHOUSE,
    "ROLE": {
        **HEAD, **CURRENT, "is_inherited": _fixed("N"),
        "assigned_to_users": _fixed(0), "granted_to_roles": _fixed(0), "granted_roles": _fixed(0),
        **OWNER, **COMMENT,
    },
    "USER": _USER,
    "DATABASE": {
        **HEAD, **CURRENT, "origin": lambda r: "SFC_SAMPLES.SAMPLE_DATA" if r.get("imported") else "", **OWNER,
        **COMMENT, "options": _fixed(""), **RETENTION,
        "kind": lambda r: "IMPORTED DATABASE" if r.get("imported") else "STANDARD", **ROLE_TYPE,
    },
    "SCHEMA": {
        **HEAD, **CURRENT, "database_name": lambda r: r["name"][0], **OWNER, **COMMENT,
        "options": lambda r: "MANAGED ACCESS" if r.get("WITH MANAGED ACCESS") else "", **RETENTION, **ROLE_TYPE,
    },
    "NETWORK RULE": {
        **HEAD, **PLACE, **OWNER, **COMMENT, "type": lambda r: r["TYPE"], "mode": lambda r: r.get("MODE") or "INGRESS",
        "entries_in_valuelist": lambda r: len(r["VALUE_LIST"]), **ROLE_TYPE,
    },
    "SECRET": {**_SECRET, "oauth_scopes": _fixed(None), **ROLE_TYPE},
    "INTEGRATION": {
        **NAME,
        "type": lambda r: "EXTERNAL_API" if r["type"] == "API" else "EXTERNAL_ACCESS",
        "category": lambda r: "API" if r["type"] == "API" else "EXTERNAL_ACCESS",
        "enabled": lambda r: true(r["ENABLED"]),
        **COMMENT,
        **CREATED,
    },
    "FUNCTION": _FUNCTION,
    "PROCEDURE": _PROGRAM,
    "STREAM": _STREAM,
    "TASK": _TASK,
    "TABLE": _TABLE,
    "VIEW": _VIEW,
    "SEQUENCE": {
        **NAME, **PLACE, "next_value": _fixed(None), "interval": lambda r: r.get("increment", 1), **CREATED, **OWNER,
        **COMMENT, **ROLE_TYPE, "ordered": lambda r: _yes(r.get("order", True)),
    },
}  # fmt: skip
# DESC of the kinds that answer one row of columns.
DESCRIBED: dict[str, Columns] = {
    "STREAM": _STREAM,
    "TASK": _TASK,
    "WAREHOUSE": {**HEAD, "kind": _fixed("WAREHOUSE")},
    "NETWORK RULE": {
        **HEAD, **PLACE, **OWNER, **COMMENT, "type": lambda r: r["TYPE"], "mode": lambda r: r.get("MODE") or "INGRESS",
        "value_list": lambda r: ",".join(r["VALUE_LIST"]), **ROLE_TYPE,
    },
    "SECRET": {
        **_SECRET, "username": lambda r: r.get("USERNAME"),
        **_empty("oauth_access_token_expiry_time", "oauth_refresh_token_expiry_time", "oauth_scopes",
                 "integration_name"),
    },
}  # fmt: skip
TERSE = ("created_on", "name", "kind", "database_name", "schema_name")
