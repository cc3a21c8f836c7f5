"""Rotation of a secret that Snowflake has to know the new value of."""

from __future__ import annotations

from collections.abc import Mapping

import aws_cdk as cdk
from aws_cdk import aws_iam as iam
from aws_cdk import aws_secretsmanager as secretsmanager
from constructs import Construct

from snowgate.rotation_schedule import check_period, may_exchange, rotation_schedule
from snowgate.snowflake_deployer import SnowflakeDeployer


class SnowflakeRotation(Construct):
    """Has Secrets Manager rotate ``secret`` by the deployer's rotation function, every ``every`` days.

    ``kind`` is what the secret holds: ``key-pair`` (a login) or ``token``; with a token ``snowflake_secret`` may be the
    SECRET in Snowflake (database.schema.name) that follows. The first rotation is a period after the deploy.

    Raises:
        ValueError: the period is no whole number of days from 1 to 1000.
    """

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        deployer: SnowflakeDeployer,
        secret: secretsmanager.ISecret,
        kind: str,
        every: cdk.Duration,
        snowflake_secret: str | None = None,
    ) -> None:
        super().__init__(scope, construct_id)
        check_period(self, every)

        _tag(secret, {"snowgate:rotates": kind, "snowgate:snowflake-secret": snowflake_secret})
        access = iam.Policy(self, "Access", roles=[deployer.role], statements=[may_exchange(secret)])
        self.schedule = rotation_schedule(self, secret=secret, function=deployer.rotation, every=every, after=access)


def _tag(secret: secretsmanager.ISecret, tags: Mapping[str, str | None]) -> None:
    for name, value in tags.items():
        if value:
            cdk.Tags.of(secret).add(name, value)
