"""The trust between Snowflake and the IAM role with which it calls an API."""

from __future__ import annotations

from collections.abc import Sequence

import aws_cdk as cdk
from aws_cdk import aws_iam as iam
from constructs import Construct

from snowgate.snowflake_deployer import SnowflakeDeployer
from snowgate.tokens import is_token


class SnowflakeApiIntegration(Construct):
    """An API integration ``name`` in Snowflake, and the role that trusts exactly its IAM user with its external id.

    The integration names the role before there is one, by a computed ARN; then it tells its IAM user and external id,
    and the role is made from these. What else must know the role early takes ``computed_role_arn`` too.

    ``allowed_prefixes`` are the https URLs that Snowflake may call through it. ``private`` says that they are those of
    private REST APIs, reached without the internet; it cannot be changed later without a new ``name``. A new
    ``recheck`` makes the deploy look whether somebody changed the integration; what it found and repaired is ``drift``.

    Raises:
        ValueError: no prefix is given, or one is not an https URL.
    """

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        deployer: SnowflakeDeployer,
        name: str,
        role_name: str,
        allowed_prefixes: Sequence[str],
        private: bool = False,
        recheck: str | None = None,
    ) -> None:
        super().__init__(scope, construct_id)
        if not allowed_prefixes:
            raise ValueError(f"Integration {name} needs at least one URL prefix in allowed_prefixes; given was none.")
        for prefix in allowed_prefixes:
            if not is_token(prefix) and not prefix.startswith("https://"):
                raise ValueError(f"Integration {name}: {prefix!r} in allowed_prefixes must begin with https://.")

        self.integration = cdk.CustomResource(
            self,
            "Integration",
            resource_type="Custom::SnowflakeApiIntegration",
            service_token=deployer.function.function_arn,
            service_timeout=SnowflakeDeployer.SERVICE_TIMEOUT,
            properties={
                # The physical id: two spellings of one name must not be two resources.
                "Name": name.upper(),
                "RoleArn": self.computed_role_arn(self, role_name),
                "AllowedPrefixes": list(allowed_prefixes),
                "Provider": "aws_private_api_gateway" if private else "aws_api_gateway",
                **({"Recheck": recheck} if recheck else {}),
            },
        )
        self.iam_user_arn = self.integration.get_att_string("IamUserArn")
        self.external_id = self.integration.get_att_string("ExternalId")
        self.drift = self.integration.get_att_string("Drift")
        self.role = iam.Role(
            self,
            "Role",
            role_name=role_name,
            description=f"Assumed by Snowflake through API integration {name}",
            assumed_by=iam.ArnPrincipal(self.iam_user_arn),
            external_ids=[self.external_id],
        )

    @staticmethod
    def computed_role_arn(scope: Construct, role_name: str) -> str:
        """The ARN that a role of this name has in the account of ``scope``, whether it exists or not."""
        return cdk.Stack.of(scope).format_arn(service="iam", region="", resource="role", resource_name=role_name)
