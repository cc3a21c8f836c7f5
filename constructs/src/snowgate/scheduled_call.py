"""A schedule of EventBridge Scheduler, with everything that keeps a lost delivery from going unseen."""

from __future__ import annotations

from collections.abc import Callable

import aws_cdk as cdk
from aws_cdk import aws_cloudwatch as cloudwatch
from aws_cdk import aws_iam as iam
from aws_cdk import aws_scheduler as scheduler
from aws_cdk import aws_sns as sns
from aws_cdk import aws_sqs as sqs
from constructs import Construct

from snowgate.acknowledgements import acknowledge
from snowgate.alarm_actions import send_alarms
from snowgate.asked_once import days

# The text that the scheduler replaces by the time for which a call was meant, in UTC ("Adding context attributes" in
# the EventBridge Scheduler User Guide).
SCHEDULED_TIME = "<aws.scheduler.scheduled-time>"

MakeTarget = Callable[[iam.IRole, sqs.IQueue], scheduler.IScheduleTarget]


class ScheduledCall(Construct):
    """One schedule, a role that may make its call and nothing else, a dead-letter queue, and an alarm on that queue.

    ``make_target`` gets the role and the queue, and gives what is called. A time zone is part of ``schedule``, as in
    ``scheduler.ScheduleExpression.cron(…, time_zone=cdk.TimeZone.EUROPE_ZURICH)``.
    """

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        schedule: scheduler.ScheduleExpression,
        make_target: MakeTarget,
        description: str,
        alarm_topic: sns.ITopic | None = None,
        removal_policy: cdk.RemovalPolicy = cdk.RemovalPolicy.DESTROY,
    ) -> None:
        super().__init__(scope, construct_id)

        self.dead_letter_queue = sqs.Queue(
            self,
            "DeadLetters",
            enforce_ssl=True,
            encryption=sqs.QueueEncryption.SQS_MANAGED,
            retention_period=days(14),
            removal_policy=removal_policy,
        )
        # The condition keeps other accounts from using the role through their own schedules ("Confused deputy
        # prevention" in the EventBridge Scheduler User Guide).
        own = {"StringEquals": {"aws:SourceAccount": cdk.Stack.of(self).account}}
        self.role = iam.Role(self, "Role", assumed_by=iam.ServicePrincipal("scheduler.amazonaws.com", conditions=own))
        self.schedule = scheduler.Schedule(
            self,
            "Schedule",
            schedule=schedule,
            target=make_target(self.role, self.dead_letter_queue),
            description=description,
        )
        # A call that comes before the role's policy is refused, and lost.
        self.schedule.node.add_dependency(self.role)
        self.alarm = cloudwatch.Alarm(
            self,
            "NotDelivered",
            metric=self.dead_letter_queue.metric_approximate_number_of_messages_visible(statistic="Maximum"),
            threshold=1,
            comparison_operator=cloudwatch.ComparisonOperator.GREATER_THAN_OR_EQUAL_TO_THRESHOLD,
            evaluation_periods=1,
            treat_missing_data=cloudwatch.TreatMissingData.NOT_BREACHING,
            alarm_description=f"{description}: a scheduled call was not delivered and lies in the dead-letter queue",
        )
        send_alarms([self.alarm], alarm_topic)

        acknowledge(self.dead_letter_queue, {"SQS3": "It is the dead-letter queue of a schedule."})
