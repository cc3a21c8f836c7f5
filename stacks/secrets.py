"""The stack of the logins."""

from __future__ import annotations

import aws_cdk as cdk
from aws_cdk import aws_secretsmanager as secretsmanager
from constructs import Construct

from snowgate import ServiceToken, SnowflakeDeployer, SnowflakeLogin, WorkloadIdentity
from stacks.environment import Environment
from stacks.removal import removal_policy


class SecretsStack(cdk.Stack):
    """The deployer, the containers' Snowflake logins that it makes, and the web role's token."""

    def __init__(self, scope: Construct, construct_id: str, *, environment: Environment) -> None:
        super().__init__(scope, construct_id)
        self._environment = environment
        names = environment.snowflake
        self._recheck = cdk.CfnParameter(
            self, "Recheck", default="none", description="A new value has the logins in Snowflake looked at again"
        )

        self.deployer = SnowflakeDeployer(
            self,
            "Deployer",
            login=self._deployer_login(),
            role_name=self.role_name(environment.deployer_role_name),
            python=environment.lambdas.python_version,
            architecture=environment.built_for,
            removal_policy=removal_policy(environment),
        )
        self.worker_login = self._login("RunnerLogin", names.runner_user, environment.worker_role_name)
        self.web_login: SnowflakeLogin | None = None
        self.api_token: ServiceToken | None = None
        if environment.web:
            self.web_login = self._login("WebLogin", names.web_user, environment.web_role_name)
            self.api_token = ServiceToken(
                self,
                "ApiToken",
                deployer=self.deployer,
                snowflake_secret=self._snowflake_secret(),
                removal_policy=removal_policy(environment),
            )

            cdk.CfnOutput(self, "ApiTokenSecretArn", value=self.api_token.secret.secret_arn)
            cdk.CfnOutput(self, "WebLoginDrift", value=self.web_login.drift)

        # What somebody had changed by hand and this deploy repaired, or left alone.
        cdk.CfnOutput(self, "RunnerLoginDrift", value=self.worker_login.drift)
        if self.worker_login.secret:
            cdk.CfnOutput(self, "RunnerLoginSecretArn", value=self.worker_login.secret.secret_arn)

    def role_name(self, name: str) -> str | None:
        """The name for a role that logs in to Snowflake, None where a key pair does: then nothing must know it."""
        return name if self._environment.snowflake.login == "workload_identity" else None

    def _deployer_login(self) -> WorkloadIdentity | secretsmanager.ISecret:
        names = self._environment.snowflake
        if names.login == "key_pair":
            assert names.login_secret, "checked with the file"
            return secretsmanager.Secret.from_secret_name_v2(self, "DeployerLogin", names.login_secret)
        assert names.account, "checked with the file"
        # The user that deploys has its role's name.
        return WorkloadIdentity(account=names.account, user=names.deployer_role, role=names.deployer_role)

    def _snowflake_secret(self) -> str | None:
        """The SECRET that 080_service_door.sql makes, where Snowflake can reach the web role at all."""
        names, web = self._environment.snowflake, self._environment.web
        open_door = web is not None and web.has_tls_host
        return f"{names.database}.{names.config_schema}.SERVICE_API_TOKEN" if open_door else None

    def _login(self, construct_id: str, user: str, role_name: str) -> SnowflakeLogin:
        environment, names = self._environment, self._environment.snowflake
        name = self.role_name(role_name)
        return SnowflakeLogin(
            self,
            construct_id,
            deployer=self.deployer,
            user=user,
            role=names.runner_role,
            database=names.database,
            schema=names.config_schema,
            warehouse=names.warehouse,
            identity=environment.role_arn(name) if name else None,
            account=names.account,
            recheck=self._recheck.value_as_string,
            removal_policy=removal_policy(environment),
        )
