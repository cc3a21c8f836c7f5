"""How tasks end: with what code, at whose wish, and not before their containers do."""

from __future__ import annotations

import logging
import re
import threading
import time
from typing import Any

from local.cloud.additions.patching import replaces_entry, require

log = logging.getLogger("local.cloud.ecs")

CONTAINER_EXITED = re.compile(r"Essential container in task exited \((\d+)\)")
NOT_STARTED = re.compile(r"CannotPullContainerError|ResourceInitializationError")
STOP_ASKED = "_stop_asked"  # in a task's record: when it was to stop, and why
LOOK_EVERY = 0.5  # seconds
GRACE = 5.0  # seconds after a stop timeout, in which the runner's word comes
KILLED = 137


def apply() -> None:
    """ministack ends a task at once and with code 0, AWS when its containers have ended, and with their code.

    local/fargate.py stands for the agent: the reasons that it gives to StopTask say what has happened.
    """
    from ministack.core.responses import json_response
    from ministack.services import ecs

    require(ecs, "_tasks", "_resolve_task", "_resolve_cluster_name", "_mark_task_stopped", "_sanitize", "_iso")

    @replaces_entry(ecs._ACTION_MAP, "StopTask", "data", "ecs._ACTION_MAP")
    def stop_task(original: Any, data: dict[str, Any]) -> Any:
        reason = data.get("reason") or "Task stopped by user"
        task = ecs._resolve_task(data.get("task", ""), ecs._resolve_cluster_name(data.get("cluster", "default")))
        if task is None or task["lastStatus"] == "STOPPED":
            return original(data)
        if exited := CONTAINER_EXITED.match(reason):
            _end(ecs, task, int(exited[1]), reason)
        elif NOT_STARTED.match(reason):
            task["_exited_at"] = time.time()
            ecs._mark_task_stopped(task["taskArn"], task, reason, "TaskFailedToStart")
        elif is_lone(task):
            task.setdefault(STOP_ASKED, [time.time(), reason])
            task |= {"desiredStatus": "STOPPED", "lastStatus": "DEACTIVATING", "stoppingAt": ecs._iso()}
            return json_response({"task": ecs._sanitize(task)})
        return original(data)

    threading.Thread(target=_end_forever, args=(ecs,), daemon=True, name="ecs-task-ends").start()


def is_lone(task: dict[str, Any]) -> bool:
    """Whether a task was run by itself, and is no service's."""
    return not str(task.get("group", "")).startswith("service:")


def _end(ecs: Any, task: dict[str, Any], code: int, reason: str) -> None:
    task["_exited_at"] = time.time()
    stop_code = "EssentialContainerExited"
    if STOP_ASKED in task:
        reason, stop_code = task[STOP_ASKED][1], "UserInitiated"
        task["desiredStatus"] = "RUNNING"  # ministack ends no task that is already to be ended
    ecs._mark_task_stopped(task["taskArn"], task, reason, stop_code, exit_code=code)


def _end_forever(ecs: Any) -> None:
    """End the tasks that were to stop and that no runner has, as the agent does: SIGKILL after the stop timeout."""
    from ministack.core.responses import request_scope

    while True:
        time.sleep(LOOK_EVERY)
        try:
            for (account, region, _key), task in ecs._tasks.all_items():
                if STOP_ASKED in task and task["lastStatus"] != "STOPPED" and _is_overdue(ecs, task):
                    with request_scope(account, region):
                        _end(ecs, task, KILLED, "")
        except Exception:  # noqa: BLE001 - one bad record must not end the thread; the log says which
            log.exception("the look at stopping tasks failed")


def _is_overdue(ecs: Any, task: dict[str, Any]) -> bool:
    definitions = {definition["taskDefinitionArn"]: definition for definition in ecs._task_defs.all_values()}
    containers = definitions.get(task["taskDefinitionArn"], {}).get("containerDefinitions", [])
    longest = max((int(container.get("stopTimeout") or 30) for container in containers), default=30)
    return bool(time.time() - task[STOP_ASKED][0] > longest + GRACE)
