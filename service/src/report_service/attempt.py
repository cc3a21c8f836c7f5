"""One claim at work, and how it learns that going on is of no use."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from report_service import log
from report_service.errors import ErrorCode, LeaseLostError, ReportError
from report_service.queue.rows import Claim
from report_service.warehouse import Warehouse

Cancel = Callable[[int], None]


class HandedBackError(Exception):
    """The worker is stopping: what it cannot finish goes back into the queue."""


class Attempt:
    """A claim at work: the heartbeat tells it when its lease is lost, the worker when it has to stop."""

    def __init__(self, claim: Claim) -> None:
        self.claim = claim
        self._lost = False
        self._stopped = False
        self._limit: tuple[float, float] | None = None  # seconds, and when they are over
        self._warehouse: Warehouse | None = None
        self._lock = threading.Lock()

    @property
    def wanted(self) -> bool:
        """Whether going on is of any use."""
        return not (self._lost or self._stopped or self._is_late())

    def still_wanted(self) -> None:
        """Raise LeaseLostError, HandedBackError or ReportError TOO_SLOW if going on is of no use."""
        if self._lost:
            raise LeaseLostError(f"Row {self.claim.config_id} was taken over or cancelled.")
        if self._stopped:
            raise HandedBackError("handed back: the worker is stopping")
        if self._limit and self._is_late():
            message = f"The report took more than {self._limit[0]:g} s, its limit; narrow its parameters."
            raise ReportError(ErrorCode.TOO_SLOW, message, retry=False)

    def limit(self, seconds: float) -> None:
        """From now on going on is of use for so long."""
        self._limit = seconds, time.monotonic() + seconds

    def lose(self) -> None:
        """Somebody else has the row, or nobody is to have it."""
        self._lost = True

    def stop(self) -> None:
        """The row is to be handed back."""
        self._stopped = True

    def _is_late(self) -> bool:
        return self._limit is not None and time.monotonic() > self._limit[1]

    @contextmanager
    def querying(self, warehouse: Warehouse) -> Iterator[None]:
        """While inside, a query of this attempt runs in `warehouse`, and may be cancelled from outside."""
        with self._lock:
            self.still_wanted()
            self._warehouse = warehouse
        try:
            yield
        finally:
            with self._lock:  # a cancellation that is on its way hits nothing that runs in this session later
                self._warehouse = None

    def end_query(self, cancel: Cancel) -> None:
        """End the query that it may be running: `cancel` is called with the session's id."""
        with self._lock:
            session = self._warehouse.session_id if self._warehouse else None
            if session is None:
                return
            try:
                cancel(session)
            except Exception as error:  # noqa: BLE001 - the query ends by itself, later; its result counts for nothing
                log.error("report.not_cancelled", error, config_id=self.claim.config_id)
            else:
                log.info("report.query_cancelled", config_id=self.claim.config_id)
