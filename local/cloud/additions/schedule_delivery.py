"""What EventBridge Scheduler does when a schedule's time has come: call its target, or write a dead letter."""

from __future__ import annotations

import logging
import uuid
from datetime import UTC, datetime
from typing import Any

from local.cloud.additions import roles

log = logging.getLogger("local.cloud.schedules")

# What the schedule's role needs, by the service in the target's ARN ("Managing targets" in the Scheduler User Guide).
ACTIONS = {
    "lambda": "lambda:InvokeFunction",
    "sns": "sns:Publish",
    "sqs": "sqs:SendMessage",
    "states": "states:StartExecution",
}


class Undeliverable(Exception):
    """A call that AWS would not try again: its error code and its text."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


def deliver(schedule: dict[str, Any], scheduled: datetime) -> None:
    """Call the schedule's target with the context attributes filled in, as its role; else write a dead letter."""
    from ministack.core.responses import get_account_id, get_region
    from ministack.services import eventbridge

    target = schedule["Target"]
    text = _filled(target.get("Input") or "{}", schedule, scheduled)
    event = {
        "EventId": str(uuid.uuid4()),
        "Source": "aws.scheduler",
        "DetailType": "Scheduled Event",
        "Detail": "{}",
        "Time": scheduled.timestamp(),
        "Resources": [schedule["Arn"]],
        "Account": get_account_id(),
        "Region": get_region(),
    }
    try:
        _check(target["RoleArn"], target["Arn"])
        eventbridge._invoke_target(target | {"Input": text}, event, schedule)
    except Undeliverable as error:
        log.error("schedule %s did not fire: %s", schedule["Name"], error)
        _write_dead_letter(schedule, text, error)


def _filled(text: str, schedule: dict[str, Any], scheduled: datetime) -> str:
    """The target's input with the attributes of "Adding context attributes" in the Scheduler User Guide."""
    values = {
        "scheduled-time": scheduled.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "execution-id": str(uuid.uuid4()),
        "attempt-number": "1",
        "schedule-arn": schedule["Arn"],
    }
    for name, value in values.items():
        text = text.replace(f"<aws.scheduler.{name}>", value)
    return text


def _check(role: str, target: str) -> None:
    from ministack.core.responses import get_region
    from ministack.services import lambda_svc, stepfunctions

    service = target.split(":")[2]
    if service not in ACTIONS:
        raise Undeliverable("ValidationException", f"This stand-in calls {', '.join(ACTIONS)}, not {target}.")
    principal = roles.session(role, "scheduler")
    if not roles.allows(principal, ACTIONS[service], target, get_region()):
        message = f"User: {principal} is not authorized to perform: {ACTIONS[service]} on resource: {target}"
        raise Undeliverable("AccessDeniedException", message)
    if service == "lambda" and not lambda_svc._get_func_record_for_ref(target)[0]:
        raise Undeliverable("ResourceNotFoundException", f"Function not found: {target}")
    if service == "states" and stepfunctions._resolve_state_machine_arn(target) is None:
        raise Undeliverable("StateMachineDoesNotExist", f"State Machine Does Not Exist: '{target}'")


def _write_dead_letter(schedule: dict[str, Any], text: str, error: Undeliverable) -> None:
    """ "Configuring a dead-letter queue" in the Scheduler User Guide has the attributes."""
    from ministack.core.arn import parse_arn
    from ministack.core.responses import get_region
    from ministack.services import eventbridge, sqs

    target = schedule["Target"]
    arn = (target.get("DeadLetterConfig") or {}).get("Arn")
    if not arn:
        return
    if not roles.allows(roles.session(target["RoleArn"], "scheduler"), "sqs:SendMessage", arn, get_region()):
        log.error("schedule %s has no dead letter: its role may not send to %s", schedule["Name"], arn)
        return
    queue = sqs._queue_by_arn(arn)
    if queue is None:
        log.error("schedule %s has no dead letter: there is no queue %s", schedule["Name"], arn)
        return
    attributes = {
        "ERROR_CODE": error.code,
        "ERROR_MESSAGE": str(error),
        "RETRY_ATTEMPTS": "0",
        "SCHEDULE_ARN": schedule["Arn"],
        "TARGET_ARN": target["Arn"],
    }
    # As EventBridge's own delivery, which no queue policy that asks for TLS refuses.
    eventbridge._dispatch_to_sqs(parse_arn(arn), text)
    queue["messages"][-1]["message_attributes"] = {
        name: {"DataType": "String", "StringValue": value} for name, value in attributes.items()
    }
