"""All environments, synthesised once, as the application does it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import aws_cdk as cdk
import pytest
from assemblies import ENVIRONMENTS, Synthesise

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
def synthesise(root: Path, tmp_path_factory: pytest.TempPathFactory, environments: list[Environment]) -> Synthesise:
    """Synthesises all environments with the application's flags and cdk-nag; gives the assembly's folder."""
    flags = json.loads((root / "cdk.json").read_text())["context"]

    def assembly(*, validation: bool = False) -> Path:
        folder = tmp_path_factory.mktemp("assembly")
        app = cdk.App(
            context={**flags, "aws:cdk:bundling-stacks": []},
            builtin_cloud_formation_validation=validation,
            analytics_reporting=False,
            outdir=str(folder),
        )
        add_stages(app, environments)
        app.synth()
        return folder

    return assembly


@pytest.fixture(scope="session")
def assembly(synthesise: Synthesise) -> Path:
    return synthesise()


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
