"""The network stack."""

from __future__ import annotations

import aws_cdk as cdk
from constructs import Construct

from snowgate import Network
from stacks.environment import Environment
from stacks.removal import removal_policy


class NetworkStack(cdk.Stack):
    """The VPC that everything else is in."""

    def __init__(self, scope: Construct, construct_id: str, *, environment: Environment) -> None:
        self._zones = environment.network.availability_zones
        super().__init__(scope, construct_id)

        self.vpc = Network(
            self,
            "Network",
            cidr=environment.network.cidr,
            availability_zones=environment.network.availability_zones,
            removal_policy=removal_policy(environment),
        ).vpc

        cdk.CfnOutput(self, "VpcId", value=self.vpc.vpc_id)

    @property
    def availability_zones(self) -> list[str]:
        """The file's zones: the CDK would otherwise look them up in the account."""
        return self._zones
