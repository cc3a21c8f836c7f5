"""The tokens that callers may send: a rotated secret's new one and old one, so that no caller meets a gap."""

from __future__ import annotations

import asyncio
import datetime
import hashlib
import hmac
import time
from collections.abc import Callable
from typing import Any, Protocol

from anyio import CapacityLimiter, to_thread
from botocore.exceptions import BotoCoreError, ClientError

from report_service import log

OLD_TOKEN = datetime.timedelta(hours=24)  # after a rotation, callers have this long to take the new one
READ_AGAIN_SECONDS = 300.0  # a token that was withdrawn is refused after this time, if the secret can be read
KEPT_SECONDS = 3600.0  # so long is what was read good while the secret cannot be read; then nobody is let in
PAUSE_SECONDS = 1.0  # between two readings, however many wrong tokens come
WAIT_SECONDS = 5.0  # for a reading; after that what was read before counts, and of other tokens nobody can tell


class NotReadError(Exception):
    """Whether a token is right cannot be told, because Secrets Manager takes too long."""


class Tokens(Protocol):
    """Who knows which tokens are right."""

    async def accepts(self, token: str) -> bool:
        """Tell whether a token is right, in a time that does not depend on it."""


class FixedToken:
    """One token for as long as the process lives, on a machine without Secrets Manager."""

    def __init__(self, token: str) -> None:
        self._digest = _digest(token)

    async def accepts(self, token: str) -> bool:
        """Tell whether it is that one."""
        return hmac.compare_digest(_digest(token), self._digest)


class TokenSecret:
    """The token of a secret in Secrets Manager, read when the first caller comes.

    Right are AWSCURRENT, AWSPENDING (a rotation tells callers the new token before it is current) and, for 24 hours
    after it was replaced, AWSPREVIOUS. A token that is not known has the secret read again, once a second at most, by
    one thread for all: however many wrong tokens wait for it, those that are known do not. While the secret cannot be
    read, what was read last is good for an hour: a fault of Secrets Manager keeps no caller out sooner, and a withdrawn
    token is not right for ever.
    """

    def __init__(
        self,
        secret_arn: str,
        secrets_manager: Any,
        *,
        now: Callable[[], float] = time.time,
        wait_seconds: float = WAIT_SECONDS,
    ) -> None:
        self._secret_arn = secret_arn
        self._secrets_manager = secrets_manager
        self._now, self._wait_seconds = now, wait_seconds
        self._until: dict[bytes, float] = {}  # a token's digest, and the moment up to which it is right
        self._read_at: float | None = None  # when the last try began, successful or not
        self._good_until = float("-inf")  # so long may be gone on with that
        self._failure: Exception | None = None  # of the last try
        self._reading: asyncio.Task[None] | None = None

    async def accepts(self, token: str) -> bool:
        """Tell whether the secret holds it; raises AWS's error or NotReadError if nobody can tell."""
        digest = _digest(token)
        if self._age() >= READ_AGAIN_SECONDS:
            await self._read()
        if self._is_right(digest):
            return True
        if not await self._read():
            raise NotReadError(f"Secrets Manager gave no answer within {self._wait_seconds:g} s.")
        if self._failure and self._now() >= self._good_until:
            raise self._failure
        return self._is_right(digest)

    def _is_right(self, digest: bytes) -> bool:
        now = self._now()
        right = [hmac.compare_digest(digest, known) and now < until for known, until in self._until.items()]
        return any(right) and now < self._good_until

    def _age(self) -> float:
        return float("inf") if self._read_at is None else self._now() - self._read_at

    async def _read(self) -> bool:
        """Wait for the reading under way, or a new one if the last began long enough ago; tell whether it has ended."""
        if (self._reading is None or self._reading.done()) and self._age() >= PAUSE_SECONDS:
            self._read_at = self._now()
            self._reading = asyncio.create_task(self._read_versions())
        if self._reading is None or self._reading.done():
            return True
        ended, _ = await asyncio.wait([self._reading], timeout=self._wait_seconds)
        return bool(ended)

    async def _read_versions(self) -> None:
        try:
            # Not of the routes' threads: those may all wait for Snowflake.
            begun = self._now()
            self._until = await to_thread.run_sync(self._versions, limiter=CapacityLimiter(1))
            self._good_until = begun + KEPT_SECONDS
            self._failure = None
        except (BotoCoreError, ClientError) as error:
            # Whoever waited for this try hears of it too, and does not wait for a try of its own.
            self._failure = error
            log.error("web.token_not_read", error)

    def _versions(self) -> dict[bytes, float]:
        # In the order in which a rotation moves a token on, so that none is missed that moves meanwhile.
        pending, current, previous = map(self._version, ("AWSPENDING", "AWSCURRENT", "AWSPREVIOUS"))
        until: dict[bytes, float] = {}
        if previous and current:
            until[_digest(previous["SecretString"])] = (self._replaced_at(current) + OLD_TOKEN).timestamp()
        for version in filter(None, (pending, current)):
            until[_digest(version["SecretString"])] = float("inf")
        return until

    def _replaced_at(self, current: dict[str, Any]) -> datetime.datetime:
        """When the current token took the place of the previous one: a rotation may end long after it was made."""
        made: datetime.datetime = current["CreatedDate"]
        rotated = self._secrets_manager.describe_secret(SecretId=self._secret_arn).get("LastRotatedDate")
        return max(made, rotated or made)

    def _version(self, stage: str) -> dict[str, Any] | None:
        """The secret's version at a stage; a stage that no version has, or none with a value yet, is none."""
        try:
            answer: dict[str, Any] = self._secrets_manager.get_secret_value(
                SecretId=self._secret_arn, VersionStage=stage
            )
        except ClientError as error:
            if stage != "AWSCURRENT" and error.response.get("Error", {}).get("Code") == "ResourceNotFoundException":
                return None
            raise
        return answer


def _digest(token: str) -> bytes:
    return hashlib.sha256(token.encode(errors="surrogatepass")).digest()
