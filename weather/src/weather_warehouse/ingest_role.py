"""Puts an ingestion together from the environment, runs it, and tells what it did."""

from __future__ import annotations

import datetime
import os
import time
from typing import Any

import psycopg

from weather_warehouse import log, metrics
from weather_warehouse.ingestion import Tally, ingest
from weather_warehouse.login import Login
from weather_warehouse.settings import IngestSettings, SettingsError
from weather_warehouse.sources import Bucket, Folder, Source


def run_ingest(settings: IngestSettings, kind: str | None) -> int:
    """Ingest from the `kind` of source, folder or s3; returns 0, or 1 if any file or the database failed."""
    source = _source(settings, kind or ("s3" if settings.weather_bucket else "folder"))
    run_id = settings.ingest_run_id or f"manual-{datetime.datetime.now(datetime.UTC):%Y-%m-%dT%H:%M:%SZ}"
    log.start(settings.log_level)
    log.info("ingest.started", run_id=run_id, source=source.place)
    begun, tally = time.monotonic(), Tally()
    try:
        with psycopg.connect(settings.conninfo, autocommit=True, **Login(settings)()) as connection:
            ingest(connection, source, run_id, tally)
    except Exception as error:  # noqa: BLE001 - the last line of a container: one event, and the metric counts it
        tally.failed += 1
        log.error("ingest.failed", error)
    metrics.enter(settings.environment, records_ingested=tally.written, ingestion_errors=tally.failed)
    log.info("ingest.finished", run_id=run_id, **_summary(tally), seconds=round(time.monotonic() - begun, 3))
    return 1 if tally.failed else 0


def _source(settings: IngestSettings, kind: str) -> Source:
    if kind == "folder":
        return Folder(settings.weather_folder)
    if settings.weather_bucket is None:
        raise SettingsError("WEATHER_BUCKET is not set; it is required with --source s3.")
    return Bucket(_client(), settings.weather_bucket, settings.weather_prefix)


def _client() -> Any:
    import boto3  # only now: a folder needs none of it
    from botocore.config import Config

    retries = Config(retries={"mode": "standard", "max_attempts": 4}, connect_timeout=5, read_timeout=60)
    return boto3.client("s3", region_name=os.environ.get("AWS_REGION"), config=retries)


def _summary(tally: Tally) -> dict[str, int]:
    return {
        "files": tally.files,
        "failures": tally.failed,
        "records_read": tally.read,
        "records_written": tally.written,
        "records_unchanged": tally.read - tally.written,
    }
