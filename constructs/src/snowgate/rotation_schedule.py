"""When Secrets Manager has a function exchange a secret, and what that function may do."""

from __future__ import annotations

import aws_cdk as cdk
from aws_cdk import aws_iam as iam
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_secretsmanager as secretsmanager
from constructs import Construct, IDependable

_DAYS = range(1, 1001)


def check_period(construct: Construct, every: cdk.Duration) -> None:
    """Refuse a period that Secrets Manager does not take.

    Raises:
        ValueError: it is no whole number of days from 1 to 1000.
    """
    days = every.to_seconds() / 86400
    if days not in _DAYS:
        raise ValueError(f"{construct.node.path}: a secret is rotated every 1 to 1000 whole days; given was {days:g}.")


def may_exchange(secret: secretsmanager.ISecret) -> iam.PolicyStatement:
    """What a rotation function is allowed of its secret."""
    return iam.PolicyStatement(
        actions=[
            "secretsmanager:DescribeSecret",
            "secretsmanager:GetSecretValue",
            "secretsmanager:PutSecretValue",
            "secretsmanager:UpdateSecretVersionStage",
        ],
        resources=[secret.secret_arn],
    )


def rotation_schedule(
    scope: Construct,
    *,
    secret: secretsmanager.ISecret,
    function: lambda_.IFunction,
    every: cdk.Duration,
    after: IDependable,
) -> secretsmanager.CfnRotationSchedule:
    """Have ``function`` exchange ``secret``, first a period after the deploy.

    Secrets Manager tries the function as soon as there is a schedule, so that is made ``after`` what it needs. The
    permission is made here and not at the function: it may be of another stack, which must not refer back to this one.
    """
    days = every.to_days()
    permission = lambda_.CfnPermission(
        scope,
        "Permission",
        action="lambda:InvokeFunction",
        function_name=function.function_arn,
        principal="secretsmanager.amazonaws.com",
        source_account=cdk.Stack.of(scope).account,
    )
    schedule = secretsmanager.CfnRotationSchedule(
        scope,
        "Schedule",
        secret_id=secret.secret_arn,
        rotation_lambda_arn=function.function_arn,
        rotation_rules=secretsmanager.CfnRotationSchedule.RotationRulesProperty(
            schedule_expression=f"rate({days:g} day{'s' if days > 1 else ''})"
        ),
        rotate_immediately_on_update=False,
    )
    schedule.node.add_dependency(after, permission)
    return schedule
