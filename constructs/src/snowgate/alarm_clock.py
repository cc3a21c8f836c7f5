"""The schedule by which a sleeping worker is woken for the next thing that is due."""

from __future__ import annotations

import aws_cdk as cdk
from aws_cdk import aws_iam as iam
from constructs import Construct


class AlarmClock(Construct):
    """The name of one EventBridge schedule, which the tasks themselves make, and the role by which it calls a function.

    The function is named, not referenced: it depends on the service, the service on the task definition, and that one
    on the environment below.
    """

    def __init__(self, scope: Construct, construct_id: str, *, target_name: str) -> None:
        super().__init__(scope, construct_id)
        stack = cdk.Stack.of(self)

        self.schedule_name = cdk.Names.unique_resource_name(self, max_length=64, separator="-")
        self.schedule_arn = stack.format_arn(
            service="scheduler", resource="schedule", resource_name=f"default/{self.schedule_name}"
        )
        self.target_arn = stack.format_arn(
            service="lambda",
            resource="function",
            resource_name=target_name,
            arn_format=cdk.ArnFormat.COLON_RESOURCE_NAME,
        )
        # The condition keeps other accounts from using the role through their own schedules ("Confused deputy
        # prevention" in the EventBridge Scheduler User Guide).
        caller = iam.ServicePrincipal(
            "scheduler.amazonaws.com", conditions={"StringEquals": {"aws:SourceAccount": stack.account}}
        )
        self.role = iam.Role(self, "Role", assumed_by=caller)
        self.role.add_to_policy(iam.PolicyStatement(actions=["lambda:InvokeFunction"], resources=[self.target_arn]))

    @property
    def environment(self) -> dict[str, str]:
        """What a task must know to set the alarm clock."""
        return {
            "ALARM_CLOCK_TARGET_ARN": self.target_arn,
            "ALARM_CLOCK_ROLE_ARN": self.role.role_arn,
            "ALARM_CLOCK_NAME": self.schedule_name,
        }

    def grant_set(self, role: iam.IRole) -> None:
        """Let ``role`` make, move, read and delete this one schedule, with this one target role."""
        actions = ["CreateSchedule", "UpdateSchedule", "DeleteSchedule", "GetSchedule"]
        for statement in (
            iam.PolicyStatement(actions=[f"scheduler:{action}" for action in actions], resources=[self.schedule_arn]),
            iam.PolicyStatement(
                actions=["iam:PassRole"],
                resources=[self.role.role_arn],
                conditions={"StringEquals": {"iam:PassedToService": "scheduler.amazonaws.com"}},
            ),
        ):
            role.add_to_principal_policy(statement)
