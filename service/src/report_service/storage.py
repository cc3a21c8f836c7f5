"""Finished files in S3, under reports/{name}/{yyyy}/{mm}/{dd}/{config_id}/{attempt}/."""

from __future__ import annotations

import datetime
import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from report_service.errors import ErrorCode, ReportError

_PART, _WHOLE, _THREADS = 8 * 1024**2, 16 * 1024**2, 2  # bytes of a part, bytes up to which there are none


@dataclass(frozen=True)
class Stored:
    """A file in the bucket."""

    location: str
    bytes: int
    sha256: str


class Storage:
    """The report bucket."""

    def __init__(self, s3: Any, bucket: str) -> None:
        self._s3 = s3
        self._bucket = bucket

    def store(self, path: Path, key: str, *, media_type: str) -> Stored:
        """Upload a file, in parts if it is large; raises ReportError UPLOAD_FAILED."""
        # Only now: a worker that wakes claims first.
        from boto3.exceptions import Boto3Error
        from boto3.s3.transfer import S3Transfer, TransferConfig

        digest = _sha256(path)
        transfer = TransferConfig(multipart_threshold=_WHOLE, multipart_chunksize=_PART, max_concurrency=_THREADS)
        extra = {"ContentType": media_type, "Metadata": {"sha256": digest}}
        try:
            with S3Transfer(self._s3, transfer) as upload:  # type: ignore[arg-type]  # the stubs name another Config
                upload.upload_file(str(path), self._bucket, key, extra_args=extra)
        except (BotoCoreError, ClientError, Boto3Error) as error:
            message = f"The file could not be stored as s3://{self._bucket}/{key}: {error}"
            raise ReportError(ErrorCode.UPLOAD_FAILED, message) from error
        return Stored(f"s3://{self._bucket}/{key}", path.stat().st_size, digest)

    def fetch(self, location: str, path: Path) -> None:
        """Download a file that was stored; raises ReportError FILE_UNAVAILABLE."""
        key = location.removeprefix(f"s3://{self._bucket}/")
        try:
            body = self._s3.get_object(Bucket=self._bucket, Key=key)["Body"]
            with path.open("wb") as file:
                for chunk in body.iter_chunks(_PART):
                    file.write(chunk)
        except (BotoCoreError, ClientError, OSError) as error:
            gone = isinstance(error, ClientError) and error.response["Error"]["Code"] in ("NoSuchKey", "NoSuchBucket")
            message = f"The file {location} could not be read: {error}"
            raise ReportError(ErrorCode.FILE_UNAVAILABLE, message, retry=not gone) from error


def file_key(name: str, extension: str, *, config_id: int, attempt: int, day: datetime.date) -> str:
    """Return the key of an attempt's file; no two attempts share one, so a lost one's is never linked."""
    return f"reports/{name}/{day:%Y/%m/%d}/{config_id}/{attempt}/{name}.{extension}"


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
