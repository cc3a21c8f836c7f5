"""POST /process-job at a steady rate, and the rate at which one process saturates, beside the queue without HTTP.

Requests come when they are due, whether or not earlier ones are answered, and each one's time counts from when it was
due: a door that falls behind cannot hide it. The rival is what a request comes to in the end, ReportQueue.submit, over
as many sessions to the same stand-in: what is above it is the door's.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx

from bench.measure import ROOT, Measurement, percentile
from report_service.queue import ReportQueue
from report_service.queue.rows import NewJob
from tests.local.cloud_server import cloud_server
from tests.service.fleet import container_environment
from tests.service.snowflake_account import SnowflakeAccount, generate_sample, snowflake_account

RATE, SECONDS = 50, 30
STEP_SECONDS, STEP, FIRST = 10, 1.2, 5.0  # each step's rate is so many times the last one's
SATURATED_SECONDS, KEEPS_UP = 1.0, 0.95
SESSIONS, ALONE = 4, 200  # WEB_CONNECTIONS, and submits one after another
TOKEN = "a-token-for-the-bench-0123456789"
REQUEST = (
    f"POST /process-job HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\nAuthorization: Bearer {TOKEN}\r\n"
    "Content-Type: application/json\r\nContent-Length: {length}\r\n\r\n{body}"
)
JOB = {"job_type": "pricing_summary", "input_data": {"format": "CSV"}, "source": "bench"}
_numbers = itertools.count()


@dataclass(frozen=True)
class Load:
    """What came of requests at a rate: seconds of those that were accepted, and the rate at which they were."""

    offered: float
    seconds: list[float]
    asked: int
    completed: float

    @property
    def p99(self) -> float:
        """What 99 of 100 did not take longer than; those that were refused took for ever."""
        return percentile(self.seconds + [float("inf")] * (self.asked - len(self.seconds)), 0.99)

    @property
    def saturated(self) -> bool:
        """Whether the door did not keep up."""
        return self.p99 > SATURATED_SECONDS or self.completed < KEEPS_UP * self.offered


def measure() -> Iterator[Measurement]:
    """The times at 50 requests a second, and the last rate that one process kept up with."""
    with tempfile.TemporaryDirectory() as name, _stage(Path(name)) as (account, port):
        alone = _submits(account, 1, count=ALONE)
        together = _submits(account, SESSIONS, count=2 * ALONE)
        steady = asyncio.run(_offer(port, RATE, SECONDS))
        last = _last_rate(account, port)
    refused = steady.asked - len(steady.seconds)
    what = f"POST /process-job, {RATE} a second for {SECONDS} s, {refused or 'none'} refused"
    rival = "submit without HTTP, one at a time,"
    for share in (0.5, 0.99):
        values = [percentile(seconds, share) * 1000 for seconds in (steady.seconds, alone.seconds)]
        yield Measurement(f"{what}, p{share * 100:g}", values[0], "ms", f"{rival} p{share * 100:g}", values[1], None)
    what = "POST /process-job, the last rate before one process saturates (p99 over 1 s, or it falls behind)"
    yield Measurement(
        what, last, "requests/s", f"submits of {SESSIONS} sessions without HTTP", together.completed, None
    )


def _submits(account: SnowflakeAccount, sessions: int, count: int) -> Load:
    """So many requests entered by sessions that each go on as soon as they can."""
    account.empty_tables()
    seconds: list[float] = []
    ready = threading.Barrier(sessions + 1)

    def work() -> None:
        with account.warehouse("bench") as session:
            queue = ReportQueue(session, actor="bench")
            _submit(queue)
            ready.wait()
            for _ in range(count // sessions):
                begun = time.perf_counter()
                _submit(queue)
                seconds.append(time.perf_counter() - begun)

    with ThreadPoolExecutor(sessions) as pool:
        working = [pool.submit(work) for _ in range(sessions)]
        ready.wait()
        begun = time.perf_counter()
        for each in working:
            each.result()
    rate = len(seconds) / (time.perf_counter() - begun)
    return Load(rate, seconds, len(seconds), rate)


def _submit(queue: ReportQueue) -> None:
    _, new = queue.submit(NewJob(f"direct-{next(_numbers)}", "pricing_summary", "CSV", "bench"))
    if not new:
        raise RuntimeError("a request that is new was taken for one that is there")


def _last_rate(account: SnowflakeAccount, port: int) -> float:
    rate, last = FIRST, 0.0
    while True:
        account.empty_tables()
        load = asyncio.run(_offer(port, rate, STEP_SECONDS))
        if load.saturated:
            return last
        rate, last = rate * STEP, load.completed


async def _offer(port: int, rate: float, seconds: float) -> Load:
    """Send requests at a rate, each when it is due, over a connection of its own."""
    begun = time.perf_counter()

    async def ask(number: int) -> float | None:
        due = begun + number / rate
        await asyncio.sleep(due - time.perf_counter())
        accepted = await _ask(port, json.dumps(JOB | {"job_id": f"http-{next(_numbers)}"}))
        return time.perf_counter() - due if accepted else None

    found = await asyncio.gather(*(ask(number) for number in range(int(rate * seconds))))
    took = time.perf_counter() - begun
    accepted = [each for each in found if each is not None]
    return Load(rate, accepted, len(found), len(accepted) / max(took, seconds))


async def _ask(port: int, body: str) -> bool:
    """Send one request and tell whether it was accepted; an HTTP library's pool takes more time than the door."""
    try:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
    except OSError:
        return False
    writer.write(REQUEST.format(length=len(body), body=body).encode())
    answer = await reader.read()
    writer.close()
    return answer.startswith(b"HTTP/1.1 202 ")


@contextmanager
def _stage(folder: Path) -> Iterator[tuple[SnowflakeAccount, int]]:
    """The stand-ins, and one process of the web role by its port."""
    for name in ("sample", "snowflake", "cloud"):
        (folder / name).mkdir()
    generate_sample(folder / "sample")
    with (
        snowflake_account(folder / "snowflake", folder / "sample") as account,
        cloud_server(folder / "cloud") as cloud,
    ):
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        environment = container_environment(cloud, account, "door") | {
            "PORT": str(port),
            "WEB_HOST": "127.0.0.1",
            "WEB_CONNECTIONS": str(SESSIONS),
            "API_TOKEN": TOKEN,
            "WEB_REQUESTS_PER_SECOND": "10000",  # what is measured is the door, not its limit
            "WEB_BURST": "10000",
        }
        with (folder / "web.log").open("w") as log:
            command = [sys.executable, "-m", "report_service", "web"]
            process = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=log, stderr=log)
        try:
            _wait(port, folder / "web.log")
            yield account, port
        finally:
            process.terminate()
            process.wait(40)


def _wait(port: int, log: Path) -> None:
    """Wait until the queue answers through the door, and its sessions are open."""
    until = time.monotonic() + 60
    while True:
        try:
            if httpx.get(f"http://127.0.0.1:{port}/ready", timeout=30, trust_env=False).status_code == 200:
                break
        except httpx.TransportError:
            pass
        if time.monotonic() > until:
            raise RuntimeError(f"the door did not open:\n{log.read_text()[-3000:]}")
        time.sleep(0.1)
    asyncio.run(_offer(port, 10, 2))
