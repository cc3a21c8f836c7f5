"""What a month asks of each stack, idle and at the stated load, and what is assumed where nothing states it."""

from __future__ import annotations

from dataclasses import dataclass, field

from cost.templates import Stack
from stacks.environment_load import LoadTable

# Fargate bills from the pull of the image to the task's end, at least a minute ("AWS Fargate Pricing").
START_SECONDS = 45
STOP_SECONDS = 15
LEAST_SECONDS = 60
IMAGE_GB = 0.15  # compressed, of each image that is built
LAMBDA_SECONDS = 0.3
LAMBDA_LOG_KB = 1.0  # a call
WAKE_LOG_KB = 20.0
REPORT_LOG_KB = 10.0
REQUEST_LOG_KB = 1.0  # of the service, the API's access log and the load balancer's
TASK_HOUR_LOG_KB = 50.0  # of a task that always runs
FLOW_LOG_MB = 0.05  # an hour of a network interface
NAT_MB = 2.0  # an hour of a task that always runs: logs, metrics, looks for work
INSIGHTS_KB = 3.0  # a minute of a task, where Container Insights is on
NAT_INSTANCE_GB = 8  # the disk of a NAT instance

# Custom metrics: what the programs enter (handler.py of the waker, metrics.py of the service and of weather).
WATCH_METRICS = 2
PENDING_METRICS = 1
WORKER_METRICS = 2
REPORT_METRICS = 3
INGESTION_METRICS = 2
# "Amazon ECS Container Insights metrics" in the Amazon CloudWatch User Guide: of a cluster, a service, its family.
CLUSTER_METRICS = 11
SERVICE_METRICS = 13 + 8

# bootstrap.sql: an X-Small warehouse takes a credit an hour ("Overview of warehouses"), and suspends after a minute.
CREDITS_PER_HOUR = 1
SUSPEND_SECONDS = 60

GB = 1_000  # megabytes
KB = 1_000_000  # kilobytes in a gigabyte


@dataclass(frozen=True)
class Use:
    """What is asked of one stack in a month beside what its own schedules do; idle is nothing.

    Times are counts a month; `…_gb` are gigabytes a month, and `kept_gb` those that lie there.
    """

    wakes: float = 0
    work_seconds: float = 0
    reports: float = 0
    files: float = 0
    kept_gb: float = 0
    emails: float = 0
    emails_gb: float = 0
    downloads: float = 0
    downloads_gb: float = 0
    requests: float = 0
    answers_gb: float = 0
    rows_gb: float = 0
    job_runs: float = 0
    job_minutes: float = 0
    job_metrics: float = 0


@dataclass(frozen=True)
class Estate:
    """All stacks of an environment, and what a month asks of them."""

    stacks: list[Stack]
    uses: dict[str, Use] = field(default_factory=dict)

    def use(self, stack: Stack) -> Use:
        """What is asked of a stack."""
        return self.uses.get(stack.name, Use())


def idle() -> dict[str, Use]:
    """Nobody asks for anything: what schedules start finds nothing to do."""
    return {"WeatherWarehouse": Use(job_metrics=INGESTION_METRICS)}


def at_load(load: LoadTable) -> dict[str, Use]:
    """The stated load, by stacks."""
    wakes = load.reports / load.reports_per_wake
    reports = Use(
        wakes=wakes,
        work_seconds=load.reports * load.report_seconds,
        reports=load.reports,
        files=load.reports,
        kept_gb=load.reports * load.report_megabytes / GB * load.months_kept,
        emails=load.emails,
        emails_gb=load.emails * load.report_megabytes / GB,
        downloads=load.downloads,
        downloads_gb=load.downloads * load.report_megabytes / GB,
        requests=load.requests,
        answers_gb=load.requests * load.answer_kilobytes / KB,
        rows_gb=load.reports * load.rows_megabytes / GB,
    )
    return {
        "ReportService": reports,
        # Where a second region has them; S3 writes each file there once more.
        "Copies": Use(files=load.reports, kept_gb=load.reports * load.report_megabytes / GB * load.months_kept),
        "Trigger": Use(wakes=wakes),
        "Rival": reports,
        "WeatherWarehouse": Use(
            files=load.weather_files,
            kept_gb=load.weather_files * load.weather_file_megabytes / GB * load.months_kept,
            requests=load.weather_requests,
            answers_gb=load.weather_requests * load.answer_kilobytes / KB,
            job_minutes=load.ingestion_minutes,
            job_metrics=INGESTION_METRICS,
        ),
        "ConflictUpdater": Use(job_runs=load.conflict_runs, job_minutes=load.conflict_minutes),
    }
