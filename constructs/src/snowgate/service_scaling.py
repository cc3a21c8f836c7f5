"""How many tasks a service has, by its load and by the time of the day."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import aws_cdk as cdk
from aws_cdk import aws_applicationautoscaling as appscaling
from aws_cdk import aws_ecs as ecs
from aws_cdk import aws_elasticloadbalancingv2 as elbv2

from snowgate.quiet_hours import QuietHours

_PERCENT = range(10, 100 + 1)


@dataclass(frozen=True)
class ScheduledTasks:
    """From ``schedule`` on, in ``time_zone`` (UTC by default), a service has ``min_tasks`` to ``max_tasks`` tasks.

    It holds until another one comes. ``ServiceScaling`` says which of them a service has.
    """

    schedule: appscaling.Schedule
    min_tasks: int
    max_tasks: int
    time_zone: cdk.TimeZone | None = None


@dataclass(frozen=True)
class ServiceScaling:
    """Application Auto Scaling between a service's ``min_tasks`` and ``max_tasks``, by any of the targets that are set.

    ``cpu_percent`` and ``memory_percent`` are averages over the tasks, ``requests_per_task`` is requests a minute.
    Where several are set, the one that asks for most tasks wins ("Target tracking scaling policies"). ``quiet_hours``
    are a pair of schedules, down and up again.

    Raises:
        ValueError: nothing is set that scales, a value is out of range, or one schedule is alone.
    """

    max_tasks: int
    cpu_percent: int | None = 60
    memory_percent: int | None = None
    requests_per_task: int | None = None
    schedules: Sequence[ScheduledTasks] = ()
    quiet_hours: QuietHours | None = None

    def __post_init__(self) -> None:
        """Refuse targets that nothing can reach."""
        for name, percent in (("cpu_percent", self.cpu_percent), ("memory_percent", self.memory_percent)):
            if percent is not None and percent not in _PERCENT:
                nearest = min(_PERCENT, key=lambda allowed: abs(allowed - percent))
                raise ValueError(f"{name} is {percent}; allowed is 10 to 100, nearest is {nearest}.")
        if self.requests_per_task is not None and self.requests_per_task < 1:
            raise ValueError(f"requests_per_task is {self.requests_per_task}; the least is 1 request a minute.")
        by_time = self.schedules or self.quiet_hours
        if not (self.cpu_percent or self.memory_percent or self.requests_per_task or by_time):
            raise ValueError(
                "Nothing would scale. Give cpu_percent, memory_percent, requests_per_task, schedules or quiet_hours, "
                "or leave the scaling out."
            )
        if len(self.schedules) == 1:
            raise ValueError(
                "A schedule holds until another one comes, and one alone for ever. Give its counterpart too."
            )
        for tasks in self.schedules:
            if not 0 <= tasks.min_tasks <= tasks.max_tasks:
                raise ValueError(f"A schedule has min_tasks {tasks.min_tasks} and max_tasks {tasks.max_tasks}.")

    def apply(
        self, service: ecs.FargateService, *, min_tasks: int, target_group: elbv2.ApplicationTargetGroup | None = None
    ) -> ecs.ScalableTaskCount:
        """Make the scalable target of ``service``, with a policy for each target and an action for each schedule.

        Raises:
            ValueError: ``max_tasks`` is below ``min_tasks``, requests are to be counted where no load balancer is, or
                the quiet hours have more tasks than ``min_tasks``.
        """
        if self.max_tasks < min_tasks:
            raise ValueError(f"{service.node.path}: max_tasks is {self.max_tasks}, below min_tasks {min_tasks}.")
        count = service.auto_scale_task_count(min_capacity=min_tasks, max_capacity=self.max_tasks)
        if self.cpu_percent:
            count.scale_on_cpu_utilization("Cpu", target_utilization_percent=self.cpu_percent)
        if self.memory_percent:
            count.scale_on_memory_utilization("Memory", target_utilization_percent=self.memory_percent)
        if self.requests_per_task:
            if target_group is None:
                raise ValueError(f"{service.node.path}: requests_per_task needs a load balancer, and there is none.")
            count.scale_on_request_count(
                "Requests", requests_per_target=self.requests_per_task, target_group=target_group
            )
        for number, tasks in enumerate(self.schedules, 1):
            count.scale_on_schedule(
                f"Schedule{number}",
                schedule=tasks.schedule,
                time_zone=tasks.time_zone,
                min_capacity=tasks.min_tasks,
                max_capacity=tasks.max_tasks,
            )
        if hours := self.quiet_hours:
            hours.apply(count, min_tasks=min_tasks, max_tasks=self.max_tasks)
        return count
