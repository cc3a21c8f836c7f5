"""Schedules: when they fire, and with whose permission."""

from __future__ import annotations

import json
import logging
from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

from local.cloud.additions.patching import replaces, require
from local.cloud.additions.trust import names_service

log = logging.getLogger("local.cloud.schedules")

LOOK_EVERY = 1  # seconds
SCHEDULER = "scheduler.amazonaws.com"


def apply() -> None:
    """ministack looks at schedules and rules every 10 s, AWS far more closely: here every second."""
    from ministack.services import eventbridge, scheduler

    require(scheduler, "_SCHEDULE_TICK_INTERVAL", "_schedule_last_fired", "_schedules", "_error")
    require(eventbridge, "_SCHEDULER_TICK_INTERVAL")
    scheduler._SCHEDULE_TICK_INTERVAL = LOOK_EVERY
    eventbridge._SCHEDULER_TICK_INTERVAL = LOOK_EVERY
    _check_schedules(scheduler)
    _forget_firings(scheduler)
    _keep_firings(scheduler)
    _use_the_schedules_role(eventbridge)


def _check_schedules(scheduler: Any) -> None:
    """ministack takes any role, AWS one that the scheduler may assume and the caller may pass."""

    @replaces(scheduler, "handle_request", "method path headers body_bytes query_params")
    async def handle_request(
        original: Any, method: str, path: str, headers: dict[str, str], body: bytes, query_params: dict[str, Any]
    ) -> Any:
        if path.startswith("/schedules/") and method in ("POST", "PUT"):
            request = json.loads(body)
            refused = _refusal(request)
            if refused:
                return scheduler._error(*refused)
            body = json.dumps(_in_utc(request)).encode()
        return await original(method, path, headers, body, query_params)


def _forget_firings(scheduler: Any) -> None:
    """ministack fires a one-time schedule once for ever, AWS once for each time that it is set."""

    def put(original: Any, name: str, body: dict[str, Any]) -> Any:
        answer = original(name, body)
        if answer[0] == 200:
            key = f"{body.get('GroupName', 'default')}/{name}"
            for scope in [scope for scope in scheduler._schedule_last_fired if scope[2] == key]:
                del scheduler._schedule_last_fired[scope]
        return answer

    replaces(scheduler, "_create_schedule", "name body")(put)
    replaces(scheduler, "_update_schedule", "name body")(put)


def _keep_firings(scheduler: Any) -> None:
    """ministack fires a one-time schedule again after a restart; on AWS a schedule that has fired stays fired."""

    @replaces(scheduler, "get_state", "")
    def get_state(original: Any) -> dict[str, Any]:
        fired = [[*scope, when] for scope, when in scheduler._schedule_last_fired.items()]
        return {**original(), "last_fired": fired}

    @replaces(scheduler, "_restore_state", "data")
    def restore_state(original: Any, data: dict[str, Any]) -> None:
        original(data)
        for account, region, key, when in data.get("last_fired", []):
            scheduler._schedule_last_fired[(account, region, key)] = when


def _in_utc(body: dict[str, Any]) -> dict[str, Any]:
    """The request with its one-time expression in UTC: ministack reads at(…) as UTC whatever the time zone says."""
    expression, zone = str(body.get("ScheduleExpression", "")), body.get("ScheduleExpressionTimezone") or "UTC"
    if zone == "UTC" or not expression.startswith("at("):
        return body
    local = datetime.fromisoformat(expression[3:-1]).replace(tzinfo=ZoneInfo(zone))
    moment = local.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S")
    return body | {"ScheduleExpression": f"at({moment})", "ScheduleExpressionTimezone": "UTC"}


def _refusal(body: dict[str, Any]) -> tuple[int, str, str] | None:
    from ministack.core import iam_evaluator
    from ministack.core.responses import get_region

    role_arn = (body.get("Target") or {}).get("RoleArn", "")
    caller = iam_evaluator.caller_arn()
    if not _allows(caller, "iam:PassRole", role_arn, get_region(), {"iam:passedtoservice": SCHEDULER}):
        message = f"User: {caller} is not authorized to perform: iam:PassRole on resource: {role_arn}"
        return 403, "AccessDeniedException", message
    role = _role(role_arn)
    if role is None or not any(names_service(statement, SCHEDULER) for statement in _trust(role)):
        message = "The execution role you provide must allow AWS EventBridge Scheduler to assume the role."
        return 400, "ValidationException", message
    return None


def _use_the_schedules_role(eventbridge: Any) -> None:
    """ministack calls a schedule's target whatever its role may do, AWS only what the role's policies allow."""

    @replaces(eventbridge, "_invoke_target", "target event rule view")
    def invoke_target(
        original: Any, target: dict[str, Any], event: dict[str, Any], rule: Any, view: Any = None
    ) -> None:
        role_arn, function = target.get("RoleArn", ""), target.get("Arn", "")
        if event.get("Source") == "aws.scheduler" and ":lambda:" in function:
            session = role_arn.replace(":iam:", ":sts:").replace(":role/", ":assumed-role/") + "/scheduler"
            if not _allows(session, "lambda:InvokeFunction", function, event["Region"], {}):
                log.error("schedule %s did not fire: %s may not invoke %s", rule.get("Name"), role_arn, function)
                return
        original(target, event, rule, view)


def _allows(principal: str, action: str, resource: str, region: str, keys: dict[str, str]) -> bool:
    """Whether the identity policies of a user, role session or root user allow an action."""
    from ministack.core import iam_evaluator as evaluator

    if principal.endswith(":root"):
        return True
    account, name = principal.split(":")[4], principal.split("/")[1]
    is_session = ":assumed-role/" in principal
    gather = evaluator._gather_role_policies if is_session else evaluator._gather_user_policies
    context = evaluator.EvalContext(
        principal_arn=principal,
        principal_type="AssumedRole" if is_session else "User",
        principal_account=account,
        action=action,
        resource_arn=resource,
        region=region,
        service_context=keys,
    )
    return bool(evaluator.evaluate(context, gather(name, account)).decision == "Allow")


def _role(arn: str) -> dict[str, Any] | None:
    from ministack.services import iam

    if arn.count(":") != 5:
        return None
    role: dict[str, Any] | None = iam._roles.get_scoped(arn.split(":")[4], None, arn.rsplit("/", 1)[-1])
    return role


def _trust(role: dict[str, Any]) -> list[dict[str, Any]]:
    document = role["AssumeRolePolicyDocument"]
    document = json.loads(document) if isinstance(document, str) else document
    statements = document["Statement"]
    return [statements] if isinstance(statements, dict) else statements
