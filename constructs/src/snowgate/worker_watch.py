"""The look at a worker service that somebody takes while no task runs."""

from __future__ import annotations

from aws_cdk import aws_cloudwatch as cloudwatch
from aws_cdk import aws_ecs as ecs
from aws_cdk import aws_events as events
from aws_cdk import aws_events_targets as targets
from aws_cdk import aws_lambda as lambda_
from constructs import Construct

from snowgate.asked_once import minutes

_EVERY = minutes(5)


class WorkerWatch(Construct):
    """Lets the waker look at ``service`` every five minutes, and an alarm if work is waiting and nothing runs.

    A worker's own metrics end with its last task, so they cannot say that none runs. The waker is always there: it
    raises the desired count when work comes, and only tasks lower it. Desired tasks of which none runs are work that
    waits, and so is silence: a waker that does not look cannot wake either.
    """

    def __init__(
        self, scope: Construct, construct_id: str, *, service: ecs.FargateService, waker: lambda_.IFunction
    ) -> None:
        super().__init__(scope, construct_id)
        self._dimensions = {"Cluster": service.cluster.cluster_name, "Service": service.service_name}

        look = targets.LambdaFunction(waker, event=events.RuleTargetInput.from_object({"watch": True}))
        events.Rule(self, "Look", schedule=events.Schedule.rate(_EVERY), targets=[look])
        waiting = cloudwatch.MathExpression(
            expression="IF(running < 1, desired, 0)",
            using_metrics={"desired": self.metric("DesiredTasks"), "running": self.metric("RunningTasks")},
            label="Tasks that work is waiting for",
            period=_EVERY,
        )
        self.alarm = waiting.create_alarm(
            self,
            "Alarm",
            alarm_description="Work is waiting and nothing runs, or nobody looked, for a quarter of an hour",
            threshold=1,
            evaluation_periods=3,
            comparison_operator=cloudwatch.ComparisonOperator.GREATER_THAN_OR_EQUAL_TO_THRESHOLD,
            treat_missing_data=cloudwatch.TreatMissingData.BREACHING,
        )

    def metric(self, name: str) -> cloudwatch.Metric:
        """What the waker enters: DesiredTasks and RunningTasks at each look, PendingWork at each call with a number."""
        return cloudwatch.Metric(
            namespace="Snowgate",
            metric_name=name,
            dimensions_map=self._dimensions,
            statistic="Maximum",
            period=_EVERY,
        )
