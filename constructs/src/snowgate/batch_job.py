"""A task on Fargate that runs to its end."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import aws_cdk as cdk
from aws_cdk import aws_cloudwatch as cloudwatch
from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_ecs as ecs
from aws_cdk import aws_iam as iam
from aws_cdk import aws_logs as logs
from aws_cdk import aws_scheduler as scheduler
from aws_cdk import aws_scheduler_targets as targets
from aws_cdk import aws_sns as sns
from aws_cdk import aws_sqs as sqs
from constructs import Construct

from snowgate import job_states
from snowgate.architecture import Architecture
from snowgate.asked_once import hours, seconds
from snowgate.fargate_cluster import FargateCluster, TaskPlacement, open_way_out
from snowgate.fargate_size import FargateSize
from snowgate.fargate_task import STOPS, FargateTask
from snowgate.job_state_machine import JobStateMachine
from snowgate.scheduled_call import SCHEDULED_TIME, ScheduledCall


class BatchJob(Construct):
    """A Fargate task that runs to its end, on a schedule and by hand, each time as one execution in Step Functions.

    The state machine is a standard workflow: its executions are the record of the runs, and their input is
    ``{"environment": {"NAME": "value"}}``, variables that override the definition's; all of it may be left out. Only
    one execution works at a time: another one ends at once as ``{"outcome": "skipped"}``, which is no failure.

    A task that finds no capacity, fails to start or is taken by Spot is tried again, ``max_attempts`` times in all, and
    so is one that ends with one of ``retry_exit_codes``; the pause before is ``retry_pause`` (30 seconds unless given)
    and doubles, up to a quarter of an hour. Nothing else is tried again. ``timeout`` (an hour unless given) is for each
    attempt; the task is then stopped, and has ``stop_timeout`` (30 seconds unless given, Fargate's most is 120) after
    SIGTERM. ``spot`` runs it on Fargate Spot. ``most_skipped`` adds an alarm: it was skipped more often in a day.

    With ``schedule`` there are a ``dead_letter_queue`` for what the scheduler could not deliver, and an alarm on it.
    The scheduled time, UTC in ISO 8601, is the input's ``scheduled_at``, and the container's variable
    ``scheduled_at_variable`` with ``scheduled_at_prefix`` before it. ``cluster`` is made if it is not given;
    ``task_role_name`` is for what must know the task's role early.

    Raises:
        ValueError: ``max_attempts``, ``most_skipped``, an exit code or a duration is out of range.
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
        size: FargateSize = FargateSize.SMALL,
        architecture: Architecture = Architecture.ARM64,
        task_role_name: str | None = None,
        cluster: ecs.ICluster | None = None,
        spot: bool = False,
        schedule: scheduler.ScheduleExpression | None = None,
        scheduled_at_variable: str | None = None,
        scheduled_at_prefix: str = "",
        retry_exit_codes: Sequence[int] = (),
        retry_pause: cdk.Duration | None = None,
        max_attempts: int = 3,
        timeout: cdk.Duration | None = None,
        stop_timeout: cdk.Duration | None = None,
        most_skipped: int | None = None,
        alarm_topic: sns.ITopic | None = None,
        log_retention: logs.RetentionDays = logs.RetentionDays.ONE_MONTH,
        removal_policy: cdk.RemovalPolicy = cdk.RemovalPolicy.DESTROY,
    ) -> None:
        super().__init__(scope, construct_id)
        stop_timeout = stop_timeout or seconds(30)
        attempts = job_states.Attempts(
            most=max_attempts,
            exit_codes=tuple(retry_exit_codes),
            pause=int(retry_pause.to_seconds()) if retry_pause else 30,
            timeout=int(timeout.to_seconds()) if timeout else 3600,
            stop_timeout=int(stop_timeout.to_seconds()),
        )
        _check(self, attempts, most_skipped)

        self.cluster = cluster or FargateCluster(self, "Cluster", vpc=vpc).cluster
        task = FargateTask(
            self,
            "Task",
            image=image,
            command=command,
            size=size,
            architecture=architecture,
            environment=environment,
            secrets=secrets,
            stop_timeout=stop_timeout,
            role_name=task_role_name,
            log_retention=log_retention,
            removal_policy=removal_policy,
        )
        self.task_definition, self.task_role, self.log_group = task.definition, task.role, task.log_group
        self.security_group = ec2.SecurityGroup(
            self, "SecurityGroup", vpc=vpc, allow_all_outbound=False, description="Tasks of a job: nothing comes in"
        )
        open_way_out(self.security_group)

        machine = JobStateMachine(
            self,
            "Runs",
            cluster=self.cluster,
            task=task,
            placement=self._placement(vpc, spot=spot),
            attempts=attempts,
            most_skipped=most_skipped,
            scheduled_at=(scheduled_at_variable, scheduled_at_prefix) if scheduled_at_variable else None,
            alarm_topic=alarm_topic,
            log_retention=log_retention,
            removal_policy=removal_policy,
        )
        self._runs = machine
        self.state_machine, self.alarms = machine.state_machine, machine.alarms
        self.dead_letter_queue: sqs.IQueue | None = None
        if schedule:
            call = self._on_schedule(schedule, alarm_topic, removal_policy)
            self.dead_letter_queue = call.dead_letter_queue
            self.alarms.append(call.alarm)

    def grant_start(self, grantee: iam.IGrantable) -> iam.Grant:
        """Let ``grantee`` start the job."""
        return self.state_machine.grant_start_execution(grantee)

    def metric_failed(self) -> cloudwatch.Metric:
        """Executions that failed, summed over five minutes; those that were skipped are none."""
        return self.state_machine.metric_failed()

    def metric_timed_out(self) -> cloudwatch.Metric:
        """Executions that Step Functions itself ended, after all attempts should have been over."""
        return self.state_machine.metric_timed_out()

    def metric_skipped(self) -> cloudwatch.Metric:
        """Executions that found another one at work, summed over a day."""
        return self._runs.metric_skipped()

    def metric_duration(self) -> cloudwatch.Metric:
        """How long executions took, in milliseconds, averaged over five minutes."""
        return self.state_machine.metric_time()

    def _placement(self, vpc: ec2.IVpc, *, spot: bool) -> dict[str, Any]:
        """Where RunTask puts a task."""
        placement = TaskPlacement.of(vpc)
        subnets = vpc.select_subnets(subnet_type=placement.subnets.subnet_type)
        provider = {"CapacityProviderStrategy": [{"CapacityProvider": "FARGATE_SPOT", "Weight": 1}]}
        return {
            **(provider if spot else {"LaunchType": "FARGATE"}),
            "NetworkConfiguration": {
                "AwsvpcConfiguration": {
                    "Subnets": subnets.subnet_ids,
                    "SecurityGroups": [self.security_group.security_group_id],
                    "AssignPublicIp": "ENABLED" if placement.public_ip else "DISABLED",
                }
            },
        }

    def _on_schedule(
        self,
        schedule: scheduler.ScheduleExpression,
        alarm_topic: sns.ITopic | None,
        removal_policy: cdk.RemovalPolicy,
    ) -> ScheduledCall:
        def target(role: iam.IRole, dead_letters: sqs.IQueue) -> scheduler.IScheduleTarget:
            return targets.StepFunctionsStartExecution(
                self.state_machine,
                input=scheduler.ScheduleTargetInput.from_object({"scheduled_at": SCHEDULED_TIME}),
                retry_attempts=3,
                max_event_age=hours(1),
                dead_letter_queue=dead_letters,
                role=role,
            )

        return ScheduledCall(
            self,
            "Schedule",
            schedule=schedule,
            make_target=target,
            description=f"Starts the job {self.node.path}",
            alarm_topic=alarm_topic,
            removal_policy=removal_policy,
        )


def _check(job: BatchJob, attempts: job_states.Attempts, most_skipped: int | None) -> None:
    for name, given, allowed in (
        ("max_attempts", attempts.most, range(1, 11)),
        ("most_skipped", most_skipped or 0, range(10_001)),
        *(("an exit code of retry_exit_codes", code, range(1, 256)) for code in attempts.exit_codes),
        ("retry_pause in seconds", attempts.pause, range(1, job_states.LONGEST_PAUSE + 1)),
        ("timeout in seconds", attempts.timeout, range(1, 14 * 86400 + 1)),
        ("stop_timeout in seconds", attempts.stop_timeout, STOPS),
    ):
        if given not in allowed:
            nearest = allowed[0] if given < allowed[0] else allowed[-1]
            raise ValueError(
                f"{job.node.path}: {name} is {given}; allowed is {allowed[0]} to {allowed[-1]}, nearest is {nearest}."
            )
