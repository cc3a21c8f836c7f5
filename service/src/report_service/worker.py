"""The worker: claims rows, makes several reports at once, and sleeps when there are none, until SIGTERM."""

from __future__ import annotations

import datetime
import threading
import time
from collections.abc import Callable
from pathlib import Path

from snowflake.connector.errors import Error as SnowflakeError

from report_service import log
from report_service.ecs import TaskProtection
from report_service.heartbeat import Heartbeat
from report_service.queue.report_queue import ReportQueue
from report_service.queue.rows import Claim, Demand
from report_service.sleep import Sleep
from report_service.warehouse import Warehouse, Warehouses, object_is_missing
from report_service.workshop import Attempt, Workshop

_LONGEST_BACKOFF = 60.0  # seconds between rounds while Snowflake does not answer


class Worker:
    """One task's loop. `lanes` is how many reports it makes at once; all times are in seconds."""

    def __init__(
        self,
        *,
        queue: ReportQueue,
        open_queue: Callable[[Warehouse], ReportQueue],
        warehouses: Warehouses,
        workshop: Workshop,
        heartbeat: Heartbeat,
        protection: TaskProtection,
        lanes: int,
        poll_seconds: float,
        idle_seconds: float,
        stop_seconds: float,
        health_file: Path,
    ) -> None:
        self._queue = queue
        self._open_queue = open_queue
        self._warehouses = warehouses
        self._workshop = workshop
        self._heartbeat = heartbeat
        self.sleep: Sleep | None = None  # without it the worker never scales
        self._protection = protection
        self.lanes = lanes
        self._poll_seconds = poll_seconds
        self._idle_seconds = idle_seconds
        self._stop_seconds = stop_seconds
        self._health_file = health_file
        self._stopping = threading.Event()
        self._wake = threading.Event()
        self._idle_since = time.monotonic()
        self._missing = False

    def stop(self) -> None:
        """Ask the loop to end; may be called by a signal handler."""
        self._stopping.set()
        self._wake.set()

    def run(self) -> None:
        """Claim and make reports until `stop`, then finish what is begun or hand it back in time."""
        self._heartbeat.start()
        failures = 0
        while not self._stopping.is_set():
            try:
                self.round()
                failures = 0
                pause = self._poll_seconds
            except Exception as error:  # noqa: BLE001 - whatever it is, reports at work go on and the next round may do
                failures += 1
                pause = min(self._poll_seconds * 2**failures, _LONGEST_BACKOFF)
                log.error("worker.round_failed", error, failures=failures, pause_seconds=pause)
            self._health_file.touch()
            self._wake.wait(pause)
            self._wake.clear()
        self._finish()

    def round(self) -> None:
        """Claim for the free lanes; with nothing to do for long enough, go to sleep."""
        running = self._heartbeat.count()
        claims = self._claim(self.lanes - running)
        for claim in claims:
            self._start(claim)
        busy = self._heartbeat.count() > 0
        self._protection.set(busy)
        if busy or claims:
            self._idle_since = time.monotonic()
            if claims and not running and self.sleep is not None:
                self.sleep.take_back()
        elif time.monotonic() - self._idle_since >= self._idle_seconds:
            self._idle_since = time.monotonic()
            if self.sleep is not None:
                self.sleep.go()

    def demand(self) -> Demand:
        """Return what the queue holds; nothing, while its tables are not deployed yet."""
        try:
            demand = self._queue.demand()
        except SnowflakeError as error:
            if not object_is_missing(error):
                raise
            if not self._missing:
                log.warning("worker.no_queue", reason=str(error)[:300])
            self._missing = True
            return Demand(0, 0, None, datetime.datetime.now(datetime.UTC).replace(tzinfo=None))
        self._missing = False
        return demand

    def _claim(self, limit: int) -> list[Claim]:
        # A look costs one statement and no lock; most rounds of an idle worker end here.
        return self._queue.claim(limit) if limit > 0 and self.demand().pending else []

    def _start(self, claim: Claim) -> None:
        attempt = self._heartbeat.add(claim)
        log.info("report.claimed", config_id=claim.config_id, report=claim.report_name, attempt=claim.attempt)
        threading.Thread(target=self._carry_out, args=(attempt,), name=f"report-{claim.config_id}", daemon=True).start()

    def _carry_out(self, attempt: Attempt) -> None:
        try:
            with self._warehouses.borrow() as warehouse:
                self._workshop.carry_out(attempt, warehouse, self._open_queue(warehouse))
        except Exception as error:  # noqa: BLE001 - a thread's last stop: the lease runs out and the row comes back
            log.error("report.abandoned", error, config_id=attempt.claim.config_id)
        finally:
            self._heartbeat.remove(attempt)
            self._wake.set()

    def _finish(self) -> None:
        """Let running reports end; shortly before the time is up, hand back the rest."""
        deadline = time.monotonic() + self._stop_seconds
        grace = min(5.0, self._stop_seconds / 3)
        log.info("worker.stopping", running=self._heartbeat.count(), stop_seconds=self._stop_seconds)
        if not self._heartbeat.wait_until_empty(deadline - grace):
            self._heartbeat.stop_attempts()
            if not self._heartbeat.wait_until_empty(deadline - grace / 2):
                self._hand_back()
            self._call_for_another()
        self._heartbeat.stop()
        self._protection.set(False)
        self._warehouses.close()
        log.info("worker.stopped", running=self._heartbeat.count())

    def _call_for_another(self) -> None:
        """See to it that somebody takes what was handed back."""
        try:
            if self.sleep is not None:
                self.sleep.take_back()
        except Exception as error:  # noqa: BLE001 - the sweep finds the rows as well, later
            log.error("worker.no_successor", error)

    def _hand_back(self) -> None:
        """Release what threads are still busy with; their writes are fenced off by it."""
        for attempt in self._heartbeat.attempts():
            try:
                self._queue.release(attempt.claim, "handed back: the worker is stopping")
            except Exception as error:  # noqa: BLE001 - the next row may still be handed back in time
                log.error("worker.hand_back_failed", error, config_id=attempt.claim.config_id)
