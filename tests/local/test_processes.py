"""Starting and ending server processes."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from local import task_processes
from local.processes import ROOT, Server, StepFailed, run

SLEEPER = """
import subprocess, sys, time
subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
time.sleep(60)
"""


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    server = Server("sleeper", tmp_path / "run", tmp_path / "sleeper.log")
    yield server
    server.stop(2)


def test_stopping_a_server_ends_its_children_too(server: Server) -> None:
    server.start([sys.executable, "-c", SLEEPER], os.environ)
    process = server.process()
    assert process
    until = time.monotonic() + 5
    while not process.children() and time.monotonic() < until:
        time.sleep(0.02)
    family = [process, *process.children(recursive=True)]
    assert len(family) == 2

    server.stop(2)

    assert not any(member.is_running() and member.status() != psutil.STATUS_ZOMBIE for member in family)
    assert server.process() is None


def test_a_server_that_ignores_sigterm_is_killed(server: Server) -> None:
    stubborn = (
        "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('up', flush=True); time.sleep(60)"
    )
    server.start([sys.executable, "-c", stubborn], os.environ)
    server.wait_until(lambda: "up" in server.log.read_text(), 5)
    process = server.process()

    server.stop(0.2)

    assert process
    assert not process.is_running()


def test_a_pid_that_somebody_else_got_is_never_ended(server: Server) -> None:
    server.run.mkdir()
    (server.run / "sleeper.json").write_text(json.dumps({"pid": os.getpid(), "created": 1.0}))

    assert server.process() is None
    server.stop(1)


def test_a_server_that_dies_at_start_is_reported_with_the_end_of_its_log(server: Server) -> None:
    server.start([sys.executable, "-c", "raise SystemExit('no such port')"], os.environ)

    with pytest.raises(StepFailed, match="no such port") as failure:
        server.wait_until(lambda: False, 5)
    assert str(server.log) in str(failure.value)


def test_a_failed_command_names_its_step_its_reason_and_its_log(tmp_path: Path) -> None:
    log = tmp_path / "step.log"
    with pytest.raises(StepFailed, match="paint failed: exit code 3") as failure:
        run("paint", [sys.executable, "-c", "print('no colour'); raise SystemExit(3)"], os.environ, log, 10)
    assert "no colour" in str(failure.value)
    assert str(log) in str(failure.value)


def test_a_command_that_hangs_is_ended(tmp_path: Path) -> None:
    with pytest.raises(StepFailed, match="longer than"):
        run("wait", [sys.executable, "-c", "import time; time.sleep(60)"], os.environ, tmp_path / "step.log", 0.5)


def test_a_runner_that_is_killed_takes_its_tasks_with_it() -> None:
    runner = f"""
import subprocess, sys, time
from {task_processes.__name__} import _end_with_the_runner
task = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"], preexec_fn=_end_with_the_runner)
print(task.pid, flush=True)
time.sleep(60)
"""
    with subprocess.Popen([sys.executable, "-c", runner], cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        task = psutil.Process(int(process.stdout.readline()))
        assert task.is_running()
        process.send_signal(signal.SIGKILL)
    gone, _ = psutil.wait_procs([task], timeout=5)
    assert gone or task.status() == psutil.STATUS_ZOMBIE
