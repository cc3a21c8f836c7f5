"""A secret whose values somebody puts in by hand."""

from __future__ import annotations

from collections.abc import Sequence

import aws_cdk as cdk
from aws_cdk import aws_ecs as ecs
from aws_cdk import aws_secretsmanager as secretsmanager
from constructs import Construct

from snowgate.acknowledgements import acknowledge

FILL_IN = "fill-in"


class ManualSecret(Construct):
    """A JSON secret with these ``keys``, for logins of systems that no deploy can make, or an existing one.

    The template has ``fill-in`` for each value. Whoever knows them puts them in once
    (``aws secretsmanager put-secret-value``); a later deploy leaves them, for CloudFormation writes a value only when
    the template's changes. ``existing`` is used as it is, and must have the keys.

    Raises:
        ValueError: no keys.
    """

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        keys: Sequence[str],
        description: str,
        secret_name: str | None = None,
        existing: secretsmanager.ISecret | None = None,
        removal_policy: cdk.RemovalPolicy = cdk.RemovalPolicy.RETAIN,
    ) -> None:
        super().__init__(scope, construct_id)
        if not keys:
            raise ValueError(f"{self.node.path} needs the keys of its JSON object, as in keys=['user', 'password'].")

        self._keys = tuple(keys)
        self.secret = existing or self._secret(description, secret_name, removal_policy)

    def of(self, key: str) -> ecs.Secret:
        """The value of one key, for a container's variable.

        Raises:
            ValueError: the secret has no such key.
        """
        if key not in self._keys:
            raise ValueError(f"{self.node.path} has no key {key!r}; it has {', '.join(self._keys)}.")
        return ecs.Secret.from_secrets_manager(self.secret, key)

    def _secret(self, description: str, name: str | None, removal_policy: cdk.RemovalPolicy) -> secretsmanager.Secret:
        to_fill_in = cdk.SecretValue.unsafe_plain_text(FILL_IN)
        secret = secretsmanager.Secret(
            self,
            "Secret",
            secret_name=name,
            description=description,
            secret_object_value=dict.fromkeys(self._keys, to_fill_in),
            removal_policy=removal_policy,
        )
        acknowledge(secret, {"SMG4": "Its values are another system's, which alone can change them."})
        return secret
