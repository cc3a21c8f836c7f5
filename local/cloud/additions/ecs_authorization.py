"""The ARN that an ECS call is authorized against."""

from __future__ import annotations

import json
from typing import Any

from local.cloud.additions.patching import replaces


def apply() -> None:
    """ministack authorizes calls about a service or a task against the cluster, AWS against the service or the task."""
    from ministack.core import iam_actions

    @replaces(iam_actions, "extract_resource_arn", "service method path headers body query_params region account_id")
    def extract_resource_arn(
        original: Any,
        service: str,
        method: str,
        path: str,
        headers: dict[str, str],
        body: bytes,
        query_params: dict[str, Any],
        region: str,
        account_id: str,
    ) -> str:
        if service == "ecs":
            action = headers.get("x-amz-target", "").rsplit(".", 1)[-1]
            arn = resource(action, _request(body), f"arn:aws:ecs:{region}:{account_id}")
            if arn:
                return arn
        return str(original(service, method, path, headers, body, query_params, region, account_id))


def resource(action: str, request: dict[str, Any], prefix: str) -> str | None:
    """The ARN of the task definition, service or first task that an ECS request is about, or None for all others."""
    if action == "RunTask":
        kind, name = "task-definition", request.get("taskDefinition")
    elif action.endswith(("Service", "Services")):
        kind, name = "service", request.get("service") or request.get("serviceName") or _first(request.get("services"))
    elif action in ("StopTask", "ExecuteCommand"):
        kind, name = "task", request.get("task")
    elif action in ("DescribeTasks", "UpdateTaskProtection", "GetTaskProtection"):
        kind, name = "task", _first(request.get("tasks"))
    else:
        return None
    if not isinstance(name, str):
        return None
    if name.startswith("arn:"):
        return name
    if kind == "task-definition":
        return f"{prefix}:task-definition/{name if ':' in name else name + ':*'}"
    return f"{prefix}:{kind}/{str(request.get('cluster') or 'default').rsplit('/', 1)[-1]}/{name}"


def _first(names: Any) -> Any:
    return names[0] if isinstance(names, list) and names else None


def _request(body: bytes) -> dict[str, Any]:
    try:
        request = json.loads(body or b"{}")
    except ValueError:
        return {}  # the service itself refuses it
    return request if isinstance(request, dict) else {}
