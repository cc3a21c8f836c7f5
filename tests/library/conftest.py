"""Empty stacks, with the flags that the application has, and what a construct needs around it."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import aws_cdk as cdk
import pytest
from aws_cdk import assertions
from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_ecs as ecs
from aws_cdk import aws_secretsmanager as secretsmanager
from cdk_nag import AwsSolutionsChecks
from syrupy.assertion import SnapshotAssertion
from template_snapshot import TemplateSnapshot

from snowgate import Network, SnowflakeDeployer

ACCOUNT, REGION = "111122223333", "eu-west-1"


class ZonedStack(cdk.Stack):
    """A stack that looks no zones up."""

    @property
    def availability_zones(self) -> list[str]:
        return [f"{REGION}a", f"{REGION}b"]


@pytest.fixture(scope="session")
def zoned_stack() -> type[cdk.Stack]:
    """The class, for tests that make several stacks at once."""
    return ZonedStack


@pytest.fixture(scope="session")
def flags(root: Path) -> dict[str, object]:
    return json.loads((root / "cdk.json").read_text())["context"]


@pytest.fixture
def app(flags: dict[str, object], tmp_path: Path) -> cdk.App:
    """An app whose synth checks with cdk-nag, and bundles nothing."""
    app = cdk.App(
        context={**flags, "aws:cdk:bundling-stacks": []},
        builtin_cloud_formation_validation=False,
        analytics_reporting=False,
        outdir=str(tmp_path / "cdk.out"),
    )
    cdk.Validations.of(app).add_plugins(AwsSolutionsChecks(app))
    return app


@pytest.fixture
def stack(app: cdk.App) -> cdk.Stack:
    return ZonedStack(app, "Stack", env=cdk.Environment(account=ACCOUNT, region=REGION))


@pytest.fixture
def template(app: cdk.App, stack: cdk.Stack) -> Callable[[], assertions.Template]:
    """Synthesises with cdk-nag, which raises for a finding without a reason, and gives the stack's template."""

    def synthesise() -> assertions.Template:
        app.synth()
        return assertions.Template.from_stack(stack)

    return synthesise


@pytest.fixture
def snapshot(snapshot: SnapshotAssertion) -> SnapshotAssertion:
    return snapshot.use_extension(TemplateSnapshot)


@pytest.fixture
def vpc(stack: cdk.Stack) -> ec2.IVpc:
    return Network(stack, "Network", availability_zones=[f"{REGION}a", f"{REGION}b"]).vpc


@pytest.fixture
def image() -> ecs.ContainerImage:
    return ecs.ContainerImage.from_registry("public.ecr.aws/example/service@sha256:" + "0" * 64)


@pytest.fixture
def deployer(stack: cdk.Stack) -> SnowflakeDeployer:
    login = secretsmanager.Secret.from_secret_name_v2(stack, "DeployerLogin", "snowgate/test/deployer")
    return SnowflakeDeployer(stack, "Deployer", login=login)
