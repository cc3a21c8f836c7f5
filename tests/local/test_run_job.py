"""`python -m stacks.run_job`: it follows a job of the local platform and ends with its exit code."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from cloud_server import REGION, ROOT, cloud_server
from job_platform import Jobs, jobs

Run = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Jobs]:
    folder = tmp_path_factory.mktemp("jobs")
    with cloud_server(folder / "cloud") as cloud, jobs(cloud, folder / "platform") as deployed:
        yield deployed


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An environment called tests, in the region of the tests' stand-in."""
    file = tmp_path_factory.mktemp("environments") / "tests.toml"
    file.write_text((ROOT / "environments" / "local.toml").read_text().replace("us-east-1", REGION))
    file.write_text(file.read_text().replace("[weather_warehouse.edge]", "[weather_warehouse.edge]\nwaf = false"))
    return file


@pytest.fixture
def run(made: Jobs, environment: Path) -> Run:
    made.marks.unlink(missing_ok=True)

    def run_job(*words: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "stacks.run_job", str(environment), *words]
        return subprocess.run(command, cwd=ROOT, env=made.environment, capture_output=True, text=True, timeout=60)

    return run_job


def test_it_prints_the_log_alone_to_standard_output_and_succeeds(run: Run) -> None:
    ended = run("job", "WORD=a=b", "SECONDS_TO_WORK=2")
    assert ended.returncode == 0, ended.stderr
    assert ended.stdout.splitlines() == ["word: a=b secret: hush", "scheduled: ", "working", "no end of line"]
    assert ended.stderr.splitlines()[0].startswith("Started arn:aws:states:")
    assert ended.stderr.splitlines()[-1] == "Succeeded."


def test_it_ends_with_the_containers_exit_code(run: Run) -> None:
    ended = run("job", "CODE=3")
    assert ended.returncode == 3
    assert "BatchJob.ExitCode: exit code 3" in ended.stderr


def test_it_prints_the_log_of_each_attempt(run: Run) -> None:
    ended = run("job", "CODE=75", "ONCE=1")
    assert ended.returncode == 0
    assert ended.stdout.count("working") == 2
    assert "Attempt 2: task " in ended.stderr


def test_it_says_that_a_job_was_skipped(run: Run, made: Jobs) -> None:
    running = made.start(SECONDS_TO_WORK="4")
    ended = run("job")
    assert (ended.returncode, ended.stdout) == (75, "")
    assert f"Skipped: {running} runs already." in ended.stderr
    made.end(running)


def test_a_job_that_took_too_long_has_the_exit_code_of_timeouts(run: Run) -> None:
    ended = run("hasty")
    assert ended.returncode == 124
    assert ended.stdout.endswith("working\n")


def test_a_job_that_did_not_start_says_why(run: Run) -> None:
    ended = run("unknown")
    assert ended.returncode == 125
    assert "CannotPullContainerError" in ended.stderr


def test_whoever_interrupts_it_leaves_the_job_running(run: Run, made: Jobs, environment: Path) -> None:
    command = [sys.executable, "-m", "stacks.run_job", str(environment), "job", "SECONDS_TO_WORK=60"]
    process = subprocess.Popen(
        command,
        cwd=ROOT,
        env=made.environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        # A shell's job in the background ignores Ctrl-C, and hands that on: this one is in the foreground.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    assert process.stdout
    while process.stdout.readline() != b"working\n":
        assert process.poll() is None
    process.send_signal(signal.SIGINT)
    _output, errors = process.communicate(timeout=20)
    assert process.returncode == 130
    [running] = made.steps.list_executions(stateMachineArn=made.machines["Job"], statusFilter="RUNNING")["executions"]
    assert f"stop-execution --execution-arn {running['executionArn']}" in errors.decode()
    made.steps.stop_execution(executionArn=running["executionArn"])


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["conflict-updater"], "Stack tests-ConflictUpdater has no outputs StateMachineArn and LogGroupName"),
        (["job", "LOOKBACK_HOURS"], "'LOOKBACK_HOURS' sets no variable: say NAME=value"),
    ],
)
def test_what_cannot_be_started_is_refused(run: Run, words: list[str], message: str) -> None:
    ended = run(*words)
    assert ended.returncode == 125
    assert message in ended.stderr
