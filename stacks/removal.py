"""What a deleted stack does with its data."""

from __future__ import annotations

import aws_cdk as cdk

from stacks.environment import Environment


def removal_policy(environment: Environment) -> cdk.RemovalPolicy:
    """The environment's ``removal``; what is retained goes all the same when its very creation fails."""
    if environment.removal == "destroy":
        return cdk.RemovalPolicy.DESTROY
    return cdk.RemovalPolicy.RETAIN_ON_UPDATE_OR_DELETE
