"""All environments, synthesised once, as the application does it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import aws_cdk as cdk
import pytest
from assemblies import ENVIRONMENTS, MakeApp

from stacks.environment import Environment, LambdasTable, read_environments
from stacks.stage import add_stages


def _fixed(environment: Environment) -> Environment:
    """The environment as it is on a machine that is named here, so that snapshots are those of any machine."""
    if environment.architecture != "HOST":
        return environment
    return environment.model_copy(update={"architecture": "X86_64", "lambdas": LambdasTable(python="3.11")})


@pytest.fixture(scope="session")
def environments(root: Path) -> list[Environment]:
    return [_fixed(environment) for environment in read_environments(root / "environments")]


@pytest.fixture(scope="session")
def make_app(root: Path, tmp_path_factory: pytest.TempPathFactory, environments: list[Environment]) -> MakeApp:
    """Makes the application with all environments or those that are given, its flags and cdk-nag."""
    flags = json.loads((root / "cdk.json").read_text())["context"]

    def make(given: Sequence[Environment] | None = None, *, as_by_cli: bool = False) -> cdk.App:
        # The CLI also wants the CDK's own validation, and a resource that names the CDK, which checkers know it by.
        app = cdk.App(
            context={**flags, "aws:cdk:bundling-stacks": []},
            builtin_cloud_formation_validation=as_by_cli,
            analytics_reporting=as_by_cli,
            outdir=str(tmp_path_factory.mktemp("assembly")),
        )
        add_stages(app, environments if given is None else given)
        return app

    return make


@pytest.fixture(scope="session")
def assembly(make_app: MakeApp) -> Path:
    return Path(make_app().synth().directory)


@pytest.fixture(scope="session")
def templates(assembly: Path) -> dict[tuple[str, str], dict[str, Any]]:
    """Every template, by environment and stack."""
    found = {}
    for environment in ENVIRONMENTS:
        folder = assembly / f"assembly-{environment}"
        manifest = json.loads((folder / "manifest.json").read_text())["artifacts"]
        for artifact in manifest.values():
            if artifact["type"] == "aws:cloudformation:stack":
                stack = artifact["properties"]["stackName"].removeprefix(f"{environment}-")
                found[environment, stack] = json.loads((folder / artifact["properties"]["templateFile"]).read_text())
    return found
