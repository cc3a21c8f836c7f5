"""The stack of the Snowflake side."""

from __future__ import annotations

from pathlib import Path

import aws_cdk as cdk
from aws_cdk import aws_secretsmanager as secretsmanager
from constructs import Construct

from snowgate import SnowflakeApiIntegration, SnowflakeDeployer, SnowflakeScripts, WakeApi
from stacks.environment import Environment
from stacks.snowflake_names import sql_names

_SQL = Path(__file__).parents[1] / "snowflake_sql"


class SnowflakeStack(cdk.Stack):
    """The API integration, the role it assumes, and everything that snowflake_sql/ makes."""

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        environment: Environment,
        deployer: SnowflakeDeployer,
        api: WakeApi,
        web_host: str | None = None,
        api_token: secretsmanager.ISecret | None = None,
    ) -> None:
        super().__init__(scope, construct_id)
        names = environment.snowflake
        config = f"{names.database}.{names.config_schema}"
        # `make deploy` gives a new value each time; `cdk diff` sees the default and stays empty.
        recheck = cdk.CfnParameter(
            self, "Recheck", default="none", description="A new value has the Snowflake side looked at again"
        ).value_as_string

        integration = SnowflakeApiIntegration(
            self,
            "ApiIntegration",
            deployer=deployer,
            name=names.api_integration,
            role_name=environment.invoker_role_name,
            allowed_prefixes=[api.trigger_url],
            private=names.connectivity == "private",
            recheck=recheck,
        )
        scripts = SnowflakeScripts(
            self,
            "Scripts",
            deployer=deployer,
            directory=_SQL,
            names=sql_names(environment, trigger_url=api.trigger_url, web_host=web_host),
            database=names.database,
            schema=names.config_schema,
            warehouse=names.warehouse,
            role=names.deployer_role,
            secrets={"api_token": api_token} if web_host and api_token else None,
            recheck=recheck,
            # First through the whole chain with nothing to do; then, if rows are pending, the wake-up itself.
            smoke=f"SELECT {config}.TRIGGER_ECS_SERVICE(0, 0); CALL {config}.SEND_ECS_TRIGGER()",
        )

        api.grant_invoke(integration.role)
        scripts.node.add_dependency(integration)

        cdk.CfnOutput(self, "IamUserArn", value=integration.iam_user_arn)
        cdk.CfnOutput(self, "ExternalId", value=integration.external_id)
        cdk.CfnOutput(self, "Statements", value=scripts.statements)
        cdk.CfnOutput(self, "SkippedFiles", value=scripts.skipped)
        # What somebody had changed by hand and this deploy repaired.
        cdk.CfnOutput(self, "Drift", value=scripts.drift)
        cdk.CfnOutput(self, "IntegrationDrift", value=integration.drift)
        cdk.CfnOutput(self, "DeploymentId", value=scripts.deployment_id)
