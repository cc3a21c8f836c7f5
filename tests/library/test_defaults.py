"""Constructs as they are when nothing is said: what their snapshots' diff shows is what a new version changes."""

from __future__ import annotations

from collections.abc import Callable

import aws_cdk as cdk
import pytest
from aws_cdk import assertions
from aws_cdk import aws_lambda as lambda_
from constructs import Construct
from syrupy.assertion import SnapshotAssertion

from snowgate import (
    DownloadLinks,
    ReportBucket,
    ServiceToken,
    SnowflakeApiIntegration,
    SnowflakeDeployer,
    SnowflakeLogin,
    WakeApi,
)

WAKER = "arn:aws:lambda:eu-west-1:111122223333:function:waker"
PLACE = {"database": "DB", "schema": "CONFIG", "warehouse": "WH"}


def links(stack: cdk.Stack, _deployer: SnowflakeDeployer) -> Construct:
    return DownloadLinks(stack, "Links", bucket=ReportBucket(stack, "Reports"))


def token(stack: cdk.Stack, deployer: SnowflakeDeployer) -> Construct:
    return ServiceToken(stack, "Token", deployer=deployer)


def integration(stack: cdk.Stack, deployer: SnowflakeDeployer) -> Construct:
    prefixes = ["https://example.execute-api.eu-west-1.amazonaws.com/prod/trigger"]
    return SnowflakeApiIntegration(
        stack, "Integration", deployer=deployer, name="API", role_name="snowflake", allowed_prefixes=prefixes
    )


def login(stack: cdk.Stack, deployer: SnowflakeDeployer) -> Construct:
    return SnowflakeLogin(stack, "Login", deployer=deployer, user="SERVICE", role="RUNNER", **PLACE)


def wake_api(stack: cdk.Stack, _deployer: SnowflakeDeployer) -> Construct:
    waker = lambda_.Function.from_function_attributes(stack, "Waker", function_arn=WAKER, same_environment=True)
    return WakeApi(stack, "WakeApi", waker=waker, invoker_role_arn="arn:aws:iam::111122223333:role/snowflake")


@pytest.mark.parametrize("make", [links, token, integration, login, wake_api])
def test_the_defaults_are_those_of_the_snapshot(
    stack: cdk.Stack,
    deployer: SnowflakeDeployer,
    template: Callable[[], assertions.Template],
    snapshot: SnapshotAssertion,
    make: Callable[[cdk.Stack, SnowflakeDeployer], Construct],
) -> None:
    make(stack, deployer)
    assert template().to_json() == snapshot(name=make.__name__)
