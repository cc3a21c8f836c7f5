"""The CDK app of the roles as which GitHub Actions works in an environment's account.

    python -m delivery.github_roles ENV OWNER/NAME [--provider existing]

It is no part of the application: what `make deploy` and `make destroy` work as is never touched by them.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence

import aws_cdk as cdk
from aws_cdk import aws_iam as iam
from cdk_nag import AwsSolutionsChecks
from constructs import Construct

from snowgate import GithubDeployRole, GithubDiffRole
from snowgate.github_trust import AUDIENCE, ISSUER
from stacks.environment import Environment, read_environment
from stacks.environment_errors import EnvironmentFileError
from stacks.snowflake_side import environment_file


class GithubProviderStack(cdk.Stack):
    """GitHub's OIDC provider, of which an account can have one; it stays when the stack goes."""

    def __init__(self, scope: Construct, construct_id: str, *, env: cdk.Environment) -> None:
        super().__init__(scope, construct_id, env=env, termination_protection=True)
        iam.OidcProviderNative(
            self,
            "Provider",
            url=f"https://{ISSUER}",
            client_ids=[AUDIENCE],
            removal_policy=cdk.RemovalPolicy.RETAIN,
        )


class GithubRolesStack(cdk.Stack):
    """The roles of one environment: one deploys it, one compares pull requests with it."""

    def __init__(
        self, scope: Construct, construct_id: str, *, environment: Environment, repository: str, env: cdk.Environment
    ) -> None:
        super().__init__(scope, construct_id, env=env, termination_protection=True)
        copies_to = [environment.backup.region] if environment.backup else []
        deploys = GithubDeployRole(
            self,
            "Deploys",
            repository=repository,
            environment=environment.name,
            role_name=environment.github_deploy_role_name,
            further_regions=copies_to,
        )
        compares = GithubDiffRole(
            self,
            "Compares",
            repository=repository,
            stacks=f"{environment.name}-",
            role_name=environment.github_diff_role_name,
            further_regions=copies_to,
        )
        cdk.CfnOutput(self, "DeployRoleArn", value=deploys.role.role_arn)
        cdk.CfnOutput(self, "DiffRoleArn", value=compares.role.role_arn)


def add_stacks(app: cdk.App, environment: Environment, repository: str, *, make_provider: bool) -> None:
    """Put an environment's roles into the app, and, for its account, GitHub's provider."""
    env = cdk.Environment(account=environment.account, region=environment.region)
    roles = GithubRolesStack(
        app, f"snowgate-github-{environment.name}", environment=environment, repository=repository, env=env
    )
    if make_provider:
        roles.add_stack_dependency(GithubProviderStack(app, "snowgate-github-provider", env=env))
    # As in stacks/stage.py: with validation off, the reasons for accepted findings are not recorded either.
    if os.environ.get("CDK_VALIDATION") != "false":
        cdk.Validations.of(app).add_plugins(AwsSolutionsChecks(app))


def main(arguments: Sequence[str] | None = None) -> None:
    """Synthesise the stacks; a wrong name ends with one line."""
    parser = argparse.ArgumentParser(prog="python -m delivery.github_roles", description=__doc__.partition("\n")[0])
    parser.add_argument("environment", help="name of a file in environments/, without .toml, or a path to one")
    parser.add_argument("repository", help="owner/name on GitHub, or owner@id/name@id where its tokens have ids")
    parser.add_argument("--provider", choices=["new", "existing"], default="new", help="who makes GitHub's provider")
    options = parser.parse_args(arguments)
    app = cdk.App()
    try:
        environment = read_environment(environment_file(options.environment))
        add_stacks(app, environment, options.repository, make_provider=options.provider == "new")
    except (EnvironmentFileError, ValueError) as error:
        sys.exit(str(error))
    app.synth()


if __name__ == "__main__":
    main()
