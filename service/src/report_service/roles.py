"""Runs a role with the settings that it needs, and turns what goes wrong at the start into an exit code."""

from __future__ import annotations

import sys

from snowflake.connector.errors import Error as SnowflakeError

from report_service import log
from report_service.catalogue import CatalogueError
from report_service.checks import validate_config
from report_service.connections import test_connections
from report_service.login import LoginError
from report_service.settings import (
    AnySettings,
    CheckSettings,
    Settings,
    SettingsError,
    WebSettings,
    WorkerSettings,
    load,
)
from report_service.worker_role import run_worker


def run(role: str) -> int:
    """Run a role to its end; returns 0, or 1 if something is wrong."""
    try:
        return _run(role)
    except (SettingsError, CatalogueError, LoginError) as error:
        print(error, file=sys.stderr)
        return 1
    except Exception as error:  # noqa: BLE001 - the last line of a container: one event, and the exit code says it
        log.error("service.failed", error, role=role, hint=_hint(error))
        return 1


def _run(role: str) -> int:
    if role == "web":
        from report_service.web.server import run_web  # the worker needs no web server in its memory

        run_web(_started(WebSettings))
        return 0
    if role == "worker":
        run_worker(_started(WorkerSettings))
        return 0
    if role == "test-connections":
        return 0 if test_connections(_started(CheckSettings)) else 1
    return 0 if validate_config(_started(Settings)) else 1


def _started(model: type[AnySettings]) -> AnySettings:
    settings = load(model)
    log.start(settings.log_level)
    return settings


def _hint(error: Exception) -> str:
    if isinstance(error, SnowflakeError):
        return "Run `python -m report_service test-connections` to see which hop does not work."
    return "Set LOG_LEVEL=DEBUG for the traceback."
