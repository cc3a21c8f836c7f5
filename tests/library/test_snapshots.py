"""Constructs that need files or others around them, as they are when nothing is said."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import aws_cdk as cdk
import pytest
from aws_cdk import assertions
from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_ecs as ecs
from syrupy.assertion import SnapshotAssertion

from snowgate import ServiceImage, SnowflakeDeployer, SnowflakeScripts, WebApi, WebService

Synthesise = Callable[[], assertions.Template]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """What an image is built from, and SQL."""
    (tmp_path / "files").mkdir()
    (tmp_path / "files" / "Dockerfile").write_text("FROM scratch\n")
    (tmp_path / "files" / "010_table.sql").write_text("-- Makes and keeps: TABLE DB.CONFIG.T\n\nSELECT 1;\n")
    return tmp_path / "files"


def test_an_image(stack: cdk.Stack, template: Synthesise, snapshot: SnapshotAssertion, folder: Path) -> None:
    cdk.CfnOutput(stack, "Uri", value=ServiceImage(stack, "Image", directory=folder).uri)
    assert template().to_json() == snapshot(name="ServiceImage")


def test_a_deployer_and_its_scripts(
    stack: cdk.Stack, deployer: SnowflakeDeployer, template: Synthesise, snapshot: SnapshotAssertion, folder: Path
) -> None:
    SnowflakeScripts(
        stack,
        "Scripts",
        deployer=deployer,
        directory=folder,
        names={},
        database="DB",
        schema="CONFIG",
        warehouse="WH",
        role="DEPLOYER",
    )
    assert template().to_json() == snapshot(name="SnowflakeScripts")


def test_an_api_before_a_web_service(stack: cdk.Stack, template: Synthesise, snapshot: SnapshotAssertion) -> None:
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
    WebApi(stack, "WebApi", vpc=vpc, service=WebService(stack, "Web", vpc=vpc, image=image, command=["web"]))
    assert template().to_json() == snapshot(name="WebApi")
