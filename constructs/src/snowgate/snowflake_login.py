"""A Snowflake user for a service, and how the service logs in as it."""

from __future__ import annotations

import aws_cdk as cdk
from aws_cdk import aws_iam as iam
from aws_cdk import aws_secretsmanager as secretsmanager
from constructs import Construct

from snowgate.asked_once import days
from snowgate.snowflake_deployer import SnowflakeDeployer, WorkloadIdentity
from snowgate.snowflake_rotation import SnowflakeRotation


class SnowflakeLogin(Construct):
    """A user of type SERVICE that an IAM role logs in as, or that has a key pair; ``role`` in Snowflake exists already.

    With ``identity``, the ARN of an IAM role, there is no secret: the role itself is the login. One user is one role.
    ``account`` is needed then, and by default the deployer's.

    Without it a key pair is made during the deploy and leaves it only into the JSON ``secret``: account, user,
    private_key, database, schema, warehouse and role (and host, port and protocol where the deployer's secret has
    them). Secrets Manager rotates it every ``rotate_every``, 30 days by default: Snowflake holds two keys of a user, so
    the one before works until the next rotation.

    ``environment`` is what the service's containers read, and whoever ``grant_login`` let log in waits for the user.
    A new ``recheck`` makes the deploy look at the user and its secret although nothing changed; ``drift`` says what it
    found changed by somebody else.

    Raises:
        ValueError: an identity without an account.
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
        identity: str | None = None,
        account: str | None = None,
        rotate_every: cdk.Duration | None = None,
        recheck: str | None = None,
        removal_policy: cdk.RemovalPolicy = cdk.RemovalPolicy.RETAIN_ON_UPDATE_OR_DELETE,
    ) -> None:
        super().__init__(scope, construct_id)
        account = account or deployer.account
        if identity and not account:
            raise ValueError(
                f"{self.node.path}: user {user} logs in as an IAM role, and the deployer's secret does not tell synth "
                'which account it is of. Give account, as in "MYORG-ACCOUNT".'
            )
        self.secret = None if identity else self._secret(user, removal_policy)
        way = {"IdentityArn": identity} if identity else {"SecretArn": self.secret.secret_arn if self.secret else ""}
        self.user = cdk.CustomResource(
            self,
            "User",
            resource_type="Custom::SnowflakeLogin",
            service_token=deployer.function.function_arn,
            service_timeout=SnowflakeDeployer.SERVICE_TIMEOUT,
            properties={
                **way,
                "User": user,
                "Role": role,
                "Database": database,
                "Schema": schema,
                "Warehouse": warehouse,
                **({"Recheck": recheck} if recheck else {}),
            },
        )
        self.drift = self.user.get_att_string("Drift")
        if self.secret:
            self._let_write(deployer, self.secret)
            rotation = SnowflakeRotation(
                self,
                "Rotation",
                deployer=deployer,
                secret=self.secret,
                kind="key-pair",
                every=rotate_every or days(30),
            )
            rotation.schedule.node.add_dependency(self.user)

        self.environment: dict[str, str] = (
            {"SNOWFLAKE_SECRET_ARN": self.secret.secret_arn}
            if self.secret
            else WorkloadIdentity(account=account or "", user=user, role=role).environment
        )

    def grant_login(self, grantee: iam.IGrantable) -> None:
        """Let ``grantee`` read the secret, if there is one, and make what it is granted to wait for the user."""
        if self.secret:
            self.secret.grant_read(grantee)
        if isinstance(grantee, Construct):
            grantee.node.add_dependency(self.user)

    def _secret(self, user: str, removal_policy: cdk.RemovalPolicy) -> secretsmanager.Secret:
        """The value is a constant that says "no key yet": CloudFormation writes it once and never again."""
        return secretsmanager.Secret(
            self,
            "Secret",
            description=f"Snowflake login of user {user}",
            secret_string_value=cdk.SecretValue.unsafe_plain_text("{}"),
            removal_policy=removal_policy,
        )

    def _let_write(self, deployer: SnowflakeDeployer, secret: secretsmanager.ISecret) -> None:
        """Here and not on the secret: the deployer may be of another stack, which must not refer back to this one."""
        access = iam.Policy(
            self,
            "DeployerAccess",
            roles=[deployer.role],
            statements=[
                iam.PolicyStatement(
                    actions=["secretsmanager:GetSecretValue", "secretsmanager:PutSecretValue"],
                    resources=[secret.secret_arn],
                )
            ],
        )
        self.user.node.add_dependency(access)
