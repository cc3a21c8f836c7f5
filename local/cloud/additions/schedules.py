"""Schedules: which are refused, when they fire, and that they fire once."""

from __future__ import annotations

import json
import logging
import time
from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

from local.cloud.additions import roles, schedule_delivery
from local.cloud.additions.patching import replaces, replaces_entry, require

log = logging.getLogger("local.cloud.schedules")

LOOK_EVERY = 1  # seconds
SCHEDULER = "scheduler.amazonaws.com"


def apply() -> None:
    """ministack looks at schedules and rules every 10 s, AWS far more closely: here every second."""
    from ministack.services import eventbridge, scheduler

    require(scheduler, "_SCHEDULE_TICK_INTERVAL", "_schedule_last_fired", "_schedules", "_error", "_to_epoch")
    require(eventbridge, "_SCHEDULER_TICK_INTERVAL", "_parse_rate_seconds", "_parse_cron_fields", "_cron_next_fire")
    require(eventbridge, "_invoke_target", "_dispatch_to_sqs")
    scheduler._SCHEDULE_TICK_INTERVAL = LOOK_EVERY
    eventbridge._SCHEDULER_TICK_INTERVAL = LOOK_EVERY
    _check_schedules(scheduler)
    _keep_the_time_zone_of_stacks(scheduler)
    _forget_firings(scheduler)
    _keep_firings(scheduler)
    _fire_in_the_time_zone(scheduler, eventbridge)


def _check_schedules(scheduler: Any) -> None:
    """ministack takes any role, AWS one that the scheduler may assume and the caller may pass."""

    @replaces(scheduler, "handle_request", "method path headers body_bytes query_params")
    async def handle_request(
        original: Any, method: str, path: str, headers: dict[str, str], body: bytes, query_params: dict[str, Any]
    ) -> Any:
        if path.startswith("/schedules/") and method in ("POST", "PUT"):
            refused = _refusal(json.loads(body))
            if refused:
                return scheduler._error(*refused)
        return await original(method, path, headers, body, query_params)


def _keep_the_time_zone_of_stacks(scheduler: Any) -> None:
    """ministack's CloudFormation drops a schedule's time zone, start and end, AWS keeps them."""
    from ministack.services.cloudformation import provisioners

    handlers = provisioners._RESOURCE_HANDLERS["AWS::Scheduler::Schedule"]

    def keep(name: str, props: dict[str, Any]) -> None:
        schedule = scheduler._schedules[f"{props.get('GroupName', 'default')}/{name}"]
        schedule["ScheduleExpressionTimezone"] = props.get("ScheduleExpressionTimezone", "UTC")
        schedule |= {"StartDate": props.get("StartDate"), "EndDate": props.get("EndDate")}

    @replaces_entry(handlers, "create", "logical_id props stack_name", "AWS::Scheduler::Schedule")
    def create(original: Any, logical_id: str, props: dict[str, Any], stack_name: str) -> Any:
        name, attributes = original(logical_id, props, stack_name)
        keep(name, props)
        return name, attributes

    @replaces_entry(handlers, "update", "physical_id old_props new_props stack_name", "AWS::Scheduler::Schedule")
    def update(original: Any, physical_id: str, old: dict[str, Any], new: dict[str, Any], stack_name: str) -> Any:
        name, attributes = original(physical_id, old, new, stack_name)
        keep(name, new)
        return name, attributes


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


def _fire_in_the_time_zone(scheduler: Any, eventbridge: Any) -> None:
    """ministack takes every expression for UTC, and knows no scheduled time, no role and no dead letters; AWS does."""
    from ministack.core.responses import request_scope

    fired = scheduler._schedule_last_fired

    @replaces(scheduler, "_tick_schedules", "")
    def tick(_original: Any) -> None:
        now = time.time()
        for scope, schedule in list(scheduler._schedules._data.items()):
            end = scheduler._to_epoch(schedule.get("EndDate"))
            is_over = end is not None and now > end
            due = None if is_over else _due(schedule, fired.get(scope), now, eventbridge)
            if due is not None and now >= (scheduler._to_epoch(schedule.get("StartDate")) or 0):
                fired[scope] = now
                is_over = schedule["ScheduleExpression"].startswith("at(")
                with request_scope(scope[0], scope[1]):
                    schedule_delivery.deliver(schedule, due)
            if is_over and schedule.get("ActionAfterCompletion") == "DELETE":
                scheduler._schedules._data.pop(scope, None)
                fired.pop(scope, None)


def _due(schedule: dict[str, Any], last: float | None, now: float, eventbridge: Any) -> datetime | None:
    """The time for which a schedule has to fire now, or None. A time that was slept through is made up for once."""
    if schedule.get("State") != "ENABLED":
        return None
    expression, zone = schedule["ScheduleExpression"], ZoneInfo(schedule.get("ScheduleExpressionTimezone") or "UTC")
    since = last or schedule["CreationDate"]
    if expression.startswith("at("):
        moment = datetime.fromisoformat(expression[3:-1]).replace(tzinfo=zone) if last is None else None
    elif interval := eventbridge._parse_rate_seconds(expression):
        moment = datetime.fromtimestamp(since + interval, UTC)
    else:
        fields = eventbridge._parse_cron_fields(expression)
        moment = eventbridge._cron_next_fire(fields, datetime.fromtimestamp(since, zone)) if fields else None
    return moment if moment and moment.timestamp() <= now else None


def _refusal(body: dict[str, Any]) -> tuple[int, str, str] | None:
    from ministack.core import iam_evaluator
    from ministack.core.responses import get_region

    role_arn = (body.get("Target") or {}).get("RoleArn", "")
    caller = iam_evaluator.caller_arn()
    if not roles.allows(caller, "iam:PassRole", role_arn, get_region(), {"iam:passedtoservice": SCHEDULER}):
        message = f"User: {caller} is not authorized to perform: iam:PassRole on resource: {role_arn}"
        return 403, "AccessDeniedException", message
    if not roles.trusts(role_arn, SCHEDULER):
        message = "The execution role you provide must allow AWS EventBridge Scheduler to assume the role."
        return 400, "ValidationException", message
    return None
