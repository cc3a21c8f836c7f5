"""A large report from claim to file in S3: its time beside that of fetching the same rows, and a worker's memory."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.measure import Measurement, median
from report_service.storage import Storage
from tests import sql_lint
from tests.local.cloud_server import CloudServer, cloud_server
from tests.service.fleet import Fleet, WorkerProcess
from tests.service.snowflake_account import SnowflakeAccount, snowflake_account

ROUNDS = 5
BUCKET = "report-way"
MOST_BYTES = 400e6
STATE = """
SELECT STATUS, ROW_COUNT, DATEDIFF('MILLISECOND', STARTED_AT, FINISHED_AT), FILE_BYTES, ERROR_MESSAGE
FROM REPORT_CONFIG"""
HEAD = """title = "Lines"
description = "Lines of orders."
source = "SNOWFLAKE_SAMPLE_DATA.TPCH_SF1"
parameters = [{ name = "rows", type = "integer" }]
limits = { rows = 10_000_000 }
"""
# Ten columns: numbers, money, dates, a moment, short and long texts.
QUERY = """
SELECT L_ORDERKEY, L_LINENUMBER, L_QUANTITY, L_EXTENDEDPRICE, L_DISCOUNT, L_SHIPDATE,
    L_RECEIPTDATE::TIMESTAMP_NTZ AS RECEIVED_AT, L_RETURNFLAG, L_SHIPMODE, L_COMMENT
FROM SNOWFLAKE_SAMPLE_DATA.TPCH_SF1.LINEITEM
WHERE L_ORDERKEY <= {rows}"""  # of each 32 keys 8 are orders, with 4 lines on average: about so many rows


def measure() -> Iterator[Measurement]:
    """The way of 1,000,000 rows as CSV; the largest resident size of workers that make one report each."""
    with tempfile.TemporaryDirectory() as name, _stage(Path(name)) as stage:
        ways, fetches, uploads = [], [], []
        with stage.worker():
            stage.make("CSV", 1_000)  # its session, its clients and its imports, once in a process
            for _ in range(ROUNDS):
                fetches.append(stage.fetch(1_000_000))
                made = stage.make("CSV", 1_000_000)
                ways.append(made.seconds)
                uploads.append(stage.upload(made.bytes))
        name, rival = "CSV, 1,000,000 rows, from claim to file in S3", median(fetches)
        yield Measurement(name, median(ways), "s", "fetching the rows and throwing them away", rival, 2 * rival)
        rival += median(uploads)
        yield Measurement(name, median(ways), "s", "fetching, then uploading a file of that size", rival, None)
        small = stage.peak("CSV", 500_000)
        for output, rows in (("CSV", 5_000_000), ("EXCEL", 1_000_000)):
            peak = stage.peak(output, rows)
            allowed = min(MOST_BYTES, 1.2 * small) / 1e6
            name = f"Peak memory of a worker, {output}, {rows:,} rows"
            yield Measurement(name, peak / 1e6, "MB", "CSV, 500,000 rows", small / 1e6, allowed)


@dataclass(frozen=True)
class Made:
    """A report that was made: seconds from claim to end, and the size of its file."""

    seconds: float
    bytes: int


class Stage:
    """Both stand-ins, and workers that do nothing else."""

    def __init__(self, account: SnowflakeAccount, cloud: CloudServer, fleet: Fleet) -> None:
        self._account = account
        self._storage = Storage(cloud.client("s3"), BUCKET)
        self._fleet = fleet
        self._cursor: Any = account.administrator.cursor()
        self._cursor.execute(f"USE SCHEMA {sql_lint.NAMES['database']}.{sql_lint.NAMES['config_schema']}")

    def fetch(self, rows: int) -> float:
        """Seconds of the query with all of its rows fetched."""
        with self._account.warehouse("bench", autocommit=True) as warehouse:
            warehouse.open()
            begun, count = time.perf_counter(), 0
            with warehouse.batches(QUERY.format(rows="?"), (rows,)) as tables:
                for table in tables:
                    count += table.num_rows
            _check(abs(count - rows) < rows / 50, f"{count} rows were fetched in place of {rows}")
            return time.perf_counter() - begun

    def upload(self, size: int) -> float:
        """Seconds of bringing bytes that are there already into the bucket, as a worker does."""
        content = os.urandom(size)
        begun = time.perf_counter()
        with self._storage.writing("reports/ready", media_type="text/csv", limit=size) as file:
            file.write(content)
            file.finish()
        return time.perf_counter() - begun

    @contextmanager
    def worker(self) -> Iterator[WorkerProcess]:
        """A worker for some reports."""
        self._account.empty_tables()
        process = self._fleet.start()
        try:
            yield process
        finally:
            self._fleet.kill(process)

    def peak(self, output: str, rows: int) -> int:
        """The largest resident size, in bytes, of a worker that makes one report."""
        with self.worker() as process:
            self.make(output, rows)
            return _largest(process)

    def make(self, output: str, rows: int) -> Made:
        """Have a report made by the worker that runs."""
        self._account.empty_tables()
        self._cursor.execute(
            "INSERT INTO REPORT_CONFIG (REPORT_NAME, OUTPUT_FORMAT, PARAMETERS, MAX_ATTEMPTS) "
            f"SELECT 'lines', '{output}', PARSE_JSON('{{\"rows\": {rows}}}'), 1"
        )
        until = time.monotonic() + 900
        while (found := self._row())[0] not in ("COMPLETED", "FAILED"):
            _check(time.monotonic() < until, f"the report was not made within 15 minutes: {found}")
            time.sleep(0.2)
        right = found[0] == "COMPLETED" and abs(found[1] - rows) < max(rows / 50, 50)
        _check(right, f"the report ended as {found}")
        return Made(float(found[2]) / 1000, int(found[3]))

    def _row(self) -> tuple[Any, ...]:
        self._cursor.execute(STATE)
        row: tuple[Any, ...] = self._cursor.fetchone()
        return row


@contextmanager
def _stage(folder: Path) -> Iterator[Stage]:
    for name in ("sample", "snowflake", "cloud", "workers"):
        (folder / name).mkdir()
    generator = Path(sys.executable).parent / "tpchgen-cli"
    subprocess.run(
        [generator, "parquet", "-s", "1", "--output-dir", folder / "sample"], check=True, capture_output=True
    )
    with (
        snowflake_account(folder / "snowflake", folder / "sample") as account,
        cloud_server(folder / "cloud") as cloud,
    ):
        changes = {"REPORTS_DIRECTORY": str(_catalogue(folder)), "LEASE_SECONDS": "60"}
        fleet = Fleet(cloud, account, BUCKET, folder / "workers", **changes)
        try:
            yield Stage(account, cloud, fleet)
        finally:
            fleet.end()


def _catalogue(folder: Path) -> Path:
    report = folder / "reports" / "lines"
    report.mkdir(parents=True)
    (report / "report.toml").write_text(HEAD)
    (report / "query.sql").write_text(QUERY.format(rows=":rows"))
    return report.parent


def _largest(process: WorkerProcess) -> int:
    """The largest resident size that the kernel saw (VmHWM of proc(5))."""
    for line in Path(f"/proc/{process.pid}/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * 1024
    raise RuntimeError("the kernel does not tell the largest resident size")


def _check(right: bool, message: str) -> None:
    if not right:
        raise RuntimeError(message)
