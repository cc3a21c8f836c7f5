"""Starting and ending the platform's server processes, each in a session of its own with a log file."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import psutil

ROOT = Path(__file__).resolve().parent.parent


class StepFailed(Exception):
    """A step of the platform failed: which one, why, and where its log is."""

    def __init__(self, step: str, why: str, log: Path | None = None) -> None:
        super().__init__(f"{step} failed: {why}" + (f"\n  log: {log}" if log else ""))
        self.step, self.why, self.log = step, why, log


def free_port() -> int:
    """A TCP port of 127.0.0.1 that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def last_lines(log: Path, count: int = 15) -> str:
    """The end of a log file, for an error message."""
    if not log.exists():
        return "(no log)"
    return "\n".join(log.read_text(errors="replace").splitlines()[-count:])


@dataclass(frozen=True)
class Server:
    """One server process, known by a file in the run folder that survives this interpreter.

    The file keeps pid and creation time, so that a pid used again by somebody else's process is never ended.
    """

    name: str
    run: Path
    log: Path

    @property
    def _record(self) -> Path:
        return self.run / f"{self.name}.json"

    def process(self) -> psutil.Process | None:
        """The living process, or None."""
        try:
            record = json.loads(self._record.read_text())
            process = psutil.Process(record["pid"])
            alive = process.create_time() == record["created"] and process.status() != psutil.STATUS_ZOMBIE
        except (FileNotFoundError, psutil.NoSuchProcess):
            return None
        return process if alive else None

    def start(self, command: Sequence[str | Path], environment: Mapping[str, str]) -> None:
        """Start it, detached from this terminal. Raises StepFailed if it runs already."""
        if self.process():
            raise StepFailed(f"start of {self.name}", f"it runs already (pid {self.process()}); `make down` ends it")
        self.run.mkdir(parents=True, exist_ok=True)
        self.log.parent.mkdir(parents=True, exist_ok=True)
        with self.log.open("ab") as log:
            started = _spawn(command, environment, log)
        try:
            created = psutil.Process(started.pid).create_time()
            self._record.write_text(json.dumps({"pid": started.pid, "created": created}))
        except BaseException:
            started.kill()  # what has no record would never be stopped
            raise

    def wait_until(self, ready: Callable[[], bool], seconds: float) -> None:
        """Wait until `ready()` is true. Raises StepFailed when the process ends before, or after `seconds`."""
        until = time.monotonic() + seconds
        while not ready():
            if not self.process():
                raise StepFailed(f"start of {self.name}", f"it ended at once:\n{last_lines(self.log)}", self.log)
            if time.monotonic() > until:
                raise StepFailed(f"start of {self.name}", f"it did not answer within {seconds:.0f} s", self.log)
            time.sleep(0.05)

    def stop(self, seconds: float) -> None:
        """SIGTERM, then SIGKILL after `seconds`, for the process and all it started."""
        process = self.process()
        if process:
            stop_all([process], seconds)
        self._record.unlink(missing_ok=True)


def stop_all(processes: Sequence[psutil.Process], seconds: float) -> None:
    """End these processes: SIGTERM to each, `seconds` of time, then SIGKILL to them and to what they left behind."""
    family = list(processes)
    for process in processes:
        try:
            family += process.children(recursive=True)
            process.terminate()
        except psutil.NoSuchProcess:
            continue
    psutil.wait_procs(processes, timeout=seconds)
    left = [process for process in family if process.is_running()]
    for process in left:
        try:
            process.kill()
        except psutil.NoSuchProcess:
            continue
    psutil.wait_procs(left, timeout=5)


def _spawn(command: Sequence[str | Path], environment: Mapping[str, str], output: IO[bytes]) -> subprocess.Popen[bytes]:
    """Start a command in a session of its own: Ctrl-C reaches only the one who stops things in order."""
    return subprocess.Popen(
        [str(word) for word in command],
        cwd=ROOT,
        env=dict(environment),
        stdin=subprocess.DEVNULL,
        stdout=output,
        stderr=subprocess.STDOUT,
        start_new_session=True,
    )


def run(step: str, command: Sequence[str | Path], environment: Mapping[str, str], log: Path, seconds: float) -> None:
    """Run a command to its end with its output in `log`. Raises StepFailed with the end of the log."""
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("wb") as output:
        process = _spawn(command, environment, output)
        try:
            code = process.wait(timeout=seconds)
        except subprocess.TimeoutExpired:
            raise StepFailed(step, f"it took longer than {seconds:.0f} s:\n{last_lines(log)}", log) from None
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()
    if code:
        raise StepFailed(step, f"exit code {code}:\n{last_lines(log)}", log)
