"""CREATE TASK and ALTER TASK: on a schedule, after other tasks, or when a stream has rows."""

from __future__ import annotations

import datetime
from collections.abc import Callable
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from cronsim import CronSim, CronSimError

from local.warehouse import access, grammar, kinds, table_rules, task_graphs, task_rules
from local.warehouse.catalog import Record
from local.warehouse.errors import compilation_error, invalid_value
from local.warehouse.names import dotted, full_name
from local.warehouse.results import Result, status
from local.warehouse.statements import Alter, Create, Name

if TYPE_CHECKING:
    from local.warehouse.account import Account
    from local.warehouse.session import Session

_EXECUTED = "Statement executed successfully."
_OF_RUNS = frozenset({"state", "failures", "last_started", "last_suspended_on", "last_suspended_reason"})


def make(account: Account, session: Session, statement: Create, name: Name) -> dict[str, Any]:
    """The record of a new task, suspended. Warehouse, streams and predecessors must exist; the statement must parse."""
    values, extra = dict(statement.clauses), statement.extra
    if (old := account.catalog.get("TASK", name)) is not None:
        task_graphs.refuse_replacing(account, old)
    _check(account, values)
    _check_definition(extra["definition"])
    after = [_predecessor(account, session, other, name) for other in extra["after"]]
    return {
        **values,
        "state": "suspended",
        "definition": extra["definition"],
        "when": _resolve(account, session, extra["when"]),
        "condition": extra["when_text"],
        "after": after,
        "failures": 0,
        "last_started": None,
        "last_suspended_on": None,
        "last_suspended_reason": None,
        "comment": values.get("COMMENT", ""),
    }


def _check(account: Account, values: dict[str, Any]) -> None:
    if values.get("WAREHOUSE"):
        access.need_warehouse(account.catalog, values["WAREHOUSE"])
    if values.get("SCHEDULE"):
        schedule = task_rules.schedule(values["SCHEDULE"])
        if isinstance(schedule, tuple):
            next_time(schedule, datetime.datetime.now(datetime.UTC))


def _check_definition(definition: str) -> None:
    """Snowflake parses a task's statement when it is made."""
    if grammar.parse(definition) is None:
        table_rules.parse(definition)


def _resolve(account: Account, session: Session, condition: Any) -> Any:
    """The condition with full stream names; every stream must exist."""
    if condition is None:
        return None
    if condition[0] == "STREAM":
        return ["STREAM", account.catalog.need("STREAM", full_name("STREAM", condition[1], session))["key"]]
    return [condition[0], *(_resolve(account, session, part) for part in condition[1:])]


def _predecessor(account: Account, session: Session, other: Name, name: Name) -> str:
    full = full_name("TASK", other, session)
    record = account.catalog.need("TASK", full)
    if full[:2] != name[:2]:
        raise compilation_error(91085, "0A000", "All tasks of a graph must lie in one schema.")
    if record["owner"] != session.role:
        raise compilation_error(91085, "0A000", f"All tasks of a graph must have one owner; '{full[2]}' has another.")
    task_graphs.refuse_running_root(account, record)
    return str(record["key"])


def become(account: Account, session: Session, statement: Create, record: Record) -> Result:
    """CREATE OR ALTER of a task that exists: as ALTER TASK would, so its root must be suspended; its state stays."""
    task_graphs.refuse_running_root(account, record)
    values = make(account, session, statement, tuple(record["name"]))
    for key in values["after"]:
        task_graphs.refuse_cycle(account, record, account.catalog.need("TASK", key))
    gone = dict.fromkeys({*kinds.TASK} - set(values))
    kept = {key: value for key, value in values.items() if key not in _OF_RUNS}
    with task_graphs.changing(account, record):
        account.catalog.change(record, **gone, **kept)
    return status(f"Task {record['name'][-1]} successfully altered.")


def alter(account: Account, session: Session, statement: Alter, record: Record) -> Result:
    """ALTER TASK."""
    action = statement.action
    if record["after"] or action not in ("RESUME", "SUSPEND"):
        task_graphs.refuse_running_root(account, record)
    with task_graphs.changing(account, record):
        account.catalog.change(record, **_CHANGES[action](account, session, statement, record))
    return status(_EXECUTED)


def _set(account: Account, session: Session, statement: Alter, record: Record) -> dict[str, Any]:
    values = statement.clauses
    _check(account, values)
    after = {key: record.get(key) for key in kinds.TASK} | values
    task_rules.combination(after, bool(record["after"]), record["when"] is not None)
    return {**values, **({"comment": values["COMMENT"] or ""} if "COMMENT" in values else {})}


def _add_after(account: Account, session: Session, statement: Alter, record: Record) -> dict[str, Any]:
    if record.get("SCHEDULE"):
        raise compilation_error(
            91083, "0A000", "A task with a SCHEDULE cannot have a predecessor: UNSET SCHEDULE first."
        )
    added = [_predecessor(account, session, other, tuple(record["name"])) for other in statement.extra]
    for key in added:
        task_graphs.refuse_cycle(account, record, account.catalog.need("TASK", key))
    return {"after": sorted({*record["after"], *added})}


def _remove_after(account: Account, session: Session, statement: Alter, record: Record) -> dict[str, Any]:
    gone = {dotted(full_name("TASK", other, session)) for other in statement.extra}
    if unknown := gone - set(record["after"]):
        raise compilation_error(91087, "0A000", f"{min(unknown)} is no predecessor of {record['key']}.")
    after = [key for key in record["after"] if key not in gone]
    return {"after": after, **({} if after else task_graphs.suspended("CHILD_BECAME_ROOT"))}


def _modify_as(account: Account, session: Session, statement: Alter, record: Record) -> dict[str, Any]:
    _check_definition(statement.extra)
    return {"definition": statement.extra}


def _modify_when(account: Account, session: Session, statement: Alter, record: Record) -> dict[str, Any]:
    text, condition = statement.extra
    return {"when": _resolve(account, session, condition), "condition": text}


def _remove_when(account: Account, session: Session, statement: Alter, record: Record) -> dict[str, Any]:
    return {"when": None, "condition": None}


_CHANGES: dict[str, Callable[[Account, Session, Alter, Record], dict[str, Any]]] = {
    "RESUME": lambda account, session, statement, record: task_graphs.started(),
    "SUSPEND": lambda account, session, statement, record: task_graphs.suspended(),
    "SET": _set,
    "UNSET": _set,
    "ADD AFTER": _add_after,
    "REMOVE AFTER": _remove_after,
    "MODIFY AS": _modify_as,
    "MODIFY WHEN": _modify_when,
    "REMOVE WHEN": _remove_when,
}


def next_time(schedule: tuple[str, str], since: datetime.datetime) -> datetime.datetime:
    """The next time of a cron expression after `since`. Raises 001008 for a wrong expression or time zone."""
    expression, zone = schedule
    try:
        return next(CronSim(expression, since.astimezone(ZoneInfo(zone))))
    except (CronSimError, ZoneInfoNotFoundError, ValueError) as error:
        raise invalid_value(
            f"USING CRON {expression} {zone}", "SCHEDULE", f"a cron expression and a time zone ({error!r})"
        ) from None
