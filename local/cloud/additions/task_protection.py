"""Task protection: UpdateTaskProtection, GetTaskProtection, and what the service scheduler may not stop."""

from __future__ import annotations

import time
from typing import Any

from local.cloud.additions.patching import replaces_entry

DEFAULT_MINUTES = 120
LONGEST_MINUTES = 2880
KEY = "_protected_until"  # in the task's record; ministack leaves keys with an underscore out of its answers


def apply() -> None:
    """ministack answers both calls with nothing and keeps nothing, AWS keeps the protection until it expires."""
    from ministack.core.responses import error_response_json, json_response
    from ministack.services import ecs

    @replaces_entry(ecs._ACTION_MAP, "UpdateTaskProtection", "data", "ecs._ACTION_MAP")
    def update(_original: Any, data: dict[str, Any]) -> Any:
        minutes = data.get("expiresInMinutes") or DEFAULT_MINUTES
        if not 1 <= minutes <= LONGEST_MINUTES:
            message = f"expiresInMinutes must be between 1 and {LONGEST_MINUTES}, not {minutes}."
            return error_response_json("InvalidParameterException", message, 400)
        until = time.time() + minutes * 60 if data.get("protectionEnabled") else None
        protected, failures = _find(ecs, data)
        for task in protected:
            task[KEY] = until
        return json_response({"protectedTasks": [_answer(task) for task in protected], "failures": failures})

    @replaces_entry(ecs._ACTION_MAP, "GetTaskProtection", "data", "ecs._ACTION_MAP")
    def get(_original: Any, data: dict[str, Any]) -> Any:
        found, failures = _find(ecs, data)
        return json_response({"protectedTasks": [_answer(task) for task in found], "failures": failures})


def is_protected(task: dict[str, Any]) -> bool:
    """Whether a task's record holds a protection that has not expired."""
    return float(task.get(KEY) or 0) > time.time()


def _find(ecs: Any, data: dict[str, Any]) -> tuple[list[dict[str, Any]], list[dict[str, str]]]:
    cluster = ecs._resolve_cluster_name(data.get("cluster", "default"))
    found, failures = [], []
    for reference in data.get("tasks", []):
        task = ecs._resolve_task(reference, cluster)
        if task is None or task["lastStatus"] == "STOPPED":
            failures.append({"arn": reference, "reason": "MISSING"})
        elif not str(task.get("group", "")).startswith("service:"):
            failures.append({"arn": task["taskArn"], "reason": "TASK_NOT_VALID"})
        else:
            found.append(task)
    return found, failures


def _answer(task: dict[str, Any]) -> dict[str, Any]:
    if not is_protected(task):
        return {"taskArn": task["taskArn"], "protectionEnabled": False}
    return {"taskArn": task["taskArn"], "protectionEnabled": True, "expirationDate": task[KEY]}
