"""What a task may do to the service that it belongs to."""

from __future__ import annotations

import aws_cdk as cdk
from aws_cdk import aws_ecs as ecs
from aws_cdk import aws_iam as iam
from constructs import Construct

from snowgate.acknowledgements import acknowledge_pattern


class OwnServiceAccess(Construct):
    """Lets the tasks of ``service`` look at it, change its desired count and protect themselves from scale-in.

    The service's ARN is written as a pattern: CloudFormation makes the name from stack and logical id ("Name type" in
    the CloudFormation User Guide). A reference would close a cycle, because the service waits for its task role, and a
    policy that is made after the service would leave the first task without its rights.
    """

    def __init__(self, scope: Construct, construct_id: str, *, role: iam.IRole, service: ecs.FargateService) -> None:
        super().__init__(scope, construct_id)
        stack = cdk.Stack.of(service)
        resource = service.node.find_child("Service")
        assert isinstance(resource, ecs.CfnService)

        cluster = service.cluster.cluster_name
        name = f"{stack.stack_name}-{stack.get_logical_id(resource)}*"
        service_arn = stack.format_arn(service="ecs", resource="service", resource_name=f"{cluster}/{name}")
        task_arn = stack.format_arn(service="ecs", resource="task", resource_name=f"{cluster}/*")
        statements = [
            iam.PolicyStatement(actions=["ecs:DescribeServices", "ecs:UpdateService"], resources=[service_arn]),
            iam.PolicyStatement(actions=["ecs:GetTaskProtection", "ecs:UpdateTaskProtection"], resources=[task_arn]),
        ]
        for statement in statements:
            role.add_to_principal_policy(statement)

        acknowledge_pattern(role, service_arn, "The one service itself; the end of its name is made by the deploy.")
        acknowledge_pattern(role, task_arn, "A task protects itself, by an id that it gets when it starts.")
