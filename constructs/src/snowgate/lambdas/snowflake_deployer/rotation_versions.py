"""The versions of a secret that is rotated."""

from __future__ import annotations

from typing import Any

from .redaction import Secrets


class Versions:
    """The current version and the pending one with id ``token``.

    Raises:
        ValueError: Secrets Manager has not made the version pending: this is no rotation.
    """

    def __init__(self, store: Any, arn: str, token: str, secrets: Secrets) -> None:
        self._store, self._secrets = store, secrets
        self.arn, self.token = arn, token
        described = store.describe_secret(SecretId=arn)
        self.tags = {tag["Key"]: tag["Value"] for tag in described.get("Tags", [])}
        self._stages: dict[str, list[str]] = described.get("VersionIdsToStages", {})
        stages = self._stages.get(token, [])
        if "AWSPENDING" not in stages and "AWSCURRENT" not in stages:
            raise ValueError(f"Version {token} is neither pending nor current, but {stages or 'not there'}.")

    @property
    def is_current(self) -> bool:
        """Whether the rotation has already ended with this version."""
        return "AWSCURRENT" in self._stages.get(self.token, [])

    def current(self) -> str:
        """The text of the current version."""
        return self._text(VersionStage="AWSCURRENT")

    def pending(self) -> str | None:
        """The text of the pending version, None as long as it has none."""
        try:
            return self._text(VersionId=self.token)
        except self._store.exceptions.ResourceNotFoundException:
            return None

    def put(self, text: str) -> None:
        """Give the pending version its text."""
        self._secrets.add(text)
        self._store.put_secret_value(
            SecretId=self.arn, ClientRequestToken=self.token, SecretString=text, VersionStages=["AWSPENDING"]
        )

    def promote(self) -> None:
        """Make the pending version current, unless it is."""
        if self.is_current:
            return
        current = next((name for name, stages in self._stages.items() if "AWSCURRENT" in stages), None)
        move = {"RemoveFromVersionId": current} if current else {}
        self._store.update_secret_version_stage(
            SecretId=self.arn, VersionStage="AWSCURRENT", MoveToVersionId=self.token, **move
        )

    def _text(self, **which: str) -> str:
        text = str(self._store.get_secret_value(SecretId=self.arn, **which)["SecretString"])
        self._secrets.add(text)
        return text
