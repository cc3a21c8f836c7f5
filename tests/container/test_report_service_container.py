"""The report service's image under a task's restrictions: both roles, the checks, a large report, the end."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import httpx
import polars
import pytest
from hardened import Container, Containers, wait_until

from local.processes import free_port
from tests.service.snowflake_account import SnowflakeAccount

TOKEN = "a-token-for-tests-0123456789"
JOB = {
    "job_id": "from-the-web-role",
    "job_type": "SALES_REPORT",
    "input_data": {"start_date": "1997-01-01", "end_date": "1997-03-31", "format": "csv"},
    "timestamp": "2026-11-21T10:00:00Z",
    "source": "SNOWFLAKE",
}
MILLION = 1_000_000
TABLES = "SNOWFLAKE_SAMPLE_DATA.TPCH_SF1"
# A million rows out of sixty thousand: each line, once for each of seventeen nations.
MILLION_ROWS = f"""
SELECT lineitem.L_ORDERKEY, lineitem.L_PARTKEY, lineitem.L_SUPPKEY, lineitem.L_QUANTITY, lineitem.L_EXTENDEDPRICE,
    lineitem.L_DISCOUNT, lineitem.L_SHIPDATE, lineitem.L_SHIPMODE, lineitem.L_COMMENT, nation.N_NAME
FROM {TABLES}.LINEITEM AS lineitem
CROSS JOIN {TABLES}.NATION AS nation
WHERE nation.N_NATIONKEY < 17
LIMIT {MILLION}
"""
MILLION_REPORT = f"""
title = "A million rows"
description = "Lines of orders, once for each of seventeen nations."
source = "{TABLES}"
formats = ["CSV", "EXCEL"]
"""
# What the kernel counted for this container, whichever version of cgroups it has, and for its process alone.
PEAK = """
import pathlib
files = "/sys/fs/cgroup/memory.peak", "/sys/fs/cgroup/memory/memory.max_usage_in_bytes"
status = dict(line.split(":", 1) for line in pathlib.Path("/proc/1/status").read_text().splitlines())
print(next(path.read_text() for path in map(pathlib.Path, files) if path.exists()), status["VmHWM"].split()[0])
"""
# Touches every page of 1.2 GB, a tenth at a time.
TOO_MUCH = "held = []\nfor _ in range(12):\n    held.append(b'x' * 100_000_000)\nprint('all of it')"
RESTRICTIONS = """
import os, pathlib
status = dict(line.split(":", 1) for line in pathlib.Path("/proc/1/status").read_text().splitlines())
print(*(status[name].split()[0] for name in ("Uid", "Gid", "CapEff", "CapBnd", "NoNewPrivs", "Seccomp")))
for folder in ("/", "/app", "/opt/venv", "/etc", "/var/tmp", "/tmp"):
    try:
        (pathlib.Path(folder) / "written").write_text("x")
        print(folder)
    except OSError:
        pass
"""


@pytest.fixture
def worker(containers: Containers, tmp_path: Path) -> Container:
    """A worker with one report in its catalogue beside those of the image."""
    for file, text in (("report.toml", MILLION_REPORT), ("query.sql", MILLION_ROWS)):
        (tmp_path / "million").mkdir(exist_ok=True)
        (tmp_path / "million" / file).write_text(text)
    return containers.start("worker", mounts={tmp_path / "million": Path("/app/reports/million")})


def web_role(containers: Containers) -> tuple[Container, httpx.Client]:
    port = free_port()
    web = containers.start("web", API_TOKEN=TOKEN, PORT=str(port), WEB_HOST="127.0.0.1")
    client = httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=20)

    def answers() -> bool:
        try:
            return client.get("/ready").status_code == 200
        except httpx.TransportError:
            return False

    wait_until(answers, 30, web.log)
    return web, client


def finished(account: SnowflakeAccount, worker: Container, where: str, seconds: float) -> dict[str, Any]:
    """The one row of the queue that is meant, once it has ended."""
    found: dict[str, Any] = {}

    def has_ended() -> bool:
        with account.warehouse() as session, session.batches(f"SELECT * FROM REPORT_CONFIG WHERE {where}") as tables:
            (row,) = next(tables).to_pylist()
        found.update(row)
        return row["STATUS"] not in ("PENDING", "PROCESSING")

    wait_until(has_ended, seconds, worker.log)
    assert (found["STATUS"], found["ERROR_MESSAGE"]) == ("COMPLETED", None)
    return found


def body(cloud: Any, row: dict[str, Any]) -> bytes:
    bucket, key = row["S3_LOCATION"].removeprefix("s3://").split("/", 1)
    content = bytes(cloud.client("s3").get_object(Bucket=bucket, Key=key)["Body"].read())
    assert hashlib.sha256(content).hexdigest() == row["FILE_SHA256"]
    return content


def test_what_the_web_role_takes_the_worker_makes_and_both_are_healthy_and_end_at_sigterm(
    containers: Containers, worker: Container, account: SnowflakeAccount, cloud: Any
) -> None:
    web, client = web_role(containers)
    assert client.get("/health").status_code == 200
    assert client.post("/process-job", json=JOB).status_code == 401
    taken = client.post("/process-job", json=JOB, headers={"Authorization": f"Bearer {TOKEN}"})
    assert taken.status_code == 202, taken.text

    row = finished(account, worker, f"IDEMPOTENCY_KEY = '{JOB['job_id']}'", 60)
    assert b"ASIA" in body(cloud, row)
    for container in (web, worker):
        assert container.is_healthy(), container.log()
        assert container.stop(120) == 0, container.log()  # 137, had it been killed
        assert "Traceback" not in container.log()


def test_the_health_check_fails_where_no_role_works(containers: Containers) -> None:
    assert containers.run("health", PORT=str(free_port())).returncode == 1


def test_a_container_is_nobody_can_nothing_and_writes_only_to_tmp(worker: Container) -> None:
    restrictions, *written = worker.python(RESTRICTIONS).splitlines()
    assert restrictions == "10001 10001 0000000000000000 0000000000000000 1 2"
    assert written == ["/tmp"]


def test_the_connections_and_the_configuration_are_right(containers: Containers) -> None:
    _, client = web_role(containers)
    checked = containers.run("test-connections", API_URL=str(client.base_url), API_TOKEN=TOKEN)
    assert checked.returncode == 0, checked.stdout + checked.stderr
    assert "Snowflake queue: " in checked.stdout
    validated = containers.run("validate-config")
    assert (validated.returncode, "pricing_summary" in validated.stdout) == (0, True), validated.stderr


def test_who_takes_more_than_the_limit_is_killed(containers: Containers) -> None:
    ended = containers.run("-c", TOO_MUCH, options=("--entrypoint", "python"))
    assert (ended.returncode, ended.stdout) == (137, "")


@pytest.mark.parametrize("output", ["CSV", "EXCEL"])
def test_a_report_of_a_million_rows_fits_into_one_gigabyte(
    output: str, worker: Container, account: SnowflakeAccount, cloud: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    account.administer(
        "USE ROLE ACCOUNTADMIN",
        "INSERT INTO REPORTING_DB.CONFIG.REPORT_CONFIG (REPORT_NAME, OUTPUT_FORMAT, IDEMPOTENCY_KEY) "
        f"VALUES ('million', '{output}', 'million-{output}')",
    )
    row = finished(account, worker, f"IDEMPOTENCY_KEY = 'million-{output}'", 180)
    peak, process_kib = map(int, worker.python(PEAK).split())

    assert row["ROW_COUNT"] == MILLION
    if output == "CSV":
        assert polars.read_csv(body(cloud, row)).height == MILLION
    assert worker.look("{{.State.OOMKilled}}") == "false"
    assert peak < 2**30
    with capsys.disabled():
        size = row["FILE_BYTES"] / 1e6
        at_most = f"{peak / 2**20:.0f} MiB of 1024, cached files included; its process {process_kib / 1024:.0f} MiB"
        print(f"\n{output} of {MILLION:,} rows, {size:.0f} MB: at most {at_most}")
