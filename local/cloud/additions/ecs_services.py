"""The ECS service scheduler: it keeps services at their desired count, and never ends protected tasks."""

from __future__ import annotations

import logging
import threading
import time
from typing import Any

from local.cloud.additions.patching import replaces, replaces_entry, require
from local.cloud.additions.task_protection import is_protected

log = logging.getLogger("local.cloud.ecs")

LOOK_EVERY = 0.5  # seconds between two looks at all services
KEEP_STOPPED = 3600  # seconds that a stopped task can be described, as on AWS
SCHEDULERS_REASONS = (
    "Service scaling down",
    "Task definition updated",
    "Deployment capacity limit",
    "Deployment completed",
)
FREE_RESTARTS = 3  # failures within FAILURE_WINDOW that are replaced at once; then the pause doubles
FAILURE_WINDOW = 60.0
LONGEST_PAUSE = 30.0

_lock = threading.RLock()


def apply() -> None:
    """ministack looks at a service only when called, AWS all the time: here twice a second."""
    from ministack.services import ecs

    require(ecs, "_services", "_tasks", "_PRE_STOP_STATUSES", "_deployment_for_task", "_primary_deployment")
    _spare_protected_tasks(ecs)
    _reconcile_one_at_a_time(ecs)
    _end_tasks_of_the_last_run(ecs)
    _apply_every_given_desired_count()
    _list_tasks_by_service_arn(ecs)
    threading.Thread(target=_look_forever, args=(ecs,), daemon=True, name="ecs-service-scheduler").start()


def _spare_protected_tasks(ecs: Any) -> None:
    """ministack's scheduler stops any task, AWS's never a protected one; StopTask and DeleteService still do."""

    @replaces(ecs, "_stop_task", "data")
    def stop_task(original: Any, data: dict[str, Any]) -> Any:
        task = ecs._tasks.get(data.get("task", ""))
        if task and data.get("reason") in SCHEDULERS_REASONS and is_protected(task):
            return None
        return original(data)


def _reconcile_one_at_a_time(ecs: Any) -> None:
    """ministack stops the newest tasks on scale-in, AWS protected ones never: the next unprotected ones go instead."""

    @replaces(ecs, "_reconcile_service_tasks", "cluster_name svc_key")
    def reconcile(original: Any, cluster_name: str, svc_key: str) -> None:
        with _lock:
            service = ecs._services.get(svc_key)
            if not service or service["status"] != "ACTIVE" or _fails_too_fast(ecs, service):
                return
            original(cluster_name, svc_key)
            primary = ecs._primary_deployment(service)
            current = [t for t in _living(ecs, service) if ecs._deployment_for_task(service, t) is primary]
            surplus = len(current) - service["desiredCount"]
            spare = sorted((t for t in current if not is_protected(t)), key=lambda t: t["createdAt"], reverse=True)
            for task in spare[: max(0, surplus)]:
                ecs._stop_task({"task": task["taskArn"], "cluster": cluster_name, "reason": SCHEDULERS_REASONS[0]})


def _living(ecs: Any, service: dict[str, Any]) -> list[dict[str, Any]]:
    return [
        task
        for task in ecs._tasks.values()
        if task.get("group") == f"service:{service['serviceName']}"
        and task.get("clusterArn") == service["clusterArn"]
        and task["lastStatus"] in ecs._PRE_STOP_STATUSES
    ]


def _fails_too_fast(ecs: Any, service: dict[str, Any]) -> bool:
    """Whether replacements wait, because tasks of this deployment keep ending: AWS's service throttle logic."""
    if len(_living(ecs, service)) >= service["desiredCount"]:
        return False
    now = time.time()
    primary = (ecs._primary_deployment(service) or {}).get("id")
    ends = [t.get("_exited_at", 0) for t in ecs._tasks.values() if t.get("_deployment_id") == primary]
    recent = [end for end in ends if now - end < FAILURE_WINDOW]
    if len(recent) < FREE_RESTARTS:
        return False
    pause = min(LONGEST_PAUSE, 2.0 ** (len(recent) - FREE_RESTARTS))
    return bool(now - max(recent) < pause)


def _end_tasks_of_the_last_run(ecs: Any) -> None:
    """ministack restores tasks as STOPPED but still wanted; on AWS a stopped task is wanted no more."""

    @replaces(ecs, "_restore_state", "data")
    def restore_state(original: Any, data: Any) -> None:
        original(data)
        for _scope, task in ecs._tasks.all_items():
            if task["desiredStatus"] != "STOPPED":
                task |= {
                    "desiredStatus": "STOPPED",
                    "stoppedReason": "The stand-in was stopped",
                    "stoppedAt": ecs._iso(),
                }


def _apply_every_given_desired_count() -> None:
    """ministack sends DesiredCount only when it changed in the template, AWS at each update of the service."""
    from ministack.services.cloudformation import provisioners

    handlers = provisioners._RESOURCE_HANDLERS["AWS::ECS::Service"]

    @replaces_entry(handlers, "update", "physical_id old_props new_props stack_name", "AWS::ECS::Service")
    def update(
        original: Any, physical_id: str, old_props: dict[str, Any], new_props: dict[str, Any], stack_name: str
    ) -> Any:
        before = {key: value for key, value in old_props.items() if key != "DesiredCount"}
        return original(physical_id, before, new_props, stack_name)


def _list_tasks_by_service_arn(ecs: Any) -> None:
    """ministack finds no task for a service given by its ARN, AWS does."""

    @replaces_entry(ecs._ACTION_MAP, "ListTasks", "data", "ecs._ACTION_MAP")
    def list_tasks(original: Any, data: dict[str, Any]) -> Any:
        return original(data | {"serviceName": data.get("serviceName", "").rsplit("/", 1)[-1]})


def _look_forever(ecs: Any) -> None:
    from ministack.core.responses import request_scope

    while True:
        time.sleep(LOOK_EVERY)
        try:
            _forget_old_tasks(ecs)
            for (account, region, key), service in ecs._services.all_items():
                if service["status"] == "ACTIVE":
                    with request_scope(account, region):
                        _look(ecs, key, service)
        except Exception:  # noqa: BLE001 - one bad record must not end the scheduler; the log says which
            log.exception("the look at all services failed")


def _look(ecs: Any, key: str, service: dict[str, Any]) -> None:
    living = _living(ecs, service)
    primary = ecs._primary_deployment(service)
    is_stale = any(ecs._deployment_for_task(service, task) is not primary for task in living)
    if is_stale or len(living) != service["desiredCount"]:
        ecs._reconcile_service_tasks(key.split("/", 1)[0], key)


def _forget_old_tasks(ecs: Any) -> None:
    oldest = time.time() - KEEP_STOPPED
    for scope, task in ecs._tasks.all_items():
        if task["lastStatus"] == "STOPPED" and ecs._ts_to_epoch(task.get("stoppedAt") or task["createdAt"]) < oldest:
            ecs._tasks._data.pop(scope, None)
