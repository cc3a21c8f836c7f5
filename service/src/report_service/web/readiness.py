"""Whether the queue in Snowflake answers, told to whoever asks without a token."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from contextlib import AbstractContextManager

from starlette.exceptions import HTTPException

from report_service.queue.report_queue import ReportQueue

LOOK_SECONDS = 10.0  # one look serves all callers for so long: anybody may ask, and each look is a query


class Readiness:
    """The last look at the queue; only one caller at a time waits for a new one."""

    def __init__(
        self,
        open_queue: Callable[[], AbstractContextManager[ReportQueue]],
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._open_queue, self._clock = open_queue, clock
        self._looked_at: float | None = None
        self._failure: Exception | None = None
        self._looking = threading.Lock()

    def check(self) -> None:
        """Return if the queue answers; raises what the last look met, or 503 while the first one is under way."""
        if self._looking.acquire(blocking=False):
            try:
                self._look()
            finally:
                self._looking.release()
        elif self._looked_at is None:
            raise HTTPException(503, "Snowflake is being asked for the first time; try again later.")
        if self._failure:
            raise self._failure

    def _look(self) -> None:
        if self._looked_at is not None and self._clock() - self._looked_at < LOOK_SECONDS:
            return
        try:
            with self._open_queue() as queue:
                queue.demand()
            self._failure = None
        except Exception as error:  # noqa: BLE001 - raised for each caller until the next look
            self._failure = error
        self._looked_at = self._clock()
