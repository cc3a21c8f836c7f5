"""A Snowflake user for a service, and the secret that holds its login."""

from __future__ import annotations

import aws_cdk as cdk
from aws_cdk import aws_iam as iam
from aws_cdk import aws_secretsmanager as secretsmanager
from constructs import Construct

from snowgate.acknowledgements import acknowledge
from snowgate.snowflake_deployer import SnowflakeDeployer


class SnowflakeLogin(Construct):
    """A user of type SERVICE with a key pair that is made during the deploy and leaves it only into a JSON secret.

    The secret has account, user, private_key, database, schema, warehouse and role (and host, port and protocol where
    the deployer's login has them). User and role exist before anything that ``grant_read`` let read the secret.
    """

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        deployer: SnowflakeDeployer,
        user: str,
        role: str,
        database: str,
        schema: str,
        warehouse: str,
        removal_policy: cdk.RemovalPolicy = cdk.RemovalPolicy.RETAIN_ON_UPDATE_OR_DELETE,
    ) -> None:
        super().__init__(scope, construct_id)

        # The value is a constant that says "no key yet": CloudFormation writes it once and never again.
        self.secret = secretsmanager.Secret(
            self,
            "Secret",
            description=f"Snowflake login of user {user}",
            secret_string_value=cdk.SecretValue.unsafe_plain_text("{}"),
            removal_policy=removal_policy,
        )
        # Here and not on the secret: the deployer may be of another stack, which must not refer back to this one.
        access = iam.Policy(
            self,
            "DeployerAccess",
            roles=[deployer.role],
            statements=[
                iam.PolicyStatement(
                    actions=["secretsmanager:GetSecretValue", "secretsmanager:PutSecretValue"],
                    resources=[self.secret.secret_arn],
                )
            ],
        )
        self.user = cdk.CustomResource(
            self,
            "User",
            resource_type="Custom::SnowflakeLogin",
            service_token=deployer.function.function_arn,
            service_timeout=SnowflakeDeployer.SERVICE_TIMEOUT,
            properties={
                "SecretArn": self.secret.secret_arn,
                "User": user,
                "Role": role,
                "Database": database,
                "Schema": schema,
                "Warehouse": warehouse,
            },
        )

        self.user.node.add_dependency(access)
        acknowledge(
            self.secret,
            {"SMG4": "Secrets Manager cannot rotate this key by itself: Snowflake has to know the new one first."},
        )

    def grant_read(self, grantee: iam.IGrantable) -> iam.Grant:
        """Let ``grantee`` read the secret, and make what it is granted to wait for the user."""
        grant = self.secret.grant_read(grantee)
        if isinstance(grantee, Construct):
            grantee.node.add_dependency(self.user)
        return grant
