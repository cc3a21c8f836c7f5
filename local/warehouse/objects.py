"""CREATE, ALTER, DROP and COMMENT of the objects in the catalogue: the same steps for every kind."""

from __future__ import annotations

import base64
import secrets
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from local.warehouse import (
    access,
    containers,
    external_functions,
    iam_user,
    program_changes,
    programs,
    rules,
    streams,
    task_graphs,
    tasks,
    users,
)
from local.warehouse.catalog import Record
from local.warehouse.errors import compilation_error, exists, unsupported
from local.warehouse.lookup import EXECUTED, find, key_of, look, stored_kind
from local.warehouse.names import dotted, full_name
from local.warehouse.programs_grammar import signature_type
from local.warehouse.results import Result, status
from local.warehouse.session import LONGEST_WAIT
from local.warehouse.statements import Alter, Comment, Create, Drop, Name

if TYPE_CHECKING:
    from local.warehouse.account import Account
    from local.warehouse.session import Session

Make = Callable[["Account", "Session", Create, Name], dict[str, Any]]


def _plain(account: Account, session: Session, statement: Create, name: Name) -> dict[str, Any]:
    return dict(statement.clauses)


def _warehouse(account: Account, session: Session, statement: Create, name: Name) -> dict[str, Any]:
    suspended = statement.clauses.get("INITIALLY_SUSPENDED", False)
    session.warehouse = name[-1]
    defaults = {"WAREHOUSE_SIZE": "XSMALL", "AUTO_SUSPEND": 600, "AUTO_RESUME": True, "COMMENT": ""}
    return defaults | dict(statement.clauses) | {"state": "SUSPENDED" if suspended else "STARTED"}


def _api_integration(account: Account, session: Session, statement: Create, name: Name) -> dict[str, Any]:
    """A new integration has a new external id, also in place of an old one: the old trust is broken then."""
    iam_user.ensure()
    external_id = "LOCAL_SFCRole=1_" + base64.b64encode(secrets.token_bytes(20)).decode()
    known = {"API_AWS_IAM_USER_ARN": iam_user.arn(), "API_AWS_EXTERNAL_ID": external_id, "type": "API"}
    return {"API_BLOCKED_PREFIXES": [], "COMMENT": ""} | dict(statement.clauses) | known


def _external_access(account: Account, session: Session, statement: Create, name: Name) -> dict[str, Any]:
    return {"COMMENT": ""} | _references(account, session, statement.clauses) | {"type": "EXTERNAL_ACCESS"}


def _references(account: Account, session: Session, clauses: dict[str, Any]) -> dict[str, Any]:
    """The clauses of an external access integration with full names; every rule and secret must exist."""
    values = dict(clauses)
    for key, kind in (("ALLOWED_NETWORK_RULES", "NETWORK RULE"), ("ALLOWED_AUTHENTICATION_SECRETS", "SECRET")):
        if isinstance(values.get(key), list):
            names = [full_name(kind, name, session) for name in values[key]]
            values[key] = [account.catalog.need(kind, name)["key"] for name in names]
    for key in values.get("ALLOWED_NETWORK_RULES", []):
        rule = account.catalog.need("NETWORK RULE", key)
        if rule.get("MODE") != "EGRESS":
            raise compilation_error(1008, "22023", f"Network rule '{key}' is not of MODE = EGRESS.")
    return values


_MAKE: dict[str, Make] = {
    "WAREHOUSE": _warehouse,
    "ROLE": _plain,
    "USER": users.make_user,
    "NETWORK RULE": _plain,
    "SECRET": _plain,
    "API INTEGRATION": _api_integration,
    "EXTERNAL ACCESS INTEGRATION": _external_access,
    "EXTERNAL FUNCTION": external_functions.make,
    "FUNCTION": programs.make,
    "PROCEDURE": programs.make,
    "STREAM": streams.create,
    "TASK": tasks.make,
}


def create(account: Account, session: Session, statement: Create) -> Result:
    """CREATE [OR REPLACE | OR ALTER] … [IF NOT EXISTS]."""
    session.commit()
    name = full_name(statement.kind, statement.name, session)
    with account.locks.creating(f"{stored_kind(statement.kind)} {dotted(name)}", session.id, LONGEST_WAIT):
        return _create(account, session, statement, name)


def _create(account: Account, session: Session, statement: Create, name: Name) -> Result:
    if statement.kind in ("DATABASE", "SCHEMA"):
        if statement.or_alter and (container := account.catalog.get(statement.kind, name)) is not None:
            return _become(account, container, dict(statement.clauses))
        return containers.create(account, session, statement)
    if len(name) == 3:
        account.need_schema(name[:2])
    stored = stored_kind(statement.kind)
    types = _signature(statement)
    key = key_of(statement.kind, name, types)
    old = account.catalog.get(stored, key)
    if old is not None and statement.or_alter:
        if statement.kind == "TASK":
            return tasks.become(account, session, statement, old)
        return _become(account, old, _made(account, session, statement, name))
    if old is not None and not statement.or_replace:
        if statement.if_not_exists:
            return status(f"{name[-1]} already exists, statement succeeded.")
        raise exists(key)
    _refuse_other_kind(account, stored, name)
    values = _made(account, session, statement, name)
    if old is not None and not statement.extra.get("copy_grants"):
        access.forget_grants(account, stored, key)
    account.catalog.add(stored, name, session.role, key=key, **values)
    return status(f"{_title(statement.kind)} {name[-1]} successfully created.")


def _made(account: Account, session: Session, statement: Create, name: Name) -> dict[str, Any]:
    """The record's values; of programs with what GET_DDL says beside them."""
    values = _MAKE[statement.kind](account, session, statement, name)
    if "parameters" not in statement.extra:
        return values
    shown = {"secure": statement.extra["secure"], "not_null": statement.extra["not_null"]}
    return values | shown | {"compression": statement.clauses.get("COMPRESSION")}


def _become(account: Account, record: Record, values: dict[str, Any]) -> Result:
    """CREATE OR ALTER of what exists: it keeps its grants, its owner and its state, and loses what is not said."""
    kept = {"kind", "name", "key", "id", "owner", "created_on", "state", "imported"}
    gone = dict.fromkeys(set(record) - kept - set(values))
    account.catalog.change(record, **gone, **{key: value for key, value in values.items() if key != "state"})
    return status(f"{_title(record['kind'])} {record['name'][-1]} successfully altered.")


def _title(kind: str) -> str:
    return (
        "Function"
        if kind == "EXTERNAL FUNCTION"
        else "Integration"
        if kind.endswith("INTEGRATION")
        else kind.capitalize()
    )


def _signature(statement: Create) -> tuple[str, ...] | None:
    if "parameters" not in statement.extra:
        return None
    return tuple(signature_type(parameter.type) for parameter in statement.extra["parameters"])


def _refuse_other_kind(account: Account, kind: str, name: Name) -> None:
    """Tables, views, sequences and streams share names."""
    same = ("TABLE", "VIEW", "SEQUENCE", "STREAM")
    if kind in same and any(account.catalog.get(other, name) for other in same if other != kind):
        raise exists(dotted(name))


def alter(account: Account, session: Session, statement: Alter) -> Result:
    """ALTER … SET, UNSET and what single kinds have beyond that."""
    session.commit()
    record = look(account, session, statement.kind, statement.name, statement.types)
    if record is None and statement.if_exists:
        return status(EXECUTED)
    record = record or find(account, session, statement.kind, statement.name, statement.types)
    if statement.kind == "TASK":
        return tasks.alter(account, session, statement, record)
    if statement.action in ("RESUME", "SUSPEND"):
        account.catalog.change(record, state="STARTED" if statement.action == "RESUME" else "SUSPENDED")
        return status(EXECUTED)
    values = dict(statement.clauses)
    if statement.kind == "EXTERNAL ACCESS INTEGRATION":
        values = _references(account, session, values)
    elif statement.kind == "NETWORK RULE" and values.get("VALUE_LIST") is not None:
        rules.value_list(values["VALUE_LIST"], record["TYPE"])
    elif statement.kind == "SECRET":
        users.check_secret(record, values)
    elif statement.kind == "USER":
        values = users.user_values(record | values)
    elif statement.kind in ("FUNCTION", "PROCEDURE"):
        values = program_changes.values(account, session, record, values)
    elif statement.kind == "STREAM":
        values = {key.lower(): value or "" for key, value in values.items()}
    account.catalog.change(record, **values)
    return status(EXECUTED)


def drop(account: Account, session: Session, statement: Drop) -> Result:
    """DROP … [IF EXISTS]."""
    session.commit()
    if statement.kind in ("DATABASE", "SCHEMA"):
        return containers.drop(account, session, statement)
    record = look(account, session, statement.kind, statement.name, statement.types)
    if record is None and statement.if_exists:
        return status("Drop statement executed successfully (object already dropped).")
    record = record or find(account, session, statement.kind, statement.name, statement.types)
    _refuse_in_use(account, statement.kind, record)
    if statement.kind == "TASK":
        task_graphs.refuse_replacing(account, record)
        task_graphs.forget(account, record)
    if statement.kind == "STREAM":
        with session.change([record["key"]]):
            streams.drop(account, session, record)
    stored = stored_kind(statement.kind)
    account.catalog.drop(stored, record["key"])
    access.forget_grants(account, stored, record["key"])
    if statement.kind == "ROLE":
        access.forget_role(account, record["key"])
    return status(f"{record['name'][-1]} successfully dropped.")


def _refuse_in_use(account: Account, kind: str, record: Record) -> None:
    users = []
    if kind == "NETWORK RULE":
        users = [
            i["key"] for i in account.catalog.all("INTEGRATION") if record["key"] in i.get("ALLOWED_NETWORK_RULES", [])
        ]
    if users:
        raise compilation_error(
            1420, "22023", f"Cannot drop {kind.lower()} '{record['key']}': integration '{users[0]}' uses it."
        )
    if kind == "ROLE" and record["key"] in access.SYSTEM_ROLES:
        raise unsupported(f"DROP of the system role {record['key']}")


def comment(account: Account, session: Session, statement: Comment) -> Result:
    """COMMENT ON … IS."""
    session.commit()
    if statement.kind == "COLUMN":
        return _comment_column(account, session, statement)
    record = look(account, session, statement.kind, statement.name)
    if record is None and statement.if_exists:
        return status(EXECUTED)
    record = record or find(account, session, statement.kind, statement.name)
    key = "COMMENT" if "COMMENT" in record else "comment"
    account.catalog.change(record, **{key: statement.text})
    return status(EXECUTED)


def _comment_column(account: Account, session: Session, statement: Comment) -> Result:
    *table, column = statement.name
    record = find(account, session, "TABLE", tuple(table))
    if column not in record["columns"]:
        raise compilation_error(904, "42000", f"invalid identifier '{column}'")
    record["columns"][column]["comment"] = statement.text
    account.catalog.save()
    return status(EXECUTED)
