"""Network alone in a stack."""

from __future__ import annotations

from collections.abc import Callable

import aws_cdk as cdk
import pytest
from aws_cdk import assertions

from snowgate import Network

Synthesise = Callable[[], assertions.Template]


def test_a_network_has_public_subnets_in_each_zone_and_no_nat(stack: cdk.Stack, template: Synthesise) -> None:
    Network(stack, "Network", cidr="10.9.0.0/16", availability_zones=["eu-west-1a", "eu-west-1b"])
    made = template()
    made.has_resource_properties("AWS::EC2::VPC", {"CidrBlock": "10.9.0.0/16"})
    made.resource_count_is("AWS::EC2::Subnet", 2)
    made.resource_count_is("AWS::EC2::NatGateway", 0)
    made.resource_count_is("AWS::EC2::EIP", 0)
    for zone in ("eu-west-1a", "eu-west-1b"):
        made.has_resource_properties("AWS::EC2::Subnet", {"AvailabilityZone": zone})


def test_its_traffic_is_logged_and_its_default_group_shut(stack: cdk.Stack, template: Synthesise) -> None:
    Network(stack, "Network", availability_zones=["eu-west-1a", "eu-west-1b"])
    made = template()
    made.has_resource_properties("AWS::EC2::FlowLog", {"TrafficType": "ALL", "LogDestinationType": "cloud-watch-logs"})
    made.has_resource_properties("AWS::Logs::LogGroup", {"RetentionInDays": 30})
    made.resource_count_is("Custom::VpcRestrictDefaultSG", 1)
    made.has_resource_properties("AWS::EC2::VPCEndpoint", {"VpcEndpointType": "Gateway"})


@pytest.mark.parametrize("zones", [[], ["eu-west-1a"], ["eu-west-1a", "eu-west-1a"]])
def test_fewer_than_two_different_zones_are_refused(stack: cdk.Stack, zones: list[str]) -> None:
    with pytest.raises(ValueError, match="two different availability zones"):
        Network(stack, "Network", availability_zones=zones)
