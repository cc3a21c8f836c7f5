"""The Lambda function behind the custom resources that deploy to Snowflake."""

from __future__ import annotations

from pathlib import Path

import aws_cdk as cdk
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_logs as logs
from aws_cdk import aws_secretsmanager as secretsmanager
from constructs import Construct

from snowgate.architecture import Architecture
from snowgate.lambda_bundle import CACHE, LambdaBundle
from snowgate.lambda_function import LambdaFunction

_PACKAGE = Path(__file__).parent / "lambdas" / "snowflake_deployer"


class SnowflakeDeployer(Construct):
    """The function that SnowflakeLogin, SnowflakeApiIntegration and SnowflakeScripts call during a deploy.

    ``login`` is the JSON secret with which it logs in: account, user, private_key and role, and optionally
    private_key_passphrase, host, port and protocol. It exists before the deploy.

    ``python`` is the version of the runtime and of the wheels. The zip with the wheels is made once for each version,
    architecture and lock file, and kept in ``bundle_cache``; synth needs the network only for that first time, and not
    at all where the CDK wants no bundling (context ``aws:cdk:bundling-stacks``).
    """

    # A statement may take minutes; CloudFormation waits a little longer than the function can run.
    TIMEOUT = cdk.Duration.minutes(10)
    SERVICE_TIMEOUT = cdk.Duration.minutes(11)

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        login: secretsmanager.ISecret,
        python: str = "3.13",
        architecture: Architecture = Architecture.ARM64,
        bundle_cache: Path = CACHE,
        log_retention: logs.RetentionDays = logs.RetentionDays.ONE_MONTH,
        removal_policy: cdk.RemovalPolicy = cdk.RemovalPolicy.DESTROY,
    ) -> None:
        super().__init__(scope, construct_id)
        bundle = LambdaBundle(_PACKAGE, python, architecture)

        deployer = LambdaFunction(
            self,
            "Lambda",
            code=self._code(bundle, bundle_cache),
            handler="snowflake_deployer.handler.handler",
            python=python,
            architecture=architecture,
            timeout=self.TIMEOUT,
            memory_mib=512,
            environment={"LOGIN_SECRET_ARN": login.secret_arn},
            description="Deploys logins, integrations and scripts to Snowflake for CloudFormation",
            log_retention=log_retention,
            removal_policy=removal_policy,
        )
        login.grant_read(deployer.role)

        self.function, self.role = deployer.function, deployer.role

    def _code(self, bundle: LambdaBundle, cache: Path) -> lambda_.Code:
        """The digest stands for the zip, so that no machine's way of compressing makes an update."""
        wanted = cdk.Stack.of(self).bundling_required
        return lambda_.Code.from_asset(
            str(bundle.zip_file(cache) if wanted else bundle.package),
            asset_hash=bundle.digest,
            asset_hash_type=cdk.AssetHashType.CUSTOM,
        )
