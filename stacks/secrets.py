"""The stack of the logins."""

from __future__ import annotations

import aws_cdk as cdk
from aws_cdk import aws_secretsmanager as secretsmanager
from constructs import Construct

from snowgate import SnowflakeDeployer, SnowflakeLogin
from snowgate.acknowledgements import acknowledge
from stacks.environment import Environment
from stacks.removal import removal_policy


class SecretsStack(cdk.Stack):
    """The deployer, the containers' Snowflake login that it makes, and the web role's token."""

    def __init__(self, scope: Construct, construct_id: str, *, environment: Environment) -> None:
        super().__init__(scope, construct_id)
        names, removal = environment.snowflake, removal_policy(environment)

        self.deployer = SnowflakeDeployer(
            self,
            "Deployer",
            login=secretsmanager.Secret.from_secret_name_v2(self, "DeployerLogin", names.login_secret),
            python=environment.lambdas.python_version,
            architecture=environment.built_for,
            removal_policy=removal,
        )
        self.runner_login = SnowflakeLogin(
            self,
            "RunnerLogin",
            deployer=self.deployer,
            user=names.runner_user,
            role=names.runner_role,
            database=names.database,
            schema=names.config_schema,
            warehouse=names.warehouse,
            removal_policy=removal,
        )
        self.api_token = secretsmanager.Secret(
            self,
            "ApiToken",
            description="The token that callers of the report service's HTTP API send",
            generate_secret_string=secretsmanager.SecretStringGenerator(password_length=48, exclude_punctuation=True),
            removal_policy=removal,
        )
        acknowledge(self.api_token, {"SMG4": "Its callers need the new one at the same time: it is rotated with them."})

        cdk.CfnOutput(self, "RunnerLoginSecretArn", value=self.runner_login.secret.secret_arn)
        cdk.CfnOutput(self, "ApiTokenSecretArn", value=self.api_token.secret_arn)
