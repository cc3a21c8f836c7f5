"""When tasks run: at their schedule's times, or when a stream has rows.

The stand-in's clock for triggered tasks runs faster than Snowflake's: it looks every `--task-interval` seconds,
whatever USER_TASK_MINIMUM_TRIGGER_INTERVAL_IN_SECONDS says (10 at the least in Snowflake, which is checked at CREATE;
30 by default). Schedules keep their real times.
"""

from __future__ import annotations

import datetime
import threading
import time
from typing import TYPE_CHECKING

from local.warehouse import task_rules, task_runs, tasks
from local.warehouse.catalog import Record
from local.warehouse.errors import SnowflakeError

if TYPE_CHECKING:
    from local.warehouse.account import Account
    from local.warehouse.task_runs import TaskRuns


def _scheduled(record: Record, now: float) -> bool:
    """Has a task's time come?"""
    since = record["last_started"] or now
    schedule = task_rules.schedule(record["SCHEDULE"])
    if isinstance(schedule, int):
        return now - since >= schedule
    return tasks.next_time(schedule, datetime.datetime.fromtimestamp(since, datetime.UTC)).timestamp() <= now


class TaskClock:
    """Looks every `interval` seconds which tasks are due, and runs each in a thread of its own."""

    def __init__(self, account: Account, runs: TaskRuns, interval: float) -> None:
        self._account = account
        self._runs = runs
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
        elif record["when"] is None or not self._triggered(record):  # without a condition only EXECUTE TASK runs it
            return
        self._runs.start(record)

    def _triggered(self, record: Record) -> bool:
        """Has a stream of the condition rows? A stale stream counts as rows, so that the run shows its error."""
        if self._runs.is_running(record):
            return False
        session = self._account.open_session("SYSTEM", record["owner"])
        try:
            return task_runs.due(self._account, session, record["when"])
        except SnowflakeError:
            return True
        finally:
            self._account.close_session(session)
