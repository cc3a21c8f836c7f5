"""Tasks of a service that could not be started, kept with their reasons, and the alarm on them."""

from __future__ import annotations

import aws_cdk as cdk
from aws_cdk import aws_cloudwatch as cloudwatch
from aws_cdk import aws_ecs as ecs
from aws_cdk import aws_events as events
from aws_cdk import aws_events_targets as targets
from aws_cdk import aws_sqs as sqs
from constructs import Construct

from snowgate.acknowledgements import acknowledge
from snowgate.asked_once import days

# "Service action events" in the Amazon ECS Developer Guide: no task of the service comes up, or there is no place.
_SERVICE_EVENTS = ["SERVICE_TASK_START_IMPAIRED", "SERVICE_TASK_PLACEMENT_FAILURE"]


class StartFailures(Construct):
    """What ECS says when a task of ``service`` fails to start, in a queue for 14 days, and an alarm on each.

    The events are those of a stopped task with the code TaskFailedToStart, whose ``stoppedReason`` says why ("Stopped
    tasks error codes" in the Amazon ECS Developer Guide), and the service's own SERVICE_TASK_START_IMPAIRED and
    SERVICE_TASK_PLACEMENT_FAILURE. A container that starts and then fails is none of them.
    """

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        service: ecs.FargateService,
        removal_policy: cdk.RemovalPolicy = cdk.RemovalPolicy.DESTROY,
    ) -> None:
        super().__init__(scope, construct_id)

        self.queue = sqs.Queue(
            self,
            "Events",
            encryption=sqs.QueueEncryption.SQS_MANAGED,
            enforce_ssl=True,
            retention_period=days(14),
            removal_policy=removal_policy,
        )
        acknowledge(self.queue, {"SQS3": "Nothing consumes it: people read here why a task did not start."})
        name = service.service_name
        stopped = {
            "clusterArn": [service.cluster.cluster_arn],
            "group": [f"service:{name}"],
            "lastStatus": ["STOPPED"],
            "stopCode": ["TaskFailedToStart"],
        }
        impaired = {"eventName": _SERVICE_EVENTS}
        self._keep("Stopped", "ECS Task State Change", stopped)
        self._keep("Impaired", "ECS Service Action", impaired, resources=[service.service_arn])
        self.alarm = self.metric().create_alarm(
            self,
            "Alarm",
            alarm_description=(
                f"A task of {name} failed to start; the events in queue {self.queue.queue_name} say why"
            ),
            threshold=1,
            evaluation_periods=1,
            comparison_operator=cloudwatch.ComparisonOperator.GREATER_THAN_OR_EQUAL_TO_THRESHOLD,
            # SQS sends no figures of a queue that nobody writes to, and that is the good case.
            treat_missing_data=cloudwatch.TreatMissingData.NOT_BREACHING,
        )

    def metric(self) -> cloudwatch.Metric:
        """Failures to start, counted in five minutes."""
        return self.queue.metric_number_of_messages_sent(statistic="Sum")

    def _keep(
        self, construct_id: str, detail_type: str, detail: dict[str, list[str]], resources: list[str] | None = None
    ) -> None:
        pattern = events.EventPattern(source=["aws.ecs"], detail_type=[detail_type], resources=resources, detail=detail)
        events.Rule(self, construct_id, event_pattern=pattern, targets=[targets.SqsQueue(self.queue)])
