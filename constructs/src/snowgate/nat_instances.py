"""NAT by EC2 instances, for networks that a NAT gateway is too dear for."""

from __future__ import annotations

from collections.abc import Sequence

import aws_cdk as cdk
from aws_cdk import aws_ec2 as ec2

from snowgate.acknowledgements import acknowledge


class NatInstances:
    """Instances of fck-nat, each alone in an auto scaling group that replaces it, with addresses that stay.

    ``provider`` is for the ``ec2.Vpc``; ``open_to(vpc)`` then lets that network, and nothing else, use them.
    """

    def __init__(
        self, *, image: ec2.IMachineImage, instance_type: ec2.InstanceType, addresses: Sequence[ec2.CfnEIP]
    ) -> None:
        # Here, because its import alone costs each synth a tenth of a second, and few networks have instances.
        import cdk_fck_nat as fck_nat

        self.provider = fck_nat.FckNatInstanceProvider(
            instance_type=instance_type,
            machine_image=image,
            eip_pool=[address.attr_allocation_id for address in addresses],
            enable_ssm=False,
        )

    def open_to(self, vpc: ec2.IVpc) -> None:
        """Let ``vpc`` send through the instances, and ask for their metadata by token only."""
        group = self.provider.security_group
        group.add_ingress_rule(ec2.Peer.ipv4(vpc.vpc_cidr_block), ec2.Port.all_traffic(), "From the network")
        cdk.Aspects.of(vpc).add(ec2.LaunchTemplateRequireImdsv2Aspect())

        acknowledge(group, {"EC23": "Only the network's own range, which cdk-nag cannot read before the deploy."})
        reason = "The instance's network interface and address are chosen at its start; fck-nat names none beforehand."
        acknowledge(self.provider.role, {"IAM5[Resource::*]": reason})
        reasons = {
            "AS3": "An instance that fails is replaced within minutes, and nobody has to do anything about it.",
            "EC26": "The disk holds fck-nat's public image and nothing else; what passes through is never written.",
        }
        for scaling in self.provider.auto_scaling_groups:
            acknowledge(scaling, reasons)
            # An instance asks for its address once, at its start: there must be a way out already.
            scaling.node.add_dependency(*(subnet.internet_connectivity_established for subnet in vpc.public_subnets))
