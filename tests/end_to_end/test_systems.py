"""The systems beside the report service, on the same platform: a job by hand, an API behind an edge, an agent."""

from __future__ import annotations

import json
import re
import ssl
import subprocess
import sys
import time
import urllib.request
from pathlib import Path
from typing import Any

import pytest

from local import systems
from local.platform import Platform
from local.postgres import Postgres


@pytest.fixture(scope="module")
def prepared(platform: Platform) -> Platform:
    systems.prepare(platform)
    return platform


def run_job(platform: Platform, job: str, *settings: str) -> subprocess.CompletedProcess[str]:
    """As `make run-job` does it; exit code and output are the container's."""
    command = [sys.executable, "-m", "stacks.run_job", "local", job, *settings]
    environment = platform.tools_environment()
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120, check=False)


def status(platform: Platform, environment: str) -> subprocess.CompletedProcess[str]:
    """As `make status` does it."""
    command = [sys.executable, "-m", "stacks.status", environment]
    tools = platform.tools_environment()
    return subprocess.run(command, env=tools, capture_output=True, text=True, timeout=60, check=False)


def through_the_edge(platform: Platform, path: str) -> Any:
    """What a caller gets at the URL that the deploy gives; the name leads to the stand-in."""
    host = platform.outputs("WeatherWarehouse")["Url"].removeprefix("https://")
    request = urllib.request.Request(f"{platform.aws_endpoint}{path}", headers={"Host": host})
    context = ssl.create_default_context(cafile=str(platform.certificate_bundle))
    with urllib.request.urlopen(request, timeout=30, context=context) as answer:
        return json.loads(answer.read())


def conflicts(platform: Platform) -> list[tuple[Any, ...]]:
    server = Postgres(platform.connection["postgres"], platform.connection["password"])
    with server.connect(systems.CONFLICTS) as session:
        return session.execute("SELECT * FROM conflict_dev.conflictvisitmaps ORDER BY 1, 2").fetchall()


def test_the_stations_are_ingested_and_served_behind_the_edge(prepared: Platform) -> None:
    first = run_job(prepared, "weather-warehouse")
    assert first.returncode == 0, first.stdout + first.stderr
    assert '"records_written": 118647' in first.stdout
    again = run_job(prepared, "weather-warehouse")
    assert '"records_unchanged": 118647' in again.stdout

    assert through_the_edge(prepared, "/api/health")["status"] == "healthy"
    assert through_the_edge(prepared, "/api/weather?limit=1")["total"] == 118_647
    assert through_the_edge(prepared, "/api/weather/stats?limit=1")["items"][0]["year"] == 1985


def test_conflicts_are_found_once_and_a_second_run_changes_nothing(prepared: Platform) -> None:
    found = run_job(prepared, "conflict-updater", "LOOKBACK_HOURS=48")
    assert found.returncode == 0, found.stdout + found.stderr
    assert "Status: completed" in found.stdout
    rows = conflicts(prepared)
    assert rows
    again = run_job(prepared, "conflict-updater", "LOOKBACK_HOURS=48")
    assert "0 new or changed, 0 resolved" in again.stdout
    assert conflicts(prepared) == rows


def test_a_wrong_setting_ends_the_job_with_its_exit_code_and_says_which(prepared: Platform) -> None:
    refused = run_job(prepared, "conflict-updater", "BATCH_SIZE=none")
    assert refused.returncode == 1
    assert "BATCH_SIZE" in refused.stdout


def test_connections_are_tested_without_an_update(prepared: Platform) -> None:
    tested = run_job(prepared, "conflict-updater", "ACTION=test_connections")
    assert tested.returncode == 0
    assert "Snowflake connection successful" in tested.stdout
    assert "PostgreSQL connection successful" in tested.stdout


def test_the_agent_runs_with_its_settings(prepared: Platform) -> None:
    group = f"service:{prepared.outputs('MatillionAgent')['ServiceName']}"
    until = time.monotonic() + 20
    while not (logs := [Path(task["log"]) for task in prepared.tasks() if task["group"] == group]):
        assert time.monotonic() < until, "no task of the agent runs"
        time.sleep(0.2)
    assert "all settings are there" in logs[0].read_text()


def test_the_status_says_what_every_service_does_and_where_its_log_is(prepared: Platform) -> None:
    said = status(prepared, "local")
    assert said.returncode == 0, said.stderr
    services = {part.partition(":")[0]: part for part in re.split("^local-", said.stdout, flags=re.MULTILINE)[1:]}
    assert set(services) == {"MatillionAgent", "ReportService", "WeatherWarehouse"}
    agent = services["MatillionAgent"]
    assert "desired 1, running 1, pending 0" in agent
    assert " RUNNING" in agent
    [group] = [line.split()[4] for line in agent.splitlines() if line.startswith("  log:")]
    assert prepared.client("logs").describe_log_streams(logGroupName=group)["logStreams"]


def test_the_status_of_what_is_not_deployed_says_how_to_deploy_it(prepared: Platform) -> None:
    refused = status(prepared, "dev")
    assert refused.returncode == 1
    assert "111122223333" in refused.stderr
