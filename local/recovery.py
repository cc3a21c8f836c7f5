"""The restore drill: each disaster is really made on a platform, mended as docs/disaster-recovery.md says, and checked.

Every case reads before and after by a way of its own (S3's bytes against the row's SHA-256, all rows of a table,
PostgreSQL's rows), raises StepFailed where they differ, and gives what was lost and how long it took.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import ssl
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
import snowflake.connector
from rich.console import Console
from rich.table import Table

from local.cloud.additions.mail import INBOX
from local.demo import Demo
from local.platform import Platform
from local.processes import StepFailed, last_lines
from local.settings import ENVIRONMENTS, LocalEnvironment

# What a second region's file says otherwise than the first one's; the names that it shares are left out.
SECOND = {
    "runner_user": "REPORTING_SERVICE_B",
    "web_user": "REPORTING_SERVICE_B_WEB",
    "api_integration": "SNOWGATE_LOCAL_B_API",
    "external_access": "SNOWGATE_LOCAL_B_EGRESS",
}
MANY = 8
_RECIPIENT = """PARSE_JSON('[{"channel": "email", "to": "reader@example.com"}]')"""


@dataclass(frozen=True)
class Restored:
    """A case of the drill that held; `seconds` count from the loss to the reading that shows it restored."""

    case: str
    lost: str
    restored_by: str
    seconds: float
    data_lost: str = "nothing"


@dataclass(frozen=True)
class Recovery:
    """The cases, on a platform to which everything is deployed."""

    platform: Platform

    def deleted_file(self) -> Restored:
        """A report's file is deleted: in a versioned bucket that is a marker, and taking it away is the restoring."""
        row, s3 = self._report(), self.platform.client("s3")
        bucket, key = place(row)
        s3.delete_object(Bucket=bucket, Key=key)
        self._must(not _exists(s3, bucket, key), "the file is still there after its deletion")
        start = time.monotonic()
        markers = s3.list_object_versions(Bucket=bucket, Prefix=key)["DeleteMarkers"]
        marker = next(one["VersionId"] for one in markers if one["Key"] == key and one["IsLatest"])
        s3.delete_object(Bucket=bucket, Key=key, VersionId=marker)
        self._must_match(row)
        seconds = time.monotonic() - start
        return Restored("file deleted", "one report's file", "its delete marker taken away", seconds)

    def overwritten_file(self) -> Restored:
        """A report's file is overwritten: the version whose SHA-256 is the row's becomes the newest again."""
        row, s3 = self._report(), self.platform.client("s3")
        bucket, key = place(row)
        s3.put_object(Bucket=bucket, Key=key, Body=b"somebody's own")
        self._must(_digest(s3, bucket, key) != row["FILE_SHA256"], "the file is as it was after it was overwritten")
        start = time.monotonic()
        versions = s3.list_object_versions(Bucket=bucket, Prefix=key)["Versions"]
        good = next(
            one["VersionId"]
            for one in versions
            if one["Key"] == key and _digest(s3, bucket, key, one["VersionId"]) == row["FILE_SHA256"]
        )
        s3.copy_object(Bucket=bucket, Key=key, CopySource={"Bucket": bucket, "Key": key, "VersionId": good})
        self._must_match(row)
        seconds = time.monotonic() - start
        return Restored("file overwritten", "one report's file", "its version copied over it", seconds)

    def dropped_table(self) -> Restored:
        """The queue's table is dropped: UNDROP brings the rows, a deploy the stream and the grants."""
        with self._connect() as connection:
            cursor = connection.cursor(snowflake.connector.DictCursor)
            before = _all_rows(cursor)
            cursor.execute("DROP TABLE REPORT_CONFIG")
            start = time.monotonic()
            cursor.execute("UNDROP TABLE REPORT_CONFIG")
            cursor.execute("DROP STREAM REPORT_CONFIG_INSERT_STREAM")  # it is stale
            self.platform.deploy()
            self._must(_all_rows(cursor) == before, "REPORT_CONFIG has other rows than before its DROP")
            self._report()  # a new request wakes a worker: stream, task and grants are there again
            seconds = time.monotonic() - start
        lost = f"REPORT_CONFIG with {len(before)} rows"
        return Restored("table dropped", lost, "UNDROP TABLE, then a deploy; a new report was made", seconds)

    def lost_weather(self, run_id: str) -> Restored:
        """The weather database loses its tables: what they held is in the station files, and is ingested again."""
        self._ingest(f"{run_id}-before")
        before = self._observations()
        with self.platform.superuser.connect("weather_db") as session:
            session.execute("DROP TABLE observation, ingestion_run, schema_step")
        start = time.monotonic()
        self._ingest(f"{run_id}-after")
        seconds = time.monotonic() - start
        self._must(self._observations() == before, "the weather database has other rows than before")
        lost = f"all tables, {before[0]:,} observations"
        how = "ingested again from the station files"
        return Restored("weather database", lost, how, seconds, "the record of earlier ingestions")

    def destroyed_service(self) -> Restored:
        """The service's stack is destroyed with its bucket while reports are made, and deployed again."""
        s3, old = self.platform.client("s3"), self.platform.outputs("ReportService")["BucketName"]
        copies = "copies-of-reports"
        with self._connect() as connection:
            cursor = connection.cursor(snowflake.connector.DictCursor)
            # What S3's replication does by itself; the stand-in has none.
            s3.create_bucket(Bucket=copies)
            _copy(s3, old, copies)
            finished = self._finished_rows(cursor)
            ids = self._request(cursor, MANY)
            self._wait_for_work(cursor, ids)
            start = time.monotonic()
            self.platform.destroy("ReportService")
            self._must(old not in _buckets(s3), "the bucket is still there after its stack was destroyed")
            # References between stacks are weak: --force tells the others what was replaced.
            self.platform.deploy("--force")
            new = self.platform.outputs("ReportService")["BucketName"]
            _copy(s3, copies, new)
            cursor.execute(
                "UPDATE REPORT_CONFIG SET S3_LOCATION = REPLACE(S3_LOCATION, %s, %s) WHERE S3_LOCATION LIKE %s",
                (f"s3://{old}/", f"s3://{new}/", f"s3://{old}/%"),
            )
            late = self._made_again(cursor, ids, new)
            seconds = time.monotonic() - start
            for row in self._finished_rows(cursor):
                self._must_match(row)
            self._must(len(self._finished_rows(cursor)) == len(finished) + MANY, "a report was lost or doubled")
        lost = f"stack with bucket, {len(finished)} files, {MANY} reports in the making"
        again = f"{late} files newer than the copy: those reports were made again" if late else "nothing"
        return Restored("stack destroyed", lost, "deployed again, files from the bucket's copy", seconds, again)

    def second_region(self, second: Platform) -> Restored:
        """All that runs in one region is gone while reports are made; another environment goes on with the queue."""
        with self._connect() as connection:
            cursor = connection.cursor(snowflake.connector.DictCursor)
            mails = self._mails()
            ids = self._request(cursor, MANY, RECIPIENTS=_RECIPIENT)
            self._wait_for_work(cursor, ids)
            start = time.monotonic()
            self._end_the_first_region(cursor)
            ended = _end_transactions(cursor)
            second.bootstrap()  # the deployer's login goes over to the second environment's role
            second.deploy()
            rows = [self._ended(cursor, one, 120) for one in ids]
            by_second = sum(place(row)[0] == second.outputs("ReportService")["BucketName"] for row in rows)
            self._must(by_second > 0, "no report was made in the second region")
            taken = sum(row["ATTEMPTS"] > 1 for row in rows)
            self._must(taken > 0, "no dead worker's report was taken over")
            for row in rows:
                self._must_match(row)
            completions = self._completions(cursor, ids)
            self._must(completions == dict.fromkeys(ids, 1), f"reports were completed as often as {completions}")
            deliveries = self._deliveries(cursor, ids)
            seconds = time.monotonic() - start
        self._must(len(deliveries) == MANY, f"{len(deliveries)} deliveries of {MANY} reports")
        told = sum(status == "SENT" for status in deliveries)
        unknown = sum(status == "UNCERTAIN" for status in deliveries)
        self._must(told + unknown == MANY, f"deliveries ended as {sorted(set(deliveries))}")
        arrived = self._mails() - mails
        self._must(told <= arrived <= MANY, f"{arrived} e-mails arrived, the table says that {told} were sent")
        lost = f"every worker of the first region, {MANY} reports waiting and in the making"
        how = (
            f"{ended} open transactions ended, second environment deployed on the same queue: {by_second} made there, "
            f"{taken} of them taken from dead workers, {told} e-mails sent"
        )
        return Restored("second region", lost, how, seconds, f"{unknown} e-mails UNCERTAIN" if unknown else "nothing")

    def way_back(self, second: Platform) -> Restored:
        """A deploy of the first environment takes the wake-ups back; the second one's workers sleep."""
        start = time.monotonic()
        until = start + 60
        while _workers(second):
            self._must(time.monotonic() < until, "the second region's workers do not sleep after 60 s")
            time.sleep(0.2)
        self.platform.bootstrap()
        self.platform.deploy()
        row = self._report()
        mine = self.platform.outputs("ReportService")["BucketName"]
        self._must(place(row)[0] == mine, "the first region's worker did not make the report")
        seconds = time.monotonic() - start
        return Restored("way back", "nothing", "bootstrap SQL and deploy of the first environment", seconds)

    # --- what cases are made of

    def _connect(self) -> snowflake.connector.SnowflakeConnection:
        return self.platform.connect(warehouse=self.platform.environment.warehouse)

    def _must(self, holds: bool, why: str) -> None:
        if not holds:
            raise StepFailed("restore drill", why, self.platform.logs)

    def _must_match(self, row: dict[str, Any]) -> None:
        bucket, key = place(row)
        found = _digest(self.platform.client("s3"), bucket, key)
        self._must(found == row["FILE_SHA256"], f"s3://{bucket}/{key} is not what report {row['CONFIG_ID']} says")

    def _report(self) -> dict[str, Any]:
        """A new report, made."""
        with self._connect() as connection:
            cursor = connection.cursor(snowflake.connector.DictCursor)
            return self._ended(cursor, self._request(cursor, 1)[0], 60)

    def _request(self, cursor: Any, count: int, **columns: str) -> list[int]:
        names = "".join(f", {name}" for name in columns)
        values = "".join(f", {value}" for value in columns.values())
        mark = f"drill-{time.monotonic_ns()}"
        for number in range(count):
            cursor.execute(
                f"INSERT INTO REPORT_CONFIG (REPORT_NAME, OUTPUT_FORMAT, IDEMPOTENCY_KEY{names}) "  # noqa: S608
                f"SELECT 'order_priority', 'CSV', '{mark}-{number}'{values}"
            )
        found = cursor.execute(
            "SELECT CONFIG_ID FROM REPORT_CONFIG WHERE IDEMPOTENCY_KEY LIKE %s ORDER BY CONFIG_ID", (f"{mark}-%",)
        )
        return [int(row["CONFIG_ID"]) for row in found.fetchall()]

    def _ended(self, cursor: Any, config_id: int, seconds: float) -> dict[str, Any]:
        until = time.monotonic() + seconds
        while True:
            row = dict(cursor.execute("SELECT * FROM REPORT_CONFIG WHERE CONFIG_ID = %s", (config_id,)).fetchone())
            if row["STATUS"] not in ("PENDING", "PROCESSING"):
                self._must(row["STATUS"] == "COMPLETED", f"report {config_id}: {row['STATUS']} {row['ERROR_MESSAGE']}")
                return row
            self._must(time.monotonic() < until, f"report {config_id} is {row['STATUS']} after {seconds:.0f} s")
            time.sleep(0.1)

    def _wait_for_work(self, cursor: Any, ids: list[int]) -> None:
        """Until a worker has claimed one of these reports."""
        until = time.monotonic() + 60
        asked = f"SELECT COUNT(*) AS N FROM REPORT_CONFIG WHERE CONFIG_ID >= {ids[0]} AND STATUS <> 'PENDING'"  # noqa: S608
        while not cursor.execute(asked).fetchone()["N"]:
            self._must(time.monotonic() < until, "no worker claimed a report within 60 s")
            time.sleep(0.02)

    def _finished_rows(self, cursor: Any) -> list[dict[str, Any]]:
        asked = "SELECT * FROM REPORT_CONFIG WHERE STATUS = 'COMPLETED' ORDER BY CONFIG_ID"
        return [dict(row) for row in cursor.execute(asked).fetchall()]

    def _made_again(self, cursor: Any, ids: list[int], bucket: str) -> int:
        """Run those reports again whose files are younger than the copy; how many there were."""
        s3, again = self.platform.client("s3"), 0
        for config_id in ids:
            row = self._ended(cursor, config_id, 120)
            if not _exists(s3, bucket, place(row)[1]):
                cursor.execute(
                    "UPDATE REPORT_CONFIG SET STATUS = 'PENDING', FINISHED_AT = NULL, ATTEMPTS = 0, S3_LOCATION = NULL "
                    "WHERE CONFIG_ID = %s",
                    (config_id,),
                )
                again += 1
        if again:
            cursor.execute("CALL SEND_ECS_TRIGGER()")
        for config_id in ids:
            self._ended(cursor, config_id, 120)
        return again

    def _completions(self, cursor: Any, ids: list[int]) -> dict[int, int]:
        """How often each of these reports was completed, as the audit log has it."""
        asked = (
            "SELECT CONFIG_ID, COUNT(*) AS N FROM REPORT_AUDIT_LOG WHERE TO_STATUS = 'COMPLETED' "
            f"AND CONFIG_ID IN ({', '.join(map(str, ids))}) GROUP BY CONFIG_ID"  # noqa: S608
        )
        return {int(row["CONFIG_ID"]): int(row["N"]) for row in cursor.execute(asked).fetchall()}

    def _mails(self) -> int:
        """How many e-mails SES has accepted."""
        trust = ssl.create_default_context(cafile=str(self.platform.certificate_bundle))
        with urllib.request.urlopen(f"{self.platform.aws_endpoint}{INBOX}", timeout=30, context=trust) as answer:
            return sum(len(messages) for messages in json.load(answer)["messages"].values())

    def _deliveries(self, cursor: Any, ids: list[int]) -> list[str]:
        """How each delivery of these reports ended, once none is under way."""
        asked = f"SELECT STATUS FROM REPORT_DELIVERY WHERE CONFIG_ID IN ({', '.join(map(str, ids))})"  # noqa: S608
        until = time.monotonic() + 120
        while True:
            found = [row["STATUS"] for row in cursor.execute(asked).fetchall()]
            if not {"PENDING", "SENDING"} & set(found):
                return found
            self._must(time.monotonic() < until, "a delivery is still under way after 120 s")
            time.sleep(0.2)

    def _end_the_first_region(self, cursor: Any) -> None:
        """Wake-ups reach nobody there, no worker is wanted, and those that run die without a word."""
        cursor.execute(f"CALL {self.platform.environment.database}.REPORTING.STOP_ALL_TASKS()")
        ecs, outputs = self.platform.client("ecs"), self.platform.outputs("ReportService")
        until = time.monotonic() + 30
        while running := _workers(self.platform):
            self._must(time.monotonic() < until, "workers of the first region still start after 30 s")
            for pid in running:
                with suppress(psutil.NoSuchProcess):
                    psutil.Process(pid).kill()
            ecs.update_service(cluster=outputs["ClusterName"], service=outputs["WorkerServiceName"], desiredCount=0)
            time.sleep(0.2)

    def _ingest(self, run_id: str) -> None:
        command = [sys.executable, "-m", "stacks.run_job", self.platform.environment.name, "weather-warehouse"]
        environment = self.platform.tools_environment()
        log = self.platform.logs / "drill-ingestion.log"
        with log.open("wb") as output:
            ended = subprocess.run(
                [*command, f"INGEST_RUN_ID={run_id}"], env=environment, stdout=output, stderr=output, check=False
            )
        self._must(ended.returncode == 0, f"the ingestion ended with {ended.returncode}:\n{last_lines(log)}")

    def _observations(self) -> tuple[int, str]:
        """How many there are, and one digest of all of them."""
        with self.platform.superuser.connect("weather_db") as session:
            found = session.execute(
                "SELECT count(*), md5(string_agg(o::text, ';' ORDER BY station, date)) FROM observation AS o"
            ).fetchone()
        assert found is not None
        return int(found[0]), str(found[1])


@dataclass(frozen=True)
class RecoveryDrill:
    """All cases on a fresh platform, in an order in which each finds what it needs; `console` gets the table."""

    folder: Path
    console: Console

    def run(self) -> None:
        """Raises StepFailed at the first case that does not hold."""
        environments = self.folder / "environments"
        platform = Platform(self.folder, environments=environments)
        platform.stop()
        platform.erase()
        _write_environments(platform, environments)
        second = dataclasses.replace(platform, environment=LocalEnvironment.read("second", environments))
        recovery = Recovery(platform)
        held: list[Restored] = []
        try:
            demo = Demo(platform, self.console)
            demo.deploy()
            cases: tuple[tuple[str, Callable[[], Restored]], ...] = (
                ("Delete a report's file", recovery.deleted_file),
                ("Overwrite a report's file", recovery.overwritten_file),
                ("Drop the queue's table", recovery.dropped_table),
                ("Lose the weather database", lambda: recovery.lost_weather("drill")),
                ("Destroy the service's stack with its bucket", recovery.destroyed_service),
                ("Lose the first region", lambda: recovery.second_region(second)),
                ("Go back", lambda: recovery.way_back(second)),
            )
            for title, case in cases:
                with demo.step(title):
                    held.append(case())
        finally:
            self.console.print(_table(held))
            platform.stop()


def _end_transactions(cursor: Any) -> int:
    """A dead worker's open transaction holds its locks, and workers end only those of their own user; how many."""
    found = cursor.execute("SHOW TRANSACTIONS IN ACCOUNT").fetchall()
    for row in found:
        cursor.execute("SELECT SYSTEM$ABORT_TRANSACTION(%s)", (int(row["id"]),))
    return len(found)


def _workers(platform: Platform) -> list[int]:
    """The processes of an environment's worker tasks."""
    group = f"service:{platform.outputs('ReportService')['WorkerServiceName']}"
    return [task["pid"] for task in platform.tasks() if task["group"] == group]


def place(row: dict[str, Any]) -> tuple[str, str]:
    """Bucket and key of a report's file."""
    bucket, _, key = str(row["S3_LOCATION"]).removeprefix("s3://").partition("/")
    return bucket, key


def _write_environments(platform: Platform, folder: Path) -> None:
    """The local environment, and a second one of the report service alone with the names of its own."""
    platform.connection  # noqa: B018 - its file marks the folder as a platform's
    folder.mkdir(parents=True, exist_ok=True)
    text = (ENVIRONMENTS / "local.toml").read_text()
    (folder / "local.toml").write_text(text)
    lines = text[: text.index("[weather_warehouse]")].splitlines()
    names = [f'{key} = "{SECOND[key]}"' if (key := line.partition(" = ")[0]) in SECOND else line for line in lines]
    (folder / "second.toml").write_text("\n".join([*names, ""]))


def _table(held: list[Restored]) -> Table:
    table = Table(title="Restored", caption="seconds on this machine, from the loss on")
    for heading in ("case", "lost", "restored by"):
        table.add_column(heading, overflow="fold")
    table.add_column("seconds", justify="right")
    table.add_column("data lost", overflow="fold")
    for one in held:
        table.add_row(one.case, one.lost, one.restored_by, f"{one.seconds:.1f}", one.data_lost)
    return table


def _all_rows(cursor: Any) -> list[dict[str, Any]]:
    """Every finished row; what is being made changes by itself."""
    asked = "SELECT * FROM REPORT_CONFIG WHERE FINISHED_AT IS NOT NULL ORDER BY CONFIG_ID"
    return [dict(row) for row in cursor.execute(asked).fetchall()]


def _digest(s3: Any, bucket: str, key: str, version: str | None = None) -> str:
    which = {"VersionId": version} if version else {}
    return hashlib.sha256(s3.get_object(Bucket=bucket, Key=key, **which)["Body"].read()).hexdigest()


def _exists(s3: Any, bucket: str, key: str) -> bool:
    return key in _keys(s3, bucket, key)


def _keys(s3: Any, bucket: str, prefix: str = "") -> list[str]:
    pages: Iterator[Any] = s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix)
    return [one["Key"] for page in pages for one in page.get("Contents", [])]


def _copy(s3: Any, source: str, target: str) -> None:
    for key in _keys(s3, source):
        s3.copy_object(Bucket=target, Key=key, CopySource={"Bucket": source, "Key": key})


def _buckets(s3: Any) -> list[str]:
    return [one["Name"] for one in s3.list_buckets()["Buckets"]]
