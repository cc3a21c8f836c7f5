"""Links by which people without any account download finished reports."""

from __future__ import annotations

from pathlib import Path

import aws_cdk as cdk
from aws_cdk import aws_apigatewayv2 as apigatewayv2
from aws_cdk import aws_apigatewayv2_integrations as integrations
from aws_cdk import aws_cloudwatch as cloudwatch
from aws_cdk import aws_iam as iam
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_logs as logs
from aws_cdk import aws_secretsmanager as secretsmanager
from constructs import Construct

from snowgate.acknowledgements import acknowledge
from snowgate.architecture import Architecture
from snowgate.asked_once import days, seconds
from snowgate.http_api_stage import add_default_stage, host_of
from snowgate.lambda_function import LambdaFunction
from snowgate.report_bucket import ReportBucket
from snowgate.snowflake_deployer import SnowflakeDeployer
from snowgate.snowflake_rotation import SnowflakeRotation

_CODE = Path(__file__).parent / "lambdas" / "download"
_DAYS = range(1, 31)
# The key before the current one is still taken: it must stay so for as long as a link lives, and a day more for the
# window in which Secrets Manager picks the moment ("Rotation schedules").
_ROTATED_EVERY = days(_DAYS[-1] + 2)


class DownloadLinks(Construct):
    """An HTTP API with ``GET /reports/{id}/download``, which sends the holder of a signed link on to the file in S3.

    A link is ``{url}/reports/{id}/download?token={expires}/{key}/{signature}``; whoever makes one signs it with the
    key of ``secret`` (README, "DownloadLinks", says how). At each click the function checks signature and expiry, sees
    whether the object's tag ``download`` is ``revoked``, and signs an S3 URL for five minutes. So a link lives for
    ``valid_for``, 7 days by default, whatever credentials end meanwhile, and works while no task runs.

    With ``deployer`` its rotation function exchanges the key every 32 days; links that are out stay valid. Two
    rotations, one after the other, end all of them. ``throttle_rate`` is calls a second, ``throttle_burst`` calls at
    once.

    Raises:
        ValueError: ``valid_for`` is no whole number of days from 1 to 30.
    """

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        bucket: ReportBucket,
        deployer: SnowflakeDeployer | None = None,
        valid_for: cdk.Duration | None = None,
        throttle_rate: int = 50,
        throttle_burst: int = 100,
        python: str = "3.13",
        architecture: Architecture = Architecture.ARM64,
        log_retention: logs.RetentionDays = logs.RetentionDays.ONE_MONTH,
        removal_policy: cdk.RemovalPolicy = cdk.RemovalPolicy.DESTROY,
    ) -> None:
        super().__init__(scope, construct_id)
        valid = (valid_for or days(7)).to_seconds() / 86400
        if valid not in _DAYS:
            raise ValueError(
                f"{self.node.path}: links are valid for {valid:g} days; allowed is {_DAYS[0]} to {_DAYS[-1]} whole "
                f"days, nearest is {min(_DAYS, key=lambda allowed: abs(allowed - valid))}."
            )
        self._bucket = bucket

        self.secret = secretsmanager.Secret(
            self,
            "Key",
            description="The key that signs links to reports",
            generate_secret_string=secretsmanager.SecretStringGenerator(password_length=48, exclude_punctuation=True),
            removal_policy=removal_policy,
        )
        made = LambdaFunction(
            self,
            "Lambda",
            code=lambda_.Code.from_asset(str(_CODE), exclude=["**/__pycache__", "**/*.pyc"]),
            handler="handler.handler",
            python=python,
            architecture=architecture,
            timeout=seconds(20),
            environment={"BUCKET": bucket.bucket.bucket_name, "KEY_SECRET_ARN": self.secret.secret_arn},
            description="Sends the holder of a signed link on to a report in S3",
            log_retention=log_retention,
            removal_policy=removal_policy,
        )
        self.function = made.function
        self.api = apigatewayv2.HttpApi(
            self,
            "Api",
            api_name=f"{cdk.Stack.of(self).stack_name}-{construct_id}",
            description="Downloads of finished reports by signed links",
            create_default_stage=False,
        )
        self.stage, self.access_log = add_default_stage(
            self,
            self.api,
            throttle_rate=throttle_rate,
            throttle_burst=throttle_burst,
            log_retention=log_retention,
            removal_policy=removal_policy,
        )

        bucket.grant_read(made.role)
        bucket.grant_read_tags(made.role)
        self.secret.grant_read(made.role)
        self.api.add_routes(
            path="/reports/{id}/download",
            methods=[apigatewayv2.HttpMethod.GET, apigatewayv2.HttpMethod.HEAD],
            integration=integrations.HttpLambdaIntegration("Download", self.function),
        )
        acknowledge(self.api, {"APIG4": "Recipients have no login: the link's own signature says what it opens."})
        self._rotate(deployer)

        self.url = f"https://{host_of(self.api)}"
        self.environment = {
            "LINK_URL": self.url,
            "LINK_KEY_SECRET_ARN": self.secret.secret_arn,
            "LINK_DAYS": f"{valid:g}",
        }

    def grant_sign(self, grantee: iam.IGrantable) -> iam.Grant:
        """Let ``grantee`` read the key, and so make links to any report."""
        return self.secret.grant_read(grantee)

    def grant_revoke(self, grantee: iam.IGrantable) -> iam.Grant:
        """Let ``grantee`` revoke the links to a report, and allow them again, by the object's tag."""
        return self._bucket.grant_tag(grantee)

    def metric_refusals(self) -> cloudwatch.Metric:
        """Clicks on links that were wrong, expired or revoked, or whose file is gone (4xx)."""
        return self.api.metric_client_error(statistic="Sum")

    def metric_failures(self) -> cloudwatch.Metric:
        """Clicks that S3, Secrets Manager or the function itself failed (5xx)."""
        return self.api.metric_server_error(statistic="Sum")

    def _rotate(self, deployer: SnowflakeDeployer | None) -> None:
        if deployer is None:
            acknowledge(self.secret, {"SMG4": "No deployer was given whose function could rotate it: done by hand."})
            return
        SnowflakeRotation(self, "Rotation", deployer=deployer, secret=self.secret, kind="token", every=_ROTATED_EVERY)
