"""Rotation of secrets by a Lambda function.

Source: "Rotation by Lambda function" in the Secrets Manager User Guide, and RotateSecret in its API Reference. Nothing
rotates by itself here: a schedule is kept and shown, and RotateSecret starts a rotation.
"""

from __future__ import annotations

import contextvars
import logging
import re
import threading
import time
from typing import Any

from local.cloud.additions.networks import register
from local.cloud.additions.patching import replaces, require

log = logging.getLogger("local.cloud")
STEPS = ("createSecret", "setSecret", "testSecret", "finishSecret")
SERVICE = "secretsmanager.amazonaws.com"
RESOURCE = "AWS::SecretsManager::RotationSchedule"
_KNOWN = {"SecretId", "ClientRequestToken", "RotationLambdaARN", "RotationRules", "RotateImmediately"}
_SCHEDULED = {"SecretId", "RotationLambdaARN", "RotationRules", "RotateImmediatelyOnUpdate"}
_RATE = re.compile(r"rate\((\d+) (hours?|days?)\)|cron\([^)]+\)")


class Refused(Exception):
    """A request that Secrets Manager answers with an error: its code and its message."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


def apply() -> None:
    """ministack's RotateSecret only makes a copy current, AWS has a Lambda function make and try a new value."""
    from ministack.core.responses import error_response_json, json_response
    from ministack.services import lambda_svc, secretsmanager
    from ministack.services.cloudformation import provisioners

    require(secretsmanager, "_resolve", "_find_stage_version", "_secrets", "new_uuid")
    require(lambda_svc, "_get_func_record_for_ref", "_execution_record_for_config")
    require(lambda_svc, "_execute_function_with_config_scope")

    @replaces(secretsmanager, "_rotate_secret", "data")
    def rotate(_original: Any, data: dict[str, Any]) -> Any:
        try:
            secret, version = start(data)
        except Refused as refused:
            return error_response_json(refused.code, str(refused), 400)
        return json_response({"ARN": secret["ARN"], "Name": secret["Name"], "VersionId": version})

    _versions_without_values(secretsmanager)
    _describe_rotation(secretsmanager)
    _schedules(provisioners._RESOURCE_HANDLERS, secretsmanager)


def start(data: dict[str, Any]) -> tuple[dict[str, Any], str]:
    """Begin a rotation, or only try the function with its third step; gives secret and version. Raises Refused."""
    from ministack.services import secretsmanager

    if unknown := sorted(set(data) - _KNOWN):
        raise Refused("InvalidParameterException", f"The local stand-in has no {', '.join(unknown)} of RotateSecret.")
    _key, secret = secretsmanager._resolve(data.get("SecretId"))
    if secret is None:
        raise Refused("ResourceNotFoundException", "Secrets Manager can't find the specified secret.")
    if secret.get("DeletedDate"):
        raise Refused("InvalidRequestException", "You can't rotate a secret that is marked for deletion.")
    function = _function(data.get("RotationLambdaARN") or secret.get("RotationLambdaARN"), secret)
    rules = _rules(data.get("RotationRules") or secret.get("RotationRules"))
    secret.update(RotationEnabled=True, RotationLambdaARN=function["config"]["FunctionArn"], RotationRules=rules)

    whole = data.get("RotateImmediately", True)
    version = data.get("ClientRequestToken") or secretsmanager.new_uuid()
    pending, _ = secretsmanager._find_stage_version(secret, "AWSPENDING")
    current, _ = secretsmanager._find_stage_version(secret, "AWSCURRENT")
    unfinished = pending if pending not in (current, secret.get("Trial")) else None
    if whole and unfinished and unfinished != version:
        _run(secret, unfinished, function, STEPS)
        message = "A previous rotation isn't complete. That rotation will be reattempted."
        raise Refused("InvalidRequestException", message)
    if pending and pending != version:
        secret["Versions"][pending]["Stages"].remove("AWSPENDING")
    empty = {"SecretString": None, "SecretBinary": None, "CreatedDate": int(time.time()), "Stages": ["AWSPENDING"]}
    secret["Versions"].setdefault(version, empty)
    if not whole:
        secret["Trial"] = version
    _run(secret, version, function, STEPS if whole else STEPS[2:3])
    return secret, version


def _function(arn: str | None, secret: dict[str, Any]) -> dict[str, Any]:
    """The function's record to run. Raises Refused if there is none or its policy does not let Secrets Manager in."""
    from ministack.services import lambda_svc

    if not arn:
        message = "No Lambda rotation function ARN is associated with this secret."
        raise Refused("InvalidRequestException", message)
    record, config, _name = lambda_svc._get_func_record_for_ref(arn)
    if record is None or config is None:
        raise Refused("ResourceNotFoundException", f"Lambda could not find the function {arn}.")
    account = secret["ARN"].split(":")[4]
    if not any(_lets_in(statement, account) for statement in record["policy"]["Statement"]):
        raise Refused(
            "AccessDeniedException",
            "Secrets Manager cannot invoke the specified Lambda function. Ensure that the function policy grants "
            f"access to the principal {SERVICE}.",
        )
    found: dict[str, Any] = lambda_svc._execution_record_for_config(record, config)
    return found


def _lets_in(statement: dict[str, Any], account: str) -> bool:
    condition = {
        key.lower(): value for operator in statement.get("Condition", {}).values() for key, value in operator.items()
    }
    return (
        statement.get("Effect") == "Allow"
        and statement.get("Principal") in ({"Service": SERVICE}, "*")
        and statement.get("Action") in ("lambda:InvokeFunction", "lambda:*")
        and condition.get("aws:sourceaccount", account) == account
    )


def _rules(rules: dict[str, Any] | None) -> dict[str, Any]:
    """The rules, checked. Raises Refused unless they say days or one schedule."""
    given = dict(rules or {})
    days, schedule = given.get("AutomaticallyAfterDays"), given.get("ScheduleExpression")
    if days is not None and not 1 <= int(days) <= 1000:
        raise Refused("InvalidParameterException", f"AutomaticallyAfterDays is {days}; it must be 1 to 1000.")
    if schedule is not None and not _RATE.fullmatch(schedule):
        raise Refused("InvalidParameterException", f"ScheduleExpression {schedule!r} is no rate(…) or cron(…).")
    if days is not None and schedule is not None:
        raise Refused("InvalidParameterException", "AutomaticallyAfterDays and ScheduleExpression exclude each other.")
    return given


def _run(secret: dict[str, Any], version: str, function: dict[str, Any], steps: tuple[str, ...]) -> None:
    """Run the steps in a thread: the function calls this very server."""
    context = contextvars.copy_context()
    arguments = (_steps, secret, version, function, steps)
    threading.Thread(target=context.run, args=arguments, daemon=True).start()


def _steps(secret: dict[str, Any], version: str, function: dict[str, Any], steps: tuple[str, ...]) -> None:
    from ministack.services import lambda_svc

    for step in steps:
        event = {"Step": step, "SecretId": secret["ARN"], "ClientRequestToken": version}
        answer = lambda_svc._execute_function_with_config_scope(function, event)
        if answer.get("error"):
            log.error("rotation of %s stopped in %s: %s", secret["Name"], step, answer.get("body"))
            break
    else:
        if "finishSecret" in steps:
            secret["LastRotatedDate"] = int(time.time())
    if secret.get("Trial") == version:  # it leaves nothing
        del secret["Trial"]
        secret["Versions"].pop(version, None)


def _versions_without_values(secretsmanager: Any) -> None:
    """A version that is pending and has no value yet cannot be read, and its value can be put once."""
    from ministack.core.responses import error_response_json

    @replaces(secretsmanager, "_get_secret_value", "data")
    def get(original: Any, data: dict[str, Any]) -> Any:
        _key, secret = secretsmanager._resolve(data.get("SecretId"))
        version = _asked(secretsmanager, secret, data) if secret else None
        if version and version["SecretString"] is None and version["SecretBinary"] is None:
            which = data.get("VersionId") or f"staging label: {data.get('VersionStage', 'AWSCURRENT')}"
            message = f"Secrets Manager can't find the specified secret value for {which}."
            return error_response_json("ResourceNotFoundException", message, 400)
        return original(data)

    @replaces(secretsmanager, "_put_secret_value", "data")
    def put(original: Any, data: dict[str, Any]) -> Any:
        _key, secret = secretsmanager._resolve(data.get("SecretId"))
        there = (secret or {}).get("Versions", {}).get(data.get("ClientRequestToken"))
        if there and there["SecretString"] not in (None, data.get("SecretString")):
            message = "You can't create a new version with a ClientRequestToken that has another value already."
            return error_response_json("ResourceExistsException", message, 400)
        return original(data)


def _asked(secretsmanager: Any, secret: dict[str, Any], data: dict[str, Any]) -> dict[str, Any] | None:
    if data.get("VersionId"):
        found: dict[str, Any] | None = secret["Versions"].get(data["VersionId"])
        return found
    _id, version = secretsmanager._find_stage_version(secret, data.get("VersionStage", "AWSCURRENT"))
    return dict(version) if version else None


def _describe_rotation(secretsmanager: Any) -> None:
    """DescribeSecret tells when the secret was last rotated."""
    import json

    from ministack.core.responses import json_response

    @replaces(secretsmanager, "_describe_secret", "data")
    def describe(original: Any, data: dict[str, Any]) -> Any:
        answer = original(data)
        _key, secret = secretsmanager._resolve(data.get("SecretId"))
        if answer[0] != 200 or not secret or "LastRotatedDate" not in secret:
            return answer
        return json_response(json.loads(answer[2]) | {"LastRotatedDate": secret["LastRotatedDate"]})


def _schedules(handlers: dict[str, Any], secretsmanager: Any) -> None:
    def put(props: dict[str, Any]) -> tuple[str, dict[str, Any]]:
        if unknown := sorted(set(props) - _SCHEDULED):
            raise ValueError(f"{RESOURCE}: the local stand-in has no {', '.join(unknown)}")
        now = str(props.get("RotateImmediatelyOnUpdate", True)).lower() == "true"
        names = ("SecretId", "RotationLambdaARN", "RotationRules")
        data = {name: props[name] for name in names if props.get(name)} | {"RotateImmediately": now}
        try:
            secret, _version = start(data)
        except Refused as refused:
            raise ValueError(f"{RESOURCE}: {refused}") from refused
        return secret["ARN"], {"Id": secret["ARN"]}

    def create(_logical_id: str, props: dict[str, Any], _stack_name: str) -> tuple[str, dict[str, Any]]:
        return put(props)

    def update(
        _physical_id: str, _old: dict[str, Any], new: dict[str, Any], _stack_name: str
    ) -> tuple[str, dict[str, Any]]:
        return put(new)

    def delete(physical_id: str, _props: dict[str, Any]) -> None:
        _key, secret = secretsmanager._resolve(physical_id)
        if secret is not None:
            secret.update(RotationEnabled=False, RotationLambdaARN=None, RotationRules=None)

    register(handlers, RESOURCE, create, update, delete)
