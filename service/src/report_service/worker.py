"""The worker: claims rows, makes several reports at once, and sleeps when there are none, until SIGTERM."""

from __future__ import annotations

import datetime
import itertools
import threading
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

from snowflake.connector.errors import Error as SnowflakeError

from report_service import log
from report_service.attempt import Attempt
from report_service.delivery import Delivery
from report_service.ecs import TaskProtection
from report_service.heartbeat import Heartbeat
from report_service.lanes import Lanes, Work
from report_service.metrics import Metrics
from report_service.queue.delivery_ledger import DeliveryLedger
from report_service.queue.outcome import Outcome, released
from report_service.queue.report_queue import ReportQueue
from report_service.queue.rows import Claim, Demand, Due
from report_service.settling import Settling
from report_service.sleep import Sleep
from report_service.warehouse import Warehouse, Warehouses, object_is_missing
from report_service.workshop import Workshop

_LONGEST_BACKOFF = 60.0  # seconds between rounds while Snowflake does not answer
_AHEAD_SECONDS = 3.0  # of work that is claimed before a lane is free, so that quick reports share their statements
_MOST_AHEAD = 100
_LONGEST_WAIT = 10.0  # seconds that a claimed row waits for a lane before it goes back, for another worker perhaps
_ALONE = 60.0  # seconds: how long a row that may have killed its worker waits for all else to end, and is then alone
_DELIVERIES = 50  # recipients claimed at once
_LONGEST_GRACE = 15.0  # seconds before the end of a stop in which what is still at work is handed back


class Worker:
    """One task's loop. `lanes` is how many reports it makes at once; all times are in seconds.

    `settling_queue` has a session of its own, as the heartbeat's has; `open_ledger` opens one over a lane's session.
    """

    def __init__(
        self,
        *,
        queue: ReportQueue,
        settling_queue: ReportQueue,
        ledger: DeliveryLedger,
        open_ledger: Callable[[Warehouse], DeliveryLedger],
        warehouses: Warehouses,
        workshop: Workshop,
        delivery: Delivery,
        heartbeat: Heartbeat,
        metrics: Metrics,
        protection: TaskProtection,
        lanes: int,
        poll_seconds: float,
        idle_seconds: float,
        stop_seconds: float,
        health_file: Path,
    ) -> None:
        self._queue = queue
        self._ledger = ledger
        self._open_ledger = open_ledger
        self._warehouses = warehouses
        self._workshop = workshop
        self._delivery = delivery
        self._heartbeat = heartbeat
        self._metrics = metrics
        self.sleep: Sleep | None = None  # without it the worker never scales
        self._protection = protection
        self._poll_seconds = poll_seconds
        self._idle_seconds = idle_seconds
        self._stop_seconds = stop_seconds
        self._health_file = health_file
        self._stop_at = float("inf")  # by when all has to be over
        self._stopping = threading.Event()
        self._hurry = threading.Event()  # hand back what is at work
        self._wake = threading.Event()
        self.lanes = Lanes(lanes, on_done=self._wake.set)
        self._settling = Settling(
            settling_queue,
            heartbeat,
            more_to_come=lambda: self.lanes.in_hand() > 0,
            on_entered=self._entered,
            on_let_go=self._wake.set,
        )
        self._nothing_left = threading.Event()  # all that was at work when the stop came has ended
        self._settled = threading.Event()  # nothing more is entered
        self._idle_since = time.monotonic()
        self._missing = False
        self._next_look = 0.0
        self._more = False  # the last claim came back full
        self._claimed = 0  # rows, by the last claim
        self._recipients_wait = False
        self._count_unsure = False  # work began or came back while the desired count may have been lower
        self._lost = 0  # rows whose worker lost its lease, at the last look
        self._turn_of_lost = True
        self._draining_since: float | None = None
        self._alone_until = 0.0  # such a row is at work, and nothing beside it
        self._seconds: float | None = None  # that a report takes, as of late

    def stop(self) -> None:
        """Ask the loop to end; may be called by a signal handler."""
        self._stop_at = min(self._stop_at, time.monotonic() + self._stop_seconds)
        self._stopping.set()
        self._wake.set()

    def run(self) -> None:
        """Claim and make reports until `stop`, then finish what is begun or hand it back in time.

        Raises RuntimeError if one of its threads has ended before that.
        """
        rounds = threading.Thread(target=self._run_rounds, name="rounds", daemon=True)
        self._heartbeat.start()
        self._settling.start()
        rounds.start()
        while not self._stopping.wait(1):
            if not (rounds.is_alive() and self._heartbeat.is_alive() and self._settling.is_alive()):
                raise RuntimeError("A thread of the worker has ended; see the log before this.")
        self._finish()
        rounds.join()

    def _run_rounds(self) -> None:
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
            self._say_alive()
            self._pause(pause, failed=failures > 0)
        if self._end_work():
            self._nothing_left.set()
        self._settled.wait()
        self._call_for_another()
        self._protection.set(False)
        self._warehouses.close()

    def round(self) -> None:
        """Claim what there is room for; with nothing to do for long enough, go to sleep."""
        was_busy = self._busy()
        took = self._take()
        busy = self._busy()
        self._protection.set(busy)
        self._count_unsure = self._count_unsure or (took and not was_busy)
        if self._count_unsure:
            self._see_to_the_count()
        if busy or took:
            self._idle_since = time.monotonic()
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
        self._metrics.looked(demand)
        return demand

    def _see_to_the_count(self) -> None:
        self._count_unsure = False
        try:
            if self.sleep is not None:
                self.sleep.take_back()
        except BaseException:
            self._count_unsure = True
            raise

    def _say_alive(self) -> None:
        try:
            self._health_file.touch()
        except OSError as error:  # a full disk ends no report
            log.error("worker.no_health_file", error)

    def _pause(self, seconds: float, *, failed: bool) -> None:
        """Wait for the next round: until a lane is free or something is settled, but after a failure the whole time."""
        if failed:
            self._stopping.wait(seconds)
        else:
            self._wake.wait(seconds)
        self._wake.clear()

    def _busy(self) -> bool:
        return self._heartbeat.count() > 0 or self.lanes.in_hand() > 0

    # --- claiming

    def _take(self) -> bool:
        """Claim reports and deliveries; returns whether there were any."""
        if self._heartbeat.count() and time.monotonic() < self._alone_until:
            return False
        self._alone_until = 0.0
        if self.lanes.withdraw(_LONGEST_WAIT):
            self._seconds = None  # those before them take longer than was thought
        room = self._room()
        if not room:
            return False
        ready = self._more
        if time.monotonic() >= self._next_look:
            # A look costs one statement and no lock; most rounds of an idle worker end here.
            demand = self.demand()
            self._next_look = time.monotonic() + self._poll_seconds
            ready = demand.pending > demand.lost + demand.deliveries
            self._lost = demand.lost
            self._recipients_wait = self._recipients_wait or demand.deliveries > 0
        took = self._recipients_wait and self._take_deliveries_if_possible()
        room = self._room() if took else room
        if self._lost and (self._turn_of_lost or not ready):
            return self._take_lost() or took
        self._draining_since = None
        if ready and room:
            claims = self._queue.claim(room)
            self._more = len(claims) >= room
            self._claimed = len(claims)
            self._turn_of_lost = True
            self._start(claims)
            took = took or bool(claims)
        return took

    def _room(self) -> int:
        """How many rows to claim: for the free lanes, and of quick reports some ahead, once half of those are begun.

        At most twice as many as the last time, for the first reports may not be like the rest.
        """
        quick = int(self.lanes.count * _AHEAD_SECONDS / max(self._seconds, 0.001)) if self._seconds else 0
        ahead = min(_MOST_AHEAD, quick, 2 * self._claimed)
        in_hand = self.lanes.in_hand()
        room = self.lanes.count + ahead - in_hand
        return room if in_hand < self.lanes.count or (ahead and room * 2 >= ahead) else 0

    def _take_lost(self) -> bool:
        """Claim a row whose worker lost its lease, to be made alone: it may be what killed that worker.

        Nothing is claimed until all else has ended, and then until it has ended itself; neither for ever.
        """
        now = time.monotonic()
        if self._draining_since is None:
            self._draining_since = now
        if self._heartbeat.count() and now - self._draining_since < _ALONE:
            return False
        claims = self._queue.claim_lost()
        self._draining_since = None
        self._turn_of_lost = False
        self._lost = 0
        self._next_look = 0  # there may be more of them
        self._alone_until = time.monotonic() + _ALONE if claims else 0.0
        self._start(claims)
        return bool(claims)

    def _take_deliveries_if_possible(self) -> bool:
        """Claim deliveries; a ledger that fails keeps no report waiting."""
        try:
            return self._take_deliveries()
        except SnowflakeError as error:
            log.error("worker.deliveries_left", error)
            return False

    def _take_deliveries(self) -> bool:
        self._recipients_wait = False  # before the claim: what is entered meanwhile counts
        try:
            self._delivery.give_up_lost(self._ledger)
            token, dues = self._ledger.claim(_DELIVERIES)
        except BaseException:
            self._recipients_wait = True
            raise
        if len(dues) >= _DELIVERIES:
            self._recipients_wait = True
        for _, group in itertools.groupby(dues, key=lambda due: due.config_id):
            work = list(group)
            give_back = partial(self._ledger.release, token, work[0].config_id)
            self.lanes.put(Work(partial(self._deliver, token, work), give_back))
        return bool(dues)

    def _start(self, claims: Sequence[Claim]) -> None:
        for claim in claims:
            attempt = self._heartbeat.add(claim)
            log.info("report.claimed", config_id=claim.config_id, report=claim.report_name, attempt=claim.attempt)
            self.lanes.put(Work(partial(self._carry_out, attempt), partial(self._give_back, attempt)))

    # --- what lanes do

    def _carry_out(self, attempt: Attempt) -> None:
        started = time.monotonic()
        try:
            with self._warehouses.borrow() as warehouse:
                outcome = self._workshop.carry_out(attempt, warehouse)
        except BaseException:
            self._heartbeat.remove(attempt)  # its lease runs out, and the row comes back
            raise
        if outcome is None:
            self._heartbeat.remove(attempt)
            return
        if outcome.produced:
            taken = time.monotonic() - started
            self._seconds = taken if self._seconds is None else 0.8 * self._seconds + 0.2 * taken
        self._settling.put(attempt, outcome)

    def _deliver(self, token: str, dues: Sequence[Due]) -> None:
        with self._warehouses.borrow() as warehouse:
            ledger = self._open_ledger(warehouse)
            try:
                self._delivery.deliver(ledger, token, dues, stopping=self._hurry.is_set)
            finally:
                ledger.release(token, dues[0].config_id)

    def _give_back(self, attempt: Attempt) -> None:
        self._settling.put(attempt, released(attempt.claim, "handed back: no lane came to it"), wait=False)

    def _entered(self, outcomes: Sequence[Outcome]) -> None:
        # Before the attempts leave the heartbeat: a worker that stops looks here once nothing is at work.
        if any(outcome.deliveries() for outcome in outcomes):
            self._recipients_wait = True
        if any(outcome.handed_back for outcome in outcomes):
            self._count_unsure = True
        self._metrics.settled(outcomes)

    # --- stopping

    def _finish(self) -> None:
        """Let what is at work end; shortly before the time is up, hand back the rest.

        Nothing here waits for Snowflake or ECS without an end, but for `run`'s last wait: the process has a limit too.
        """
        grace = min(_LONGEST_GRACE, self._stop_seconds / 3)
        log.info("worker.stopping", running=self._heartbeat.count(), stop_seconds=self._stop_seconds)
        if not self._nothing_left.wait(max(self._stop_at - grace - time.monotonic(), 0)):
            self._hand_back(self._stop_at - grace * 2 / 3)
        self._settling.finish(self._stop_at - grace / 3)
        self._settled.set()
        self._heartbeat.stop()
        log.info("worker.stopped", running=self._heartbeat.count())

    def _end_work(self) -> bool:
        """Wait for reports, their entry and their delivery, until the stop hurries; returns whether all ended."""
        while not self._hurry.is_set():
            if self.lanes.in_hand() or self._heartbeat.count():
                self._wake.wait(0.2)
                self._wake.clear()
                continue
            try:
                if not self._recipients_wait or not self._take_deliveries():
                    return True
            except Exception as error:  # noqa: BLE001 - the ledger keeps them for another worker
                log.error("worker.deliveries_left", error)
                return True
        return False

    def _hand_back(self, deadline: float) -> None:
        """Release what is still at work; what a thread is stuck with is fenced off by it."""
        self._hurry.set()
        self.lanes.withdraw()
        attempts = self._heartbeat.attempts()
        for attempt in attempts:
            attempt.stop()
        self._heartbeat.end_queries(attempts)
        if not self.lanes.wait_until_empty(deadline):
            for attempt in self._heartbeat.attempts():
                self._give_back(attempt)

    def _call_for_another(self) -> None:
        """See to it that somebody takes what was handed back."""
        try:
            self._see_to_the_count()
        except Exception as error:  # noqa: BLE001 - the sweep finds the rows as well, later
            log.error("worker.no_successor", error)
