"""Requests of many callers, entered together, so that statements do not grow with them."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import AbstractContextManager
from dataclasses import dataclass, field

from report_service.errors import KeyTakenError
from report_service.queue.report_queue import ReportQueue
from report_service.queue.rows import Job, NewJob
from report_service.warehouse import BusyError

OpenQueue = Callable[[], AbstractContextManager[ReportQueue]]
Entered = tuple[Job, bool]

_MOST = 100  # requests of one transaction
_WAITING = 1000  # requests that wait, at most


@dataclass(frozen=True)
class _Asked:
    job: NewJob
    answer: Future[Entered] = field(default_factory=Future)
    since: float = field(default_factory=time.monotonic)


class Submissions:
    """A thread that enters what has come while it entered what came before; nobody waits for company.

    `open_queue` lends a queue for one transaction. Who has waited for `answer_seconds` has gone, and is passed over.
    """

    def __init__(self, open_queue: OpenQueue, *, answer_seconds: float) -> None:
        self._open_queue = open_queue
        self._answer_seconds = answer_seconds
        self._waiting: list[_Asked] = []
        self._changed = threading.Condition()
        threading.Thread(target=self._run, name="submissions", daemon=True).start()

    def put(self, job: NewJob) -> Future[Entered]:
        """Have `job` entered; its row, and whether it is new, is the future's result, an error of `submit` its error.

        Raises BusyError if too many wait already.
        """
        asked = _Asked(job)
        with self._changed:
            if len(self._waiting) >= _WAITING:
                raise BusyError(f"{_WAITING} requests wait for Snowflake already.")
            self._waiting.append(asked)
            self._changed.notify()
        return asked.answer

    def _run(self) -> None:
        while True:
            batch = self._next_batch()
            if not batch:
                continue
            try:
                with self._open_queue() as queue:
                    _enter(queue, batch)
            except Exception as error:  # noqa: BLE001 - whatever it is, each caller is told, and the next batch may do
                for asked in batch:
                    if not asked.answer.done():
                        asked.answer.set_exception(error)

    def _next_batch(self) -> list[_Asked]:
        with self._changed:
            self._changed.wait_for(lambda: bool(self._waiting))
            batch, self._waiting = self._waiting[:_MOST], self._waiting[_MOST:]
        begun = time.monotonic() - self._answer_seconds
        return [asked for asked in batch if asked.since > begun and asked.answer.set_running_or_notify_cancel()]


def _enter(queue: ReportQueue, batch: list[_Asked]) -> None:
    keys = {asked.job.key for asked in batch}
    if 1 < len(keys) == len(batch):
        jobs = queue.submit_new([asked.job for asked in batch])
        if jobs is not None:
            for asked in batch:
                asked.answer.set_result((jobs[asked.job.key], True))
            return
    for asked in batch:  # one at least is there already
        _enter_alone(queue, asked)


def _enter_alone(queue: ReportQueue, asked: _Asked) -> None:
    try:
        entered = queue.submit(asked.job)
    except KeyTakenError as error:
        asked.answer.set_exception(error)
    else:
        asked.answer.set_result(entered)
