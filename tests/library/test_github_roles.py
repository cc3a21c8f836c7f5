"""What GitHub Actions deploys and compares as."""

from __future__ import annotations

from collections.abc import Callable

import aws_cdk as cdk
import pytest
from aws_cdk import assertions
from syrupy.assertion import SnapshotAssertion

from snowgate import GithubDeployRole, GithubDiffRole

Synthesise = Callable[[], assertions.Template]


def trust(template: assertions.Template) -> dict[str, str]:
    """The claims that the only role asks for."""
    [role] = template.find_resources("AWS::IAM::Role").values()
    [statement] = role["Properties"]["AssumeRolePolicyDocument"]["Statement"]
    [(operator, claims)] = statement["Condition"].items()
    assert (statement["Action"], operator) == ("sts:AssumeRoleWithWebIdentity", "StringEquals")
    return {name.removeprefix("token.actions.githubusercontent.com:"): value for name, value in claims.items()}


def test_the_roles_are_those_of_the_snapshot(
    stack: cdk.Stack, template: Synthesise, snapshot: SnapshotAssertion
) -> None:
    GithubDeployRole(stack, "Deploys", repository="octo-org/octo-repo", environment="dev")
    GithubDiffRole(stack, "Compares", repository="octo-org/octo-repo", stacks="dev-")
    assert template().to_json() == snapshot(name="GithubRoles")


def test_a_deploy_takes_one_environment_of_one_repository(stack: cdk.Stack, template: Synthesise) -> None:
    GithubDeployRole(stack, "Deploys", repository="octo-org/octo.repo", environment="prod")
    assert trust(template()) == {"aud": "sts.amazonaws.com", "sub": "repo:octo-org/octo.repo:environment:prod"}


def test_a_comparison_takes_pull_requests_of_one_repository(stack: cdk.Stack, template: Synthesise) -> None:
    GithubDiffRole(stack, "Compares", repository="octo-org@123456/octo-repo@456789", stacks="dev-")
    subject = "repo:octo-org@123456/octo-repo@456789:pull_request"
    assert trust(template()) == {"aud": "sts.amazonaws.com", "sub": subject}


def test_another_bootstrap_has_other_roles(stack: cdk.Stack, template: Synthesise) -> None:
    GithubDeployRole(stack, "Deploys", repository="octo-org/octo-repo", environment="dev", qualifier="team7")
    [policy] = template().find_resources("AWS::IAM::Policy").values()
    [statement] = policy["Properties"]["PolicyDocument"]["Statement"]
    assert statement["Action"] == "sts:AssumeRole"
    named = [str(one).partition("role/")[2].partition("-role-")[0] for one in statement["Resource"]]
    assert named == [f"cdk-team7-{kind}" for kind in ("deploy", "file-publishing", "image-publishing", "lookup")]


@pytest.mark.parametrize(
    "repository",
    ["octo-org/*", "*/octo-repo", "octo-repo", "octo-org/octo-repo:ref", "octo-org/octo?repo", "a/b/c", ""],
)
def test_a_repository_that_would_let_others_in_is_refused(stack: cdk.Stack, repository: str) -> None:
    with pytest.raises(ValueError, match="Stack/Deploys: repository .* give owner/name"):
        GithubDeployRole(stack, "Deploys", repository=repository, environment="dev")
    with pytest.raises(ValueError, match="Stack/Compares: repository .* give owner/name"):
        GithubDiffRole(stack, "Compares", repository=repository, stacks="dev-")


@pytest.mark.parametrize("environment", ["*", "dev:x", "de v", ""])
def test_an_environment_that_would_let_others_in_is_refused(stack: cdk.Stack, environment: str) -> None:
    with pytest.raises(ValueError, match="Stack/Deploys: GitHub environment"):
        GithubDeployRole(stack, "Deploys", repository="octo-org/octo-repo", environment=environment)


@pytest.mark.parametrize("stacks", ["", "*", "dev/", "-dev"])
def test_a_beginning_of_all_stacks_is_refused(stack: cdk.Stack, stacks: str) -> None:
    with pytest.raises(ValueError, match="Stack/Compares: stacks"):
        GithubDiffRole(stack, "Compares", repository="octo-org/octo-repo", stacks=stacks)
