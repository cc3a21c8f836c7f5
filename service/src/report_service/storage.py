"""Finished files in S3, under reports/{name}/{yyyy}/{mm}/{dd}/{config_id}/{attempt}/."""

from __future__ import annotations

import datetime
import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError
from botocore.parsers import ResponseParserError

from report_service.errors import ErrorCode, ReportError

_PART, _WHOLE, _THREADS = 8 * 1024**2, 16 * 1024**2, 2  # bytes of a part, bytes up to which there are none


@dataclass(frozen=True)
class Stored:
    """A file in the bucket."""

    location: str
    bytes: int
    sha256: str


class _NoAnswerError(Exception):
    """An upload of which S3 did not say that it was done."""


class Storage:
    """The report bucket."""

    def __init__(self, s3: Any, bucket: str) -> None:
        self._s3 = s3
        self._bucket = bucket

    def store(self, path: Path, key: str, *, media_type: str) -> Stored:
        """Upload a file, in parts if it is large; raises ReportError UPLOAD_FAILED."""
        digest = _sha256(path)
        extra = {"ContentType": media_type, "Metadata": {"sha256": digest}}
        place = f"s3://{self._bucket}/{key}"
        try:
            self._upload(path, key, extra)
        except (BotoCoreError, ClientError, ResponseParserError, OSError, _NoAnswerError) as error:
            raise ReportError(ErrorCode.UPLOAD_FAILED, f"The file could not be stored as {place}: {error}") from error
        return Stored(place, path.stat().st_size, digest)

    def _upload(self, path: Path, key: str, extra: dict[str, Any]) -> None:
        if path.stat().st_size < _WHOLE:
            with path.open("rb") as file:
                answer = self._s3.put_object(Bucket=self._bucket, Key=key, Body=file, **extra)
            if not answer.get("ETag"):
                raise _NoAnswerError("S3 answered without an ETag.")
            return
        # Only now: importing it takes a tenth of a second.
        from boto3.exceptions import Boto3Error
        from boto3.s3.transfer import S3Transfer, TransferConfig

        transfer = TransferConfig(multipart_threshold=_WHOLE, multipart_chunksize=_PART, max_concurrency=_THREADS)
        try:
            with S3Transfer(self._s3, transfer) as upload:  # type: ignore[arg-type]  # the stubs name another Config
                upload.upload_file(str(path), self._bucket, key, extra_args=extra)
        except Boto3Error as error:
            raise _NoAnswerError(str(error)) from error

    def fetch(self, location: str, path: Path, *, sha256: str) -> None:
        """Download a file that was stored; raises ReportError FILE_UNAVAILABLE, also if it is another file by now."""
        key = location.removeprefix(f"s3://{self._bucket}/")
        try:
            body = self._s3.get_object(Bucket=self._bucket, Key=key)["Body"]
            with path.open("wb") as file:
                for chunk in body.iter_chunks(_PART):
                    file.write(chunk)
        except (BotoCoreError, ClientError, ResponseParserError, OSError) as error:
            gone = isinstance(error, ClientError) and error.response["Error"]["Code"] in ("NoSuchKey", "NoSuchBucket")
            message = f"The file {location} could not be read: {error}"
            raise ReportError(ErrorCode.FILE_UNAVAILABLE, message, retry=not gone) from error
        if _sha256(path) != sha256:
            message = f"The file {location} is not the one that was stored: its SHA-256 is another."
            raise ReportError(ErrorCode.FILE_UNAVAILABLE, message)


def file_key(name: str, extension: str, *, config_id: int, attempt: int, day: datetime.date) -> str:
    """Return the key of an attempt's file; no two attempts share one, so a lost one's is never linked."""
    return f"reports/{name}/{day:%Y/%m/%d}/{config_id}/{attempt}/{name}.{extension}"


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
