"""Rotation by Secrets Manager: the four steps, for the header that CloudFront shows a load balancer.

"Rotation by Lambda function" in the Secrets Manager User Guide. The listener's rule takes the old value and the new one
until every edge location sends the new one: no request is refused. Each step can be run again after it was killed
anywhere.
"""

from __future__ import annotations

import os
import secrets
import time
from collections.abc import Callable
from typing import Any, Literal, Protocol

import boto3

ASK_SECONDS = 10
_SPARE_SECONDS = 30
_BYTES = 36

_clients: dict[str, Any] = {}


class LambdaContext(Protocol):
    """What of Lambda's context is used here."""

    def get_remaining_time_in_millis(self) -> int:
        """Milliseconds until Lambda ends the function."""
        ...


class RotationFailed(RuntimeError):
    """A step did not succeed; Secrets Manager tries it again, and both values stay valid where both were sent."""


def handler(event: dict[str, str], context: LambdaContext) -> None:
    """Run one step: createSecret, setSecret, testSecret or finishSecret.

    Raises:
        RotationFailed: there is no such step or version, or CloudFront did not send the new value in time.
    """
    step, secret, token = event["Step"], event["SecretId"], event["ClientRequestToken"]
    steps: dict[str, Callable[[str, str, LambdaContext], None]] = {
        "createSecret": _create,
        "setSecret": _set,
        "testSecret": _test,
        "finishSecret": _finish,
    }
    if step not in steps:
        raise RotationFailed(f"There is no step {step!r}; there are {', '.join(steps)}.")
    stages = _stages(secret)
    if token not in stages:
        raise RotationFailed(f"Version {token} of {secret} is not one that Secrets Manager has begun.")
    if "AWSCURRENT" in stages[token] and step != "finishSecret":
        print(f"{step}: version {token} is current already")
        return
    steps[step](secret, token, context)


def _create(secret: str, token: str, context: LambdaContext) -> None:
    """Make the new value, unless a run before this one has."""
    client = _client("secretsmanager")
    try:
        client.get_secret_value(SecretId=secret, VersionId=token, VersionStage="AWSPENDING")
    except client.exceptions.ResourceNotFoundException:
        client.put_secret_value(
            SecretId=secret,
            ClientRequestToken=token,
            SecretString=secrets.token_urlsafe(_BYTES),
            VersionStages=["AWSPENDING"],
        )


def _set(secret: str, token: str, context: LambdaContext) -> None:
    """Let the rule take both values, then let CloudFront send the new one."""
    new = _value(secret, VersionId=token)
    _take(_value(secret, VersionStage="AWSCURRENT"), new)

    client, distribution = _client("cloudfront"), os.environ["DISTRIBUTION_ID"]
    found = client.get_distribution_config(Id=distribution)
    headers = _headers(found["DistributionConfig"])
    if any(header["HeaderValue"] != new for header in headers):
        for header in headers:
            header["HeaderValue"] = new
        client.update_distribution(
            Id=distribution, IfMatch=found["ETag"], DistributionConfig=found["DistributionConfig"]
        )


def _test(secret: str, token: str, context: LambdaContext) -> None:
    """Wait until every edge location sends the new value."""
    client, distribution, new = _client("cloudfront"), os.environ["DISTRIBUTION_ID"], _value(secret, VersionId=token)
    while True:
        found = client.get_distribution(Id=distribution)["Distribution"]
        if any(header["HeaderValue"] != new for header in _headers(found["DistributionConfig"])):
            raise RotationFailed(f"Somebody changed distribution {distribution} meanwhile: it sends another value.")
        if found["Status"] == "Deployed":
            return
        if context.get_remaining_time_in_millis() < (ASK_SECONDS + _SPARE_SECONDS) * 1000:
            raise RotationFailed(f"Distribution {distribution} is still {found['Status']}: its old value goes on.")
        time.sleep(ASK_SECONDS)


def _finish(secret: str, token: str, context: LambdaContext) -> None:
    """Make the new value the current one, and the only one that the rule takes."""
    current = next((version for version, stages in _stages(secret).items() if "AWSCURRENT" in stages), None)
    if current != token:
        _client("secretsmanager").update_secret_version_stage(
            SecretId=secret, VersionStage="AWSCURRENT", MoveToVersionId=token, RemoveFromVersionId=current
        )
    _take(_value(secret, VersionId=token))


def _take(*values: str) -> None:
    """Let the listener's rule take requests with any of these values; where it sends them stays as it is."""
    condition = {"HttpHeaderName": os.environ["HEADER"], "Values": list(values)}
    _client("elbv2").modify_rule(
        RuleArn=os.environ["RULE_ARN"], Conditions=[{"Field": "http-header", "HttpHeaderConfig": condition}]
    )


def _headers(config: dict[str, Any]) -> list[dict[str, str]]:
    """Where the distribution has the header, at whichever of its origins.

    Raises:
        RotationFailed: nowhere.
    """
    name = os.environ["HEADER"]
    found = [
        header
        for origin in config["Origins"]["Items"]
        for header in origin["CustomHeaders"].get("Items", [])
        if header["HeaderName"].lower() == name
    ]
    if not found:
        raise RotationFailed(f"The distribution sends no header {name}: deploy the Edge again.")
    return found


def _stages(secret: str) -> dict[str, list[str]]:
    versions: dict[str, list[str]] = _client("secretsmanager").describe_secret(SecretId=secret)["VersionIdsToStages"]
    return versions


def _value(secret: str, **version: str) -> str:
    value: str = _client("secretsmanager").get_secret_value(SecretId=secret, **version)["SecretString"]
    return value


def _client(service: Literal["cloudfront", "elbv2", "secretsmanager"]) -> Any:
    if service not in _clients:
        _clients[service] = boto3.client(service)
    return _clients[service]
