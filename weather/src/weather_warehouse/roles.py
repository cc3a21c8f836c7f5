"""Runs a role with the settings that it needs, and turns what goes wrong into an exit code."""

from __future__ import annotations

import datetime
import os
import sys
import time
from typing import Any, Literal

import boto3
import psycopg
from botocore.config import Config

from weather_warehouse import log, metrics
from weather_warehouse.ingestion import Tally, ingest
from weather_warehouse.settings import IngestSettings, SettingsError, WebSettings, load
from weather_warehouse.sources import Bucket, Folder, Source

_RETRIES = Config(retries={"mode": "standard", "max_attempts": 4}, connect_timeout=5, read_timeout=60)


def run_role(role: Literal["web", "ingest"], source: str | None = None, run_id: str | None = None) -> int:
    """Run a role to its end; returns 0, or 1 if something is wrong."""
    try:
        if role == "ingest":
            return _run_ingest(load(IngestSettings, ingest_run_id=run_id), source)
        from weather_warehouse.web.server import run_web  # an ingestion needs no web server in its memory

        run_web(load(WebSettings))
    except SettingsError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


def _run_ingest(settings: IngestSettings, kind: str | None) -> int:
    source = _source(settings, kind or ("s3" if settings.weather_bucket else "folder"))
    run_id = settings.ingest_run_id or f"manual-{datetime.datetime.now(datetime.UTC):%Y-%m-%dT%H:%M:%SZ}"
    log.start(settings.log_level)
    log.info("ingest.started", run_id=run_id, source=source.place)
    begun, tally = time.monotonic(), Tally()
    try:
        with psycopg.connect(settings.conninfo, autocommit=True) as connection:
            ingest(connection, source, run_id, tally)
    except psycopg.Error as error:
        tally.failed += 1
        log.error("ingest.database_failed", error)
    metrics.enter(settings.environment, records_ingested=tally.written, ingestion_errors=tally.failed)
    log.info("ingest.finished", run_id=run_id, **_summary(tally), seconds=round(time.monotonic() - begun, 3))
    return 1 if tally.failed else 0


def _source(settings: IngestSettings, kind: str) -> Source:
    if kind == "folder":
        return Folder(settings.weather_folder)
    if settings.weather_bucket is None:
        raise SettingsError("WEATHER_BUCKET is not set; it is required with --source s3.")
    client: Any = boto3.client("s3", region_name=os.environ.get("AWS_REGION"), config=_RETRIES)
    return Bucket(client, settings.weather_bucket, settings.weather_prefix)


def _summary(tally: Tally) -> dict[str, int]:
    return {
        "files": tally.files,
        "failures": tally.failed,
        "records_read": tally.read,
        "records_written": tally.written,
        "records_unchanged": tally.read - tally.written,
    }
