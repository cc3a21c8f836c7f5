"""A Lambda function as all of the library's are made."""

from __future__ import annotations

from collections.abc import Mapping

import aws_cdk as cdk
from aws_cdk import aws_iam as iam
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_logs as logs
from constructs import Construct

from snowgate.acknowledgements import acknowledge
from snowgate.architecture import Architecture


class LambdaFunction(Construct):
    """A Python function with a log group of its own, and a role that may write there and to X-Ray, and nothing else.

    The role is made, under ``role_name`` if something outside must know it; or it is ``role``, which gets these rights.
    X-Ray takes traces of one call a second and of 5 % of the others ("Configuring sampling rules" in its guide).
    """

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        code: lambda_.Code,
        handler: str,
        python: str,
        architecture: Architecture,
        timeout: cdk.Duration,
        memory_mib: int = 256,
        environment: Mapping[str, str] | None = None,
        function_name: str | None = None,
        role: iam.IRole | None = None,
        role_name: str | None = None,
        description: str,
        log_retention: logs.RetentionDays = logs.RetentionDays.ONE_MONTH,
        removal_policy: cdk.RemovalPolicy = cdk.RemovalPolicy.DESTROY,
    ) -> None:
        super().__init__(scope, construct_id)

        self.log_group = logs.LogGroup(self, "Log", retention=log_retention, removal_policy=removal_policy)
        self.role: iam.IRole = role or iam.Role(
            self, "Role", role_name=role_name, assumed_by=iam.ServicePrincipal("lambda.amazonaws.com")
        )
        self.log_group.grant_write(self.role)

        self.function = lambda_.Function(
            self,
            "Function",
            code=code,
            handler=handler,
            runtime=lambda_.Runtime(f"python{python}", lambda_.RuntimeFamily.PYTHON),
            architecture=architecture.of_function,
            timeout=timeout,
            memory_size=memory_mib,
            environment=dict(environment or {}),
            function_name=function_name,
            description=description,
            role=self.role,
            log_group=self.log_group,
            tracing=lambda_.Tracing.ACTIVE,
        )
        acknowledge(
            self.function,
            {"L1": "The Python version is a setting: what the function ships is made for exactly that one."},
        )
        acknowledge(self.role, {"IAM5[Resource::*]": "X-Ray takes segments for no resource; what else may be has one."})
