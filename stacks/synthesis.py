"""Templates for those who read them and deploy nothing: in this process, without wheels and without validation."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import aws_cdk as cdk

from stacks.environment import Environment
from stacks.stage import SnowgateStage

ROOT = Path(__file__).resolve().parents[1]


def quick_app(folder: Path) -> cdk.App:
    """An app with the flags of cdk.json that writes to ``folder``.

    Neither the wheels of the deploy's function nor validation change a template: `make synth` does both.
    """
    flags = json.loads((ROOT / "cdk.json").read_text())["context"]
    return cdk.App(
        context={**flags, "aws:cdk:bundling-stacks": []},
        builtin_cloud_formation_validation=False,
        analytics_reporting=False,
        outdir=str(folder),
    )


def synthesise(environment: Environment, folder: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    """The templates of an environment by the names of their stacks, in the order in which they are deployed."""
    app = quick_app(folder)
    stage = SnowgateStage(app, environment=environment)
    for stack in app.synth().get_nested_assembly(stage.artifact_id).stacks:
        yield stack.stack_name, stack.template
