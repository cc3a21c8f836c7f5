"""Where alarms go."""

from __future__ import annotations

from collections.abc import Iterable

from aws_cdk import aws_cloudwatch as cloudwatch
from aws_cdk import aws_cloudwatch_actions as actions
from aws_cdk import aws_sns as sns


def send_alarms(alarms: Iterable[cloudwatch.Alarm], topic: sns.ITopic | None) -> None:
    """Let ``topic``, if there is one, hear of each alarm and of its end."""
    if topic is None:
        return
    action = actions.SnsAction(topic)
    for alarm in alarms:
        alarm.add_alarm_action(action)
        alarm.add_ok_action(action)
