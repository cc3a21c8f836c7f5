"""Graphs of tasks: who is whose root, and that a graph changes only while its root is suspended.

Sources: the pages "Create a sequence of tasks with a task graph", ALTER TASK, DROP TASK and
SYSTEM$TASK_DEPENDENTS_ENABLE; reasons of suspension: SHOW TASKS.
"""

from __future__ import annotations

import datetime
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from local.warehouse import guard
from local.warehouse.catalog import Record
from local.warehouse.errors import SnowflakeError, compilation_error
from local.warehouse.names import full_name
from local.warehouse.statements import Name

if TYPE_CHECKING:
    from local.warehouse.account import Account
    from local.warehouse.session import Session

_changing: set[str] = set()
_guard = threading.Lock()


def roots(account: Account, record: Record) -> list[Record]:
    """The root of a task's graph; itself if it stands alone."""
    if not record["after"]:
        return [record]
    found = [account.catalog.get("TASK", key) for key in record["after"]]
    return list({r["key"]: r for parent in found if parent is not None for r in roots(account, parent)}.values())


def children(account: Account, record: Record) -> list[Record]:
    """The tasks that run right after this one."""
    return [task for task in account.catalog.all("TASK") if record["key"] in task["after"]]


def below(account: Account, record: Record) -> list[Record]:
    """Every task that runs after this one, near or far."""
    found: dict[str, Record] = {}
    open_ = children(account, record)
    while open_:
        task = open_.pop()
        if task["key"] not in found:
            found[task["key"]] = task
            open_ += children(account, task)
    return list(found.values())


def next_of_run(account: Account, root: Record, outcomes: dict[str, str]) -> Record | None:
    """The next task of a run whose predecessors all have their outcome; None at the end."""
    for task in below(account, root):
        if task["key"] not in outcomes and set(task["after"]) <= set(outcomes):
            return task
    return None


def outcome_above(record: Record, outcomes: dict[str, str]) -> str | None:
    """FAILED or SKIPPED where the predecessors leave a task no run: one failed, or none did anything.

    A suspended task counts as one that succeeded.
    """
    above = {outcomes[key] for key in record["after"]}
    return "FAILED" if "FAILED" in above else "SKIPPED" if above == {"SKIPPED"} else None


def refuse_running_root(account: Account, record: Record) -> None:
    """Raise 091421 if the root of the task's graph is not suspended."""
    for root in roots(account, record):
        if root["state"] == "started":
            raise SnowflakeError(
                91421,
                "22000",
                f"Unable to update graph with root task {root['key']} since that root task is not suspended.",
            )


def refuse_replacing(account: Account, record: Record) -> None:
    """Raise 091421 for replacing or dropping a part of a graph that runs; a task that stands alone may go."""
    if record["after"] or children(account, record):
        refuse_running_root(account, record)


@contextmanager
def changing(account: Account, record: Record) -> Iterator[None]:
    """Change a graph. Raises 091423 if another session is at it in the same moment."""
    keys = {root["key"] for root in roots(account, record)}
    with _guard:
        if taken := keys & _changing:
            raise SnowflakeError(
                91423,
                "22000",
                f"Unable to update graph with root task {min(taken)} since that graph was modified concurrently. "
                "Try again.",
            )
        _changing.update(keys)
    try:
        yield
    finally:
        with _guard:
            _changing.difference_update(keys)


def refuse_cycle(account: Account, record: Record, predecessor: Record) -> None:
    """Raise for a predecessor that runs after the task itself."""
    if predecessor["key"] == record["key"] or predecessor in below(account, record):
        raise compilation_error(
            91086, "0A000", f"A cycle would result: {predecessor['key']} runs after {record['key']}."
        )


def suspended(reason: str = "USER_SUSPENDED") -> dict[str, Any]:
    """What a record says of a task that is suspended now."""
    now = datetime.datetime.now(datetime.UTC).isoformat()
    return {"state": "suspended", "last_suspended_on": now, "last_suspended_reason": reason}


def started() -> dict[str, Any]:
    """What a record says of a task that is resumed now; its interval begins, its failures are forgotten."""
    return {"state": "started", "failures": 0, "last_started": time.time()}


def forget(account: Account, record: Record) -> None:
    """A dropped task's children have one predecessor less; without any they are roots, suspended."""
    for child in children(account, record):
        after = [key for key in child["after"] if key != record["key"]]
        account.catalog.change(child, after=after, **({} if after else suspended("CHILD_BECAME_ROOT")))


def enable_dependents(account: Account, session: Session, name: Name) -> None:
    """SYSTEM$TASK_DEPENDENTS_ENABLE: resume everything that runs after a root task, and the root last."""
    root = account.catalog.need("TASK", full_name("TASK", name, session))
    if root["after"]:
        raise SnowflakeError(91420, "22000", f"Task {root['key']} is no root of a graph.")
    session.commit()
    with changing(account, root):
        graph = [*below(account, root), root]
        for task in graph:
            guard.need_to_run(account, session, task)
        for task in graph:
            account.catalog.change(task, **started())
