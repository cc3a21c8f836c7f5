"""The app of the roles as which GitHub Actions works, beside the application."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import aws_cdk as cdk
import pytest
from aws_cdk import assertions

from delivery import github_login, github_roles
from stacks.environment import Environment, read_environment
from stacks.stage import SnowgateStage


@pytest.fixture(scope="module")
def environment(root: Path) -> Environment:
    return read_environment(root / "environments" / "staging.toml")


def templates(environment: Environment, folder: Path, *, make_provider: bool) -> dict[str, dict[str, Any]]:
    """By the stacks' names; cdk-nag stops the synth for a finding without a reason."""
    app = cdk.App(builtin_cloud_formation_validation=False, analytics_reporting=False, outdir=str(folder))
    github_roles.add_stacks(app, environment, "octo-org/octo-repo", make_provider=make_provider)
    app.synth()
    stacks = [child for child in app.node.children if isinstance(child, cdk.Stack)]
    assert all(stack.termination_protection for stack in stacks)
    return {stack.stack_name: assertions.Template.from_stack(stack).to_json() for stack in stacks}


def test_the_provider_is_githubs_and_stays_when_its_stack_goes(environment: Environment, tmp_path: Path) -> None:
    found = templates(environment, tmp_path, make_provider=True)
    assert set(found) == {"snowgate-github-provider", "snowgate-github-staging"}
    [provider] = found["snowgate-github-provider"]["Resources"].values()
    assert provider["Type"] == "AWS::IAM::OIDCProvider"
    assert provider["DeletionPolicy"] == "Retain"
    assert provider["Properties"] == {
        "ClientIdList": ["sts.amazonaws.com"],
        "Url": "https://token.actions.githubusercontent.com",
    }


def test_the_roles_are_those_that_the_workflows_name(
    environment: Environment, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    found = templates(environment, tmp_path, make_provider=False)
    assert set(found) == {"snowgate-github-staging"}
    resources = found["snowgate-github-staging"]["Resources"].values()
    names = {one["Properties"]["RoleName"] for one in resources if one["Type"] == "AWS::IAM::Role"}

    logins = []
    for purpose in ("deploy", "diff"):
        monkeypatch.setattr("sys.argv", ["github_login", "staging", purpose])
        github_login.main()
        role, region = capsys.readouterr().out.split()
        assert region == f"aws-region={environment.region}"
        logins.append(role)
    account = environment.account
    assert set(logins) == {f"role-to-assume=arn:aws:iam::{account}:role/{name}" for name in names}


@pytest.mark.parametrize("name", ["dev", "staging", "prod"])
def test_the_roles_reach_every_region_that_the_environment_has_stacks_in(root: Path, tmp_path: Path, name: str) -> None:
    environment = read_environment(root / "environments" / f"{name}.toml")
    stage = SnowgateStage(cdk.App(context={"aws:cdk:bundling-stacks": []}), environment=environment)
    regions = {child.region for child in stage.node.children if isinstance(child, cdk.Stack)}
    assert len(regions) == (2 if name == "prod" else 1), "prod has copies in a second region"

    found = templates(environment, tmp_path, make_provider=False)[f"snowgate-github-{name}"]["Resources"].values()
    policies = [str(one["Properties"]["PolicyDocument"]) for one in found if one["Type"] == "AWS::IAM::Policy"]
    [deploys] = [text for text in policies if "sts:AssumeRole" in text]
    [compares] = [text for text in policies if "cloudformation:GetTemplate" in text]
    kinds = ("deploy", "file-publishing", "image-publishing", "lookup")
    for region in regions:
        assert all(f"-{kind}-role-{environment.account}-{region}'" in deploys for kind in kinds), region
        assert f":cloudformation:{region}:{environment.account}:stack/{name}-*/*" in compares, region
    assert deploys.count("-role-") == len(kinds) * len(regions)
    assert compares.count(":cloudformation:") == len(regions)


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        (["staging", "octo-org/*"], "give owner/name"),
        (["nowhere", "octo-org/octo-repo"], "nowhere.toml cannot be used"),
    ],
)
def test_a_wrong_name_ends_with_one_sentence(arguments: list[str], why: str) -> None:
    with pytest.raises(SystemExit, match=why):
        github_roles.main(arguments)
