"""How long it is from INSERT to claim with the worker asleep, hop by hop, beside the start of the worker's interpreter.

The rival of the whole way is the floor: no wake-up can be faster than its process with all that it imports. The rival
of a hop is the whole way. Hops lie between stamps of one machine's clock, so those of one wake-up add up to its way;
their percentiles, each of other wake-ups, need not.
"""

from __future__ import annotations

import datetime
import io
import itertools
import json
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
from rich.console import Console

from bench.measure import ROOT, Measurement, median, percentile, seconds
from local.demo import Demo
from local.platform import Platform

WAKE_UPS = 50
CLOCK_SECONDS = 1.0  # between two looks of the stand-in at its streams
TARGET = 4.0
# Each hop's share of TARGET, and the stamp it ends with; the first one begins with CREATED_AT, all times are UTC:
HOPS = {
    "stream": 1.3,  # QUERY_START_TIME of the task's run in TASK_HISTORY
    "task": 0.4,  # API Gateway's requestTimeEpoch, in the waker's log; the stand-in takes it after authorisation
    "API": 0.1,  # the first line of the waker's log
    "Lambda": 0.2,  # the waker's line right after UpdateService
    "start": 0.6,  # the runner's time right after the worker's process was started
    "claim": 1.4,  # STARTED_AT: the imports, the login and the first look at the queue lie before it
}
PERCENTILES = {"p50": 0.5, "p95": 0.95}
INSERT = "INSERT INTO REPORT_CONFIG (REPORT_NAME, OUTPUT_FORMAT) VALUES ('order_priority', 'CSV')"
LAST = "SELECT STATUS, CREATED_AT, STARTED_AT FROM REPORT_CONFIG ORDER BY CONFIG_ID DESC LIMIT 1"
RUNS = """SELECT CONVERT_TIMEZONE('UTC', QUERY_START_TIME)::TIMESTAMP_NTZ, STATE
          FROM TABLE(INFORMATION_SCHEMA.TASK_HISTORY(TASK_NAME => 'ECS_TRIGGER_TASK'))
          ORDER BY QUERY_START_TIME DESC"""


def measure() -> Iterator[Measurement]:
    """The percentiles of some wake-ups on a platform of its own: of the whole way and of each hop."""
    with tempfile.TemporaryDirectory() as folder:
        platform = Platform(Path(folder) / "platform")
        try:
            demo = Demo(platform, Console(file=io.StringIO()))
            demo.deploy()
            demo.wait_for_sleep(60)
            wake_ups = [_wake_up(demo, number / WAKE_UPS * CLOCK_SECONDS) for number in range(WAKE_UPS)]
        finally:
            platform.stop()
        imports = median([_import() for _ in range(5)])
    ways = [sum(hops) for hops in wake_ups]
    for name, share in PERCENTILES.items():
        title = f"INSERT to claim, worker asleep, {name} of {WAKE_UPS}"
        yield Measurement(title, percentile(ways, share), "s", "the import of the worker's modules", imports, TARGET)
    middle = percentile(ways, 0.5)
    for (hop, target), times in zip(HOPS.items(), zip(*wake_ups, strict=True), strict=True):
        for name, share in PERCENTILES.items():
            title = f"INSERT to claim, hop {hop}, {name}"
            yield Measurement(title, percentile(times, share), "s", "the whole way's p50", middle, target)


def _wake_up(demo: Demo, pause: float) -> list[float]:
    """The seconds of each hop; other pauses spread the INSERTs evenly over the stand-in's clock."""
    time.sleep(pause)
    with demo.platform.connect() as connection:
        cursor: Any = connection.cursor()
        cursor.execute(INSERT)
        while (row := cursor.execute(LAST).fetchone())[0] in ("PENDING", "PROCESSING"):
            time.sleep(0.2)
        if row[0] != "COMPLETED":
            raise RuntimeError(f"the report of a wake-up ended {row[0]}")
        created, claimed = row[1:]
        task = _task(demo)
        _send_to_sleep(demo, task["pid"])
        runs = [start for start, state in cursor.execute(RUNS).fetchall() if start > created and state == "SUCCEEDED"]
    lines = _lines_of_waker(demo.platform, created)
    received = [line for line in lines if line.get("event") == "wake.received"]
    raised = [line for line in lines if line.get("event") == "count.raised"]
    if not len(runs) == len(received) == len(raised) == 1:
        raise RuntimeError(f"{len(runs)} runs of the task, {len(received)} calls, {len(raised)} raises in one wake-up")
    texts = (received[0]["requested"], received[0]["time"], raised[0]["time"], task["started_at"])
    stamps = [created, runs[0], *map(_utc, texts), claimed]
    hops = [(after - before).total_seconds() for before, after in itertools.pairwise(stamps)]
    if min(hops) < 0:
        raise RuntimeError(f"the stamps of a wake-up are out of order: {stamps}")
    return hops


def _task(demo: Demo) -> dict[str, Any]:
    """The one process of the worker."""
    group = f"service:{demo.platform.outputs('ReportService')['WorkerServiceName'].rsplit('/', 1)[-1]}"
    (task,) = [task for task in demo.platform.tasks() if task["group"] == group]
    return task


def _send_to_sleep(demo: Demo, pid: int) -> None:
    """What an idle worker does by itself, without waiting until it has been idle for long enough."""
    outputs = demo.platform.outputs("ReportService")
    cluster, service = outputs["ClusterName"], outputs["WorkerServiceName"]
    demo.platform.client("ecs").update_service(cluster=cluster, service=service, desiredCount=0)
    demo.wait_for_sleep(60)
    until = time.monotonic() + 60
    while psutil.pid_exists(pid):  # the runner counts a process that stops as gone
        if time.monotonic() > until:
            raise RuntimeError(f"the worker's process {pid} did not end within 60 s")
        time.sleep(0.05)


def _lines_of_waker(platform: Platform, since: datetime.datetime) -> list[dict[str, Any]]:
    """What the waker has logged; Lambda's own lines, which are no JSON, are left out."""
    stack = f"{platform.environment.name}-ReportService"
    resources = platform.client("cloudformation").describe_stack_resources(StackName=stack)["StackResources"]
    (group,) = [
        resource["PhysicalResourceId"]
        for resource in resources
        if resource["ResourceType"] == "AWS::Logs::LogGroup" and "WakerLambdaLog" in resource["LogicalResourceId"]
    ]
    start = int(since.replace(tzinfo=datetime.UTC).timestamp() * 1000)
    events = platform.client("logs").filter_log_events(logGroupName=group, startTime=start)["events"]
    return [json.loads(event["message"]) for event in events if event["message"].startswith("{")]


def _utc(text: str) -> datetime.datetime:
    """A stamp without its zone, as Snowflake's TIMESTAMP_NTZ are."""
    return datetime.datetime.fromisoformat(text).astimezone(datetime.UTC).replace(tzinfo=None)


def _import() -> float:
    python = ROOT / ".venv-service" / "bin" / "python"
    return seconds([python, "-c", "import report_service.worker_role"], {"PYTHONPATH": str(ROOT / "service" / "src")})
