"""Which workflow of which repository GitHub's tokens may stand for."""

from __future__ import annotations

import re

import aws_cdk as cdk
from aws_cdk import aws_iam as iam
from constructs import Construct

# "Configuring OpenID Connect in Amazon Web Services" in the GitHub Docs.
ISSUER = "token.actions.githubusercontent.com"
AUDIENCE = "sts.amazonaws.com"
# "Immutable subject claims" there: repositories since July 15, 2026 have their ids in the subject, after an @.
_REPOSITORY = r"[A-Za-z0-9-]+(@[0-9]+)?/[A-Za-z0-9._-]+(@[0-9]+)?"


def trust_in(scope: Construct, repository: str, purpose: str) -> iam.WebIdentityPrincipal:
    """Whoever comes with a token of GitHub's for ``purpose``, as in ``environment:dev``, in exactly that repository.

    Raises:
        ValueError: the repository is none, or a pattern.
    """
    if not re.fullmatch(_REPOSITORY, repository):
        raise ValueError(
            f"{scope.node.path}: repository {repository!r}; give owner/name, or owner@id/name@id where GitHub's tokens "
            "have ids (repository settings, Actions, OIDC). A pattern would let others in."
        )
    provider = cdk.Stack.of(scope).format_arn(service="iam", region="", resource="oidc-provider", resource_name=ISSUER)
    claims = {f"{ISSUER}:aud": AUDIENCE, f"{ISSUER}:sub": f"repo:{repository}:{purpose}"}
    return iam.WebIdentityPrincipal(provider, {"StringEquals": claims})
