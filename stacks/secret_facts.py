"""What a comparison must know of secrets: versions and public keys, never the secrets themselves."""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import cached_property
from typing import Any

from snowgate.lambdas.snowflake_deployer import pem
from snowgate.lambdas.snowflake_deployer.deployer_login import passphrase_of
from stacks.deployed_outputs import OutputsError, aws_session
from stacks.environment import Environment


class SecretFacts:
    """Asks Secrets Manager with the AWS credentials at hand."""

    def __init__(self, environment: Environment) -> None:
        self._environment = environment

    def versions(self, arns: Mapping[str, str]) -> dict[str, str]:
        """The current version of each secret, by the name that the SQL files give it.

        Raises:
            OutputsError: a secret cannot be described.
        """
        return {name: self._version(arn) for name, arn in arns.items()}

    def public_key(self, arn: str) -> str | None:
        """The public key of a login secret's key pair; None if it holds none.

        Raises:
            OutputsError: the secret cannot be read.
        """
        held = json.loads(self._ask("get_secret_value", arn)["SecretString"])
        if "private_key" not in held:
            return None
        return pem.public_key(held["private_key"], passphrase_of(held), arn)

    def _version(self, arn: str) -> str:
        stages: dict[str, list[str]] = self._ask("describe_secret", arn)["VersionIdsToStages"]
        return next(version for version, names in stages.items() if "AWSCURRENT" in names)

    def _ask(self, action: str, arn: str) -> dict[str, Any]:
        from botocore.exceptions import BotoCoreError, ClientError

        try:
            answer: dict[str, Any] = getattr(self._client, action)(SecretId=arn)
        except (BotoCoreError, ClientError) as error:
            raise OutputsError(f"Secret {arn}: {error}") from error
        return answer

    @cached_property
    def _client(self) -> Any:
        return aws_session(self._environment).client("secretsmanager")
