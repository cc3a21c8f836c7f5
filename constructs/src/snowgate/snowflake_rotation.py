"""Rotation of a secret that Snowflake has to know the new value of."""

from __future__ import annotations

from collections.abc import Mapping

import aws_cdk as cdk
from aws_cdk import aws_iam as iam
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_secretsmanager as secretsmanager
from constructs import Construct

from snowgate.snowflake_deployer import SnowflakeDeployer

_DAYS = range(1, 1001)


class SnowflakeRotation(Construct):
    """Has Secrets Manager rotate ``secret`` by the deployer's rotation function, every ``every`` days.

    ``kind`` is what the secret holds: ``key-pair`` (a login) or ``token``; with a token ``snowflake_secret`` may be the
    SECRET in Snowflake (database.schema.name) that follows. The first rotation is a period after the deploy.

    Raises:
        ValueError: the period is no whole number of days from 1 to 1000.
    """

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        deployer: SnowflakeDeployer,
        secret: secretsmanager.ISecret,
        kind: str,
        every: cdk.Duration,
        snowflake_secret: str | None = None,
    ) -> None:
        super().__init__(scope, construct_id)
        days = every.to_seconds() / 86400
        if days not in _DAYS:
            raise ValueError(f"{self.node.path}: a secret is rotated every 1 to 1000 whole days; given was {days:g}.")

        _tag(secret, {"snowgate:rotates": kind, "snowgate:snowflake-secret": snowflake_secret})
        access = iam.Policy(
            self,
            "Access",
            roles=[deployer.role],
            statements=[
                iam.PolicyStatement(
                    actions=[
                        "secretsmanager:DescribeSecret",
                        "secretsmanager:GetSecretValue",
                        "secretsmanager:PutSecretValue",
                        "secretsmanager:UpdateSecretVersionStage",
                    ],
                    resources=[secret.secret_arn],
                )
            ],
        )
        # Here and not at the function: it may be of another stack, which must not refer back to this one.
        permission = lambda_.CfnPermission(
            self,
            "Permission",
            action="lambda:InvokeFunction",
            function_name=deployer.rotation.function_arn,
            principal="secretsmanager.amazonaws.com",
            source_account=cdk.Stack.of(self).account,
        )
        self.schedule = secretsmanager.CfnRotationSchedule(
            self,
            "Schedule",
            secret_id=secret.secret_arn,
            rotation_lambda_arn=deployer.rotation.function_arn,
            rotation_rules=secretsmanager.CfnRotationSchedule.RotationRulesProperty(
                schedule_expression=f"rate({int(days)} day{'s' if days > 1 else ''})"
            ),
            rotate_immediately_on_update=False,
        )

        self.schedule.node.add_dependency(access, permission)


def _tag(secret: secretsmanager.ISecret, tags: Mapping[str, str | None]) -> None:
    for name, value in tags.items():
        if value:
            cdk.Tags.of(secret).add(name, value)
