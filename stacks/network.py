"""The network stack."""

from __future__ import annotations

import aws_cdk as cdk
from aws_cdk import aws_ec2 as ec2
from constructs import Construct

from snowgate import Network
from stacks.environment import Environment
from stacks.removal import removal_policy


class NetworkStack(cdk.Stack):
    """The VPC that everything else is in."""

    def __init__(self, scope: Construct, construct_id: str, *, environment: Environment) -> None:
        table = environment.network
        self._zones = table.availability_zones
        super().__init__(scope, construct_id)

        image = ec2.MachineImage.generic_linux({environment.region: table.nat_ami}) if table.nat_ami else None
        network = Network(
            self,
            "Network",
            cidr=table.cidr,
            availability_zones=table.availability_zones,
            mode=table.network_mode,
            public_cidrs=table.public_cidrs,
            private_cidrs=table.private_cidrs,
            nat_count=table.nat_count,
            nat_image=image,
            removal_policy=removal_policy(environment),
        )
        self.vpc = network.vpc

        cdk.CfnOutput(self, "VpcId", value=self.vpc.vpc_id)
        if network.egress_addresses:
            # What a network policy in Snowflake, or a partner's firewall, lets in.
            cdk.CfnOutput(self, "EgressAddresses", value=cdk.Fn.join(",", network.egress_addresses))

    @property
    def availability_zones(self) -> list[str]:
        """The file's zones: the CDK would otherwise look them up in the account."""
        return self._zones
