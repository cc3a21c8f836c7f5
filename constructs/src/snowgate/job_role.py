"""The role as which a batch job's state machine works."""

from __future__ import annotations

import aws_cdk as cdk
from aws_cdk import aws_ecs as ecs
from aws_cdk import aws_iam as iam
from aws_cdk import aws_stepfunctions as stepfunctions
from constructs import Construct

from snowgate.acknowledgements import acknowledge, acknowledge_pattern
from snowgate.fargate_task import FargateTask
from snowgate.job_states import NAMESPACE
from snowgate.run_lock import RunLock

# By this rule Step Functions hears of the end of a task ("Run Amazon ECS tasks" in its Developer Guide).
_RULE = "StepFunctionsGetEventsForECSTaskRule"


class JobRole(Construct):
    """Lets Step Functions run tasks of one family in one cluster, watch and stop them, hold one lock, and count."""

    def __init__(
        self, scope: Construct, construct_id: str, *, cluster: ecs.ICluster, task: FargateTask, lock: RunLock
    ) -> None:
        super().__init__(scope, construct_id)
        stack = cdk.Stack.of(self)

        own = {"StringEquals": {"aws:SourceAccount": stack.account}}
        self.role = iam.Role(self, "Role", assumed_by=iam.ServicePrincipal("states.amazonaws.com", conditions=own))
        # Any revision: an execution that began before a deploy goes on with the one that it began with.
        family = stack.format_arn(
            service="ecs", resource="task-definition", resource_name=f"{task.definition.family}:*"
        )
        tasks = stack.format_arn(service="ecs", resource="task", resource_name=f"{cluster.cluster_name}/*")
        rule = stack.format_arn(service="events", resource="rule", resource_name=_RULE)
        for statement in (
            iam.PolicyStatement(actions=["ecs:RunTask"], resources=[family]),
            iam.PolicyStatement(actions=["ecs:DescribeTasks", "ecs:StopTask"], resources=[tasks]),
            iam.PolicyStatement(
                actions=["ecs:ListTasks"],
                resources=["*"],
                conditions={"ArnEquals": {"ecs:cluster": cluster.cluster_arn}},
            ),
            iam.PolicyStatement(
                actions=["cloudwatch:PutMetricData"],
                resources=["*"],
                conditions={"StringEquals": {"cloudwatch:namespace": NAMESPACE}},
            ),
            iam.PolicyStatement(
                actions=["iam:PassRole"],
                resources=[task.role.role_arn, task.execution_role.role_arn],
                conditions={"StringEquals": {"iam:PassedToService": "ecs-tasks.amazonaws.com"}},
            ),
            iam.PolicyStatement(
                actions=["events:DescribeRule", "events:PutRule", "events:PutTargets"], resources=[rule]
            ),
        ):
            self.role.add_to_policy(statement)
        lock.grant_hold(self.role)

        acknowledge_pattern(self.role, family, "The revisions of the job's own task definition.")
        acknowledge_pattern(self.role, tasks, "A task has an id that it gets when it starts; the cluster is named.")
        reason = (
            "Delivery of logs and traces cannot be limited; listing tasks is to one cluster, counting to one namespace."
        )
        acknowledge(self.role, {"IAM5[Resource::*]": reason})

    def let_look_at(self, state_machine: stepfunctions.StateMachine) -> None:
        """Let the role see whether an execution of ``state_machine`` still runs.

        A policy of its own, made after the state machine: the role itself comes before it and cannot name it.
        """
        executions = cdk.Stack.of(self).format_arn(
            service="states",
            resource="execution",
            resource_name=f"{state_machine.state_machine_name}:*",
            arn_format=cdk.ArnFormat.COLON_RESOURCE_NAME,
        )
        policy = iam.Policy(
            self,
            "OwnExecutions",
            roles=[self.role],
            statements=[iam.PolicyStatement(actions=["states:DescribeExecution"], resources=[executions])],
        )
        acknowledge_pattern(
            policy, executions, "They are the state machine's own executions, whose names are made at each start."
        )
