"""The role as which GitHub Actions compares a pull request with what is deployed."""

from __future__ import annotations

import re
from collections.abc import Sequence

import aws_cdk as cdk
from aws_cdk import aws_iam as iam
from constructs import Construct

from snowgate.acknowledgements import acknowledge_pattern
from snowgate.github_trust import trust_in


class GithubDiffRole(Construct):
    """Lets pull requests of one repository read the templates of stacks whose names begin with ``stacks``.

    They are those of the stack's own region, and of ``further_regions``, where an environment has stacks in them.
    That is all ``cdk diff --method=template`` needs. The bootstrap's lookup role would do as well, but that one reads
    whatever lies in the account, and a pull request's own code runs with this one. GitHub gives no token to forks.
    ``repository`` is ``owner/name``, or ``owner@id/name@id`` where GitHub's tokens have ids.

    Raises:
        ValueError: ``repository`` is a pattern or no such name, or ``stacks`` is no beginning of a stack's name.
    """

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        repository: str,
        stacks: str,
        role_name: str | None = None,
        further_regions: Sequence[str] = (),
    ) -> None:
        super().__init__(scope, construct_id)
        if not re.fullmatch(r"[A-Za-z][A-Za-z0-9-]*", stacks):
            raise ValueError(f'{self.node.path}: stacks {stacks!r}; give the beginning of their names, as in "dev-".')

        self.role = iam.Role(
            self,
            "Role",
            role_name=role_name,
            description=f"GitHub Actions compares pull requests with {stacks}*",
            assumed_by=trust_in(self, repository, "pull_request"),
        )
        stack = cdk.Stack.of(self)
        readable = [
            stack.format_arn(service="cloudformation", region=region, resource="stack", resource_name=f"{stacks}*/*")
            for region in (stack.region, *further_regions)
        ]
        self.role.add_to_policy(
            iam.PolicyStatement(
                actions=["cloudformation:DescribeStacks", "cloudformation:GetTemplate"], resources=readable
            )
        )
        for pattern in readable:
            acknowledge_pattern(
                self.role, pattern, "A stack has an id that it gets when it is made; its name's beginning is named."
            )
