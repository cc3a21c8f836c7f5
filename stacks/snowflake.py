"""The stack of the Snowflake side."""

from __future__ import annotations

from pathlib import Path

import aws_cdk as cdk
from constructs import Construct

from snowgate import SnowflakeApiIntegration, SnowflakeDeployer, SnowflakeScripts, WakeApi
from stacks.environment import Environment

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
    ) -> None:
        super().__init__(scope, construct_id)
        names = environment.snowflake
        config = f"{names.database}.{names.config_schema}"

        integration = SnowflakeApiIntegration(
            self,
            "ApiIntegration",
            deployer=deployer,
            name=names.api_integration,
            role_name=environment.invoker_role_name,
            allowed_prefixes=[api.trigger_url],
        )
        scripts = SnowflakeScripts(
            self,
            "Scripts",
            deployer=deployer,
            directory=_SQL,
            names={**names.model_dump(exclude={"login_secret", "runner_user"}), "trigger_url": api.trigger_url},
            database=names.database,
            schema=names.config_schema,
            warehouse=names.warehouse,
            role=names.deployer_role,
            # First through the whole chain with nothing to do; then, if rows are pending, the wake-up itself.
            smoke=f"SELECT {config}.TRIGGER_ECS_SERVICE(0, 0); CALL {config}.SEND_ECS_TRIGGER()",
        )

        api.grant_invoke(integration.role)
        scripts.node.add_dependency(integration)

        cdk.CfnOutput(self, "IamUserArn", value=integration.iam_user_arn)
        cdk.CfnOutput(self, "ExternalId", value=integration.external_id)
        cdk.CfnOutput(self, "Statements", value=scripts.statements)
