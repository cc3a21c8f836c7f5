"""10,000 small reports by 1, 2 and 4 worker processes, and the statements that a report takes outside its own query.

All run on one machine beside the Snowflake stand-in, which is one process: what several workers gain ends where that
process is busy all the time.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

from bench.measure import Measurement
from tests import sql_lint
from tests.local.cloud_server import CloudServer, cloud_server
from tests.service.fleet import container_environment
from tests.service.snowflake_account import SnowflakeAccount, generate_sample, snowflake_account

REPORTS, WORKERS, ONE_BY_ONE = 10_000, (1, 2, 4), 30
BUCKET = "throughput"
HEAD = 'title = "Nations"\ndescription = "Small"\nsource = "SNOWFLAKE_SAMPLE_DATA.TPCH_SF1"\n'
QUERY = "SELECT N_NATIONKEY, N_NAME FROM SNOWFLAKE_SAMPLE_DATA.TPCH_SF1.NATION"
INSERT = """INSERT INTO REPORT_CONFIG (REPORT_NAME, OUTPUT_FORMAT)
SELECT 'nations', 'CSV' FROM TABLE(GENERATOR(ROWCOUNT => %d))"""
ENDED = """
SELECT COUNT(*), COUNT(CASE WHEN STATUS = 'COMPLETED' AND ATTEMPTS = 1 THEN 1 END), COUNT(DISTINCT CLAIM_TOKEN)
FROM REPORT_CONFIG WHERE STATUS IN ('COMPLETED', 'FAILED')"""


@dataclass(frozen=True)
class Ended:
    """Reports that have ended, those of them that were COMPLETED at the first attempt, and the claims they came by."""

    count: int
    good: int
    claims: int


@dataclass(frozen=True)
class Run:
    """What one run took: seconds from the first claim to the last end, claims, and statements but the reports' own."""

    reports: int
    seconds: float
    claims: int
    statements: int
    stand_in_busy: float  # of one core


def measure() -> Iterator[Measurement]:
    """Time and statements of a report at each number of workers."""
    with tempfile.TemporaryDirectory() as name, _stage(Path(name)) as stage:
        alone = stage.one_by_one(ONE_BY_ONE)
        runs = {workers: stage.run(workers, REPORTS) for workers in WORKERS}
    one = runs[1]
    for workers, run in runs.items():
        name = f"{REPORTS:,} small reports, {workers} worker{'s' if workers > 1 else ''}"
        detail = (
            f"{run.reports / run.seconds:.0f} reports and {run.claims / run.seconds:.1f} claims a second; the stand-in "
            f"busy {run.stand_in_busy:.0%} of a core"
        )
        linear = one.seconds / workers
        yield Measurement(f"{name} ({detail})", run.seconds, "s", "linear from 1 worker", linear, None)
    most = max(run.statements / run.reports for run in runs.values())
    rival = alone.statements / alone.reports
    yield Measurement("Statements a report, outside its own query", most, "", "one report at a time", rival, 0.5)


class Stage:
    """Both stand-ins, and worker processes around them."""

    def __init__(self, folder: Path, account: SnowflakeAccount, cloud: CloudServer) -> None:
        self._folder = folder
        self._account = account
        # Another user than the workers', so that its own looks are not counted.
        self._cursor: Any = account.administrator.cursor()
        self._cursor.execute(f"USE SCHEMA {sql_lint.NAMES['database']}.{sql_lint.NAMES['config_schema']}")
        self._environment = container_environment(cloud, account, BUCKET) | {
            "REPORTS_DIRECTORY": str(_catalogue(folder)),
            "IDLE_SECONDS": "3600",
        }

    def run(self, workers: int, reports: int) -> Run:
        """Have waiting reports made by workers that start together."""
        self._account.empty_tables()
        self._cursor.execute(INSERT % reports)
        with self._workers(workers):
            first = self._wait(lambda ended: ended > 0)
            begun, before, busy = time.monotonic(), self._statements(), self._stand_in_seconds()
            last = self._wait(lambda ended: ended == reports, pause=0.5)
            seconds = time.monotonic() - begun
            share = (self._stand_in_seconds() - busy) / seconds
            if last.good != reports:
                raise RuntimeError(f"{reports - last.good} of {reports} reports did not succeed at their first attempt")
            made = reports - first.count
            return Run(made, seconds, last.claims - first.claims, self._statements() - before - made, share)

    def one_by_one(self, reports: int) -> Run:
        """Have reports made of which each is inserted when the last has ended."""
        self._account.empty_tables()
        with self._workers(1):
            self._cursor.execute(INSERT % 1)
            self._wait(lambda ended: ended == 1)
            begun, before = time.monotonic(), self._statements()
            for wanted in range(2, reports + 2):
                self._cursor.execute(INSERT % 1)
                self._wait(wanted.__eq__)
            return Run(reports, time.monotonic() - begun, reports, self._statements() - before - reports, 0)

    @contextmanager
    def _workers(self, count: int) -> Iterator[None]:
        processes = []
        try:
            for number in range(count):
                log = self._folder / f"worker-{number}"
                environment = self._environment | {"HEALTH_FILE": f"{log}.alive"}
                with log.open("w") as output:
                    command = [sys.executable, "-m", "report_service", "worker"]
                    processes.append(subprocess.Popen(command, env=environment, stdout=output, stderr=output))
            yield
        finally:
            for process in processes:
                process.terminate()
            for process in processes:
                process.wait(30)

    def _wait(self, enough: Callable[[int], bool], pause: float = 0.02) -> Ended:
        until = time.monotonic() + 1200
        while not enough((ended := Ended(*self._cursor.execute(ENDED).fetchone())).count):
            if time.monotonic() > until:
                raise RuntimeError(f"the reports were not made within 20 minutes: {ended}")
            time.sleep(pause)
        return ended

    def _statements(self) -> int:
        """Those of the workers' user so far."""
        with urllib.request.urlopen(f"http://127.0.0.1:{self._account.port}/_warehouse/state", timeout=10) as answer:
            return int(json.load(answer)["statements"][sql_lint.NAMES["runner_user"]])

    def _stand_in_seconds(self) -> float:
        """Processor time of the Snowflake stand-in so far."""
        times = psutil.Process(self._account.process.pid).cpu_times()
        return times.user + times.system


@contextmanager
def _stage(folder: Path) -> Iterator[Stage]:
    for name in ("sample", "snowflake", "cloud"):
        (folder / name).mkdir()
    generate_sample(folder / "sample")
    with (
        snowflake_account(folder / "snowflake", folder / "sample") as account,
        cloud_server(folder / "cloud") as cloud,
    ):
        yield Stage(folder, account, cloud)


def _catalogue(folder: Path) -> Path:
    report = folder / "reports" / "nations"
    report.mkdir(parents=True)
    (report / "report.toml").write_text(HEAD)
    (report / "query.sql").write_text(QUERY)
    return report.parent
