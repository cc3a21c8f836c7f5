"""A Snowflake user as DESC USER and SHOW USER WORKLOAD IDENTITY AUTHENTICATION METHODS show it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass

from .connection import GONE, Session, StatementFailed

SLOTS = ("RSA_PUBLIC_KEY", "RSA_PUBLIC_KEY_2")


@dataclass(frozen=True)
class User:
    """What a user has; ``identity`` is the ARN of its workload identity, without a path."""

    properties: Mapping[str, str]
    identity: str | None

    def value(self, name: str) -> str:
        """A property as DESC USER shows it, empty if it is not set."""
        return self.properties.get(name, "")

    @property
    def comment(self) -> str:
        """The comment, empty without one."""
        return self.value("COMMENT")

    @property
    def has_identity(self) -> bool:
        """Whether it has a workload identity."""
        return self.value("HAS_WORKLOAD_IDENTITY").lower() == "true" or self.identity is not None

    @property
    def fingerprints(self) -> dict[str, str]:
        """The fingerprint of each registered key, and its slot."""
        return {found: slot for slot in SLOTS if (found := self.value(f"{slot}_FP"))}

    @property
    def slots_in_use(self) -> list[str]:
        """The slots that hold a key."""
        return list(self.fingerprints.values())

    @property
    def free_slot(self) -> str:
        """A slot without a key, else the first."""
        return next((slot for slot in SLOTS if not self.value(f"{slot}_FP")), SLOTS[0])


def without_path(arn: str) -> str:
    """An ARN of IAM as far as Snowflake tells it: a role's name is unique in its account, whatever its path."""
    kind, _, name = arn.partition("/")
    return f"{kind}/{name.rpartition('/')[2]}"


def describe_user(session: Session, name: str) -> User | None:
    """The user, or None if there is none that the session's role may see."""
    try:
        rows = session.run(f"DESC USER {name}", f"describe user {name}", changes=False)
    except StatementFailed as error:
        if error.errno in GONE:
            return None
        raise
    # Snowflake writes "null" for a property that is not set.
    told = {str(row["property"]): str(row["value"]) for row in rows if row["value"] not in (None, "null")}
    identity = _identity(session, name) if told.get("HAS_WORKLOAD_IDENTITY", "true").lower() == "true" else None
    return User(told, identity)


def _identity(session: Session, name: str) -> str | None:
    statement = f"SHOW USER WORKLOAD IDENTITY AUTHENTICATION METHODS FOR USER {name}"
    rows = session.run(statement, f"workload identity of {name}", changes=False)
    for row in rows:
        info = json.loads(row["additional_info"])
        if row["type"] == "AWS":
            kind = str(info["type"]).removeprefix("IAM_").lower()
            return f"arn:{info['awsPartition']}:iam::{info['awsAccount']}:{kind}/{info['iamRole']}"
    return None
