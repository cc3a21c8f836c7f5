"""A service that nobody calls: it fetches its work itself."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import aws_cdk as cdk
from aws_cdk import aws_cloudwatch as cloudwatch
from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_ecs as ecs
from aws_cdk import aws_iam as iam
from aws_cdk import aws_logs as logs
from aws_cdk import aws_sns as sns
from constructs import Construct

from snowgate.alarm_actions import send_alarms
from snowgate.architecture import Architecture
from snowgate.asked_once import minutes, tcp
from snowgate.fargate_cluster import FargateCluster, open_way_out
from snowgate.fargate_size import FargateSize
from snowgate.fargate_task import LONGEST_STOP, FargateTask
from snowgate.pinned_image import require_digest
from snowgate.service_scaling import ServiceScaling
from snowgate.sidecar import Sidecar
from snowgate.start_failures import StartFailures
from snowgate.tokens import is_token
from snowgate.unattended_service import unattended_service

_MINUTE = minutes(1)


class AgentService(Construct):
    """An ECS service of Fargate tasks without ingress, from an image that may be somebody else's, by its digest.

    It has ``desired_count`` tasks, or from there to the most that ``scaling`` says; a deploy starts new tasks before it
    stops old ones, and goes back if they fail. ``spot_percent`` of the tasks run on Fargate Spot. Its file system is
    writable, for the image decides where it writes; ephemeral storage is the ``size``'s. ``health_check`` is a list of
    words, run in the container without a shell. ``sidecars`` run beside it in each task.

    Tasks reach TCP 443, and 80 for certificate revocation. ``outbound`` adds ports with the ranges behind them, as in
    ``{5432: ["10.0.0.0/16"]}``; port 53, for name servers of one's own, is UDP too (security groups do not filter the
    VPC's own resolver). ``all_outbound`` opens everything.

    ``cluster`` is made, with Container Insights, if it is not given; one that is given needs them, or the alarm on
    missing tasks goes off. The alarms tell ``alarm_topic``.

    Raises:
        ValueError: the image has a tag instead of a digest, or ``desired_count`` or ``spot_percent`` is out of range.
    """

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        vpc: ec2.IVpc,
        image: ecs.ContainerImage,
        command: Sequence[str] | None = None,
        environment: Mapping[str, str] | None = None,
        secrets: Mapping[str, ecs.Secret] | None = None,
        health_check: Sequence[str] | None = None,
        size: FargateSize = FargateSize.MEDIUM,
        architecture: Architecture = Architecture.ARM64,
        task_role_name: str | None = None,
        cluster: ecs.ICluster | None = None,
        desired_count: int = 2,
        spot_percent: int = 0,
        scaling: ServiceScaling | None = None,
        sidecars: Sequence[Sidecar] = (),
        outbound: Mapping[int, Sequence[str]] | None = None,
        all_outbound: bool = False,
        stop_timeout: cdk.Duration = LONGEST_STOP,
        alarm_topic: sns.ITopic | None = None,
        log_retention: logs.RetentionDays = logs.RetentionDays.ONE_MONTH,
        removal_policy: cdk.RemovalPolicy = cdk.RemovalPolicy.DESTROY,
    ) -> None:
        super().__init__(scope, construct_id)
        self._check(desired_count, spot_percent)

        self.cluster = cluster or FargateCluster(self, "Cluster", vpc=vpc, insights=True).cluster
        task = FargateTask(
            self,
            "Task",
            image=image,
            command=command,
            size=size,
            architecture=architecture,
            environment=environment,
            secrets=secrets,
            health_check=health_check,
            writable=True,
            stop_timeout=stop_timeout,
            role_name=task_role_name,
            log_retention=log_retention,
            removal_policy=removal_policy,
        )
        require_digest(task.container)
        for sidecar in sidecars:
            sidecar.add_to(task)
        self.task_definition, self.task_role, self.log_group = task.definition, task.role, task.log_group
        self.security_group = self._security_group(vpc, outbound or {}, all_outbound)
        self.service = unattended_service(
            self,
            vpc=vpc,
            cluster=self.cluster,
            task_definition=self.task_definition,
            security_group=self.security_group,
            spot_percent=spot_percent,
            min_healthy_percent=100,
            desired_count=None if scaling else desired_count,
        )
        if scaling:
            scaling.apply(self.service, min_tasks=desired_count)
        # The first task can pull its image, and get its secrets, only with the policies of the role that starts it.
        self.service.node.add_dependency(self.cluster, task.execution_role)

        self._dimensions = {"ClusterName": self.cluster.cluster_name, "ServiceName": self.service.service_name}
        self.start_failures = StartFailures(self, "StartFailures", service=self.service, removal_policy=removal_policy)
        self.alarms = [self._busy_alarm(), self._missing_alarm(), self.start_failures.alarm]
        send_alarms(self.alarms, alarm_topic)

    def grant_update(self, grantee: iam.IGrantable) -> iam.Grant:
        """Let ``grantee`` look at the service, change its number of tasks and start a new deployment of it."""
        return iam.Grant.add_to_principal(
            grantee=grantee,
            actions=["ecs:DescribeServices", "ecs:UpdateService"],
            resource_arns=[self.service.service_arn],
        )

    def metric_cpu(self) -> cloudwatch.Metric:
        """Percent of the tasks' CPU that is in use, on average over five minutes."""
        return self.service.metric_cpu_utilization()

    def metric_memory(self) -> cloudwatch.Metric:
        """Percent of the tasks' memory that is in use, on average over five minutes."""
        return self.service.metric_memory_utilization()

    def metric_running_tasks(self) -> cloudwatch.Metric:
        """Tasks that run, the fewest in a minute (Container Insights)."""
        return self._insight("RunningTaskCount")

    def metric_desired_tasks(self) -> cloudwatch.Metric:
        """Tasks that should run, the fewest in a minute (Container Insights)."""
        return self._insight("DesiredTaskCount")

    def metric_start_failures(self) -> cloudwatch.Metric:
        """Tasks that failed to start, counted in five minutes."""
        return self.start_failures.metric()

    def _check(self, desired_count: int, spot_percent: int) -> None:
        if not is_token(desired_count) and desired_count < 1:
            raise ValueError(
                f"{self.node.path}: desired_count is {desired_count}; the least is 1. ScaleToZeroWorker is what sleeps."
            )
        if not is_token(spot_percent) and spot_percent not in range(101):
            nearest = 0 if spot_percent < 0 else 100
            raise ValueError(
                f"{self.node.path}: spot_percent is {spot_percent}; allowed is 0 to 100, nearest is {nearest}."
            )

    def _security_group(
        self, vpc: ec2.IVpc, outbound: Mapping[int, Sequence[str]], all_outbound: bool
    ) -> ec2.SecurityGroup:
        group = ec2.SecurityGroup(
            self, "SecurityGroup", vpc=vpc, allow_all_outbound=all_outbound, description="Agent tasks: nothing comes in"
        )
        if all_outbound:
            return group
        open_way_out(group)
        for port, ranges in outbound.items():
            for cidr in ranges:
                group.add_egress_rule(ec2.Peer.ipv4(cidr), tcp(port), f"Port {port} of {cidr}")
                if port == 53:
                    group.add_egress_rule(ec2.Peer.ipv4(cidr), ec2.Port.udp(port), f"Name servers in {cidr}")
        return group

    def _busy_alarm(self) -> cloudwatch.Alarm:
        return self.metric_cpu().create_alarm(
            self,
            "Busy",
            alarm_description="The agent's tasks have used 80 % of their CPU for a quarter of an hour",
            threshold=80,
            evaluation_periods=3,
            comparison_operator=cloudwatch.ComparisonOperator.GREATER_THAN_OR_EQUAL_TO_THRESHOLD,
            # ECS sends no figure while no task runs: that is the other alarm's.
            treat_missing_data=cloudwatch.TreatMissingData.NOT_BREACHING,
        )

    def _missing_alarm(self) -> cloudwatch.Alarm:
        missing = cloudwatch.MathExpression(
            expression="desired - running",
            using_metrics={"desired": self.metric_desired_tasks(), "running": self.metric_running_tasks()},
            label="Missing tasks",
            period=_MINUTE,
        )
        return missing.create_alarm(
            self,
            "Missing",
            alarm_description="Fewer tasks run than should, or Container Insights are silent, for ten minutes",
            threshold=1,
            evaluation_periods=10,
            comparison_operator=cloudwatch.ComparisonOperator.GREATER_THAN_OR_EQUAL_TO_THRESHOLD,
            treat_missing_data=cloudwatch.TreatMissingData.BREACHING,
        )

    def _insight(self, name: str) -> cloudwatch.Metric:
        return cloudwatch.Metric(
            namespace="ECS/ContainerInsights",
            metric_name=name,
            dimensions_map=self._dimensions,
            statistic="Minimum",
            period=_MINUTE,
        )
