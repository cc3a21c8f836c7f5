"""When a service without ingress has more tasks, and when fewer."""

from __future__ import annotations

import re
from dataclasses import dataclass

import aws_cdk as cdk
from aws_cdk import aws_applicationautoscaling as scaling
from aws_cdk import aws_ecs as ecs

_TIME = re.compile(r"([01][0-9]|2[0-3]):([0-5][0-9])")
_PERCENT = range(10, 101)


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

    def at(self, time: str) -> scaling.Schedule:
        """The schedule of one of the two times."""
        hour, minute = time.split(":")
        return scaling.Schedule.cron(minute=str(int(minute)), hour=str(int(hour)), week_day=self.days)


@dataclass(frozen=True)
class AgentScaling:
    """Tasks come and go between the service's ``desired_count`` and ``max_tasks`` by Application Auto Scaling.

    ``cpu_percent`` and ``memory_percent`` are what the tasks are kept at, on average; None takes no account of it.
    ``quiet_hours`` hold fewer tasks meanwhile, whatever their load.

    Raises:
        ValueError: a percentage is outside of 10 to 100, or nothing is said that scales.
    """

    max_tasks: int
    cpu_percent: int | None = 70
    memory_percent: int | None = None
    quiet_hours: QuietHours | None = None

    def __post_init__(self) -> None:
        """Refuse what cannot scale: a target without a policy does nothing."""
        for name, percent in (("cpu_percent", self.cpu_percent), ("memory_percent", self.memory_percent)):
            if percent is not None and percent not in _PERCENT:
                nearest = _PERCENT[0] if percent < _PERCENT[0] else _PERCENT[-1]
                raise ValueError(f"AgentScaling: {name} is {percent}; allowed is 10 to 100, nearest is {nearest}.")
        if self.cpu_percent is None and self.memory_percent is None and self.quiet_hours is None:
            raise ValueError("AgentScaling: nothing would scale. Give cpu_percent, memory_percent or quiet_hours.")

    def apply(self, service: ecs.FargateService, min_tasks: int) -> None:
        """Make target, policies and schedules for ``service``.

        Raises:
            ValueError: ``max_tasks`` is below ``min_tasks``, or the quiet hours' tasks are above it.
        """
        if self.max_tasks < min_tasks:
            raise ValueError(f"{service.node.path}: max_tasks is {self.max_tasks}, below the {min_tasks} desired.")
        count = service.auto_scale_task_count(min_capacity=min_tasks, max_capacity=self.max_tasks)
        if self.cpu_percent is not None:
            count.scale_on_cpu_utilization("Cpu", target_utilization_percent=self.cpu_percent)
        if self.memory_percent is not None:
            count.scale_on_memory_utilization("Memory", target_utilization_percent=self.memory_percent)
        if hours := self.quiet_hours:
            if hours.tasks > min_tasks:
                raise ValueError(
                    f"{service.node.path}: {hours.tasks} tasks in quiet hours, above the {min_tasks} desired."
                )
            for name, time, least, most in (
                ("Down", hours.down, hours.tasks, hours.tasks),
                ("Up", hours.up, min_tasks, self.max_tasks),
            ):
                count.scale_on_schedule(
                    name, schedule=hours.at(time), time_zone=hours.time_zone, min_capacity=least, max_capacity=most
                )
