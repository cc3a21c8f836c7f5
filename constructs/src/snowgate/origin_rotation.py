"""Rotation of the secret that CloudFront shows a public load balancer."""

from __future__ import annotations

from pathlib import Path

import aws_cdk as cdk
from aws_cdk import aws_cloudfront as cloudfront
from aws_cdk import aws_elasticloadbalancingv2 as elbv2
from aws_cdk import aws_iam as iam
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_logs as logs
from aws_cdk import aws_s3 as s3
from aws_cdk import aws_secretsmanager as secretsmanager
from constructs import Construct

from snowgate.architecture import Architecture
from snowgate.asked_once import minutes
from snowgate.lambda_function import LambdaFunction
from snowgate.origin_verify import ORIGIN_HEADER
from snowgate.rotation_schedule import check_period, may_exchange, rotation_schedule

_CODE = Path(__file__).parent / "lambdas" / "origin_rotation"


class OriginRotation(Construct):
    """Has Secrets Manager exchange ``secret`` every ``every`` days, while no request is refused.

    The listener's ``rule`` takes both values until the whole ``distribution`` sends the new one, and then that alone.

    Raises:
        ValueError: the period is no whole number of days from 1 to 1000.
    """

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        secret: secretsmanager.ISecret,
        rule: elbv2.ApplicationListenerRule,
        distribution: cloudfront.Distribution,
        log_bucket: s3.IBucket,
        web_acl_arn: str | None,
        every: cdk.Duration,
        python: str,
        architecture: Architecture,
        log_retention: logs.RetentionDays,
        removal_policy: cdk.RemovalPolicy,
    ) -> None:
        super().__init__(scope, construct_id)
        check_period(self, every)

        made = LambdaFunction(
            self,
            "Lambda",
            code=lambda_.Code.from_asset(str(_CODE), exclude=["**/__pycache__", "**/*.pyc"]),
            handler="handler.handler",
            python=python,
            architecture=architecture,
            # A distribution takes some minutes to send a new header everywhere.
            timeout=minutes(15),
            environment={
                "HEADER": ORIGIN_HEADER,
                "RULE_ARN": rule.listener_rule_arn,
                "DISTRIBUTION_ID": distribution.distribution_id,
            },
            description="Exchanges the secret that CloudFront shows the load balancer",
            log_retention=log_retention,
            removal_policy=removal_policy,
        )
        made.role.add_to_principal_policy(may_exchange(secret))
        for actions, resource in (
            (["elasticloadbalancing:ModifyRule"], rule.listener_rule_arn),
            (
                ["cloudfront:GetDistribution", "cloudfront:GetDistributionConfig", "cloudfront:UpdateDistribution"],
                distribution.distribution_arn,
            ),
            # CloudFront asks these of whoever updates a distribution that has logs and a web ACL, changed or not
            # ("CloudFront API permissions" in its Developer Guide).
            (["s3:GetBucketAcl", "s3:PutBucketAcl"], log_bucket.bucket_arn),
            *([(["wafv2:GetWebACL"], web_acl_arn)] if web_acl_arn else []),
        ):
            made.role.add_to_principal_policy(iam.PolicyStatement(actions=actions, resources=[resource]))
        self.schedule = rotation_schedule(self, secret=secret, function=made.function, every=every, after=made)
        self.function = made.function
