"""What CloudFront shows a public load balancer to be let in."""

from __future__ import annotations

import aws_cdk as cdk
from aws_cdk import aws_elasticloadbalancingv2 as elbv2
from aws_cdk import aws_secretsmanager as secretsmanager
from constructs import Construct

ORIGIN_HEADER = "x-origin-verify"


class OriginVerify(Construct):
    """A secret that CloudFront sends as the header ``x-origin-verify``, and the condition of a listener rule on it.

    The templates name the secret; its value is filled in by the deploy, and can be read by whoever may read the rules
    of the load balancer or the configuration of the distribution ("Restrict access to Application Load Balancers" in
    the CloudFront Developer Guide).
    """

    def __init__(self, scope: Construct, construct_id: str, *, removal_policy: cdk.RemovalPolicy) -> None:
        super().__init__(scope, construct_id)

        self.secret = secretsmanager.Secret(
            self,
            "Secret",
            description="What CloudFront shows the load balancer to be let in",
            generate_secret_string=secretsmanager.SecretStringGenerator(password_length=48, exclude_punctuation=True),
            removal_policy=removal_policy,
        )
        self.value = self.secret.secret_value.unsafe_unwrap()
        self.condition = elbv2.ListenerCondition.http_header(ORIGIN_HEADER, [self.value])
