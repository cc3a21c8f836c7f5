"""The part of an environment's file that says what is asked of it, for `make cost` alone."""

from __future__ import annotations

from pydantic import Field

from stacks.environment_table import Table

_REQUESTS = "0 or more requests a month"


class LoadTable(Table):
    """What is asked of an environment in a month. It deploys nothing: `make cost` prices it."""

    reports: int = Field(default=1_000, ge=0, description="0 or more reports a month")
    reports_per_wake: float = Field(
        default=5, ge=1, description="1 or more reports that are made before the worker sleeps again"
    )
    report_seconds: float = Field(default=10, ge=0, description="0 or more seconds of a task for one report")
    report_megabytes: float = Field(default=1, ge=0, description="0 or more megabytes of a report's file")
    rows_megabytes: float = Field(
        default=3, ge=0, description="0 or more megabytes of rows that Snowflake sends for it"
    )
    months_kept: float = Field(default=12, ge=0, description="0 or more months for which files are kept")
    emails: int = Field(default=1_000, ge=0, description="0 or more e-mails a month, each with its report attached")
    downloads: int = Field(default=500, ge=0, description="0 or more downloads a month by a link")
    requests: int = Field(default=10_000, ge=0, description=f"{_REQUESTS} to the web role")
    answer_kilobytes: float = Field(default=5, ge=0, description="0 or more kilobytes of an answer over HTTP")
    weather_requests: int = Field(default=100_000, ge=0, description=f"{_REQUESTS} to the weather API")
    weather_files: int = Field(default=1_000, ge=0, description="0 or more station files a month")
    weather_file_megabytes: float = Field(default=1, ge=0, description="0 or more megabytes of a station file")
    ingestion_minutes: float = Field(default=5, ge=0, description="0 or more minutes of a run of the ingestion")
    conflict_runs: int = Field(default=10, ge=0, description="0 or more runs a month that no schedule starts")
    conflict_minutes: float = Field(default=10, ge=0, description="0 or more minutes of a run of the conflict updater")
