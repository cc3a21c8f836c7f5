"""Who logs in to the database, where that is a secret which is exchanged."""

from __future__ import annotations

import json
import os
from functools import cached_property
from typing import Any

from weather_warehouse.settings import Settings


class Login:
    """What a new session logs in with, read when it is opened: RDS exchanges a managed password every week.

    Called, it gives arguments of psycopg's `connect`: user and password out of DATABASE_SECRET_ARN, none without it,
    for then the connection's own words have them. Raises what Secrets Manager's client raises. Source: "Password
    management with Amazon RDS and AWS Secrets Manager" in the Amazon RDS User Guide.
    """

    def __init__(self, settings: Settings) -> None:
        self._arn = settings.database_secret_arn

    def __call__(self) -> dict[str, Any]:
        """Return the arguments of `connect`."""
        if self._arn is None:
            return {}
        held = json.loads(self._client.get_secret_value(SecretId=self._arn)["SecretString"])
        return {"user": held["username"], "password": held["password"]}

    @cached_property
    def _client(self) -> Any:
        import boto3  # only now: a login without a secret needs none of it
        from botocore.config import Config

        retries = Config(retries={"mode": "standard", "max_attempts": 4}, connect_timeout=5, read_timeout=10)
        return boto3.client("secretsmanager", region_name=os.environ.get("AWS_REGION"), config=retries)
