"""What a service behind a load balancer is watched for."""

from __future__ import annotations

from collections.abc import Sequence

import aws_cdk as cdk
from aws_cdk import aws_cloudwatch as cloudwatch
from aws_cdk import aws_elasticloadbalancingv2 as elbv2
from constructs import Construct

from snowgate.asked_once import minutes

_MINUTE = minutes(1)
_AT_LEAST = cloudwatch.ComparisonOperator.GREATER_THAN_OR_EQUAL_TO_THRESHOLD
_NOT_BREACHING = cloudwatch.TreatMissingData.NOT_BREACHING


class WebServiceAlarms(Construct):
    """Alarms on errors, unhealthy tasks and slow answers, which a deployment goes back for, and one on silence.

    Errors are 10 answers with 5xx in a minute, in two of three minutes; ``latency`` is what 99 of 100 answers must
    stay below (no such alarm when None). ``rollback`` are these. ``all`` has the one on silence too: no healthy task
    for five minutes, which a first deployment begins with.
    """

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        load_balancer: elbv2.ApplicationLoadBalancer,
        target_groups: Sequence[elbv2.ApplicationTargetGroup],
        latency: cdk.Duration | None = None,
    ) -> None:
        super().__init__(scope, construct_id)
        seen = load_balancer.metrics
        of_tasks = seen.http_code_target(elbv2.HttpCodeTarget.TARGET_5XX_COUNT, period=_MINUTE, statistic="Sum")
        of_balancer = seen.http_code_elb(elbv2.HttpCodeElb.ELB_5XX_COUNT, period=_MINUTE, statistic="Sum")
        unhealthy = [group.metrics.unhealthy_host_count(period=_MINUTE, statistic="Maximum") for group in target_groups]
        healthy = [group.metrics.healthy_host_count(period=_MINUTE, statistic="Minimum") for group in target_groups]

        self.rollback = [
            self._errors("TaskErrors", of_tasks, "The tasks answer with errors (5xx)"),
            self._errors("LoadBalancerErrors", of_balancer, "The load balancer answers with errors (5xx)"),
            _total(unhealthy).create_alarm(
                self,
                "Unhealthy",
                alarm_description="A task fails the load balancer's health check",
                threshold=1,
                comparison_operator=_AT_LEAST,
                evaluation_periods=3,
                treat_missing_data=_NOT_BREACHING,
            ),
        ]
        if latency is not None:
            self.rollback.append(self._slow(seen.target_response_time(period=_MINUTE, statistic="p99"), latency))
        silence = _total(healthy).create_alarm(
            self,
            "NobodyAnswers",
            alarm_description="No task has passed the load balancer's health check for five minutes",
            threshold=1,
            comparison_operator=cloudwatch.ComparisonOperator.LESS_THAN_THRESHOLD,
            evaluation_periods=5,
            treat_missing_data=cloudwatch.TreatMissingData.BREACHING,
        )
        self.all = [*self.rollback, silence]

    def _errors(self, name: str, metric: cloudwatch.Metric, description: str) -> cloudwatch.Alarm:
        return metric.create_alarm(
            self,
            name,
            alarm_description=description,
            threshold=10,
            comparison_operator=_AT_LEAST,
            evaluation_periods=3,
            datapoints_to_alarm=2,
            treat_missing_data=_NOT_BREACHING,
        )

    def _slow(self, metric: cloudwatch.Metric, latency: cdk.Duration) -> cloudwatch.Alarm:
        return metric.create_alarm(
            self,
            "Slow",
            alarm_description=f"One of a hundred answers takes longer than {latency.to_human_string()}",
            threshold=latency.to_milliseconds() / 1000,
            evaluation_periods=5,
            datapoints_to_alarm=3,
            treat_missing_data=_NOT_BREACHING,
            evaluate_low_sample_count_percentile="ignore",
        )


def _total(metrics: Sequence[cloudwatch.Metric]) -> cloudwatch.Metric | cloudwatch.MathExpression:
    """The metric itself, or the sum over two groups: which of them has the tasks changes with each deployment."""
    if len(metrics) == 1:
        return metrics[0]
    names = {f"group{number}": metric for number, metric in enumerate(metrics)}
    return cloudwatch.MathExpression(
        expression=" + ".join(f"FILL({name}, 0)" for name in names), using_metrics=names, period=_MINUTE
    )
