"""The task's own place in ECS: who it is, how many of it are wanted, and protection from scale-in while it works."""

from __future__ import annotations

import json
import time
import urllib.request
from dataclasses import dataclass
from http.client import HTTPException
from typing import Any

from report_service import log

_TIMEOUT = 5  # seconds
_PROTECTION_MINUTES = 60
_LOCAL = urllib.request.build_opener(urllib.request.ProxyHandler({}))  # the agent is never behind a proxy


@dataclass(frozen=True)
class EcsTask:
    """What the task metadata endpoint (version 4) tells a task about itself."""

    cluster: str
    service: str
    task_arn: str
    cpu: float | None = None  # vCPU
    memory_mib: int | None = None

    @property
    def name(self) -> str:
        """The task's id, the last part of its ARN."""
        return self.task_arn.rsplit("/", 1)[-1]


def read_task(metadata_uri: str) -> EcsTask:
    """Ask the metadata endpoint; raises OSError without an answer, ValueError if the task belongs to no service."""
    with _LOCAL.open(f"{metadata_uri.rstrip('/')}/task", timeout=_TIMEOUT) as answer:
        task = json.load(answer)
    missing = [key for key in ("Cluster", "ServiceName", "TaskARN") if not task.get(key)]
    if missing:
        raise ValueError(f"The task metadata lack {', '.join(missing)}; a worker runs as a task of an ECS service.")
    limits = task.get("Limits") or {}
    return EcsTask(task["Cluster"], task["ServiceName"], task["TaskARN"], limits.get("CPU"), limits.get("Memory"))


class DesiredCount:
    """The desired count of the task's own service."""

    def __init__(self, task: EcsTask, ecs: Any) -> None:
        self._task = task
        self._ecs = ecs

    def read(self) -> int:
        """Return the count that ECS holds now."""
        answer = self._ecs.describe_services(cluster=self._task.cluster, services=[self._task.service])
        if not answer["services"]:
            raise LookupError(
                f"ECS knows no service {self._task.service} in {self._task.cluster}: {answer['failures']}"
            )
        return int(answer["services"][0]["desiredCount"])

    def write(self, count: int) -> None:
        """Set the count."""
        self._ecs.update_service(cluster=self._task.cluster, service=self._task.service, desiredCount=count)


class TaskProtection:
    """Protection from scale-in through the ECS agent; without an agent it does nothing."""

    def __init__(self, agent_uri: str | None) -> None:
        self._uri = f"{agent_uri.rstrip('/')}/task-protection/v1/state" if agent_uri else None
        self._protected_at: float | None = None

    def set(self, busy: bool) -> None:
        """Protect the task while `busy`, renewing it at half its time; a refusal is logged, for the work goes on."""
        if self._uri is None or not self._due(busy):
            return
        wanted = {"ProtectionEnabled": busy} | ({"ExpiresInMinutes": _PROTECTION_MINUTES} if busy else {})
        headers = {"Content-Type": "application/json"}
        request = urllib.request.Request(self._uri, json.dumps(wanted).encode(), headers, method="PUT")
        try:
            with _LOCAL.open(request, timeout=_TIMEOUT) as answer:
                body = json.load(answer)
        except (OSError, ValueError, HTTPException) as error:
            log.error("protection.failed", error, wanted=busy)
            return
        if not isinstance(body, dict) or "protection" not in body:
            log.warning("protection.refused", wanted=busy, answer=body)
            return
        self._protected_at = time.monotonic() if busy else None

    def _due(self, busy: bool) -> bool:
        if not busy:
            return self._protected_at is not None
        return self._protected_at is None or time.monotonic() - self._protected_at > _PROTECTION_MINUTES * 30
