"""Constructs whose own tests have no snapshot: the template of each with its defaults, which `make semver` compares."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import aws_cdk as cdk
import pytest
from aws_cdk import assertions
from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_ecs as ecs
from aws_cdk import aws_lambda as lambda_
from constructs import Construct
from syrupy.assertion import SnapshotAssertion

from snowgate import (
    DownloadLinks,
    ReportBucket,
    ServiceImage,
    ServiceToken,
    SnowflakeApiIntegration,
    SnowflakeDeployer,
    SnowflakeLogin,
    SnowflakeScripts,
    WakeApi,
    WebApi,
    WebService,
)

PLACE = {"database": "DB", "schema": "CONFIG", "warehouse": "WH"}
PREFIX = "https://abc.execute-api.eu-west-1.amazonaws.com/prod/trigger"
INVOKER = "arn:aws:iam::111122223333:role/snowflake"


def web_api(stack: cdk.Stack) -> Construct:
    vpc = ec2.Vpc.from_vpc_attributes(
        stack,
        "Vpc",
        vpc_id="vpc-1",
        vpc_cidr_block="10.20.0.0/16",
        availability_zones=["eu-west-1a", "eu-west-1b"],
        private_subnet_ids=["subnet-1", "subnet-2"],
        private_subnet_route_table_ids=["rtb-1", "rtb-2"],
    )
    image = ecs.ContainerImage.from_registry("public.ecr.aws/example/service@sha256:" + "0" * 64)
    return WebApi(stack, "WebApi", vpc=vpc, service=WebService(stack, "Web", vpc=vpc, image=image, command=["web"]))


def wake_api(stack: cdk.Stack) -> Construct:
    function = lambda_.Function.from_function_arn(
        stack, "Waker", "arn:aws:lambda:eu-west-1:111122223333:function:waker"
    )
    return WakeApi(stack, "WakeApi", waker=function, invoker_role_arn=INVOKER)


def image(stack: cdk.Stack) -> Construct:
    folder = Path(cdk.Stage.of(stack).outdir) / "image"  # type: ignore[union-attr]
    folder.mkdir(parents=True)
    (folder / "Dockerfile").write_text("FROM scratch\n")
    made = ServiceImage(stack, "Image", directory=folder)
    cdk.CfnOutput(stack, "Uri", value=made.uri)
    return made


def scripts(stack: cdk.Stack, deployer: SnowflakeDeployer) -> Construct:
    folder = Path(cdk.Stage.of(stack).outdir) / "sql"  # type: ignore[union-attr]
    folder.mkdir(parents=True)
    (folder / "010_table.sql").write_text("-- Makes and keeps: TABLE DB.CONFIG.T\n\nSELECT 1;\n")
    return SnowflakeScripts(stack, "Scripts", deployer=deployer, directory=folder, names={}, role="DEPLOYER", **PLACE)


ALONE: dict[str, Callable[[cdk.Stack], Construct]] = {
    "DownloadLinks": lambda stack: DownloadLinks(stack, "Links", bucket=ReportBucket(stack, "Reports")),
    "ServiceImage": image,
    "WakeApi": wake_api,
    "WebApi": web_api,
}
WITH_DEPLOYER: dict[str, Callable[[cdk.Stack, SnowflakeDeployer], Construct]] = {
    "ServiceToken": lambda stack, deployer: ServiceToken(stack, "Token", deployer=deployer),
    "SnowflakeApiIntegration": lambda stack, deployer: SnowflakeApiIntegration(
        stack,
        "Integration",
        deployer=deployer,
        name="REPORTS",
        role_name="reports-snowflake",
        allowed_prefixes=[PREFIX],
    ),
    "SnowflakeDeployer": lambda stack, deployer: deployer,
    "SnowflakeLogin": lambda stack, deployer: SnowflakeLogin(
        stack, "Login", deployer=deployer, user="SERVICE", role="RUNNER", **PLACE
    ),
    "SnowflakeScripts": scripts,
}


@pytest.mark.parametrize("name", ALONE)
def test_the_template_is_that_of_the_snapshot(
    stack: cdk.Stack, template: Callable[[], assertions.Template], snapshot: SnapshotAssertion, name: str
) -> None:
    ALONE[name](stack)
    assert template().to_json() == snapshot(name=name)


@pytest.mark.parametrize("name", WITH_DEPLOYER)
def test_with_a_deployer_the_template_is_that_of_the_snapshot(
    stack: cdk.Stack,
    deployer: SnowflakeDeployer,
    template: Callable[[], assertions.Template],
    snapshot: SnapshotAssertion,
    name: str,
) -> None:
    WITH_DEPLOYER[name](stack, deployer)
    assert template().to_json() == snapshot(name=name)
