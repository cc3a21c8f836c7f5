"""The heartbeat: one statement renews the leases of all reports at work, and tells which of them were lost."""

from __future__ import annotations

import threading
from collections.abc import Iterable

from snowflake.connector.errors import Error as SnowflakeError

from report_service import log
from report_service.attempt import Attempt
from report_service.queue.report_queue import ReportQueue
from report_service.queue.rows import Claim

_LONGEST_INTERVAL = 10.0  # seconds: so long may a cancelled report's query go on


class Heartbeat:
    """A thread over the attempts at work, with a session of its own; it beats at least three times in a lease."""

    def __init__(self, queue: ReportQueue, *, lease_seconds: float) -> None:
        self._queue = queue
        self._interval = min(lease_seconds / 3, _LONGEST_INTERVAL)
        self._attempts: dict[tuple[int, str], Attempt] = {}
        self._unwanted: list[Attempt] = []
        self._lock = threading.Lock()
        self._stopped = threading.Event()
        self._woken = threading.Event()
        self._thread = threading.Thread(target=self._run, name="heartbeat", daemon=True)

    def start(self) -> None:
        """Begin to beat."""
        self._thread.start()

    def stop(self) -> None:
        """End the thread."""
        self._stopped.set()
        self._woken.set()
        if self._thread.is_alive():
            self._thread.join(timeout=2)

    def is_alive(self) -> bool:
        """Return whether the thread runs."""
        return self._thread.is_alive()

    def add(self, claim: Claim) -> Attempt:
        """Take a claim into care."""
        attempt = Attempt(claim)
        with self._lock:
            self._attempts[claim.config_id, claim.token] = attempt
        return attempt

    def remove(self, attempt: Attempt) -> None:
        """Let a claim go that has ended."""
        with self._lock:
            self._attempts.pop((attempt.claim.config_id, attempt.claim.token), None)

    def count(self) -> int:
        """Return how many attempts are at work."""
        with self._lock:
            return len(self._attempts)

    def attempts(self) -> list[Attempt]:
        """Return the attempts at work."""
        with self._lock:
            return list(self._attempts.values())

    def end_queries(self, attempts: Iterable[Attempt]) -> None:
        """Have the queries of these attempts cancelled, now; does not wait for it."""
        with self._lock:
            self._unwanted += attempts
        self._woken.set()

    def beat(self) -> None:
        """Renew all leases once; those that are lost are told so, and queries that are of no use are cancelled."""
        attempts = self.attempts()
        held = self._queue.heartbeat([attempt.claim for attempt in attempts])
        for attempt in attempts:
            # Each time: at the last beat its query may not have begun.
            if (attempt.claim.config_id, attempt.claim.token) not in held:
                attempt.lose()
            if not attempt.wanted:
                attempt.end_query(self._queue.cancel_queries)

    def _run(self) -> None:
        while not self._stopped.is_set():
            self._woken.wait(self._interval)
            self._woken.clear()
            with self._lock:
                unwanted, self._unwanted = self._unwanted, []
            for attempt in unwanted:
                attempt.end_query(self._queue.cancel_queries)
            try:
                self.beat()
            except SnowflakeError as error:
                log.error("heartbeat.failed", error)
            except Exception as error:  # noqa: BLE001 - without a heartbeat every lease would run out
                log.error("heartbeat.internal_error", error)
