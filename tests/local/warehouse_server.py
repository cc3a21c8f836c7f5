"""The Snowflake stand-in as a process of its own, for tests of anything that talks to Snowflake."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import snowflake.connector

ROOT = Path(__file__).parents[2]
PYTHON = ROOT / ".venv-warehouse" / "bin" / "python"
PASSWORD = "of-the-tests-only"


@dataclass(frozen=True)
class Warehouse:
    """A running stand-in."""

    port: int
    folder: Path
    process: subprocess.Popen[bytes]

    def kill(self) -> None:
        """End it as a crash would."""
        self.process.kill()
        self.process.wait()

    def login(self, **options: Any) -> dict[str, Any]:
        """The arguments of `snowflake.connector.connect` for ADMIN, changed by `options`."""
        return {
            "account": "LOCAL",
            "user": "ADMIN",
            "password": PASSWORD,
            "host": "127.0.0.1",
            "port": self.port,
            "protocol": "http",
            "login_timeout": 5,
            "enable_server_session_keep_alive_auto_detection": False,
        } | options

    @contextmanager
    def connect(self, **options: Any) -> Iterator[snowflake.connector.SnowflakeConnection]:
        """A connection that is closed at the end."""
        connection = snowflake.connector.connect(**self.login(**options))
        try:
            yield connection
        finally:
            connection.close()

    def rows(self, sql: str, *parameters: Any, **options: Any) -> list[tuple[Any, ...]]:
        """The rows of one statement in a session of its own."""
        with self.connect(**options) as connection, connection.cursor() as cursor:
            cursor.execute(sql, *parameters)
            return list(cursor.fetchall())

    def state(self) -> dict[str, Any]:
        """What /_warehouse/state says."""
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/_warehouse/state", timeout=5) as answer:
            found: dict[str, Any] = json.load(answer)
        return found


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


@contextmanager
def warehouse(
    folder: Path, *, sample: Path | None = None, task_interval: float = 0.2, environment: dict[str, str] | None = None
) -> Iterator[Warehouse]:
    """Start the stand-in over `folder`, wait until it answers, stop it at the end.

    Raises AssertionError with its log if it does not answer within 15 seconds or does not stop within 5.
    """
    folder.mkdir(parents=True, exist_ok=True)
    port = free_port()
    command = [PYTHON, "-m", "local.warehouse", "--port", port, "--data", folder / "data"]
    command += ["--task-interval", task_interval] + (["--sample", sample] if sample else [])
    variables = {key: value for key, value in os.environ.items() if not key.startswith("AWS_")}
    variables |= {"WAREHOUSE_ADMIN_PASSWORD": PASSWORD} | (environment or {})
    log = folder / "warehouse.log"
    with log.open("a") as out:
        process = subprocess.Popen([str(word) for word in command], cwd=ROOT, env=variables, stdout=out, stderr=out)
    try:
        _wait(port, process, log)
        yield Warehouse(port, folder, process)
    finally:
        process.terminate()
        try:
            process.wait(timeout=5)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            raise AssertionError(f"The stand-in did not stop:\n{log.read_text()}") from None


def _wait(port: int, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + 15
    while time.monotonic() < deadline:
        if process.poll() is not None:
            raise AssertionError(f"The stand-in ended with {process.returncode}:\n{log.read_text()}")
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/_warehouse/health", timeout=1):
                return
        except (urllib.error.URLError, ConnectionError, TimeoutError):
            time.sleep(0.02)
    raise AssertionError(f"The stand-in did not answer in time:\n{log.read_text()}")
