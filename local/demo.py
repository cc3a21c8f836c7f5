"""The demo: a fresh local platform, everything deployed, reports requested by plain INSERTs, the files shown."""

from __future__ import annotations

import hashlib
import shutil
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import snowflake.connector
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.table import Table

from local import systems
from local.platform import Platform, require_catalogue
from local.processes import ROOT, StepFailed

FILES = ROOT / "build" / "demo"

# What an analyst would type. CONFIG_ID, STATUS and all else have defaults.
REQUESTS = (
    "INSERT INTO REPORT_CONFIG (REPORT_NAME) VALUES ('pricing_summary')",
    "INSERT INTO REPORT_CONFIG (REPORT_NAME, OUTPUT_FORMAT) VALUES ('pricing_summary', 'CSV')",
    """INSERT INTO REPORT_CONFIG (REPORT_NAME, OUTPUT_FORMAT, PARAMETERS)
       SELECT 'sales_report', 'EXCEL', PARSE_JSON('{"start_date": "1995-01-01", "end_date": "1995-12-31"}')""",
    "INSERT INTO REPORT_CONFIG (REPORT_NAME, OUTPUT_FORMAT) VALUES ('customer_balance', 'EXCEL')",
    "INSERT INTO REPORT_CONFIG (REPORT_NAME, OUTPUT_FORMAT) VALUES ('order_priority', 'PDF')",
    "INSERT INTO REPORT_CONFIG (REPORT_NAME, OUTPUT_FORMAT) VALUES ('order_priority', 'JSON')",
    "INSERT INTO REPORT_CONFIG (REPORT_NAME, OUTPUT_FORMAT) VALUES ('customer_balance', 'PARQUET')",
    # Due in a moment, and from then on each morning at six: finishing it leaves tomorrow's row behind.
    """INSERT INTO REPORT_CONFIG
              (REPORT_NAME, TRIGGER_TYPE, OUTPUT_FORMAT, PARAMETERS, RUN_AT, SCHEDULE_CRON, SCHEDULE_TIMEZONE)
       SELECT 'sales_report', 'SCHEDULED', 'PDF', PARSE_JSON('{"start_date": "1997-01-01", "end_date": "1997-06-30"}'),
              DATEADD(second, 2, SYSDATE()), '0 6 * * *', 'Europe/Zurich'""",
)

ROWS = """SELECT CONFIG_ID, REPORT_NAME, TRIGGER_TYPE, OUTPUT_FORMAT, STATUS,
                 ROW_COUNT, FILE_BYTES, FILE_SHA256, S3_LOCATION,
                 TIMESTAMPDIFF(millisecond, CREATED_AT, STARTED_AT) / 1000 AS TO_CLAIMED,
                 TIMESTAMPDIFF(millisecond, CREATED_AT, FINISHED_AT) / 1000 AS TO_DONE,
                 ERROR_CODE, ERROR_MESSAGE
          FROM REPORT_CONFIG WHERE PARENT_ID IS NULL ORDER BY CONFIG_ID"""

Row = Mapping[str, Any]


@dataclass(frozen=True)
class Demo:
    """One run of the demo on a platform; `console` gets the progress and the table."""

    platform: Platform
    console: Console

    def run(self) -> None:
        """Do all steps in order. Raises StepFailed naming the step, the reason and its log."""
        started = time.monotonic()
        self.deploy()
        with self.step("Wait until the new worker has gone to sleep"):
            self.wait_for_sleep(60)
        with self.step("Make the reports", spinner=False), self.platform.connect() as connection:
            rows = self._request(connection)
        with self.step("Fetch the files and compare them with their rows"):
            files = self._fetch(rows)
        self._show(rows, files)
        with self.step("Wait until the worker is back at 0 tasks"):
            self.wait_for_sleep(60)
        self.console.print(f"\nAll of it took {time.monotonic() - started:.0f} s. The files are in {FILES}/")

    def deploy(self) -> None:
        """Start the platform and deploy everything to it."""
        steps: tuple[tuple[str, Callable[[], None]], ...] = (
            ("Check the catalogue of reports", require_catalogue),
            *((("Build the images", self.platform.build_images),) if self.platform.runner == "container" else ()),
            ("Start the AWS and Snowflake stand-ins", self.platform.start),
            ("Synthesise every environment", self.platform.synth),
            ("Bootstrap both accounts (cdk bootstrap, Snowflake administrator)", self.platform.bootstrap),
            ("Start the runner of ECS tasks", self.platform.start_fargate),
            ("cdk deploy 'local/*'", self.platform.deploy),
            (
                "Bring what the other systems read: weather files, visits, logins",
                lambda: systems.prepare(self.platform),
            ),
        )
        for title, step in steps:
            with self.step(title):
                step()

    @contextmanager
    def step(self, title: str, *, spinner: bool = True) -> Iterator[None]:
        """Show a step and its seconds. Whatever goes wrong inside becomes a StepFailed that names it."""
        start = time.monotonic()
        with self.console.status(title) if spinner else nullcontext():
            try:
                yield
            except StepFailed:
                raise
            except Exception as error:
                raise StepFailed(title, f"{type(error).__name__}: {error}", self.platform.logs) from error
        self.console.print(f"[green]✓[/green] {title} [dim]{time.monotonic() - start:.1f} s[/dim]", highlight=False)

    def worker_tasks(self) -> tuple[int, int]:
        """ECS's desired count of the worker, and how many of its processes run."""
        outputs = self.platform.outputs("ReportService")
        service = self.platform.client("ecs").describe_services(
            cluster=outputs["ClusterName"], services=[outputs["WorkerServiceName"]]
        )["services"][0]
        group = f"service:{service['serviceName']}"
        return service["desiredCount"], sum(task["group"] == group for task in self.platform.tasks())

    def wait_for_sleep(self, seconds: float) -> None:
        """Wait until ECS wants no worker and none runs. Raises StepFailed after `seconds`."""
        until = time.monotonic() + seconds
        while (counts := self.worker_tasks()) != (0, 0):
            if time.monotonic() > until:
                why = f"desired {counts[0]}, running {counts[1]} after {seconds:.0f} s"
                raise StepFailed("sleep of the worker", why, self.platform.logs / "tasks")
            time.sleep(0.2)

    def _request(self, connection: snowflake.connector.SnowflakeConnection) -> list[Row]:
        """Insert the requests and follow them to their ends. Returns the finished rows."""
        cursor = connection.cursor(snowflake.connector.DictCursor)
        for statement in REQUESTS:
            cursor.execute(statement)
        columns = (
            SpinnerColumn(),
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
        )
        with Progress(*columns, console=self.console, transient=True) as progress:
            bar = progress.add_task("Reports requested with plain INSERTs", total=len(REQUESTS))
            until = time.monotonic() + 60
            while True:
                rows: list[Row] = cursor.execute(ROWS).fetchall()  # type: ignore[assignment]
                open_rows = [row for row in rows if row["STATUS"] in ("PENDING", "PROCESSING")]
                states = ", ".join(f"{row['REPORT_NAME']} {row['STATUS'].lower()}" for row in open_rows)
                progress.update(bar, completed=len(rows) - len(open_rows), description=states or "All reports finished")
                if not open_rows:
                    break
                if time.monotonic() > until:
                    raise StepFailed("making of the reports", f"after 60 s: {states}", self.platform.logs / "tasks")
                time.sleep(0.1)
        failed = [row for row in rows if row["STATUS"] != "COMPLETED"]
        if failed:
            why = "; ".join(f"{row['REPORT_NAME']}: {row['ERROR_CODE']} {row['ERROR_MESSAGE']}" for row in failed)
            raise StepFailed("making of the reports", why, self.platform.logs / "tasks")
        return rows

    def _fetch(self, rows: list[Row]) -> list[Path]:
        """Download each report's file and hold it against what its row says."""
        shutil.rmtree(FILES, ignore_errors=True)
        FILES.mkdir(parents=True)
        s3 = self.platform.client("s3")
        files = []
        for row in rows:
            bucket, key = row["S3_LOCATION"].removeprefix("s3://").split("/", 1)
            file = FILES / f"{row['CONFIG_ID']}-{key.rsplit('/', 1)[1]}"
            s3.download_file(bucket, key, str(file))
            digest = hashlib.sha256(file.read_bytes()).hexdigest()
            if (digest, file.stat().st_size) != (row["FILE_SHA256"], row["FILE_BYTES"]):
                raise StepFailed("check of the files", f"{row['S3_LOCATION']} is not what its row says")
            files.append(file)
        return files

    def _show(self, rows: list[Row], files: list[Path]) -> None:
        table = Table(title="Finished reports", caption=f"in {FILES.relative_to(ROOT)}/; seconds count from the INSERT")
        for heading in ("report", "type", "format"):
            table.add_column(heading, no_wrap=True)
        for heading in ("rows", "bytes", "claimed s", "done s"):
            table.add_column(heading, justify="right", no_wrap=True)
        table.add_column("file", overflow="fold")
        for row, file in zip(rows, files, strict=True):
            seconds = (f"{float(row[name]):.1f}" for name in ("TO_CLAIMED", "TO_DONE"))
            numbers = (f"{int(row[name]):,}" for name in ("ROW_COUNT", "FILE_BYTES"))
            kind = (row["REPORT_NAME"], row["TRIGGER_TYPE"], row["OUTPUT_FORMAT"])
            table.add_row(*kind, *numbers, *seconds, file.name)
        self.console.print(table)
