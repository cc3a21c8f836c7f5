"""What an attempt comes to, on its way into the table: the row's next state, and all that goes with it."""

from __future__ import annotations

import datetime
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from report_service.errors import ReportError, RequestError, presentable
from report_service.queue.rows import Claim, Produced


@dataclass(frozen=True)
class Outcome:
    """The end of one attempt; `status` is what the row becomes, `detail` what the audit log says of it.

    `recipients` (channel, address) get the report, and `notice` is told that there will be none. `counted` is false for
    an attempt that was handed back as if it had never been; `of_request` tells that the message repeats what was asked.
    All times are UTC.
    """

    claim: Claim
    status: str
    detail: str
    produced: Produced | None = None
    error_code: str | None = None
    error_message: str | None = None
    delay_seconds: float | None = None
    run_at: datetime.datetime | None = None
    next_run_at: datetime.datetime | None = None
    recipients: tuple[tuple[str, str], ...] = ()
    notice: tuple[str, str] | None = None
    counted: bool = True
    of_request: bool = False

    @property
    def handed_back(self) -> bool:
        """Whether the row may be claimed again at once."""
        return self.status == "PENDING" and not self.counted and self.run_at is None

    def record(self) -> dict[str, Any]:
        """The outcome as one object of the array that the queue's statements unfold; what is None is left out."""
        record: dict[str, Any] = {
            "CONFIG_ID": self.claim.config_id,
            "CLAIM_TOKEN": self.claim.token,
            "ATTEMPT": self.claim.attempt,
            "STATUS": self.status,
            "DETAIL": self.detail,
            "ERROR_CODE": self.error_code,
            "ERROR_MESSAGE": self.error_message,
            "DELAY_MS": None if self.delay_seconds is None else int(self.delay_seconds * 1000),
            "RUN_AT": _text(self.run_at),
            "NEXT_RUN_AT": _text(self.next_run_at),
            "UNCOUNTED": int(not self.counted),
        }
        if self.produced:
            record |= {
                "S3_LOCATION": self.produced.location,
                "ROW_COUNT": self.produced.rows,
                "FILE_BYTES": self.produced.bytes,
                "FILE_SHA256": self.produced.sha256,
            }
        return {key: value for key, value in record.items() if value is not None}

    def deliveries(self) -> list[dict[str, Any]]:
        """The ledger's new rows: one a recipient."""
        kinds = [("REPORT", each) for each in self.recipients] + ([("FAILURE", self.notice)] if self.notice else [])
        return [
            {"CONFIG_ID": self.claim.config_id, "KIND": kind, "CHANNEL": channel, "RECIPIENT": recipient}
            for kind, (channel, recipient) in kinds
        ]


def completed(
    claim: Claim,
    produced: Produced,
    *,
    recipients: Iterable[tuple[str, str]] = (),
    next_run_at: datetime.datetime | None = None,
) -> Outcome:
    """The report is made; its recipients enter the ledger, and a recurring one is followed at `next_run_at`."""
    detail = f"{produced.rows} rows, {produced.bytes} bytes"
    return Outcome(claim, "COMPLETED", detail, produced, next_run_at=next_run_at, recipients=tuple(recipients))


def failed(
    claim: Claim,
    error: ReportError,
    *,
    next_run_at: datetime.datetime | None = None,
    notice: tuple[str, str] | None = None,
) -> Outcome:
    """The report will not be made, which `notice` is told; a recurring one is followed all the same."""
    text = presentable(error.message)
    return Outcome(
        claim,
        "FAILED",
        f"{error.code}: {text}",
        error_code=error.code.value,
        error_message=text,
        next_run_at=next_run_at,
        notice=notice,
        of_request=isinstance(error, RequestError),
    )


def retried(claim: Claim, error: ReportError, *, delay_seconds: float) -> Outcome:
    """Another attempt follows after `delay_seconds`."""
    text = presentable(error.message)
    detail = f"{error.code}: {text} Again in {delay_seconds:.0f} s."
    return Outcome(
        claim, "PENDING", detail, error_code=error.code.value, error_message=text, delay_seconds=delay_seconds
    )


def released(claim: Claim, reason: str) -> Outcome:
    """The row goes back as if it had never been claimed."""
    return Outcome(claim, "PENDING", reason, counted=False)


def planned(claim: Claim, run_at: datetime.datetime, reason: str = "planned") -> Outcome:
    """A recurring row gets its time and goes back until then."""
    detail = f"{reason} for {run_at:%Y-%m-%d %H:%M:%S} UTC"
    return Outcome(claim, "PENDING", detail, run_at=run_at, counted=False)


def _text(time: datetime.datetime | None) -> str | None:
    return None if time is None else time.isoformat(sep=" ", timespec="microseconds")
