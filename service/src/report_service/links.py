"""Links by which recipients download a finished report; the library's construct DownloadLinks has the other end."""

from __future__ import annotations

import base64
import datetime
import hmac
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from botocore.exceptions import BotoCoreError, ClientError

from report_service.errors import ErrorCode, ReportError


@dataclass(frozen=True)
class Link:
    """A link to one file, and up to when (UTC) it is valid."""

    url: str
    expires_at: datetime.datetime


class Links:
    """Makes links below `url` that are valid for `valid_for`, with the key of a secret in Secrets Manager.

    The key is read for each link: after it was exchanged none is made with the one before, which may be withdrawn.
    """

    def __init__(
        self, secrets_manager: Any, *, url: str, secret_arn: str, bucket: str, valid_for: datetime.timedelta
    ) -> None:
        self._secrets_manager = secrets_manager
        self._url = url.rstrip("/")
        self._secret_arn = secret_arn
        self._place = f"s3://{bucket}/"
        self._valid_for = valid_for

    def link(self, config_id: int, location: str, *, now: datetime.datetime) -> Link:
        """Return a link to the file of a report; `now` is Snowflake's time (UTC), without a zone as it tells it.

        A link is `/reports/{config_id}/download?token={expires}/{key}/{signature}`: `expires` in seconds since 1970,
        the object's key, and a signature, which is HMAC-SHA256 in base64url without padding over
        `{config_id}/{expires}/{key}`.

        Raises ReportError FILE_UNAVAILABLE if the file is in another bucket, or the key cannot be read.
        """
        key = location.removeprefix(self._place)
        if key == location:
            message = f"The file {location} is not in {self._place}, the bucket that links lead to."
            raise ReportError(ErrorCode.FILE_UNAVAILABLE, message, retry=False)
        expires_at = now.replace(microsecond=0, tzinfo=datetime.UTC) + self._valid_for
        expires = int(expires_at.timestamp())
        signed = _signature(self._key(), f"{config_id}/{expires}/{key}")
        token = f"{expires}/{quote(key)}/{signed}"
        return Link(f"{self._url}/reports/{config_id}/download?token={token}", expires_at)

    def _key(self) -> bytes:
        try:
            secret = self._secrets_manager.get_secret_value(SecretId=self._secret_arn)
        except (BotoCoreError, ClientError) as error:
            message = f"The key that signs links, secret {self._secret_arn}, could not be read: {error}"
            raise ReportError(ErrorCode.FILE_UNAVAILABLE, message) from error
        return str(secret["SecretString"]).encode()


def _signature(key: bytes, text: str) -> str:
    return base64.urlsafe_b64encode(hmac.digest(key, text.encode(), "sha256")).decode().rstrip("=")
