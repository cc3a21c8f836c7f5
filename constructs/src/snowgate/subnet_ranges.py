"""Which subnets a network has, and which addresses each of them."""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping, Sequence
from itertools import combinations
from typing import Any

import jsii
from aws_cdk import aws_ec2 as ec2

from snowgate.network_mode import NetworkMode

# Tasks ask for their public addresses themselves. NAT instances must have some when they start, and cannot ask.
_PUBLIC = ec2.SubnetConfiguration(name="Public", subnet_type=ec2.SubnetType.PUBLIC, map_public_ip_on_launch=False)
_OF_INSTANCES = ec2.SubnetConfiguration(name="Public", subnet_type=ec2.SubnetType.PUBLIC)
_BEHIND_NAT = ec2.SubnetConfiguration(name="Private", subnet_type=ec2.SubnetType.PRIVATE_WITH_EGRESS)
_ALONE = ec2.SubnetConfiguration(name="Private", subnet_type=ec2.SubnetType.PRIVATE_ISOLATED)
SUBNETS = {
    NetworkMode.PUBLIC: [_PUBLIC],
    NetworkMode.NAT_INSTANCE: [_OF_INSTANCES, _BEHIND_NAT],
    NetworkMode.NAT_GATEWAYS: [_PUBLIC, _BEHIND_NAT],
    NetworkMode.PRIVATE: [_ALONE],
}
# "Subnet CIDR blocks" in the Amazon VPC User Guide.
_PREFIXES = range(16, 28 + 1)


@jsii.implements(ec2.IIpAddresses)
class SubnetRanges:
    """Ranges that were chosen, for an ``ec2.Vpc``: the CDK's own ``IpAddresses`` can only split a range evenly.

    ``cidr`` is the network's. ``ranges`` has a list under each name of a subnet group, with one range for each of
    ``availability_zones`` in their order.

    Raises:
        ValueError: a range is none, is not in the network, overlaps another, or one is missing or too many.
    """

    def __init__(self, cidr: str, availability_zones: Sequence[str], ranges: Mapping[str, Sequence[str]]) -> None:
        network = _parsed("cidr", cidr)
        for name, given in ranges.items():
            if len(given) != len(availability_zones):
                raise ValueError(
                    f"{name.lower()}_cidrs has {len(given)} ranges for {len(availability_zones)} availability zones; "
                    "give one for each, in their order."
                )
        parsed = [_parsed(f"{name.lower()}_cidrs", text) for name, given in ranges.items() for text in given]
        for subnet in parsed:
            if not subnet.subnet_of(network):
                raise ValueError(f"The subnet {subnet} is not in the network {network}.")
        for one, other in combinations(parsed, 2):
            if one.overlaps(other):
                raise ValueError(f"The subnets {one} and {other} overlap.")
        self._cidr, self._ranges = cidr, ranges

    def allocate_vpc_cidr(self) -> ec2.VpcIpamOptions:
        """The network's range."""
        return ec2.VpcIpamOptions(cidr_block=self._cidr)

    def allocate_subnets_cidr(
        self, *, requested_subnets: Sequence[ec2.RequestedSubnet | dict[str, Any]], vpc_cidr: str
    ) -> ec2.SubnetIpamOptions:
        """The ranges in the order in which the VPC makes its subnets: a group after the other, each zone by zone."""
        left = {name: iter(given) for name, given in self._ranges.items()}
        return ec2.SubnetIpamOptions(
            allocated_subnets=[ec2.AllocatedSubnet(cidr=next(left[_group(subnet)])) for subnet in requested_subnets]
        )


def ranges_in(
    cidr: str, availability_zones: Sequence[str], mode: NetworkMode, ranges: Mapping[str, Sequence[str] | None]
) -> ec2.IIpAddresses:
    """The chosen ``ranges`` by the name of their group, or ``cidr`` split evenly if none were chosen.

    Raises:
        ValueError: the mode has other groups of subnets, or SubnetRanges refuses.
    """
    chosen = {name: given for name, given in ranges.items() if given is not None}
    if not chosen:
        return ec2.IpAddresses.cidr(cidr)
    wanted = sorted(subnets.name.lower() for subnets in SUBNETS[mode])
    if wanted != (given := sorted(map(str.lower, chosen))):
        raise ValueError(
            f"{mode} has {' and '.join(wanted)} subnets, but ranges were given for {' and '.join(given)} ones. Give "
            f"{' and '.join(f'{name}_cidrs' for name in wanted)}, or none and the network is split evenly."
        )
    return SubnetRanges(cidr, availability_zones, chosen)


def _group(subnet: ec2.RequestedSubnet | dict[str, Any]) -> str:
    assert isinstance(subnet, ec2.RequestedSubnet), "jsii hands over what the VPC asked for"
    return subnet.configuration.name


def _parsed(argument: str, text: str) -> ipaddress.IPv4Network:
    try:
        network = ipaddress.IPv4Network(text)
    except ValueError as error:
        raise ValueError(f"{argument} holds no IPv4 range: {error}. Give one as in 10.0.1.0/24.") from error
    if network.prefixlen not in _PREFIXES:
        nearest = min(_PREFIXES, key=lambda allowed: abs(allowed - network.prefixlen))
        raise ValueError(
            f"{argument} holds {text}; a VPC and its subnets are from /{_PREFIXES[0]} to /{_PREFIXES[-1]}, nearest is "
            f"/{nearest}."
        )
    return network
