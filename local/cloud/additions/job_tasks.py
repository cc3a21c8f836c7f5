"""The tasks that Step Functions runs: `ecs:runTask` and `ecs:runTask.sync`."""

from __future__ import annotations

import json
import time
from typing import Any

from local.cloud.additions.patching import replaces, require
from local.cloud.additions.state_machines import RUN_TASK_SYNC, current, demand

LOOK_EVERY = 0.1  # seconds
STARTED_BY = "AWS Step Functions"
AGENT = "ecs-tasks.amazonaws.com"


def apply() -> None:
    """ministack takes every end for a success, waits ten minutes, and stops no task; AWS does otherwise.

    "Run Amazon ECS or Fargate tasks with Step Functions" in its Developer Guide: `.sync` gives the task's description,
    fails with it as its cause when a container's exit code is not 0, and stops the task of an aborted execution.
    """
    from ministack.services import ecs, stepfunctions

    require(ecs, "_tasks", "_task_defs", "_resolve_td_key", "_resolve_cluster_name", "_clusters", "_ACTION_MAP")
    require(stepfunctions, "_ExecutionError", "_SERVICE_DISPATCH", "_pascal_to_camel", "_add_event")

    @replaces(stepfunctions, "_invoke_ecs_run_task", "resource input_data")
    def run_task(_original: Any, resource: str, input_data: dict[str, Any]) -> dict[str, Any]:
        return _run(ecs, stepfunctions, resource, input_data, None)

    stepfunctions._SERVICE_DISPATCH["arn:aws:states:::ecs:runTask"] = stepfunctions._invoke_ecs_run_task

    @replaces(stepfunctions, "_invoke_resource_with_timeout", "resource input_data timeout")
    def with_timeout(original: Any, resource: str, input_data: dict[str, Any], timeout: float) -> Any:
        if resource != RUN_TASK_SYNC:
            return original(resource, input_data, timeout)
        return _run(ecs, stepfunctions, resource, input_data, time.monotonic() + timeout)


def _run(
    ecs: Any, stepfunctions: Any, resource: str, input_data: dict[str, Any], deadline: float | None
) -> dict[str, Any]:
    request = stepfunctions._pascal_to_camel(input_data)
    _check(ecs, stepfunctions, request)
    status, _headers, body = ecs._ACTION_MAP["RunTask"](request | {"startedBy": STARTED_BY})
    answer = json.loads(body)
    if status >= 400:
        raise stepfunctions._ExecutionError(f"ECS.{answer['__type']}", answer["message"])
    output: dict[str, Any] = _pascal({"tasks": answer["tasks"], "failures": answer["failures"]})
    if resource != RUN_TASK_SYNC:
        return output
    details = {"resourceType": "ecs", "resource": "runTask.sync", "output": json.dumps(output)}
    stepfunctions._add_event(current.get(), "TaskSubmitted", {"taskSubmittedEventDetails": details})
    return _wait(ecs, stepfunctions, ecs._tasks[answer["tasks"][0]["taskArn"]], deadline)


def _check(ecs: Any, stepfunctions: Any, request: dict[str, Any]) -> None:
    definition = ecs._task_defs.get(ecs._resolve_td_key(request["taskDefinition"]))
    if definition is None:
        raise stepfunctions._ExecutionError("ECS.ClientException", "TaskDefinition not found.")
    demand(stepfunctions, "ecs:RunTask", definition["taskDefinitionArn"])
    for role in ("taskRoleArn", "executionRoleArn"):
        if definition.get(role):
            demand(stepfunctions, "iam:PassRole", definition[role], **{"iam:passedtoservice": AGENT})
    if ecs._resolve_cluster_name(request.get("cluster", "default")) not in ecs._clusters:
        raise stepfunctions._ExecutionError("ECS.ClusterNotFoundException", "Cluster not found.")


def _wait(ecs: Any, stepfunctions: Any, task: dict[str, Any], deadline: float | None) -> dict[str, Any]:
    """Wait for the task's end, its timeout or the execution's end, and give its description."""
    while task["lastStatus"] != "STOPPED":
        is_late = deadline is not None and time.monotonic() > deadline
        if is_late or current.get()["status"] != "RUNNING":
            if is_late:  # no promise is made for the task
                raise stepfunctions._ExecutionError("States.Timeout", "")
            _stop(ecs, stepfunctions, task)
            raise stepfunctions._ExecutionError("States.TaskFailed", "The execution has ended")
        time.sleep(LOOK_EVERY)
    _status, _headers, body = ecs._describe_tasks({"cluster": task["clusterArn"], "tasks": [task["taskArn"]]})
    described = _pascal(json.loads(body)["tasks"][0])
    codes = [container.get("ExitCode") for container in described["Containers"]]
    if any(codes) or None in codes:
        raise stepfunctions._ExecutionError("States.TaskFailed", json.dumps(described))
    return dict(described)


def _stop(ecs: Any, stepfunctions: Any, task: dict[str, Any]) -> None:
    """A state machine that may not stop its task leaves it running."""
    demand(stepfunctions, "ecs:StopTask", task["taskArn"])
    ecs._ACTION_MAP["StopTask"]({"cluster": task["clusterArn"], "task": task["taskArn"], "reason": STARTED_BY})


def _pascal(value: Any) -> Any:
    """An ECS answer as Step Functions spells it, PascalCase at every level."""
    if isinstance(value, list):
        return [_pascal(entry) for entry in value]
    if not isinstance(value, dict):
        return value
    return {key[:1].upper() + key[1:]: _pascal(entry) for key, entry in value.items()}
