"""The state machine whose executions are the runs of a batch job."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import aws_cdk as cdk
from aws_cdk import aws_cloudwatch as cloudwatch
from aws_cdk import aws_ecs as ecs
from aws_cdk import aws_logs as logs
from aws_cdk import aws_sns as sns
from aws_cdk import aws_stepfunctions as stepfunctions
from constructs import Construct

from snowgate import job_states
from snowgate.alarm_actions import send_alarms
from snowgate.asked_once import days
from snowgate.fargate_task import FargateTask
from snowgate.job_role import JobRole
from snowgate.run_lock import RunLock


class JobStateMachine(Construct):
    """A standard workflow that runs ``task`` under a lock, logged and traced, with its alarms.

    ``placement`` is what RunTask is told beside cluster and task definition. ``scheduled_at`` is the name of a variable
    for the input's scheduled time, and what goes before the time.
    """

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        cluster: ecs.ICluster,
        task: FargateTask,
        placement: Mapping[str, Any],
        attempts: job_states.Attempts,
        scheduled_at: tuple[str, str] | None,
        most_skipped: int | None,
        alarm_topic: sns.ITopic | None,
        log_retention: logs.RetentionDays,
        removal_policy: cdk.RemovalPolicy,
    ) -> None:
        super().__init__(scope, construct_id)

        lock = RunLock(self, "Lock")
        role = JobRole(self, "Role", cluster=cluster, task=task, lock=lock)
        arguments = {
            "Cluster": cluster.cluster_arn,
            "TaskDefinition": task.definition.task_definition_arn,
            **placement,
        }
        states = {
            **job_states.read_input(scheduled_at=scheduled_at, then="TakeLock"),
            **lock.take(got="RunTask", taken_over="ListTasks", busy="CountSkipped"),
            **job_states.run_task(
                arguments, attempts, log_group=task.log_group.log_group_name, stop="ListTasks", then="ReleaseLock"
            ),
            **job_states.stop_tasks(
                cluster=cluster.cluster_arn,
                family=task.definition.family,
                attempts=attempts,
                fresh="RunTask",
                over="ReleaseLock",
            ),
            **lock.release(then="WhatCameOut"),
            **job_states.end(),
        }
        definition = {
            "QueryLanguage": "JSONata",
            "StartAt": "ReadInput",
            "TimeoutSeconds": attempts.longest,
            "States": states,
        }
        history = logs.LogGroup(self, "History", retention=log_retention, removal_policy=removal_policy)
        self.state_machine = stepfunctions.StateMachine(
            self,
            "StateMachine",
            definition_body=stepfunctions.DefinitionBody.from_string(cdk.Stack.of(self).to_json_string(definition)),
            role=role.role,
            tracing_enabled=True,
            logs=stepfunctions.LogOptions(
                destination=history, level=stepfunctions.LogLevel.ALL, include_execution_data=True
            ),
        )
        role.let_look_at(self.state_machine)

        self._job = self.node.path.rpartition("/")[0]
        self.alarms = [
            self._alarm("Failed", self.state_machine.metric_failed(), "failed; the execution's cause says why"),
            self._alarm("TimedOut", self.state_machine.metric_timed_out(), "took longer than all its attempts may"),
        ]
        if most_skipped is not None:
            words = f"was skipped more than {most_skipped} times in a day"
            self.alarms.append(self._alarm("Skipped", self.metric_skipped(), words, threshold=most_skipped + 1))
        send_alarms(self.alarms, alarm_topic)

    def metric_skipped(self) -> cloudwatch.Metric:
        """Executions that found another one at work, summed over a day."""
        return cloudwatch.Metric(
            namespace=job_states.NAMESPACE,
            metric_name=job_states.SKIPPED,
            dimensions_map={"StateMachineArn": self.state_machine.state_machine_arn},
            statistic="Sum",
            period=days(1),
        )

    def _alarm(
        self, construct_id: str, metric: cloudwatch.Metric, words: str, *, threshold: int = 1
    ) -> cloudwatch.Alarm:
        return cloudwatch.Alarm(
            self,
            construct_id,
            metric=metric,
            threshold=threshold,
            comparison_operator=cloudwatch.ComparisonOperator.GREATER_THAN_OR_EQUAL_TO_THRESHOLD,
            evaluation_periods=1,
            treat_missing_data=cloudwatch.TreatMissingData.NOT_BREACHING,
            alarm_description=f"The job {self._job} {words}",
        )
