"""Where in a network databases and caches go."""

from __future__ import annotations

from aws_cdk import aws_ec2 as ec2


def data_subnets(vpc: ec2.IVpc) -> ec2.SubnetSelection:
    """Private subnets of ``vpc`` if it has such, else isolated ones, else public ones.

    What stands in a public subnet has no public address here, so that nobody reaches it from outside the network.
    """
    if vpc.private_subnets:
        return ec2.SubnetSelection(subnet_type=ec2.SubnetType.PRIVATE_WITH_EGRESS)
    if vpc.isolated_subnets:
        return ec2.SubnetSelection(subnet_type=ec2.SubnetType.PRIVATE_ISOLATED)
    return ec2.SubnetSelection(subnet_type=ec2.SubnetType.PUBLIC)
