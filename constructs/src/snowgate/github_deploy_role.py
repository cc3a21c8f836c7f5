"""The role as which GitHub Actions deploys to one environment."""

from __future__ import annotations

import re
from collections.abc import Sequence

import aws_cdk as cdk
from aws_cdk import aws_iam as iam
from constructs import Construct

from snowgate.asked_once import hours
from snowgate.github_trust import trust_in

# "Bootstrapping" in the AWS CDK Developer Guide: what a deploy by the CDK CLI works as.
_BOOTSTRAPPED = ("deploy", "file-publishing", "image-publishing", "lookup")


class GithubDeployRole(Construct):
    """Lets jobs of one GitHub environment deploy with the CDK CLI: it may assume the bootstrap's roles, nothing else.

    The account has GitHub's OIDC provider already (``iam.OidcProviderNative``; there is one an account). ``repository``
    is ``owner/name``, or ``owner@id/name@id`` where GitHub's tokens have ids. ``qualifier`` is the bootstrap's; the
    roles are those of the stack's own account and region, and of ``further_regions``, where an environment has stacks
    there. A session lasts two hours at most.

    Raises:
        ValueError: ``repository`` or ``environment`` is a pattern or no such name.
    """

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        repository: str,
        environment: str,
        role_name: str | None = None,
        further_regions: Sequence[str] = (),
        qualifier: str = cdk.DefaultStackSynthesizer.DEFAULT_QUALIFIER,
    ) -> None:
        super().__init__(scope, construct_id)
        if not re.fullmatch(r"[A-Za-z0-9_-]+", environment):
            raise ValueError(f"{self.node.path}: GitHub environment {environment!r}; give letters, digits, - and _.")
        stack = cdk.Stack.of(self)

        self.role = iam.Role(
            self,
            "Role",
            role_name=role_name,
            description=f"GitHub Actions deploys {environment}",
            assumed_by=trust_in(self, repository, f"environment:{environment}"),
            max_session_duration=hours(2),
        )
        self.role.add_to_policy(
            iam.PolicyStatement(
                actions=["sts:AssumeRole"],
                resources=[
                    stack.format_arn(
                        service="iam",
                        region="",
                        resource="role",
                        resource_name=f"cdk-{qualifier}-{kind}-role-{stack.account}-{region}",
                    )
                    for region in (stack.region, *further_regions)
                    for kind in _BOOTSTRAPPED
                ],
            )
        )
