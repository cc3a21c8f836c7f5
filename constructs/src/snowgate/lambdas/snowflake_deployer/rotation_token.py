"""The token of an HTTP API that Snowflake calls: its rotation changes the SECRET in Snowflake too."""

from __future__ import annotations

import secrets as random
import string

from .connection import connect, identifier, literal
from .deadline import Deadline
from .redaction import Secrets
from .rotation_versions import Versions

LETTERS = string.ascii_letters + string.digits
LENGTH = 48
SHORTEST = 16


class Token:
    """The four steps for a secret that is a token.

    The API takes the pending token as soon as it is there, and the previous one for a while after; so Snowflake may
    send the new one before it is current, and no caller meets a gap.
    """

    def __init__(self, versions: Versions, secrets: Secrets, deadline: Deadline, snowflake_secret: str | None) -> None:
        self._versions, self._secrets, self._deadline = versions, secrets, deadline
        self._name = _qualified(snowflake_secret) if snowflake_secret else None

    def create(self) -> None:
        """Make a new token of 48 letters and digits."""
        if self._versions.pending() is None:
            self._versions.put("".join(random.choice(LETTERS) for _ in range(LENGTH)))

    def set(self) -> None:
        """Let Snowflake's functions send the new token, if the SECRET is there."""
        self._alter(self._needed())

    def test(self) -> None:
        """See that the token is one; the API itself lies in a network that this function cannot reach."""
        token = self._versions.pending() or self._versions.current()
        if len(token) < SHORTEST or not token.isascii() or not token.isprintable():
            raise ValueError(f"The token must be {SHORTEST} or more printable ASCII characters.")

    def finish(self) -> None:
        """Make the new token current and tell Snowflake again: a deploy may have put the old one back meanwhile."""
        self._versions.promote()
        self._alter(self._needed())

    def _alter(self, token: str) -> None:
        if self._name is None:
            return
        with connect(self._secrets, self._deadline) as session:
            statement = f"ALTER SECRET IF EXISTS {self._name} SET SECRET_STRING = {literal(token)}"
            session.run_unless_gone(statement, f"new token in {self._name}")

    def _needed(self) -> str:
        pending = self._versions.pending()
        if pending is None:
            raise ValueError(f"Version {self._versions.token} has no value yet: createSecret comes first.")
        return pending


def _qualified(name: str) -> str:
    parts = [identifier(part, "Part of the SECRET's name") for part in name.split(".")]
    if len(parts) != 3:
        raise ValueError(f"The SECRET's name is {name!r}; it must be database.schema.name.")
    return ".".join(parts)
