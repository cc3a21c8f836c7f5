"""The Lambda function that raises a service's desired count."""

from __future__ import annotations

from pathlib import Path

import aws_cdk as cdk
from aws_cdk import aws_ecs as ecs
from aws_cdk import aws_iam as iam
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_logs as logs
from constructs import Construct

from snowgate.architecture import Architecture
from snowgate.asked_once import seconds
from snowgate.lambda_function import LambdaFunction

_CODE = Path(__file__).parent / "lambdas" / "waker"


class Waker(Construct):
    """The function behind every wake-up: it may look at one service and change it, and never lowers its desired count.

    It has a fixed name, ``Waker.name_in(scope)``, because the tasks must know it before it is made.
    """

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        service: ecs.FargateService,
        max_tasks: int,
        work_per_task: int,
        python: str = "3.13",
        architecture: Architecture = Architecture.ARM64,
        log_retention: logs.RetentionDays = logs.RetentionDays.ONE_MONTH,
        removal_policy: cdk.RemovalPolicy = cdk.RemovalPolicy.DESTROY,
    ) -> None:
        super().__init__(scope, construct_id)

        waker = LambdaFunction(
            self,
            "Lambda",
            code=lambda_.Code.from_asset(str(_CODE), exclude=["**/__pycache__", "**/*.pyc"]),
            handler="handler.handler",
            python=python,
            architecture=architecture,
            timeout=seconds(20),
            environment={
                "CLUSTER": service.cluster.cluster_name,
                "SERVICE": service.service_name,
                "MAX_TASKS": str(max_tasks),
                "REPORTS_PER_TASK": str(work_per_task),
            },
            function_name=self.name_in(scope),
            description="Raises the desired count of a worker service to what its queue needs",
            log_retention=log_retention,
            removal_policy=removal_policy,
        )
        waker.role.add_to_principal_policy(
            iam.PolicyStatement(actions=["ecs:DescribeServices", "ecs:UpdateService"], resources=[service.service_arn])
        )
        self.function = waker.function

    @staticmethod
    def name_in(scope: Construct) -> str:
        """The name of the function under ``scope``: stack and construct path, at most 64 characters."""
        return cdk.Names.unique_resource_name(scope, max_length=57, separator="-") + "-Waker"
