"""Finished files in S3, under reports/{name}/{yyyy}/{mm}/{dd}/{config_id}/{attempt}/."""

from __future__ import annotations

import base64
import datetime
import hashlib
import io
import threading
import zlib
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError
from botocore.parsers import ResponseParserError

from report_service import log
from report_service.errors import ErrorCode, ReportError

# An upload has 10,000 parts at most (Amazon S3, "Multipart upload limits"): files of up to 80 GB.
_PART = 8 * 1024**2  # bytes
_AT_ONCE = 2  # parts on their way, while the next is being written

# AccessDenied: what S3 says of a missing object to who may not list the bucket, as a worker may not.
_GONE = ("NoSuchKey", "NoSuchBucket", "AccessDenied")
Failures = (BotoCoreError, ClientError, ResponseParserError, OSError)


@dataclass(frozen=True)
class Stored:
    """A file in the bucket."""

    location: str
    bytes: int
    sha256: str


class Upload(io.BufferedIOBase):
    """A file on its way into the bucket: its parts leave while it is written, a small one leaves whole at the end.

    Written to like any file that cannot seek. It holds three parts of 8 MiB at most, whatever the file's size. Raises
    ReportError UPLOAD_FAILED, or FILE_TOO_LARGE as soon as it has more than `limit` bytes. Until `finish` there is
    nothing in the bucket.
    """

    def __init__(self, s3: Any, bucket: str, key: str, *, media_type: str, limit: int) -> None:
        self._s3 = s3
        self._target = {"Bucket": bucket, "Key": key}
        self._place = f"s3://{bucket}/{key}"
        self._media_type = media_type
        self._limit = limit
        self._buffer = bytearray()
        self._digest = hashlib.sha256()
        self._bytes = 0
        self._over = False  # an error has ended it
        self.finished = False  # it is in the bucket
        self._upload_id: str | None = None
        self._parts: list[Future[dict[str, Any]]] = []
        self._room = threading.Semaphore(_AT_ONCE)
        self._pool: ThreadPoolExecutor | None = None

    def writable(self) -> bool:
        """Return True."""
        return True

    def tell(self) -> int:
        """Return how many bytes were written."""
        return self._bytes

    def flush(self) -> None:
        """Do nothing: parts leave when they are full."""

    def write(self, data: Any) -> int:
        """Take all of `data` and return how many bytes that is; after an error, or closed, it goes nowhere.

        For a library that is taken down by an error may write its end of file all the same, from a destructor.
        """
        view = memoryview(data).cast("B")
        if self.closed or self._over:
            return len(view)
        self._over = True
        self._take(view)
        self._over = False
        return len(view)

    def _take(self, view: memoryview) -> None:
        self._bytes += len(view)
        if self._bytes > self._limit:
            raise ReportError(
                ErrorCode.FILE_TOO_LARGE,
                f"The file has more than {self._limit:,} bytes, the report's limit; narrow its parameters.",
                retry=False,
            )
        self._digest.update(view)
        self._buffer += view
        while len(self._buffer) >= _PART:
            self._send(bytes(self._buffer[:_PART]))
            del self._buffer[:_PART]

    def finish(self) -> Stored:
        """Make it an object of the bucket; nothing can be written any more."""
        self.close()
        try:
            answer = self._finish()
        except (*Failures, KeyError) as error:
            raise self._failed(error) from error
        if not answer.get("ETag"):
            raise self._failed(KeyError("ETag"))
        self.finished = True
        return Stored(self._place, self._bytes, self._digest.hexdigest())

    def give_up(self) -> None:
        """Leave nothing in the bucket; what cannot be removed goes by the bucket's lifecycle, within a day."""
        self.close()
        self._end_pool()
        if self._upload_id is None:
            return
        try:
            self._s3.abort_multipart_upload(**self._target, UploadId=self._upload_id)
        except Failures as error:
            log.error("upload.not_aborted", error, location=self._place)

    def _finish(self) -> dict[str, Any]:
        if self._upload_id is None:
            body = bytes(self._buffer)
            whole: dict[str, Any] = self._s3.put_object(**self._target, Body=body, ContentType=self._media_type)
            return whole
        if self._buffer:
            self._send(bytes(self._buffer))
        parts = [part.result() for part in self._parts]
        self._end_pool()
        completed: dict[str, Any] = self._s3.complete_multipart_upload(
            **self._target, UploadId=self._upload_id, MultipartUpload={"Parts": parts}
        )
        return completed

    def _send(self, part: bytes) -> None:
        """Begin to upload a part, once there is room; a part that failed before is told here."""
        try:
            if self._pool is None:
                answer = self._s3.create_multipart_upload(
                    **self._target, ContentType=self._media_type, ChecksumAlgorithm="CRC32"
                )
                self._upload_id = answer["UploadId"]
                self._pool = ThreadPoolExecutor(_AT_ONCE, thread_name_prefix="upload")
            self._room.acquire()
            for begun in self._parts:
                if begun.done():
                    begun.result()
        except (*Failures, KeyError) as error:
            raise self._failed(error) from error
        self._parts.append(self._pool.submit(self._upload_part, len(self._parts) + 1, part))

    def _upload_part(self, number: int, part: bytes) -> dict[str, Any]:
        # S3 compares it with what arrives, and again when it puts the parts together. Left to the client, it would
        # travel after the body, in chunks that both ends copy once more.
        checksum = base64.b64encode(zlib.crc32(part).to_bytes(4)).decode()
        named = {"PartNumber": number, "ChecksumCRC32": checksum}
        try:
            answer = self._s3.upload_part(**self._target, UploadId=self._upload_id, Body=part, **named)
        finally:
            self._room.release()
        return {"ETag": answer["ETag"], **named}

    def _end_pool(self) -> None:
        if self._pool is not None:
            self._pool.shutdown(cancel_futures=True)

    def _failed(self, reason: object) -> ReportError:
        if isinstance(reason, KeyError):
            reason = f"S3 answered without {reason}."
        return ReportError(ErrorCode.UPLOAD_FAILED, f"The file could not be stored as {self._place}: {reason}")


class Storage:
    """The report bucket."""

    def __init__(self, s3: Any, bucket: str) -> None:
        self._s3 = s3
        self._bucket = bucket

    @contextmanager
    def writing(self, key: str, *, media_type: str, limit: int) -> Iterator[Upload]:
        """Yield a file to be written and finished; left without `finish`, it is given up."""
        upload = Upload(self._s3, self._bucket, key, media_type=media_type, limit=limit)
        try:
            yield upload
        finally:
            if not upload.finished:
                upload.give_up()

    def fetch(self, location: str, path: Path, *, sha256: str) -> None:
        """Download a file that was stored; raises ReportError FILE_UNAVAILABLE, also if it is another file by now."""
        key = location.removeprefix(f"s3://{self._bucket}/")
        try:
            body = self._s3.get_object(Bucket=self._bucket, Key=key)["Body"]
            with path.open("wb") as file:
                for chunk in body.iter_chunks(_PART):
                    file.write(chunk)
        except (BotoCoreError, ClientError, ResponseParserError, OSError) as error:
            gone = isinstance(error, ClientError) and error.response["Error"]["Code"] in _GONE
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
