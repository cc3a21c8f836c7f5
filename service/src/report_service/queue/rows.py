"""What goes into the queue's statements and comes out of them."""

from __future__ import annotations

import datetime
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Demand:
    """V_QUEUE_DEMAND: what is to be done now, tasks at work, and when the next row is due (UTC).

    `lost` rows, whose worker's lease ran out, and `deliveries`, finished reports whose recipients wait, are parts of
    `pending`. `now` is Snowflake's clock at that look: a task whose own clock jumps must neither sleep too long nor
    never.
    """

    pending: int
    busy: int
    next_due_at: datetime.datetime | None
    now: datetime.datetime
    lost: int = 0
    deliveries: int = 0
    oldest_due_at: datetime.datetime | None = None

    @property
    def oldest_pending_seconds(self) -> float:
        """For how long the row that waits longest has been due; 0 without one."""
        return max((self.now - self.oldest_due_at).total_seconds(), 0) if self.oldest_due_at else 0.0


@dataclass(frozen=True)
class Claim:
    """A claimed row as it stands in the table, not yet checked, and the token that fences its worker's writes."""

    config_id: int
    token: str
    attempt: int
    max_attempts: int
    report_name: Any
    trigger_type: Any
    parameters: Any
    output_format: Any
    schedule_cron: Any
    schedule_timezone: Any
    run_at: datetime.datetime | None
    missed_runs: Any
    recipients: Any
    requested_by: Any
    error_code: str | None  # set by the claim itself: LEASE_LOST or INVALID_STATUS
    error_message: str | None
    claimed_at: datetime.datetime  # by Snowflake's clock
    received: float = field(default_factory=time.monotonic)

    def now(self) -> datetime.datetime:
        """Snowflake's clock (UTC) as it goes on since the claim, whatever this machine's clock says."""
        return _since(self.claimed_at, self.received)


@dataclass(frozen=True)
class Produced:
    """The file that an attempt made."""

    location: str
    rows: int
    bytes: int
    sha256: str


@dataclass(frozen=True)
class Due:
    """A delivery that its worker has claimed, and the request that it is of.

    `kind` is REPORT for the finished report, FAILURE for what the requester is told of one that failed.
    """

    delivery_id: int
    config_id: int
    kind: Any
    channel: str
    recipient: str
    attempts: int  # those before this one
    report_name: Any
    parameters: Any
    output_format: Any
    requested_by: Any
    status: str | None
    error_code: str | None
    error_message: str | None
    produced: Produced | None
    made_at: datetime.datetime | None
    claimed_at: datetime.datetime  # by Snowflake's clock
    received: float = field(default_factory=time.monotonic)

    def now(self) -> datetime.datetime:
        """Snowflake's clock (UTC) as it goes on since the claim, as that of a Claim."""
        return _since(self.claimed_at, self.received)


@dataclass(frozen=True)
class Undelivered:
    """A recipient whom a report did not reach, or perhaps not."""

    channel: str
    recipient: str
    status: str
    error_code: str | None
    error_message: str | None


@dataclass(frozen=True)
class NewJob:
    """A request from outside Snowflake; the key makes a second one like it the same job."""

    key: str
    report_name: str
    output_format: str
    source: str
    parameters: Mapping[str, Any] = field(default_factory=dict)
    recipients: Sequence[Mapping[str, str]] = field(default_factory=list)


@dataclass(frozen=True)
class Job:
    """A row as the HTTP door shows it."""

    config_id: int
    key: str | None
    report_name: str
    trigger_type: str | None
    output_format: str | None
    status: str | None
    attempts: int
    location: str | None
    rows: int | None
    bytes: int | None
    sha256: str | None
    error_code: str | None
    error_message: str | None
    source: str | None
    created_at: datetime.datetime | None
    run_at: datetime.datetime | None
    started_at: datetime.datetime | None
    finished_at: datetime.datetime | None

    @property
    def job_id(self) -> str:
        """The id that the requester gave, else the row's own."""
        return self.key or str(self.config_id)


def _since(told: datetime.datetime, received: float) -> datetime.datetime:
    """The time now by the clock that told the time `told` at the moment `received` of the monotonic clock."""
    return told + datetime.timedelta(seconds=time.monotonic() - received)
