"""What can go wrong with a report: a code for programs, a message for people."""

from __future__ import annotations

import errno
import re
from enum import StrEnum

MAX_MESSAGE = 1000  # characters of ERROR_MESSAGE

_SECRETS = [
    (re.compile(r"-----BEGIN [^-]*PRIVATE KEY-----.*?(-----END [^-]*PRIVATE KEY-----|$)", re.DOTALL), "(private key)"),
    (
        re.compile(r"(?i)\b(password|passwd|secret|token|authorization|private_key)(\"?\s*[=:]\s*\"?)[^\s\"',;&]+"),
        r"\1\2***",
    ),
    (re.compile(r"(?i)\b(X-Amz-(?:Signature|Credential|Security-Token)=)[^&\s]+"), r"\1***"),
    (re.compile(r"\b(?:AKIA|ASIA)[A-Z0-9]{16}\b"), "(access key)"),
]


class ErrorCode(StrEnum):
    """The values of ERROR_CODE."""

    UNKNOWN_REPORT = "UNKNOWN_REPORT"
    INVALID_PARAMETER = "INVALID_PARAMETER"
    UNKNOWN_FORMAT = "UNKNOWN_FORMAT"
    FORMAT_NOT_ALLOWED = "FORMAT_NOT_ALLOWED"
    INVALID_RECIPIENT = "INVALID_RECIPIENT"
    INVALID_SCHEDULE = "INVALID_SCHEDULE"
    INVALID_TRIGGER_TYPE = "INVALID_TRIGGER_TYPE"
    INVALID_STATUS = "INVALID_STATUS"
    INVALID_ROW = "INVALID_ROW"
    QUERY_FAILED = "QUERY_FAILED"
    UPLOAD_FAILED = "UPLOAD_FAILED"
    FILE_UNAVAILABLE = "FILE_UNAVAILABLE"
    TOO_MANY_ROWS = "TOO_MANY_ROWS"
    FILE_TOO_LARGE = "FILE_TOO_LARGE"
    TOO_SLOW = "TOO_SLOW"
    OUT_OF_DISK = "OUT_OF_DISK"
    OUT_OF_MEMORY = "OUT_OF_MEMORY"
    LEASE_LOST = "LEASE_LOST"
    INTERNAL_ERROR = "INTERNAL_ERROR"


class ReportError(Exception):
    """A report that could not be made; `retry` says whether another attempt can help."""

    def __init__(self, code: ErrorCode, message: str, *, retry: bool = True) -> None:
        super().__init__(f"{code}: {message}")
        self.code = code
        self.message = message
        self.retry = retry


class RequestError(ReportError):
    """A request that can never succeed as it stands; `field` is the part of the request that is wrong."""

    def __init__(self, code: ErrorCode, message: str, *, field: str | None = None) -> None:
        super().__init__(code, message, retry=False)
        self.field = field


class LeaseLostError(Exception):
    """The row belongs to somebody else by now, or was cancelled: whatever this attempt made counts for nothing."""


class KeyTakenError(Exception):
    """The key of a request is already that of another request; `columns` are those that differ."""

    def __init__(self, key: str, columns: list[str]) -> None:
        super().__init__(f"{key} is the key of a request with another {', '.join(columns)}.")
        self.columns = columns


def exhaustion(error: BaseException) -> ReportError | None:
    """Return what to tell if `error`, or what it came from, means that the task has no disk or memory left."""
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, MemoryError):
            message = "The task has too little memory for this report; narrow it, or give the worker more memory_mib."
            return ReportError(ErrorCode.OUT_OF_MEMORY, message)
        if isinstance(cause, OSError) and cause.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
            message = (
                f"The task has no space left on its disk for this report: {cause}. Narrow it, or run fewer at once."
            )
            return ReportError(ErrorCode.OUT_OF_DISK, message)
        cause = cause.__cause__ or cause.__context__
    return None


def encodable(text: str) -> str:
    """Return `text` with each half of a surrogate pair written out: JSON may hold one, UTF-8 may not."""
    return text.encode(errors="backslashreplace").decode()


def presentable(message: object) -> str:
    """Return `message` fit for a table cell: valid UTF-8, no secrets, one line of at most MAX_MESSAGE characters."""
    text = encodable(str(message))
    for pattern, replacement in _SECRETS:
        text = pattern.sub(replacement, text)
    text = " ".join(text.split())
    return text if len(text) <= MAX_MESSAGE else text[: MAX_MESSAGE - 1] + "…"
