"""An environment whose tasks have private addresses: the weather guide's ranges, a way out that stays, and a cache."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import aws_cdk as cdk
import pytest

from stacks.environment import Environment, NetworkTable
from stacks.stage import add_stages

PUBLIC, PRIVATE = ["10.0.10.0/24", "10.0.11.0/24"], ["10.0.1.0/24", "10.0.2.0/24"]


@pytest.fixture(scope="module")
def templates(
    environments: list[Environment], root: Path, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, dict[str, Any]]:
    """Production's templates in such a network and with a cache; cdk-nag finds nothing."""
    (prod,) = [one for one in environments if one.name == "prod"]
    network = NetworkTable.model_validate(
        {
            "mode": "nat_gateways",
            "cidr": "10.0.0.0/16",
            "availability_zones": ["eu-west-1a", "eu-west-1b"],
            "public_cidrs": PUBLIC,
            "private_cidrs": PRIVATE,
        },
        context={"region": "eu-west-1"},
    )
    folder = tmp_path_factory.mktemp("private")
    context = json.loads((root / "cdk.json").read_text())["context"]
    app = cdk.App(
        context={**context, "aws:cdk:bundling-stacks": []},
        builtin_cloud_formation_validation=False,
        outdir=str(folder),
    )
    assert prod.weather_warehouse
    weather = prod.weather_warehouse.model_copy(update={"cache": True})
    add_stages(app, [prod.model_copy(update={"network": network, "weather_warehouse": weather})])
    app.synth()
    return {
        file.name.removeprefix("prod").split(".")[0][:-8]: json.loads(file.read_text())
        for file in folder.glob("assembly-prod/*.template.json")
    }


def resources(template: dict[str, Any], kind: str) -> list[dict[str, Any]]:
    return [one["Properties"] for one in template["Resources"].values() if one["Type"] == kind]


def test_the_subnets_have_the_ranges_that_the_file_gives(templates: dict[str, dict[str, Any]]) -> None:
    ranges = {subnet["CidrBlock"] for subnet in resources(templates["Network"], "AWS::EC2::Subnet")}
    assert ranges == {*PUBLIC, *PRIVATE}


def test_the_addresses_that_leave_are_an_output(templates: dict[str, dict[str, Any]]) -> None:
    assert len(resources(templates["Network"], "AWS::EC2::EIP")) == 2
    assert "EgressAddresses" in templates["Network"]["Outputs"]


def test_no_task_has_a_public_address(templates: dict[str, dict[str, Any]]) -> None:
    services = [s for name in templates for s in resources(templates[name], "AWS::ECS::Service")]
    assert len(services) == 4
    for service in services:
        placement = service["NetworkConfiguration"]["AwsvpcConfiguration"]
        assert placement["AssignPublicIp"] == "DISABLED"


def test_the_database_is_never_public(templates: dict[str, dict[str, Any]]) -> None:
    (database,) = resources(templates["WeatherWarehouse"], "AWS::RDS::DBInstance")
    assert database["PubliclyAccessible"] is False
    assert database["StorageEncrypted"] is True
    assert database["ManageMasterUserPassword"] is True
    assert "MasterUserPassword" not in database


def test_the_api_is_told_of_its_cache_and_may_log_in_and_alarms_tell_the_topic(
    templates: dict[str, dict[str, Any]],
) -> None:
    template = templates["WeatherWarehouse"]
    told = [
        {variable["Name"] for variable in task["ContainerDefinitions"][0]["Environment"]}
        for task in resources(template, "AWS::ECS::TaskDefinition")
    ]
    assert [names for names in told if {"CACHE_HOST", "CACHE_PORT", "CACHE_NAME", "CACHE_USER"} <= names]
    assert "elasticache:Connect" in json.dumps(resources(template, "AWS::IAM::Policy"))
    alarms = resources(template, "AWS::CloudWatch::Alarm")
    assert {one["Namespace"] for one in alarms if "Namespace" in one} >= {"AWS/ElastiCache", "AWS/RDS"}
    assert [one for one in alarms if not one.get("AlarmActions")] == []
