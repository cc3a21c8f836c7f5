"""What goes through the HTTP door."""

from __future__ import annotations

import datetime
import re
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from report_service.queue.rows import Job

JobId = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.:-]{0,127}$", examples=["sales-2026-11"])]
_TIME = re.compile(r"\d{4}-\d\d-\d\d")


def _text_of_a_time(given: Any) -> Any:
    """Refuse numbers, and digits alone: Pydantic would take them for seconds since 1970."""
    if given is None or (isinstance(given, str) and _TIME.match(given)):
        return given
    raise ValueError("a time as in 2026-11-21T06:00:00Z is allowed")


Status = Literal["PENDING", "PROCESSING", "COMPLETED", "FAILED", "CANCELLED"]


class JobRequest(BaseModel):
    """A report to be made. The same job_id again is the same job."""

    model_config = ConfigDict(extra="forbid")

    job_id: JobId
    job_type: str = Field(min_length=1, max_length=100, examples=["SALES_REPORT"])
    input_data: dict[str, Any] = Field(
        default_factory=dict,
        description="The report's parameters; format (PDF if absent) and recipients beside them.",
        examples=[{"start_date": "1997-01-01", "end_date": "1997-12-31", "format": "PDF"}],
    )
    timestamp: Annotated[datetime.datetime | None, BeforeValidator(_text_of_a_time)] = Field(
        default=None, description="When the caller made the request."
    )
    source: str = Field(default="HTTP", min_length=1, max_length=100)


class JobAccepted(BaseModel):
    """The answer to a request."""

    status: Literal["accepted"] = "accepted"
    job_id: str
    message: str
    tracking_id: str
    estimated_completion: datetime.datetime
    s3_output_location: str
    status_url: str


class JobStatus(BaseModel):
    """Where a job stands."""

    job_id: str
    config_id: int
    job_type: str
    status: str
    format: str | None
    attempts: int
    s3_output_location: str | None
    row_count: int | None
    file_bytes: int | None
    file_sha256: str | None
    error_code: str | None
    error_message: str | None
    source: str | None
    created_at: datetime.datetime | None
    run_at: datetime.datetime | None
    started_at: datetime.datetime | None
    finished_at: datetime.datetime | None


class Jobs(BaseModel):
    """The newest jobs."""

    jobs: list[JobStatus]


class Health(BaseModel):
    """That the process answers."""

    status: Literal["healthy"] = "healthy"
    service: Literal["report-service"] = "report-service"
    environment: str
    timestamp: datetime.datetime


class Ready(BaseModel):
    """That Snowflake answers."""

    status: Literal["ready"] = "ready"


class Problem(BaseModel):
    """An error as RFC 9457 has it; `field` names the part of the request, `code` is an ERROR_CODE."""

    type: str = "about:blank"
    title: str
    status: int
    detail: str
    field: str | None = None
    code: str | None = None


def job_status(job: Job) -> JobStatus:
    """Return a row as the door shows it; times are UTC."""
    return JobStatus(
        job_id=job.job_id,
        config_id=job.config_id,
        job_type=job.report_name,
        status=str(job.status),
        format=job.output_format,
        attempts=job.attempts,
        s3_output_location=job.location,
        row_count=job.rows,
        file_bytes=job.bytes,
        file_sha256=job.sha256,
        error_code=job.error_code,
        error_message=job.error_message,
        source=job.source,
        created_at=utc(job.created_at),
        run_at=utc(job.run_at),
        started_at=utc(job.started_at),
        finished_at=utc(job.finished_at),
    )


def utc(moment: datetime.datetime | None) -> datetime.datetime | None:
    """Mark a time of the table as the UTC that it is."""
    return moment and moment.replace(tzinfo=datetime.UTC)
