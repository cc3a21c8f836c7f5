"""A worker service that runs only while there is work."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import aws_cdk as cdk
from aws_cdk import aws_cloudwatch as cloudwatch
from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_ecs as ecs
from aws_cdk import aws_events as events
from aws_cdk import aws_events_targets as targets
from aws_cdk import aws_logs as logs
from aws_cdk import aws_sns as sns
from constructs import Construct

from snowgate.alarm_actions import send_alarms
from snowgate.alarm_clock import AlarmClock
from snowgate.architecture import Architecture
from snowgate.asked_once import minutes
from snowgate.fargate_cluster import FargateCluster, open_way_out
from snowgate.fargate_size import FargateSize
from snowgate.fargate_task import FargateTask
from snowgate.own_service_access import OwnServiceAccess
from snowgate.start_failures import StartFailures
from snowgate.tokens import is_token
from snowgate.unattended_service import unattended_service
from snowgate.waker import Waker
from snowgate.worker_watch import WorkerWatch


class ScaleToZeroWorker(Construct):
    """An ECS service of 0 to ``max_tasks`` Fargate tasks that a waker Lambda wakes and that puts itself to sleep.

    The template holds no desired count, so no deploy resets a running one; a new service starts one task. The tasks may
    change the desired count of their own service, protect themselves from scale-in, and set one alarm clock: a schedule
    that calls the waker. What they need for it is in their environment: MAX_TASKS, ALARM_CLOCK_TARGET_ARN,
    ALARM_CLOCK_ROLE_ARN and ALARM_CLOCK_NAME (README, "ScaleToZeroWorker", has the protocol).

    ``work_per_task`` is how many waiting pieces of work one task is meant for. ``sweep`` wakes one task at that
    interval, as a net under lost wake-ups (None: no sweep). ``spot_percent`` of the tasks run on Fargate Spot.
    ``cluster`` is made if it is not given. ``task_role_name`` is for what must know the tasks' role early.

    The waker looks at the service every five minutes, so that there are metrics while no task runs. The alarms, work
    that waits while nothing runs or nobody looks, and a task that failed to start, tell ``alarm_topic``.

    Raises:
        ValueError: ``max_tasks``, ``work_per_task`` or ``spot_percent`` is out of range.
    """

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        vpc: ec2.IVpc,
        image: ecs.ContainerImage,
        command: Sequence[str],
        environment: Mapping[str, str] | None = None,
        secrets: Mapping[str, ecs.Secret] | None = None,
        health_check: Sequence[str] | None = None,
        size: FargateSize = FargateSize.SMALL,
        architecture: Architecture = Architecture.ARM64,
        task_role_name: str | None = None,
        cluster: ecs.ICluster | None = None,
        max_tasks: int = 4,
        work_per_task: int = 5,
        sweep: cdk.Duration | None = None,
        spot_percent: int = 0,
        waker_python: str = "3.13",
        alarm_topic: sns.ITopic | None = None,
        log_retention: logs.RetentionDays = logs.RetentionDays.ONE_MONTH,
        removal_policy: cdk.RemovalPolicy = cdk.RemovalPolicy.DESTROY,
    ) -> None:
        super().__init__(scope, construct_id)
        _check(max_tasks=max_tasks, work_per_task=work_per_task, spot_percent=spot_percent)

        self.cluster = cluster or FargateCluster(self, "Cluster", vpc=vpc).cluster
        alarm_clock = AlarmClock(self, "AlarmClock", target_name=Waker.name_in(self))
        task = FargateTask(
            self,
            "Task",
            image=image,
            command=command,
            size=size,
            architecture=architecture,
            environment={"MAX_TASKS": str(max_tasks), **alarm_clock.environment, **(environment or {})},
            secrets=secrets,
            health_check=health_check,
            role_name=task_role_name,
            log_retention=log_retention,
            removal_policy=removal_policy,
        )
        self.task_definition, self.task_role = task.definition, task.role
        self.security_group = ec2.SecurityGroup(
            self, "SecurityGroup", vpc=vpc, allow_all_outbound=False, description="Worker tasks: nothing comes in"
        )
        self.service = unattended_service(
            self,
            vpc=vpc,
            cluster=self.cluster,
            task_definition=self.task_definition,
            security_group=self.security_group,
            spot_percent=spot_percent,
            min_healthy_percent=0,
            desired_count=None,  # the waker's and the tasks' own
        )
        self.waker = Waker(
            self,
            "Waker",
            service=self.service,
            max_tasks=max_tasks,
            work_per_task=work_per_task,
            python=waker_python,
            architecture=architecture,
            log_retention=log_retention,
            removal_policy=removal_policy,
        ).function

        # The first task can pull its image, and log, only with the policies of the role that starts it.
        self.service.node.add_dependency(self.cluster, task.execution_role)
        open_way_out(self.security_group)
        OwnServiceAccess(self, "OwnService", role=self.task_role, service=self.service)
        alarm_clock.grant_set(self.task_role)
        if sweep:
            wake = targets.LambdaFunction(self.waker, retry_attempts=2, max_event_age=minutes(15))
            events.Rule(self, "Sweep", schedule=events.Schedule.rate(sweep), targets=[wake])

        self._watch = WorkerWatch(self, "Watch", service=self.service, waker=self.waker)
        self.start_failures = StartFailures(self, "StartFailures", service=self.service, removal_policy=removal_policy)
        self.alarms = [self._watch.alarm, self.start_failures.alarm]
        send_alarms(self.alarms, alarm_topic)

    def metric_pending(self) -> cloudwatch.Metric:
        """Pieces of work that waited when Snowflake called the waker, the most of five minutes; nothing between."""
        return self._watch.metric("PendingWork")

    def metric_desired_tasks(self) -> cloudwatch.Metric:
        """Tasks that should run, as the waker saw it, the most of five minutes."""
        return self._watch.metric("DesiredTasks")

    def metric_running_tasks(self) -> cloudwatch.Metric:
        """Tasks that run, as the waker saw it, the most of five minutes."""
        return self._watch.metric("RunningTasks")

    def metric_start_failures(self) -> cloudwatch.Metric:
        """Tasks that failed to start, counted in five minutes."""
        return self.start_failures.metric()


def _check(*, max_tasks: int, work_per_task: int, spot_percent: int) -> None:
    for name, given, allowed in (
        ("max_tasks", max_tasks, range(1, 1001)),
        ("work_per_task", work_per_task, range(1, 1_000_001)),
        ("spot_percent", spot_percent, range(101)),
    ):
        if not is_token(given) and given not in allowed:
            nearest = allowed[0] if given < allowed[0] else allowed[-1]
            raise ValueError(f"{name} is {given}; allowed is {allowed[0]} to {allowed[-1]}, nearest is {nearest}.")
