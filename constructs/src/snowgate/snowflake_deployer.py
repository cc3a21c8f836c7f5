"""The Lambda function behind the custom resources that deploy to Snowflake."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import aws_cdk as cdk
from aws_cdk import aws_cloudwatch as cloudwatch
from aws_cdk import aws_iam as iam
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_logs as logs
from aws_cdk import aws_secretsmanager as secretsmanager
from constructs import Construct

from snowgate.architecture import Architecture
from snowgate.asked_once import minutes
from snowgate.lambda_bundle import CACHE, LambdaBundle
from snowgate.lambda_function import LambdaFunction

_PACKAGE = Path(__file__).parent / "lambdas" / "snowflake_deployer"


@dataclass(frozen=True)
class WorkloadIdentity:
    """A Snowflake user that an IAM role logs in as, without any secret.

    ``account`` is the identifier ORGANIZATION-ACCOUNT. The user has ``TYPE = SERVICE`` and ``WORKLOAD_IDENTITY = (TYPE
    = AWS ARN = '<the role>')`` ("Workload identity federation" in the Snowflake documentation).
    """

    account: str
    user: str
    role: str

    @property
    def environment(self) -> dict[str, str]:
        """What a function or container reads to log in."""
        return {"SNOWFLAKE_ACCOUNT": self.account, "SNOWFLAKE_USER": self.user, "SNOWFLAKE_ROLE": self.role}


class SnowflakeDeployer(Construct):
    """The function that SnowflakeLogin, SnowflakeApiIntegration and SnowflakeScripts call during a deploy.

    ``login`` is a workload identity, and then ``role_name`` is the IAM role that the user names; or the JSON secret of
    a key pair: account, user, private_key and role, and optionally private_key_passphrase, host, port and protocol.
    Either exists before the deploy: `make snowflake-bootstrap` makes it.

    ``python`` is the version of the runtime and of the wheels. The zip with the wheels is made once for each version,
    architecture and lock file, and kept in ``bundle_cache``; synth needs the network only for that first time, and not
    at all where the CDK wants no bundling (context ``aws:cdk:bundling-stacks``).

    Raises:
        ValueError: a workload identity without a role name.
    """

    # A statement may take minutes; CloudFormation waits a little longer than the function can run.
    TIMEOUT = minutes(10)
    SERVICE_TIMEOUT = minutes(11)
    ROTATION_TIMEOUT = minutes(2)

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        login: WorkloadIdentity | secretsmanager.ISecret,
        role_name: str | None = None,
        python: str = "3.13",
        architecture: Architecture = Architecture.ARM64,
        bundle_cache: Path = CACHE,
        log_retention: logs.RetentionDays = logs.RetentionDays.ONE_MONTH,
        removal_policy: cdk.RemovalPolicy = cdk.RemovalPolicy.DESTROY,
    ) -> None:
        super().__init__(scope, construct_id)
        if isinstance(login, WorkloadIdentity) and role_name is None:
            raise ValueError(
                f"{self.node.path}: user {login.user} must name the IAM role before there is one. Give role_name, as "
                'in "snowgate-prod-deployer", and make the user with WORKLOAD_IDENTITY = (TYPE = AWS ARN = …) of it.'
            )
        self.login = login
        self._bundle = LambdaBundle(_PACKAGE, python, architecture)
        self._cache, self._log_retention, self._removal_policy = bundle_cache, log_retention, removal_policy

        deployer = self._function(
            "Lambda",
            "handler",
            timeout=self.TIMEOUT,
            role_name=role_name,
            description="Deploys logins, integrations and scripts to Snowflake for CloudFormation",
        )
        # A request that Lambda could not start, or that was killed, is tried again for hours by default: it would bring
        # the failed version back after CloudFormation has rolled it back.
        deployer.function.configure_async_invoke(max_event_age=self.TIMEOUT)
        if not isinstance(login, WorkloadIdentity):
            login.grant_read(deployer.role)

        self.function, self.role = deployer.function, deployer.role

    @property
    def account(self) -> str | None:
        """The Snowflake account, where it is known before the deploy."""
        return self.login.account if isinstance(self.login, WorkloadIdentity) else None

    @cached_property
    def rotation(self) -> lambda_.Function:
        """The function that rotates keys and tokens, made when it is first asked for.

        It has the deployer's role: the user in Snowflake that may change the others is that role.
        """
        rotation = self._function(
            "Rotation",
            "rotation",
            timeout=self.ROTATION_TIMEOUT,
            role=self.role,
            description="Rotates Snowflake keys and tokens for Secrets Manager",
        )
        return rotation.function

    def metric_errors(self) -> cloudwatch.Metric:
        """Calls in which the function itself failed; a statement that Snowflake refuses fails the deploy instead."""
        return self.function.metric_errors()

    def metric_duration(self) -> cloudwatch.Metric:
        """Milliseconds of a call: the longest, because a call that comes near ``TIMEOUT`` is the one that matters."""
        return self.function.metric_duration(statistic="Maximum")

    def metric_rotation_errors(self) -> cloudwatch.Metric:
        """Steps of rotations that failed: the key or token before stays in use, and grows old."""
        return self.rotation.metric_errors()

    def _function(
        self,
        construct_id: str,
        module: str,
        *,
        timeout: cdk.Duration,
        description: str,
        role: iam.IRole | None = None,
        role_name: str | None = None,
    ) -> LambdaFunction:
        login = self.login
        return LambdaFunction(
            self,
            construct_id,
            code=self._code(),
            handler=f"snowflake_deployer.{module}.handler",
            python=self._bundle.python,
            architecture=self._bundle.architecture,
            timeout=timeout,
            memory_mib=512,
            environment=(
                login.environment if isinstance(login, WorkloadIdentity) else {"SNOWFLAKE_SECRET_ARN": login.secret_arn}
            ),
            role=role,
            role_name=role_name,
            description=description,
            log_retention=self._log_retention,
            removal_policy=self._removal_policy,
        )

    def _code(self) -> lambda_.Code:
        """The digest stands for the zip, so that no machine's way of compressing makes an update."""
        wanted = cdk.Stack.of(self).bundling_required
        return lambda_.Code.from_asset(
            str(self._bundle.zip_file(self._cache) if wanted else self._bundle.package),
            asset_hash=self._bundle.digest,
            asset_hash_type=cdk.AssetHashType.CUSTOM,
        )
