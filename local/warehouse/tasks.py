"""CREATE TASK and ALTER TASK: on a schedule, after other tasks, or when a stream has rows."""

from __future__ import annotations

import datetime
import time
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from cronsim import CronSim, CronSimError

from local.warehouse import access, grammar, rules, table_rules
from local.warehouse.catalog import Record
from local.warehouse.errors import SnowflakeError, compilation_error, invalid_value
from local.warehouse.names import dotted, full_name
from local.warehouse.results import Result, status
from local.warehouse.statements import Alter, Create, Name

if TYPE_CHECKING:
    from local.warehouse.account import Account
    from local.warehouse.session import Session

_EXECUTED = "Statement executed successfully."


def make(account: Account, session: Session, statement: Create, name: Name) -> dict[str, Any]:
    """The record of a new task, suspended. Warehouse, streams and predecessors must exist; the statement must parse."""
    values, extra = dict(statement.clauses), statement.extra
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
        "comment": values.get("COMMENT", ""),
    }


def _check(account: Account, values: dict[str, Any]) -> None:
    if values.get("WAREHOUSE"):
        access.need_warehouse(account.catalog, values["WAREHOUSE"])
    if values.get("SCHEDULE"):
        schedule = rules.schedule(values["SCHEDULE"])
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
    _refuse_running_root(account, record)
    return str(record["key"])


def _roots(account: Account, record: Record) -> list[Record]:
    if not record["after"]:
        return [record]
    found = [account.catalog.get("TASK", key) for key in record["after"]]
    return [root for parent in found if parent is not None for root in _roots(account, parent)]


def _refuse_running_root(account: Account, record: Record) -> None:
    for root in _roots(account, record):
        if root["state"] == "started":
            raise SnowflakeError(
                91421,
                "0A000",
                f"Unable to update graph with root task {root['key']} since that root task is not suspended.",
            )


def alter(account: Account, session: Session, statement: Alter, record: Record) -> Result:
    """ALTER TASK."""
    action, catalog = statement.action, account.catalog
    if record["after"] or action not in ("RESUME", "SUSPEND"):
        _refuse_running_root(account, record)
    if action in ("RESUME", "SUSPEND"):
        catalog.change(
            record, state="started" if action == "RESUME" else "suspended", failures=0, last_started=time.time()
        )
    elif action in ("SET", "UNSET"):
        _check(account, statement.clauses)
        if action == "UNSET" and "SCHEDULE" in statement.clauses and record["when"] is None and not record["after"]:
            raise compilation_error(91088, "0A000", "A task needs a SCHEDULE, a predecessor or a WHEN with a stream.")
        catalog.change(record, **statement.clauses)
    elif action == "ADD AFTER":
        added = [_predecessor(account, session, other, tuple(record["name"])) for other in statement.extra]
        catalog.change(record, after=sorted({*record["after"], *added}))
    elif action == "REMOVE AFTER":
        gone = {dotted(full_name("TASK", other, session)) for other in statement.extra}
        catalog.change(record, after=[key for key in record["after"] if key not in gone])
    elif action == "MODIFY AS":
        _check_definition(statement.extra)
        catalog.change(record, definition=statement.extra)
    elif action == "MODIFY WHEN":
        text, condition = statement.extra
        catalog.change(record, when=_resolve(account, session, condition), condition=text)
    else:
        catalog.change(record, when=None, condition=None)
    return status(_EXECUTED)


def next_time(schedule: tuple[str, str], since: datetime.datetime) -> datetime.datetime:
    """The next time of a cron expression after `since`. Raises 001008 for a wrong expression or time zone."""
    expression, zone = schedule
    try:
        return next(CronSim(expression, since.astimezone(ZoneInfo(zone))))
    except (CronSimError, ZoneInfoNotFoundError, ValueError) as error:
        raise invalid_value(
            f"USING CRON {expression} {zone}", "SCHEDULE", f"a cron expression and a time zone ({error!r})"
        ) from None
