"""Raise the ECS service's desired count to what the queue needs; never lower it."""

from __future__ import annotations

import base64
import binascii
import datetime
import json
import math
import os
import time
from collections.abc import Callable
from typing import Any, NamedTuple

import boto3
from botocore.exceptions import BotoCoreError, ClientError

SETTLE_SECONDS = 0.3
SETTLE_ROUNDS = 5
# The same on every retry of a batch, which may come for ten minutes ("Do not assume that the remote service is passed
# each row exactly once" in the Snowflake documentation).
BATCH_ID = "sf-external-function-query-batch-id"
REMEMBER_SECONDS = 900
REMEMBER_BATCHES = 200

_clients: dict[str, Any] = {}
_answered: dict[str, tuple[float, dict[str, Any]]] = {}


class BadRequest(ValueError):
    """The body is not an external-function batch."""


class ServiceMissing(RuntimeError):
    """ECS has no active service of the configured name."""


class Demand(NamedTuple):
    """What one row of a batch asks for."""

    row: int
    pending: int
    busy: int


def handler(event: dict[str, Any], context: object) -> dict[str, Any]:
    """Answer API Gateway's POST /trigger, an EventBridge rule or a schedule; the latter two ask for one worker.

    ``{"watch": true}`` asks for none: the service's counts become metrics.
    """
    if event.get("watch"):
        return _watch()
    # The log alone tells how long a wake-up was on its way: when it was asked for, came here, raised the count.
    _say("info", event="wake.received", requested=_requested(event))
    if not _is_request(event):
        return _wake([Demand(0, 1, 0)])
    try:
        demands = read_batch(event)
        _measure(PendingWork=max(demand.pending for demand in demands))
        return _once(_batch_id(event), demands)
    except BadRequest as error:
        return _reply(400, {"error": str(error)})
    except (ServiceMissing, ClientError, BotoCoreError) as error:
        # Snowflake shows this body in its error message; API Gateway's own 502 would hide the cause.
        _say("error", event="wake.failed", message=str(error))
        return _reply(500, {"error": str(error)})


def needed(pending: int, busy: int, *, reports_per_task: int, max_tasks: int) -> int:
    """How many workers the queue needs: busy ones go on, pending reports are shared out, within 0 and max_tasks."""
    return max(0, min(max_tasks, math.ceil(pending / reports_per_task) + busy))


def read_batch(event: dict[str, Any]) -> list[Demand]:
    """Read ``{"data": [[row, pending, busy], …]}``; ``{}`` or no body, a call by hand, asks for one worker.

    Raises:
        BadRequest: the body is something else.
    """
    text = _body_text(event)
    try:
        body = json.loads(text) if text.strip() else {}
    except ValueError as error:
        raise BadRequest(f"The body is not JSON: {error}.") from error
    if body == {}:
        return [Demand(0, 1, 0)]
    if not isinstance(body, dict) or set(body) != {"data"} or not isinstance(body["data"], list) or not body["data"]:
        raise BadRequest('The body must be {"data": [[row, pending, busy], …]} with at least one row, or {}.')
    return [_read_row(position, row) for position, row in enumerate(body["data"])]


def raise_desired_count(ecs: Any, cluster: str, service: str, count: int, pause: Callable[[float], None]) -> int:
    """Bring the desired count to at least ``count`` and give what it was before.

    ECS cannot compare and set: a wake that read the count before this one raised it may write a lower one a moment
    later. So the count is looked at again until it has stayed, and raised again if it was lowered.
    """
    was = current = _desired_count(ecs, cluster, service)
    for _ in range(SETTLE_ROUNDS):
        if current >= count:
            break
        ecs.update_service(cluster=cluster, service=service, desiredCount=count)
        _say("info", event="count.raised", service=service, before=current, desired=count)
        pause(SETTLE_SECONDS)
        current = _desired_count(ecs, cluster, service)
    return was


def _once(batch: str | None, demands: list[Demand]) -> dict[str, Any]:
    """Answer a batch that was answered before as then: a late retry must not wake a worker that has gone to sleep.

    Another copy of this function does not know that answer; there a retry raises the count only if it is too low.
    """
    now = time.monotonic()
    for known in [known for known, (until, _) in _answered.items() if until < now]:
        del _answered[known]
    if batch is None:
        return _wake(demands)
    key = f"{batch} {json.dumps(demands)}"
    if key not in _answered:
        reply = _wake(demands)
        while len(_answered) >= REMEMBER_BATCHES:
            del _answered[next(iter(_answered))]
        _answered[key] = (now + REMEMBER_SECONDS, reply)
    return _answered[key][1]


def _batch_id(event: dict[str, Any]) -> str | None:
    headers = event.get("headers") or {}
    return next((str(value) for name, value in headers.items() if name.lower() == BATCH_ID and value), None)


def _wake(demands: list[Demand]) -> dict[str, Any]:
    settings = {"reports_per_task": int(os.environ["REPORTS_PER_TASK"]), "max_tasks": int(os.environ["MAX_TASKS"])}
    count = max(needed(demand.pending, demand.busy, **settings) for demand in demands)
    cluster, service = os.environ["CLUSTER"], os.environ["SERVICE"]
    was = raise_desired_count(_ecs(), cluster, service, count, time.sleep)
    result = {"desired": max(count, was), "was": was}
    _say("info", event="wake.answered", service=service, rows=[list(row) for row in demands], **result)
    return _reply(200, {"data": [[demand.row, result] for demand in demands]})


def _watch() -> dict[str, Any]:
    described = _describe(_ecs(), os.environ["CLUSTER"], os.environ["SERVICE"])
    counts = {"DesiredTasks": described["desiredCount"], "RunningTasks": described["runningCount"]}
    _measure(**counts)
    return counts


def _measure(**counts: int) -> None:
    """Enter metrics, as a line of the log ("Embedded metric format" in the Amazon CloudWatch User Guide)."""
    told = {
        "Namespace": "Snowgate",
        "Dimensions": [["Cluster", "Service"]],
        "Metrics": [{"Name": name, "Unit": "Count"} for name in counts],
    }
    _say(
        "info",
        event="metrics",
        _aws={"Timestamp": round(time.time() * 1000), "CloudWatchMetrics": [told]},
        Cluster=os.environ["CLUSTER"],
        Service=os.environ["SERVICE"],
        **counts,
    )


def _desired_count(ecs: Any, cluster: str, service: str) -> int:
    return int(_describe(ecs, cluster, service)["desiredCount"])


def _describe(ecs: Any, cluster: str, service: str) -> dict[str, Any]:
    found = ecs.describe_services(cluster=cluster, services=[service])
    for described in found["services"]:
        if described["status"] == "ACTIVE":
            return dict(described)
    raise ServiceMissing(f"Cluster {cluster} has no active service {service}: deploy the worker's stack first.")


def _requested(event: dict[str, Any]) -> str | None:
    """When API Gateway got the request; None for a rule or a schedule."""
    context = event.get("requestContext")
    milliseconds = context.get("requestTimeEpoch") if isinstance(context, dict) else None
    if not isinstance(milliseconds, int):
        return None
    return _text(datetime.datetime.fromtimestamp(milliseconds / 1000, datetime.UTC))


def _say(level: str, **fields: Any) -> None:
    """One line of the log, with the time of this moment: CloudWatch's own may be that of the whole batch of lines."""
    print(json.dumps({"time": _text(datetime.datetime.now(datetime.UTC)), "level": level, **fields}))


def _text(time: datetime.datetime) -> str:
    return time.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _is_request(event: dict[str, Any]) -> bool:
    return "httpMethod" in event or "requestContext" in event or "body" in event


def _body_text(event: dict[str, Any]) -> str:
    body = event.get("body") or ""
    if not isinstance(body, str):
        raise BadRequest("The body must be text.")
    if not event.get("isBase64Encoded"):
        return body
    try:
        return base64.b64decode(body, validate=True).decode()
    except (binascii.Error, UnicodeDecodeError) as error:
        raise BadRequest("The body is not UTF-8 text: send JSON without compression.") from error


def _read_row(position: int, row: object) -> Demand:
    if not isinstance(row, list) or len(row) != 3:
        raise BadRequest(f"Row {position} of data must be [row, pending, busy]; given was {_shown(row)}.")
    names = ("row", "pending", "busy")
    return Demand(*(_whole_number(value, f"{name} of row {position}") for name, value in zip(names, row, strict=True)))


def _whole_number(value: object, name: str) -> int:
    # Snowflake writes a NUMBER as a JSON number, or as text where JSON could lose digits.
    if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) <= 38:
        return int(value)
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise BadRequest(f"{name} must be a whole number from 0; given was {_shown(value)}.")
    return value


def _shown(value: object) -> str:
    text = json.dumps(value)
    return text if len(text) <= 80 else text[:79] + "…"


def _reply(status: int, body: dict[str, Any]) -> dict[str, Any]:
    return {"statusCode": status, "headers": {"content-type": "application/json"}, "body": json.dumps(body)}


def _ecs() -> Any:
    if "ecs" not in _clients:
        _clients["ecs"] = boto3.client("ecs")
    return _clients["ecs"]
