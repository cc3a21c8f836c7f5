"""The states of a batch job: what an execution does between its start and its end, in Amazon States Language.

The expressions are JSONata ("Transforming data with JSONata in Step Functions" in the AWS Step Functions Developer
Guide): its JSONPath could not turn an object of names into a container's list of environment variables.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from snowgate.tokens import is_token

States = dict[str, Any]

CONTAINER = "Container"
NAMESPACE, SKIPPED = "Snowgate/BatchJob", "ExecutionsSkipped"
INPUT_NAMES = ("environment", "scheduled_at")
STOP_MARGIN = 5  # seconds until the stop of a task has come to its container
LONGEST_PAUSE = 900  # seconds between two attempts

# Why a task that never ran its program may run it in a minute ("Stopped tasks error codes" and "API failure reasons" in
# the Amazon ECS Developer Guide).
_PASSING_STOPS = ("TaskFailedToStart", "SpotInterruption")
_PASSING_ERRORS = ("ECS.ServerException", "ECS.ThrottlingException")
_PASSING_CAUSES = "Capacity is unavailable|RESOURCE:|Rate exceeded|Throttl|CannotPull|ResourceInitialization"

_HINTS = {
    "137": "it was killed: give it more memory, unless a stop outlasted its stop timeout",
    "139": "it crashed with a segmentation fault",
    "143": "it was asked to stop, and ended at that",
}


@dataclass(frozen=True)
class Attempts:
    """How often a task is tried, and when it is not: ``exit_codes`` are those after which it is tried again.

    The times are in seconds.
    """

    most: int
    exit_codes: Sequence[int]
    pause: int
    timeout: int
    stop_timeout: int

    @property
    def longest(self) -> int:
        """How long all attempts may take together, with some minutes for what lies between."""
        pauses = sum(min(LONGEST_PAUSE, self.pause << number) for number in range(self.most - 1))
        return self.most * (self.timeout + self.stop_timeout) + pauses + self.stop_timeout + 600


def read_input(*, scheduled_at: tuple[str, str] | None, then: str) -> States:
    """The states that check the input and turn it into environment variables, and then go on to ``then``.

    ``scheduled_at`` is the name of a variable for the scheduled time, and what goes before the time in its value.
    """
    name, prefix = scheduled_at or ("", "")
    time = f"$exists($in.scheduled_at) ? {{{_text(name)}: {_text(prefix)} & $in.scheduled_at}} : {{}}" if name else "{}"
    # The outer braces are the function's, the inner ones the object's.
    pair = 'function($value, $name) {{"Name": $name, "Value": $string($value)}}'
    return {
        "ReadInput": {
            "Type": "Pass",
            "Assign": {
                "attempt": 1,
                "error": "",
                "unknown": _expression(f"$join([$keys($states.input)[$not($ in {_list(INPUT_NAMES)})]], ', ')"),
                "is_object": _expression(
                    "$exists($states.input.environment) ? $type($states.input.environment) = 'object' : true"
                ),
            },
            "Next": "IsInputKnown",
        },
        "IsInputKnown": {
            "Type": "Choice",
            "Choices": [{"Condition": _expression("$unknown != '' or $not($is_object)"), "Next": "InputRefused"}],
            "Default": "MakeEnvironment",
        },
        "InputRefused": {
            "Type": "Fail",
            "Error": "BatchJob.Input",
            "Cause": _expression(
                "'An execution takes environment, an object of variables and their values, and scheduled_at; given was "
                "' & ($unknown = '' ? 'an environment of another form' : $unknown)"
            ),
        },
        "MakeEnvironment": {
            "Type": "Pass",
            "Assign": {
                "environment": _expression(
                    f"($in := $states.input; [$each($merge([{time}, $in.environment]), {pair})])"
                ),
            },
            "Next": then,
        },
    }


def run_task(arguments: Mapping[str, Any], attempts: Attempts, *, log_group: str, stop: str, then: str) -> States:
    """The states that run the task until it succeeds or is given up, and then go on to ``then``.

    The variable ``error`` is empty after a success; otherwise it and ``cause`` are what the execution is to fail with.
    After a timeout they go on to ``stop``.
    """
    overrides = {"ContainerOverrides": [{"Name": CONTAINER, "Environment": _expression("$environment")}]}
    return {
        "RunTask": {
            "Type": "Task",
            "Resource": "arn:aws:states:::ecs:runTask.sync",
            "Arguments": {**arguments, "Overrides": overrides},
            "TimeoutSeconds": attempts.timeout,
            "Assign": {"error": "", "cause": "", "task_arn": _expression("$states.result.TaskArn")},
            "Catch": [
                {
                    "ErrorEquals": ["States.Timeout"],
                    "Assign": {
                        "error": "BatchJob.TimedOut",
                        "cause": f"The task went on for longer than {attempts.timeout} seconds, and was stopped.",
                    },
                    "Next": stop,
                },
                {
                    "ErrorEquals": ["States.ALL"],
                    "Assign": {
                        "error": _expression("$states.errorOutput.Error"),
                        "cause": _expression("$exists($states.errorOutput.Cause) ? $states.errorOutput.Cause : ''"),
                        # Of a task that ran or was to run, the cause is its description.
                        "task": _expression(
                            "$substring($states.errorOutput.Cause, 0, 1) = '{' ? $parse($states.errorOutput.Cause) : {}"
                        ),
                    },
                    "Next": "ReadFailure",
                },
            ],
            "Next": then,
        },
        "ReadFailure": {"Type": "Pass", "Assign": _reading(attempts, log_group), "Next": "IsItTriedAgain"},
        "IsItTriedAgain": {
            "Type": "Choice",
            "Choices": [{"Condition": _expression(f"$passing and $attempt < {attempts.most}"), "Next": "Pause"}],
            "Default": then,
        },
        "Pause": {
            "Type": "Wait",
            "Seconds": _expression(f"$min([{LONGEST_PAUSE}, {attempts.pause} * $power(2, $attempt - 1)])"),
            "Assign": {"attempt": _expression("$attempt + 1")},
            "Next": "RunTask",
        },
    }


def stop_tasks(*, cluster: str, family: str, attempts: Attempts, fresh: str, over: str) -> States:
    """The states that stop all tasks of the job, the first is ListTasks, and wait until none can be at work any more.

    They go on to ``fresh`` if this execution has run none itself, and to ``over`` if one took too long. Step Functions
    promises to stop the task of an execution that is aborted, as well as it can, and nothing for a timeout ("Run a Job
    (.sync)" in its Developer Guide).
    """
    patience = {"ErrorEquals": ["States.ALL"], "IntervalSeconds": 1, "BackoffRate": 2, "MaxAttempts": 3}
    stop = {
        "Type": "Task",
        "Resource": "arn:aws:states:::aws-sdk:ecs:stopTask",
        "Arguments": {"Cluster": cluster, "Task": _expression("$states.input"), "Reason": "Its time is over"},
        "Retry": [patience],
        "End": True,
    }
    return {
        "ListTasks": {
            "Type": "Task",
            "Resource": "arn:aws:states:::aws-sdk:ecs:listTasks",
            "Arguments": {"Cluster": cluster, "Family": family, "DesiredStatus": "RUNNING"},
            "Output": _expression("$states.result.TaskArns"),
            "Retry": [patience],
            "Next": "StopTasks",
        },
        "StopTasks": {
            "Type": "Map",
            "Items": _expression("$states.input"),
            "ItemProcessor": {
                "ProcessorConfig": {"Mode": "INLINE"},
                "StartAt": "StopTask",
                "States": {"StopTask": stop},
            },
            "Next": "WaitForStop",
        },
        "WaitForStop": {"Type": "Wait", "Seconds": attempts.stop_timeout + STOP_MARGIN, "Next": "IsItOver"},
        "IsItOver": {
            "Type": "Choice",
            "Choices": [{"Condition": _expression("$error = ''"), "Next": fresh}],
            "Default": over,
        },
    }


def end() -> States:
    """The states in which an execution ends: Succeeded or Failed after WhatCameOut, Skipped after CountSkipped."""
    return {
        "WhatCameOut": {
            "Type": "Choice",
            "Choices": [{"Condition": _expression("$error = ''"), "Next": "Succeeded"}],
            "Default": "Failed",
        },
        "Succeeded": {
            "Type": "Pass",
            "Output": {
                "outcome": "succeeded",
                "attempts": _expression("$attempt"),
                "task": _expression("$task_arn"),
            },
            "End": True,
        },
        # What cannot be counted is skipped all the same.
        "CountSkipped": {
            "Type": "Task",
            "Resource": "arn:aws:states:::aws-sdk:cloudwatch:putMetricData",
            "Arguments": {
                "Namespace": NAMESPACE,
                "MetricData": [
                    {
                        "MetricName": SKIPPED,
                        "Dimensions": [
                            {"Name": "StateMachineArn", "Value": _expression("$states.context.StateMachine.Id")}
                        ],
                        "Unit": "Count",
                        "Value": 1,
                    }
                ],
            },
            "Catch": [{"ErrorEquals": ["States.ALL"], "Next": "Skipped"}],
            "Next": "Skipped",
        },
        "Skipped": {
            "Type": "Pass",
            "Output": {"outcome": "skipped", "running": _expression("$holder")},
            "End": True,
        },
        "Failed": {"Type": "Fail", "Error": _expression("$error"), "Cause": _expression("$cause")},
    }


def _reading(attempts: Attempts, log_group: str) -> States:
    """What is assigned after a failure: its name, its cause in words, and whether another attempt may do better."""
    # A task may have containers that AWS has put into it, such as GuardDuty's agent.
    container = f"$container := $task.Containers[Name = {_text(CONTAINER)}]; $code := $container.ExitCode"
    exited = "$type($code) = 'number'"
    passing = " or ".join(
        (
            f"$code in {_list(attempts.exit_codes)}",
            f"$task.StopCode in {_list(_PASSING_STOPS)}",
            f"$error in {_list(_PASSING_ERRORS)}",
            f"($not($exists($task.TaskArn)) and $contains($cause, /{_PASSING_CAUSES}/i))",
        )
    )
    hint = f"$lookup({json.dumps(_HINTS)}, $string($code))"
    stopped = "$join([$task.StoppedReason, $container.Reason], '; ')"
    log = f"'. Log: ' & {_text(log_group)} & ' task/{CONTAINER}/' & $split($task.TaskArn, '/')[-1]"
    in_words = (
        f"{exited} ? 'exit code ' & $code & ($exists({hint}) ? ': ' & {hint} : '') & ' (' & {stopped} & ')' & {log}"
        f" : $exists($task.StopCode) ? $task.StopCode & ': ' & {stopped} : $cause"
    )
    name = f"{exited} ? 'BatchJob.ExitCode' : $exists($task.StopCode) ? 'BatchJob.' & $task.StopCode : $error"
    return {
        "passing": _expression(f"({container}; {passing})"),
        "error": _expression(f"({container}; {name})"),
        "cause": _expression(f"({container}; {in_words})"),
    }


def _expression(jsonata: str) -> str:
    return f"{{% {jsonata} %}}"


def _text(value: str) -> str:
    """A text as a JSONata literal; one that only the deploy knows has no quotes in it."""
    return f"'{value}'" if is_token(value) else json.dumps(value)


def _list(values: Sequence[str] | Sequence[int]) -> str:
    return json.dumps(list(values))
