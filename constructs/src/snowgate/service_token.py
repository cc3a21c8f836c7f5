"""The token that callers of a service's HTTP API send."""

from __future__ import annotations

import aws_cdk as cdk
from aws_cdk import aws_iam as iam
from aws_cdk import aws_secretsmanager as secretsmanager
from constructs import Construct

from snowgate.asked_once import days
from snowgate.snowflake_deployer import SnowflakeDeployer
from snowgate.snowflake_rotation import SnowflakeRotation


class ServiceToken(Construct):
    """A token of 48 letters and digits that Secrets Manager makes and rotates; no template and no log shows it.

    ``snowflake_secret`` is the SECRET in Snowflake (database.schema.name) that holds it too: a rotation changes it
    there as soon as the service takes the new one. A service reads the token itself, at run time, from the secret that
    ``environment`` names, and takes the versions AWSCURRENT, AWSPENDING and, for a day, AWSPREVIOUS: then a rotation
    leaves no caller without a valid one. It comes every ``rotate_every``, 30 days by default.
    """

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        deployer: SnowflakeDeployer,
        snowflake_secret: str | None = None,
        rotate_every: cdk.Duration | None = None,
        removal_policy: cdk.RemovalPolicy = cdk.RemovalPolicy.RETAIN_ON_UPDATE_OR_DELETE,
    ) -> None:
        super().__init__(scope, construct_id)

        self.secret = secretsmanager.Secret(
            self,
            "Secret",
            description="The token that callers of the service's HTTP API send",
            generate_secret_string=secretsmanager.SecretStringGenerator(password_length=48, exclude_punctuation=True),
            removal_policy=removal_policy,
        )
        self.rotation = SnowflakeRotation(
            self,
            "Rotation",
            deployer=deployer,
            secret=self.secret,
            kind="token",
            every=rotate_every or days(30),
            snowflake_secret=snowflake_secret,
        )

        self.environment = {"API_TOKEN_SECRET_ARN": self.secret.secret_arn}

    def grant_read(self, grantee: iam.IGrantable) -> iam.Grant:
        """Let ``grantee`` read the token."""
        return self.secret.grant_read(grantee)
