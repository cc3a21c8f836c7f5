"""Going to sleep without losing a wake-up.

An idle worker sets its alarm clock, lowers the desired count to what is needed, **looks at the queue again**, and takes
the count back if something came in between. A row that arrives before the second look is seen by it; one that arrives
later finds the lowered count, and its own wake-up raises it.
"""

from __future__ import annotations

import datetime
from collections.abc import Callable
from typing import Protocol

from report_service import log
from report_service.alarm_clock import AlarmClock
from report_service.formula import needed
from report_service.queue.rows import Demand


class Count(Protocol):
    """The desired count of the worker's service."""

    def read(self) -> int:
        """Return the count as it is now."""

    def write(self, count: int) -> None:
        """Set the count."""


class Sleep:
    """The sleep protocol of one worker."""

    def __init__(
        self,
        *,
        demand: Callable[[], Demand],
        count: Count,
        alarm_clock: AlarmClock,
        reports_per_task: int,
        max_tasks: int,
        stay_awake_seconds: float,
    ) -> None:
        self._demand = demand
        self._count = count
        self._alarm_clock = alarm_clock
        self._reports_per_task = reports_per_task
        self._max_tasks = max_tasks
        self._stay_awake = datetime.timedelta(seconds=stay_awake_seconds)

    def go(self) -> bool:
        """Lower the count if fewer tasks are needed; returns whether it is lower now.

        The worker goes on claiming until SIGTERM: the count may rise again before the stop arrives. A report that is
        due within `stay_awake_seconds` is waited for.
        """
        demand = self._demand()
        if demand.pending or self._soon(demand):
            return False
        wanted = self._needed(demand)
        self._set_alarm_clock(demand)
        current = self._count.read()
        if wanted >= current:
            return False
        self._count.write(wanted)
        log.info("sleep.lowered", before=current, desired=wanted)
        return not self._taken_back(demand, wanted)

    def take_back(self) -> None:
        """Raise the count if more tasks are needed, for work that began or came back while the count was lower.

        A row that an idle worker claims after the count was lowered, before its SIGTERM, wakes nobody else.
        """
        self._raise_to(self._demand())

    def _taken_back(self, before: Demand, lowered: int) -> bool:
        demand = self._demand()
        if demand.next_due_at != before.next_due_at:
            self._set_alarm_clock(demand)
        # Also what another worker claimed in between: if that one dies, nobody else is left to take its row over.
        if self._needed(demand) <= lowered:
            return False
        self._raise_to(demand)
        return True

    def _raise_to(self, demand: Demand) -> None:
        wanted, current = self._needed(demand), self._count.read()
        if wanted > current:
            self._count.write(wanted)
            log.info("sleep.taken_back", before=current, desired=wanted, pending=demand.pending, busy=demand.busy)

    def _needed(self, demand: Demand) -> int:
        return needed(demand.pending, demand.busy, reports_per_task=self._reports_per_task, max_tasks=self._max_tasks)

    def _soon(self, demand: Demand) -> bool:
        return demand.next_due_at is not None and demand.next_due_at - demand.now < self._stay_awake

    def _set_alarm_clock(self, demand: Demand) -> None:
        at = None
        if demand.next_due_at is not None:
            # The clock knows whole seconds, and takes no time that has passed.
            soonest = demand.now + datetime.timedelta(seconds=1)
            at = max(demand.next_due_at, soonest) + datetime.timedelta(milliseconds=999)
        self._alarm_clock.set(at)
        log.info("sleep.alarm_clock", at=at)
