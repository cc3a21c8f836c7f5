"""Start a job of an environment, follow its log, and end with its exit code.

    python -m stacks.run_job ENV JOB [NAME=VALUE …]

JOB is the stack that the job is in, in lower case: conflict-updater is stack ENV-ConflictUpdater. The stack has the
outputs StateMachineArn and LogGroupName. The pairs are variables that override the container's. The log goes to
standard output, all else to standard error. Whoever interrupts this stops following; the job goes on.

Exit codes: the container's own, or 75 when it was skipped because it runs already, 124 when it took too long, 125 when
it could not be started, 1 when it failed without an exit code.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
import time
from collections.abc import Mapping, Sequence
from typing import Any

from stacks.deployed_outputs import OutputsError, aws_session, deployed_outputs
from stacks.environment import Environment, read_environment
from stacks.environment_errors import EnvironmentFileError
from stacks.snowflake_side import environment_file

FAILED, SKIPPED, TIMED_OUT, NOT_STARTED, INTERRUPTED = 1, 75, 124, 125, 130

LOOK_EVERY = 1.0  # seconds
QUIET = 3.0  # seconds without a new line after which an ended job's log is taken for complete: the driver sends late
LONGEST_WAIT = 20.0  # seconds

_EXIT_CODE = re.compile(r"exit code (\d+)")


class JobError(RuntimeError):
    """The job cannot be started; the message says why and what to do."""


class JobLog:
    """What the tasks of one execution write, from CloudWatch Logs, each line once."""

    def __init__(self, logs: Any, group: str) -> None:
        self._logs, self._group = logs, group
        self._tasks: list[str] = []
        self._tokens: dict[str, str | None] = {}  # of the streams that were found: where to go on reading

    def follow(self, task_id: str) -> None:
        """Read the streams of a task too; a stream is called prefix/container/task."""
        self._tasks.append(task_id)

    def print_new(self) -> bool:
        """Print what is new; whether anything was."""
        self._find_streams()
        return sum(self._print_stream(name) for name in self._tokens) > 0

    def print_rest(self) -> None:
        """Print what still comes after the end."""
        start = quiet_since = time.monotonic()
        while time.monotonic() - quiet_since < QUIET and time.monotonic() - start < LONGEST_WAIT:
            if self.print_new():
                quiet_since = time.monotonic()
            else:
                time.sleep(LOOK_EVERY / 2)

    def _find_streams(self) -> None:
        found = {name.rsplit("/", 1)[1] for name in self._tokens}
        if not set(self._tasks) - found:
            return
        newest = self._logs.describe_log_streams(
            logGroupName=self._group, orderBy="LastEventTime", descending=True, limit=50
        )
        for stream in newest["logStreams"]:
            name = stream["logStreamName"]
            if name.rsplit("/", 1)[-1] in self._tasks:
                self._tokens.setdefault(name, None)

    def _print_stream(self, name: str) -> int:
        """Print what is new in a stream; the number of its lines."""
        count = 0
        while True:
            token = {"nextToken": self._tokens[name]} if self._tokens[name] else {}
            page = self._logs.get_log_events(logGroupName=self._group, logStreamName=name, startFromHead=True, **token)
            for event in page["events"]:
                print(event["message"], flush=True)
            count += len(page["events"])
            if page["nextForwardToken"] == self._tokens[name]:  # so the last page says that it is
                return count
            self._tokens[name] = page["nextForwardToken"]


def run(session: Any, machine: str, log_group: str, variables: Mapping[str, str]) -> int:
    """Start an execution of a job's state machine and follow it to its end; the exit code."""
    steps = session.client("stepfunctions")
    log = JobLog(session.client("logs"), log_group)
    execution = steps.start_execution(stateMachineArn=machine, input=json.dumps({"environment": variables}))
    arn = execution["executionArn"]
    _say(f"Started {arn}")
    seen: set[str] = set()
    try:
        while True:
            described = steps.describe_execution(executionArn=arn)
            for task in _tasks(steps, arn):
                if task not in seen:
                    seen.add(task)
                    log.follow(task.rsplit("/", 1)[1])
                    _say(f"Attempt {len(seen)}: task {task}")
            log.print_new()
            if described["status"] != "RUNNING":
                break
            time.sleep(LOOK_EVERY)
    except KeyboardInterrupt:
        _say(f"\nThe job goes on; `aws stepfunctions stop-execution --execution-arn {arn}` stops it.")
        return INTERRUPTED
    if seen:
        log.print_rest()
    return _exit_code(described)


def _tasks(steps: Any, execution: str) -> list[str]:
    """The ARNs of the tasks that an execution has started, in their order."""
    found = []
    for page in steps.get_paginator("get_execution_history").paginate(executionArn=execution):
        for event in page["events"]:
            if event["type"] == "TaskSubmitted" and event["taskSubmittedEventDetails"]["resource"] == "runTask.sync":
                output = json.loads(event["taskSubmittedEventDetails"]["output"])
                found += [task["TaskArn"] for task in output["Tasks"]]
    return found


def _exit_code(described: Mapping[str, Any]) -> int:
    status, error, cause = described["status"], described.get("error") or "", described.get("cause") or ""
    if status == "SUCCEEDED":
        output = json.loads(described["output"])
        if output["outcome"] == "skipped":
            _say(f"Skipped: {output['running']} runs already.")
            return SKIPPED
        _say("Succeeded.")
        return 0
    _say(f"{status.replace('_', ' ').capitalize()}: {': '.join(filter(None, (error, cause)))}")
    if status == "TIMED_OUT" or error == "BatchJob.TimedOut":
        return TIMED_OUT
    if error in ("BatchJob.TaskFailedToStart", "BatchJob.Input"):
        return NOT_STARTED
    code = _EXIT_CODE.match(cause)
    return int(code[1]) if code else FAILED


def _job(environment: Environment, job: str) -> tuple[str, str]:
    """The state machine and the log group of a job."""
    stack = f"{environment.name}-{''.join(word.capitalize() for word in job.split('-'))}"
    outputs = deployed_outputs(environment)
    machine, log_group = outputs(stack, "StateMachineArn"), outputs(stack, "LogGroupName")
    if not machine or not log_group:
        raise JobError(
            f"Stack {stack} has no outputs StateMachineArn and LogGroupName: either it is not deployed (make deploy "
            f"ENV={environment.name}), or {job} is no job, as conflict-updater and weather-warehouse are."
        )
    return machine, log_group


def _variable(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not equals or not name.isidentifier():
        raise JobError(f"{text!r} sets no variable: say NAME=value, as in LOOKBACK_HOURS=48.")
    return name, value


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one job; the exit codes are in this module's text."""
    from botocore.exceptions import BotoCoreError, ClientError

    options = _parser().parse_args(arguments)
    try:
        environment = read_environment(environment_file(options.environment))
        variables = dict(map(_variable, options.set))
        machine, log_group = _job(environment, options.job)
        return run(aws_session(environment), machine, log_group, variables)
    except (JobError, OutputsError, EnvironmentFileError, BotoCoreError, ClientError, ValueError) as error:
        _say(f"{error}\nError: exit code {NOT_STARTED}.")
        return NOT_STARTED


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m stacks.run_job",
        description=__doc__.partition("\n")[0],
        epilog=__doc__.rpartition("\n\n")[2],
    )
    parser.add_argument("environment", help="name of a file in environments/, without .toml, or a path to one")
    parser.add_argument("job", help="the job's stack in lower case, as in conflict-updater")
    parser.add_argument("set", nargs="*", metavar="NAME=VALUE", help="a variable that overrides the container's")
    return parser


if __name__ == "__main__":
    sys.exit(main())
