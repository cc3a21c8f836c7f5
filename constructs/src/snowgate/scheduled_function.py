"""A Lambda function that is called on a schedule."""

from __future__ import annotations

from collections.abc import Mapping

import aws_cdk as cdk
from aws_cdk import aws_cloudwatch as cloudwatch
from aws_cdk import aws_iam as iam
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_lambda_destinations as destinations
from aws_cdk import aws_scheduler as scheduler
from aws_cdk import aws_scheduler_targets as targets
from aws_cdk import aws_sns as sns
from aws_cdk import aws_sqs as sqs
from constructs import Construct

from snowgate.acknowledgements import acknowledge_pattern
from snowgate.alarm_actions import send_alarms
from snowgate.asked_once import hours
from snowgate.scheduled_call import SCHEDULED_TIME, ScheduledCall

MOST_RETRIES = 185  # "RetryPolicy" in the EventBridge Scheduler API Reference


class ScheduledFunction(Construct):
    """Calls ``function`` on ``schedule`` with ``input``, and ``scheduled_at`` in it: when the call was meant to be.

    That time is UTC in ISO 8601, the same in each retry, and never that of the call. A call that the scheduler cannot
    deliver is tried again ``retries`` times within ``max_age`` (24 hours at most). The scheduler does not wait for the
    function: one that fails is called twice again by Lambda ("Asynchronous invocation"). Either way what was lost lies
    in ``dead_letter_queue`` for 14 days. Two alarms: the function fails, and the queue is not empty.

    ``function`` must have no configuration of its asynchronous calls yet. One that was made elsewhere is left as it is:
    its failed calls are in the alarm alone.

    Raises:
        ValueError: ``input`` has a ``scheduled_at`` of its own, or ``retries`` is out of range.
    """

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        function: lambda_.IFunction,
        schedule: scheduler.ScheduleExpression,
        input: Mapping[str, object] | None = None,
        retries: int = 3,
        max_age: cdk.Duration | None = None,
        alarm_topic: sns.ITopic | None = None,
        removal_policy: cdk.RemovalPolicy = cdk.RemovalPolicy.DESTROY,
    ) -> None:
        super().__init__(scope, construct_id)
        if "scheduled_at" in (input or {}):
            raise ValueError(
                f"{self.node.path}: scheduled_at is the scheduled time; give the input another name for it."
            )
        if retries not in range(MOST_RETRIES + 1):
            raise ValueError(f"{self.node.path}: retries is {retries}; allowed is 0 to {MOST_RETRIES}.")

        def target(role: iam.IRole, dead_letters: sqs.IQueue) -> scheduler.IScheduleTarget:
            event = {**(input or {}), "scheduled_at": SCHEDULED_TIME}
            return targets.LambdaInvoke(
                function,
                input=scheduler.ScheduleTargetInput.from_object(event),
                retry_attempts=retries,
                max_event_age=max_age or hours(1),
                dead_letter_queue=dead_letters,
                role=role,
            )

        call = ScheduledCall(
            self,
            "Call",
            schedule=schedule,
            make_target=target,
            description=f"Calls the function of {self.node.path}",
            alarm_topic=alarm_topic,
            removal_policy=removal_policy,
        )
        self.schedule, self.dead_letter_queue = call.schedule, call.dead_letter_queue
        self._function = function
        if function.role is not None:
            function.configure_async_invoke(on_failure=destinations.SqsDestination(call.dead_letter_queue))
        failed = cloudwatch.Alarm(
            self,
            "Failed",
            metric=self.metric_errors(),
            threshold=1,
            comparison_operator=cloudwatch.ComparisonOperator.GREATER_THAN_OR_EQUAL_TO_THRESHOLD,
            evaluation_periods=1,
            treat_missing_data=cloudwatch.TreatMissingData.NOT_BREACHING,
            alarm_description=f"The function of {self.node.path} failed",
        )
        self.alarms = [failed, call.alarm]
        send_alarms([failed], alarm_topic)

        acknowledge_pattern(call.role, f"{function.function_arn}:*", "The function itself: its versions and aliases.")

    def metric_errors(self) -> cloudwatch.Metric:
        """Calls of the function that failed, however they came about, summed over five minutes."""
        return self._function.metric_errors()
