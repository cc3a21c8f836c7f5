"""Where links to reports lead from, and who gets to make them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import aws_cdk as cdk
from assemblies import ENVIRONMENTS

from stacks.environment import Environment
from stacks.stage import add_stages

Templates = dict[tuple[str, str], dict[str, Any]]
ROUTES = {"GET /reports/{id}/download", "HEAD /reports/{id}/download"}


def routes(resources: dict[str, Any]) -> set[str]:
    found = [one["Properties"] for one in resources.values() if one["Type"] == "AWS::ApiGatewayV2::Route"]
    return {route["RouteKey"] for route in found} - {"$default"}


def worker(resources: dict[str, Any]) -> tuple[dict[str, Any], str]:
    """What the worker's environment has of links, and its role's policy as text."""
    mine = [one for name, one in resources.items() if name.startswith("WorkerTask")]
    [task] = [one for one in mine if one["Type"] == "AWS::ECS::TaskDefinition"]
    variables = task["Properties"]["ContainerDefinitions"][0]["Environment"]
    policy = [one for one in mine if one["Type"] == "AWS::IAM::Policy"]
    return {one["Name"]: one["Value"] for one in variables if one["Name"].startswith("LINK_")}, json.dumps(policy)


def test_every_environment_serves_links(templates: Templates) -> None:
    for environment in ENVIRONMENTS:
        assert routes(templates[environment, "ReportService"]["Resources"]) == ROUTES, environment


def test_a_worker_makes_links_where_it_sends_mail_and_has_no_key_elsewhere(templates: Templates) -> None:
    for environment in ENVIRONMENTS:
        resources = templates[environment, "ReportService"]["Resources"]
        [key] = [name for name, one in resources.items() if one["Type"] == "AWS::SecretsManager::Secret"]
        told, allowed = worker(resources)
        mails = environment == "local"
        assert set(told) == ({"LINK_URL", "LINK_KEY_SECRET_ARN", "LINK_DAYS"} if mails else set()), environment
        assert told.get("LINK_DAYS") == ("7" if mails else None)
        assert (key in allowed) == mails, environment


def test_an_environment_without_the_table_has_none(environments: list[Environment], root: Path, tmp_path: Path) -> None:
    flags = json.loads((root / "cdk.json").read_text())["context"]
    [local] = [one for one in environments if one.name == "local"]
    app = cdk.App(
        context={**flags, "aws:cdk:bundling-stacks": []}, builtin_cloud_formation_validation=False, outdir=str(tmp_path)
    )
    add_stages(app, [local.model_copy(update={"links": None})])
    app.synth()
    resources = json.loads(next(tmp_path.rglob("*ReportService*.template.json")).read_text())["Resources"]
    assert routes(resources) == set()
    assert worker(resources)[0] == {}
    assert "AWS::SecretsManager::Secret" not in {one["Type"] for one in resources.values()}
