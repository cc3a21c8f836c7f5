"""Runs of tasks: EXECUTE TASK, a task's statement as its owner, its children after it, and its row of the history."""

from __future__ import annotations

import datetime
import threading
import uuid
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from local.warehouse import guard, privileges, streams, task_graphs
from local.warehouse.catalog import Record
from local.warehouse.errors import unsupported
from local.warehouse.names import full_name
from local.warehouse.results import Result, status
from local.warehouse.statements import ExecuteTask

if TYPE_CHECKING:
    from local.warehouse.account import Account
    from local.warehouse.session import Session

FAILURES_ALLOWED = 10
HISTORY_KEPT = 1000
SUCCEEDED, SKIPPED, FAILED = "SUCCEEDED", "SKIPPED", "FAILED"


class TaskRuns:
    """Runs an account's tasks. `execute` runs the statement of a task in the session that is opened for it."""

    def __init__(self, account: Account, execute: Callable[[Session, str], Result]) -> None:
        self._account = account
        self._execute = execute
        self._running: set[str] = set()
        self._guard = threading.Lock()

    def execute(self, session: Session, statement: ExecuteTask) -> Result:
        """EXECUTE TASK: start a root task now, whatever its state."""
        record = self._account.catalog.need("TASK", full_name("TASK", statement.name, session))
        if record["after"]:
            raise unsupported("EXECUTE TASK of a child task")
        self.start(record)
        return status(f"Task {record['name'][-1]} is scheduled to run immediately.")

    def start(self, record: Record) -> None:
        """Run a task and its children in a thread of their own."""
        threading.Thread(target=self._run_graph, args=(record,), daemon=True).start()

    def is_running(self, record: Record) -> bool:
        """Does a run of this task go on?"""
        return record["key"] in self._running

    def _run_graph(self, record: Record) -> None:
        """Run a task, and what comes after it in its graph, unless it is running already."""
        key = record["key"]
        with self._guard:
            if key in self._running and not record.get("ALLOW_OVERLAPPING_EXECUTION"):
                return
            self._running.add(key)
        try:
            outcomes = {key: self._run(record)}
            while (child := task_graphs.next_of_run(self._account, record, outcomes)) is not None:
                outcome = task_graphs.outcome_above(child, outcomes)
                outcomes[child["key"]] = outcome or (self._run(child) if child["state"] == "started" else SUCCEEDED)
        finally:
            with self._guard:
                self._running.discard(key)

    def _run(self, record: Record) -> str:
        """Run a task's statement in a session of its own, as its owner: SUCCEEDED, SKIPPED or FAILED."""
        started, error = datetime.datetime.now(datetime.UTC), None
        session = self._account.open_session("SYSTEM", record["owner"])
        try:
            session.use(*record["name"][:2])
            session.warehouse = record.get("WAREHOUSE")
            guard.need_task_owner(self._account, record)
            if record["when"] is not None and not due(self._account, session, record["when"]):
                _note(self._account, record, started, SKIPPED, None)
                return SKIPPED
            query_id = self._execute(session, record["definition"]).query_id
        except Exception as failure:  # noqa: BLE001 - a task's failure is a row of its history, never the end of the loop
            error, query_id = failure, getattr(failure, "query_id", "")
        finally:
            self._account.close_session(session)
        outcome = SUCCEEDED if error is None else FAILED
        _note(self._account, record, started, outcome, error, query_id)
        _count(self._account, record, error is not None)
        return outcome


def _count(account: Account, record: Record, failed: bool) -> None:
    """Suspend the root after one task of its graph has failed too often in a row."""
    if not failed:
        if record["failures"]:
            account.catalog.change(record, failures=0)
        return
    failures = record["failures"] + 1
    account.catalog.change(record, failures=failures)
    for root in task_graphs.roots(account, record):
        allowed = root.get("SUSPEND_TASK_AFTER_NUM_FAILURES")
        if 0 < (FAILURES_ALLOWED if allowed is None else allowed) <= failures:
            account.catalog.change(root, **task_graphs.suspended("SUSPENDED_DUE_TO_ERRORS"))


def _note(
    account: Account,
    record: Record,
    started: datetime.datetime,
    state: str,
    error: Exception | None,
    query_id: str = "",
) -> None:
    account.task_history.append(
        {
            "QUERY_ID": query_id or str(uuid.uuid4()),
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
        stream = account.catalog.need("STREAM", condition[1])
        guard.need(account, session, stream, privileges.READ)
        return streams.has_data(account, session, tuple(stream["name"]))
    parts = [due(account, session, part) for part in condition[1:]]
    return {"NOT": not parts[0], "AND": all(parts), "OR": any(parts)}[condition[0]]
