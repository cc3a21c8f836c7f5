"""Tasks: on a schedule, after other tasks, or when a stream has rows.

The stand-in's clock for triggered tasks runs faster than Snowflake's: it looks every `--task-interval` seconds,
whatever USER_TASK_MINIMUM_TRIGGER_INTERVAL_IN_SECONDS says (10 at the least in Snowflake, which is checked at CREATE;
30 by default). Schedules keep their real times.
"""

from __future__ import annotations

import datetime
import threading
import time
import uuid
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from cronsim import CronSim, CronSimError

from local.warehouse import access, rules, streams
from local.warehouse.catalog import Record
from local.warehouse.errors import SnowflakeError, compilation_error, invalid_value, unsupported
from local.warehouse.names import dotted, full_name
from local.warehouse.results import Result, status
from local.warehouse.statements import Alter, Create, ExecuteTask, Name

if TYPE_CHECKING:
    from local.warehouse.account import Account
    from local.warehouse.session import Session

FAILURES_ALLOWED = 10
HISTORY_KEPT = 1000
_EXECUTED = "Statement executed successfully."


def make(account: Account, session: Session, statement: Create, name: Name) -> dict[str, Any]:
    """The record of a new task, suspended. Warehouse, streams and predecessors must exist; the statement must parse."""
    values, extra = dict(statement.clauses), statement.extra
    _check(account, values)
    _check_definition(account, extra["definition"])
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
            _cron(schedule, datetime.datetime.now(datetime.UTC))


def _check_definition(account: Account, definition: str) -> None:
    """Snowflake parses a task's statement when it is made."""
    account.check_text(definition)


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
        _check_definition(account, statement.extra)
        catalog.change(record, definition=statement.extra)
    elif action == "MODIFY WHEN":
        text, condition = statement.extra
        catalog.change(record, when=_resolve(account, session, condition), condition=text)
    else:
        catalog.change(record, when=None, condition=None)
    return status(_EXECUTED)


def execute(account: Account, session: Session, statement: ExecuteTask) -> Result:
    """EXECUTE TASK: start a root task now, whatever its state."""
    record = account.catalog.need("TASK", full_name("TASK", statement.name, session))
    if record["after"]:
        raise unsupported("EXECUTE TASK of a child task")
    threading.Thread(target=run_graph, args=(account, record), daemon=True).start()
    return status(f"Task {record['name'][-1]} is scheduled to run immediately.")


def run_graph(account: Account, record: Record) -> None:
    """Run a task, and its resumed children after it, unless it is running already."""
    key = record["key"]
    with account.task_guard:
        if key in account.running_tasks and not record.get("ALLOW_OVERLAPPING_EXECUTION"):
            return
        account.running_tasks.add(key)
    try:
        if run(account, record):
            for child in account.catalog.all("TASK"):
                if key in child["after"] and child["state"] == "started":
                    run_graph(account, child)
    finally:
        with account.task_guard:
            account.running_tasks.discard(key)


def run(account: Account, record: Record) -> bool:
    """Run a task's statement in a session of its own, as its owner; True if it succeeded."""
    started, error = datetime.datetime.now(datetime.UTC), None
    session = account.open_session("SYSTEM", record["owner"])
    try:
        session.use(*record["name"][:2])
        session.warehouse = record.get("WAREHOUSE")
        if record["when"] is not None and not due(account, session, record["when"]):
            _note(account, record, started, "SKIPPED", None)
            return False
        account.execute(session, record["definition"])
    except Exception as failure:  # noqa: BLE001 - a task's failure is a row of its history, never the end of the loop
        error = failure
    finally:
        account.close_session(session)
    _note(account, record, started, "SUCCEEDED" if error is None else "FAILED", error)
    _count(account, record, error is not None)
    return error is None


def _count(account: Account, record: Record, failed: bool) -> None:
    """Suspend a root task after too many failures in a row."""
    if not failed:
        if record["failures"]:
            account.catalog.change(record, failures=0)
        return
    failures = record["failures"] + 1
    allowed = record.get("SUSPEND_TASK_AFTER_NUM_FAILURES")
    allowed = FAILURES_ALLOWED if allowed is None else allowed
    suspend = 0 < allowed <= failures and not record["after"]
    account.catalog.change(record, failures=failures, **({"state": "suspended"} if suspend else {}))


def _note(account: Account, record: Record, started: datetime.datetime, state: str, error: Exception | None) -> None:
    account.task_history.append(
        {
            "QUERY_ID": str(uuid.uuid4()),
            "NAME": record["name"][-1],
            "DATABASE_NAME": record["name"][0],
            "SCHEMA_NAME": record["name"][1],
            "QUERY_TEXT": record["definition"],
            "CONDITION_TEXT": record["condition"],
            "STATE": state,
            "ERROR_CODE": getattr(error, "code", None if error is None else "000603"),
            "ERROR_MESSAGE": None if error is None else str(error),
            "SCHEDULED_TIME": started,
            "QUERY_START_TIME": started,
            "COMPLETED_TIME": datetime.datetime.now(datetime.UTC),
        }
    )
    del account.task_history[:-HISTORY_KEPT]


def due(account: Account, session: Session, condition: Any) -> bool:
    """Is a WHEN true?"""
    if condition[0] == "STREAM":
        return streams.has_data(account, session, tuple(account.catalog.need("STREAM", condition[1])["name"]))
    parts = [due(account, session, part) for part in condition[1:]]
    return {"NOT": not parts[0], "AND": all(parts), "OR": any(parts)}[condition[0]]


def _cron(schedule: tuple[str, str], since: datetime.datetime) -> datetime.datetime:
    """The next time of a cron expression after `since`. Raises 001008 for a wrong expression or time zone."""
    expression, zone = schedule
    try:
        return next(CronSim(expression, since.astimezone(ZoneInfo(zone))))
    except (CronSimError, ZoneInfoNotFoundError, ValueError) as error:
        raise invalid_value(
            f"USING CRON {expression} {zone}", "SCHEDULE", f"a cron expression and a time zone ({error!r})"
        ) from None


def _scheduled(record: Record, now: float) -> bool:
    """Has a task's time come?"""
    since = record["last_started"] or now
    schedule = rules.schedule(record["SCHEDULE"])
    if isinstance(schedule, int):
        return now - since >= schedule
    return _cron(schedule, datetime.datetime.fromtimestamp(since, datetime.UTC)).timestamp() <= now


class Clock:
    """Looks every `interval` seconds which tasks are due, and runs each in a thread of its own."""

    def __init__(self, account: Account, interval: float) -> None:
        self._account = account
        self._interval = interval
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._loop, name="tasks", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self) -> None:
        """Look no more; running tasks go on until the process ends."""
        self._stopped.set()

    def _loop(self) -> None:
        while not self._stopped.wait(self._interval):
            for record in self._account.catalog.all("TASK"):
                if record["state"] == "started" and not record["after"]:
                    self._look(record)

    def _look(self, record: Record) -> None:
        now = time.time()
        if record.get("SCHEDULE"):
            if not _scheduled(record, now):
                return
            self._account.catalog.change(record, last_started=now)
        elif not self._triggered(record):
            return
        threading.Thread(target=run_graph, args=(self._account, record), daemon=True).start()

    def _triggered(self, record: Record) -> bool:
        """Has a stream of the condition rows? A stale stream counts as rows, so that the run shows its error."""
        if record["key"] in self._account.running_tasks:
            return False
        session = self._account.open_session("SYSTEM", record["owner"])
        try:
            return due(self._account, session, record["when"])
        except SnowflakeError:
            return True
        finally:
            self._account.close_session(session)
