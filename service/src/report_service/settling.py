"""Settling: how attempts ended is entered for many at once, so that statements do not grow with reports."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence

from snowflake.connector.errors import ProgrammingError

from report_service import log
from report_service.attempt import Attempt
from report_service.heartbeat import Heartbeat
from report_service.queue.outcome import Outcome
from report_service.queue.report_queue import ReportQueue

_LINGER = 1.0  # seconds: how long an outcome waits for company, and only while other reports are at work
_MOST = 100  # outcomes of one transaction
_HELD = 2 * _MOST  # outcomes that wait before lanes have to
_FIRST_PAUSE, _LONGEST_PAUSE = 0.5, 30.0  # seconds between tries while Snowflake does not take them
_REFUSALS = 5  # tries of an outcome that Snowflake refuses by itself


class Settling:
    """A thread with a session of its own. An attempt stays under the heartbeat's care until its end is entered.

    `more_to_come` tells whether other reports are at work. `on_entered` is called with what was entered, while the
    heartbeat still has its attempts, and `on_let_go` once it has not.
    """

    def __init__(
        self,
        queue: ReportQueue,
        heartbeat: Heartbeat,
        *,
        more_to_come: Callable[[], bool],
        on_entered: Callable[[Sequence[Outcome]], None],
        on_let_go: Callable[[], None],
    ) -> None:
        self._queue = queue
        self._heartbeat = heartbeat
        self._more_to_come = more_to_come
        self._on_entered = on_entered
        self._on_let_go = on_let_go
        self._waiting: list[tuple[Attempt, Outcome]] = []
        self._handed_over: set[Attempt] = set()
        self._changed = threading.Condition()
        self._ending = threading.Event()
        self._deadline = float("inf")
        self._thread = threading.Thread(target=self._run, name="settling", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def is_alive(self) -> bool:
        """Return whether the thread runs."""
        return self._thread.is_alive()

    def put(self, attempt: Attempt, outcome: Outcome, *, wait: bool = True) -> None:
        """Hand over the end of an attempt; only the first one of an attempt counts.

        Waits while too many wait already, but for `wait` = False.
        """
        with self._changed:
            if wait:
                self._changed.wait_for(lambda: len(self._waiting) < _HELD or self._ending.is_set())
            if attempt not in self._handed_over:
                self._handed_over.add(attempt)
                self._waiting.append((attempt, outcome))
            self._changed.notify_all()

    def finish(self, deadline: float) -> None:
        """Enter what is left, at most until `deadline` (monotonic), and end the thread."""
        self._deadline = deadline
        self._ending.set()
        with self._changed:
            self._changed.notify_all()
        if self._thread.is_alive():
            self._thread.join(timeout=max(deadline - time.monotonic(), 0))

    def _run(self) -> None:
        while batch := self._next_batch():
            try:
                self._enter(batch)
            except Exception as error:  # noqa: BLE001 - without this thread no report would end any more
                log.error("settling.internal_error", error)
            finally:
                self._let_go(batch)

    def _next_batch(self) -> list[tuple[Attempt, Outcome]]:
        with self._changed:
            self._changed.wait_for(lambda: bool(self._waiting) or self._ending.is_set())
            until = time.monotonic() + _LINGER
            while len(self._waiting) < _MOST and not self._ending.is_set() and time.monotonic() < until:
                if not self._more_to_come():
                    break
                self._changed.wait(0.05)
            batch, self._waiting = self._waiting[:_MOST], self._waiting[_MOST:]
            self._changed.notify_all()
        return batch

    def _enter(self, batch: list[tuple[Attempt, Outcome]]) -> None:
        """Enter all at once, or nothing; where that cannot be, one by one."""
        outcomes = [outcome for _, outcome in batch]
        pause, refusals, unsure = _FIRST_PAUSE, 0, False
        while True:
            try:
                entered = self._queue.settle(outcomes) or (unsure and self._queue.is_settled(outcomes))
            except Exception as error:  # noqa: BLE001 - whatever it is, made reports wait here until it is over
                unsure = True  # the answer to a COMMIT may be what was lost
                refused = not _passes(error)
                if refused and len(batch) > 1:
                    self._enter_each(batch)
                    return
                refusals += refused
                if refusals >= _REFUSALS or time.monotonic() + pause > self._deadline:
                    self._abandon(batch, error)
                    return
                log.error("settling.failed", error, outcomes=len(batch), pause_seconds=pause)
                self._pause(pause)
                pause = min(pause * 2, _LONGEST_PAUSE)
            else:
                break
        if not entered and len(batch) > 1:
            self._enter_each(batch)
            return
        try:
            for outcome in outcomes:
                _tell(outcome, held=entered)
            if entered:
                self._on_entered(outcomes)
        finally:
            self._let_go(batch)

    def _enter_each(self, batch: list[tuple[Attempt, Outcome]]) -> None:
        for entry in batch:
            self._enter([entry])

    def _pause(self, seconds: float) -> None:
        """Wait, though not longer than a stop of the worker takes to begin; from then on the whole time."""
        if self._ending.is_set():
            time.sleep(min(seconds, _FIRST_PAUSE))
        else:
            self._ending.wait(seconds)

    def _abandon(self, batch: list[tuple[Attempt, Outcome]], error: Exception) -> None:
        """Without a heartbeat their leases run out, and the rows come back."""
        for _, outcome in batch:
            log.error("report.abandoned", error, config_id=outcome.claim.config_id)
        self._let_go(batch)

    def _let_go(self, batch: list[tuple[Attempt, Outcome]]) -> None:
        for attempt, _ in batch:
            self._heartbeat.remove(attempt)
        with self._changed:
            self._handed_over.difference_update(attempt for attempt, _ in batch)
        self._on_let_go()


def _passes(error: Exception) -> bool:
    """Tell whether `error` is of the connection or of Snowflake itself, not of what was to be entered.

    The connector raises ProgrammingError for a held lock and a suspended warehouse too: only what SQLSTATE calls data
    or a constraint is a refusal.
    """
    if isinstance(error, ProgrammingError):
        return (error.sqlstate or "")[:2] not in ("22", "23") and not 100_000 <= (error.errno or 0) < 101_000
    return not isinstance(error, TypeError | ValueError)


def _tell(outcome: Outcome, *, held: bool) -> None:
    claim = outcome.claim
    facts: dict[str, object] = {"config_id": claim.config_id, "attempt": claim.attempt}
    if not held:
        log.warning(
            "report.lease_lost", **facts, reason=f"Row {claim.config_id} was taken over, cancelled or finished."
        )
    elif outcome.produced:
        made = outcome.produced
        log.info(
            "report.completed",
            **facts,
            report=claim.report_name,
            rows=made.rows,
            bytes=made.bytes,
            location=made.location,
            next_run_at=outcome.next_run_at,
        )
    elif outcome.error_code:
        if not outcome.of_request:  # its message repeats what was asked, addresses too; the row has it
            facts["message"] = outcome.error_message
        event = "report.failed" if outcome.status == "FAILED" else "report.retry"
        log.warning(event, **facts, code=outcome.error_code, delay_seconds=outcome.delay_seconds)
    elif outcome.run_at:
        log.info("report.planned", **facts, report=claim.report_name, run_at=outcome.run_at, reason=outcome.detail)
    else:
        log.info("report.handed_back", **facts, reason=outcome.detail)
