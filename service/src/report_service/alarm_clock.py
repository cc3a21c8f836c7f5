"""The alarm clock: one EventBridge schedule that wakes the worker at the next due time."""

from __future__ import annotations

import datetime
import json
from typing import Any, Protocol


class AlarmClock(Protocol):
    """Something that wakes the worker at a time."""

    def set(self, at: datetime.datetime | None) -> None:
        """Ring at `at` (UTC), or not at all."""


class NoAlarmClock:
    """For an environment without one: the sweep wakes the worker instead."""

    def set(self, at: datetime.datetime | None) -> None:
        """Do nothing."""


class SchedulerAlarmClock:
    """A one-time schedule of EventBridge Scheduler whose target is the waker."""

    def __init__(self, scheduler: Any, *, name: str, target_arn: str, role_arn: str) -> None:
        self._scheduler = scheduler
        self._name = name
        self._target = {"Arn": target_arn, "RoleArn": role_arn, "Input": json.dumps({"source": "alarm-clock"})}

    def set(self, at: datetime.datetime | None) -> None:
        """Ring at `at` (UTC), or not at all; sets anew what an earlier sleep left."""
        if at is None:
            self._delete()
            return
        schedule = {
            "Name": self._name,
            "ScheduleExpression": f"at({at:%Y-%m-%dT%H:%M:%S})",
            "ScheduleExpressionTimezone": "UTC",
            "FlexibleTimeWindow": {"Mode": "OFF"},
            "Target": self._target,
            "ActionAfterCompletion": "DELETE",
            "Description": "Wakes the report worker when its next report is due",
        }
        # Another task, or the schedule's own end, may come in between; the second round then finds what is there.
        for last in (False, True):
            try:
                self._scheduler.update_schedule(**schedule)
                return
            except self._scheduler.exceptions.ResourceNotFoundException:
                pass
            try:
                self._scheduler.create_schedule(**schedule)
                return
            except self._scheduler.exceptions.ConflictException:
                if last:
                    raise

    def _delete(self) -> None:
        try:
            self._scheduler.delete_schedule(Name=self._name)
        except self._scheduler.exceptions.ResourceNotFoundException:
            return
