"""Entry point: whatever happens, CloudFormation gets an answer.

Only the standard library is imported here. A wheel that does not fit the function's Python then fails inside the
``try`` and is reported, where otherwise the deploy would hang until its service timeout.
"""

from __future__ import annotations

import importlib
import json
import threading
import traceback
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from .deadline import Deadline, LambdaContext
from .owner_mark import ForeignObject
from .redaction import Secrets
from .request import Properties, Request
from .response import Outcome, send

# The physical id of a resource that never came into being: there is nothing to delete for it.
NOT_MADE = "not-made"


class Resource(NamedTuple):
    """The module behind a resource type, and the physical id that follows from the properties alone."""

    module: str
    physical_id: Callable[[Properties], str]


RESOURCES = {
    "Custom::SnowflakeLogin": Resource("login", lambda p: p.text("User")),
    "Custom::SnowflakeApiIntegration": Resource("api_integration", lambda p: p.text("Name")),
    "Custom::SnowflakeScripts": Resource("scripts", lambda p: f"scripts:{p.text('Database')}.{p.text('Schema')}"),
}


def handler(event: dict[str, Any], context: LambdaContext) -> None:
    """Create, update or delete the resource and answer CloudFormation within the function's time.

    The work runs in a thread, so that a statement that hangs cannot keep the answer back. Nothing is raised: Lambda
    would run a failed asynchronous event again, at the same time as the rollback.
    """
    deadline = Deadline(context)
    secrets = Secrets()
    outcomes: list[Outcome] = []
    worker = threading.Thread(target=lambda: outcomes.append(_outcome(event, deadline, secrets)), daemon=True)
    worker.start()
    worker.join(max(0.0, deadline.seconds_left()))
    deadline.cancel()
    outcome = outcomes[0] if outcomes else _out_of_time(event, deadline)
    _log(event, outcome, secrets)
    send(event, outcome._replace(reason=secrets.hide(outcome.reason)))


def _outcome(event: Mapping[str, Any], deadline: Deadline, secrets: Secrets) -> Outcome:
    physical_id = _given_id(event)
    try:
        if event["RequestType"] == "Delete" and physical_id.startswith(NOT_MADE):
            return Outcome(physical_id, {})
        module = importlib.import_module(f".{RESOURCES[event['ResourceType']].module}", __package__)
        request = _request(event, physical_id, deadline, secrets)
        if event["RequestType"] == "Delete":
            module.delete(request)
            return Outcome(physical_id, {})
        return Outcome(_id_of(event), module.apply(request))
    except Exception as error:  # noqa: BLE001 (every error is answered; the log has its traceback)
        print(secrets.hide(traceback.format_exc()))
        # What is somebody else's must have no id by which a rollback could delete it.
        failed = physical_id if isinstance(error, ForeignObject) else _id_after_failure(event, deadline)
        return Outcome(failed, {}, f"{type(error).__name__}: {error}")


def _request(event: Mapping[str, Any], physical_id: str, deadline: Deadline, secrets: Secrets) -> Request:
    name = event["LogicalResourceId"]
    old = event.get("OldResourceProperties") if event["RequestType"] == "Update" else None
    return Request(
        id=event["RequestId"],
        stack_id=event["StackId"],
        kind=event["RequestType"],
        physical_id=physical_id,
        properties=Properties(name, event["ResourceProperties"]),
        old=Properties(name, old) if old is not None else None,
        deadline=deadline,
        secrets=secrets,
    )


def _given_id(event: Mapping[str, Any]) -> str:
    return str(event.get("PhysicalResourceId") or f"{NOT_MADE}:{event['LogicalResourceId']}")


def _id_of(event: Mapping[str, Any]) -> str:
    """The id that follows from the properties; the given one if only the spelling differs.

    Snowflake's names have no case, and for a new id CloudFormation would have the old one, the same object, deleted.
    """
    properties = Properties(event["LogicalResourceId"], event["ResourceProperties"])
    new, given = RESOURCES[event["ResourceType"]].physical_id(properties), _given_id(event)
    return given if given.upper() == new.upper() else new


def _id_after_failure(event: Mapping[str, Any], deadline: Deadline) -> str:
    """The id by which CloudFormation can delete what a request began, and the given one if it began nothing.

    A deployer that cannot even log in could not delete anything either: the rollback would fail as well.
    """
    if event["RequestType"] == "Delete" or not deadline.changed:
        return _given_id(event)
    return _id_of(event)


def _out_of_time(event: Mapping[str, Any], deadline: Deadline) -> Outcome:
    """The answer while the worker still hangs."""
    reason = (
        f"Out of time during: {deadline.step}. Every statement can be run again: deploy once more, or give the "
        "function a longer timeout."
    )
    return Outcome(_id_after_failure(event, deadline), {}, reason)


def _log(event: Mapping[str, Any], outcome: Outcome, secrets: Secrets) -> None:
    line = {
        "level": "error" if outcome.reason else "info",
        "resource": event["LogicalResourceId"],
        "request": event["RequestType"],
        "physical_id": outcome.physical_id,
        "reason": outcome.reason,
        "data": dict(outcome.data),
    }
    print(secrets.hide(json.dumps(line)))
