"""The stack of Snowflake's way in."""

from __future__ import annotations

import aws_cdk as cdk
from aws_cdk import aws_lambda as lambda_
from constructs import Construct

from snowgate import SnowflakeApiIntegration, WakeApi
from stacks.environment import Environment
from stacks.removal import removal_policy


class TriggerStack(cdk.Stack):
    """The API at which Snowflake wakes the worker."""

    def __init__(
        self, scope: Construct, construct_id: str, *, environment: Environment, waker: lambda_.IFunction
    ) -> None:
        super().__init__(scope, construct_id)

        self.api = WakeApi(
            self,
            "WakeApi",
            waker=waker,
            invoker_role_arn=SnowflakeApiIntegration.computed_role_arn(self, environment.invoker_role_name),
            snowflake_vpcs=environment.snowflake.vpc_ids,
            removal_policy=removal_policy(environment),
        )

        cdk.CfnOutput(self, "TriggerUrl", value=self.api.trigger_url)
