"""The hours in which a service has fewer tasks."""

from __future__ import annotations

import re
from dataclasses import dataclass

import aws_cdk as cdk
from aws_cdk import aws_applicationautoscaling as scaling
from aws_cdk import aws_ecs as ecs

_TIME = re.compile(r"([01][0-9]|2[0-3]):([0-5][0-9])")


@dataclass(frozen=True)
class QuietHours:
    """Fewer tasks between two times of the day: ``down`` at, say, ``20:00``, and ``up`` again at ``06:00``.

    There are exactly ``tasks`` meanwhile. ``days`` are the days of the week, of both times, as cron writes them:
    ``MON-FRI`` lets a weekend stay quiet.

    Raises:
        ValueError: a time is not HH:MM, both are the same, or fewer than one task is left.
    """

    down: str
    up: str
    tasks: int = 1
    days: str = "*"
    time_zone: cdk.TimeZone = cdk.TimeZone.ETC_UTC

    def __post_init__(self) -> None:
        """Refuse hours that never begin or never end."""
        for name, time in (("down", self.down), ("up", self.up)):
            if not _TIME.fullmatch(time):
                raise ValueError(
                    f"QuietHours: {name} is {time!r}; write it as HH:MM from 00:00 to 23:59, as in '20:00'."
                )
        if self.down == self.up:
            raise ValueError(
                f"QuietHours: down and up are both {self.down}; who goes down must come up at another time."
            )
        if self.tasks < 1:
            raise ValueError(f"QuietHours: tasks is {self.tasks}; at least 1 stays: ScaleToZeroWorker is what sleeps.")

    def apply(self, count: ecs.ScalableTaskCount, *, min_tasks: int, max_tasks: int) -> None:
        """Make the two actions of ``count``, which has ``min_tasks`` to ``max_tasks`` tasks out of these hours.

        Raises:
            ValueError: there would be more tasks in quiet hours than the least of the others.
        """
        if self.tasks > min_tasks:
            raise ValueError(
                f"{count.node.path}: {self.tasks} tasks in quiet hours, above the {min_tasks} of the others."
            )
        for name, time, least, most in (
            ("Down", self.down, self.tasks, self.tasks),
            ("Up", self.up, min_tasks, max_tasks),
        ):
            hour, minute = map(int, time.split(":"))
            count.scale_on_schedule(
                name,
                schedule=scaling.Schedule.cron(minute=str(minute), hour=str(hour), week_day=self.days),
                time_zone=self.time_zone,
                min_capacity=least,
                max_capacity=most,
            )
