"""Network alone in a stack, in each of its modes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import aws_cdk as cdk
import pytest
from aws_cdk import assertions
from aws_cdk import aws_ec2 as ec2
from cdk_nag import AwsSolutionsChecks
from syrupy.assertion import SnapshotAssertion

from snowgate import Network, NetworkMode
from snowgate.fargate_cluster import TaskPlacement

Template = assertions.Template
Match = assertions.Match
ZONES = ["eu-west-1a", "eu-west-1b"]
IMAGE = ec2.MachineImage.generic_linux({"eu-west-1": "ami-0123456789abcdef0"})
# The weather guide's ranges.
GUIDE: dict[str, Any] = {
    "cidr": "10.0.0.0/16",
    "private_cidrs": ["10.0.1.0/24", "10.0.2.0/24"],
    "public_cidrs": ["10.0.10.0/24", "10.0.11.0/24"],
}
ARGUMENTS: dict[NetworkMode, dict[str, Any]] = {
    NetworkMode.PUBLIC: {"cidr": "10.9.0.0/16"},
    NetworkMode.NAT_INSTANCE: {"nat_image": IMAGE, "nat_count": 1},
    NetworkMode.NAT_GATEWAYS: GUIDE,
    NetworkMode.PRIVATE: {"endpoints": [ec2.InterfaceVpcEndpointAwsService.SNS]},
}


@pytest.fixture(scope="module")
def made(
    flags: dict[str, object], zoned_stack: type[cdk.Stack], tmp_path_factory: pytest.TempPathFactory
) -> dict[NetworkMode, Template]:
    """A network in each mode, synthesised once, with cdk-nag."""
    folder = str(tmp_path_factory.mktemp("networks"))
    app = cdk.App(context=flags, builtin_cloud_formation_validation=False, analytics_reporting=False, outdir=folder)
    cdk.Validations.of(app).add_plugins(AwsSolutionsChecks(app))
    environment = cdk.Environment(account="111122223333", region="eu-west-1")
    stacks = {mode: zoned_stack(app, f"Stack{number}", env=environment) for number, mode in enumerate(NetworkMode)}
    for mode, stack in stacks.items():
        Network(stack, "Network", availability_zones=ZONES, mode=mode, **ARGUMENTS[mode])
    app.synth()
    return {mode: Template.from_stack(stack) for mode, stack in stacks.items()}


def subnets(template: Template) -> dict[str, tuple[str, str, bool]]:
    """Zone, range and whether addresses are public, by the end of the logical id."""
    return {
        name.removeprefix("NetworkVpc").partition("Subnet")[0] + name.partition("Subnet")[2][0]: (
            subnet["Properties"]["AvailabilityZone"],
            subnet["Properties"]["CidrBlock"],
            subnet["Properties"]["MapPublicIpOnLaunch"],
        )
        for name, subnet in template.find_resources("AWS::EC2::Subnet").items()
    }


@pytest.mark.parametrize("mode", NetworkMode)
def test_the_template_is_that_of_the_snapshot(
    made: dict[NetworkMode, Template], mode: NetworkMode, snapshot: SnapshotAssertion
) -> None:
    assert made[mode].to_json() == snapshot(name=mode.value)


@pytest.mark.parametrize("mode", NetworkMode)
def test_its_traffic_is_logged_its_default_group_shut_and_s3_reached_for_nothing(
    made: dict[NetworkMode, Template], mode: NetworkMode
) -> None:
    template = made[mode]
    template.has_resource_properties(
        "AWS::EC2::FlowLog", {"TrafficType": "ALL", "LogDestinationType": "cloud-watch-logs"}
    )
    template.has_resource_properties("AWS::Logs::LogGroup", {"RetentionInDays": 30})
    template.resource_count_is("Custom::VpcRestrictDefaultSG", 1)
    template.has_resource_properties("AWS::EC2::VPCEndpoint", {"VpcEndpointType": "Gateway"})


def test_by_default_a_network_has_public_subnets_in_each_zone_and_no_nat(made: dict[NetworkMode, Template]) -> None:
    template = made[NetworkMode.PUBLIC]
    template.has_resource_properties("AWS::EC2::VPC", {"CidrBlock": "10.9.0.0/16"})
    assert subnets(template) == {
        "Public1": ("eu-west-1a", "10.9.0.0/17", False),
        "Public2": ("eu-west-1b", "10.9.128.0/17", False),
    }
    template.resource_count_is("AWS::EC2::NatGateway", 0)
    template.resource_count_is("AWS::EC2::EIP", 0)


def test_the_ranges_are_those_that_were_given(made: dict[NetworkMode, Template]) -> None:
    template = made[NetworkMode.NAT_GATEWAYS]
    template.has_resource_properties("AWS::EC2::VPC", {"CidrBlock": "10.0.0.0/16"})
    assert subnets(template) == {
        "Private1": ("eu-west-1a", "10.0.1.0/24", False),
        "Private2": ("eu-west-1b", "10.0.2.0/24", False),
        "Public1": ("eu-west-1a", "10.0.10.0/24", False),
        "Public2": ("eu-west-1b", "10.0.11.0/24", False),
    }


def test_nat_gateways_are_one_a_zone_with_addresses_that_stay(made: dict[NetworkMode, Template]) -> None:
    template = made[NetworkMode.NAT_GATEWAYS]
    gateways = template.find_resources("AWS::EC2::NatGateway").values()
    used = {gateway["Properties"]["AllocationId"]["Fn::GetAtt"][0] for gateway in gateways}
    assert used == set(template.find_resources("AWS::EC2::EIP"))
    assert len(used) == 2


def test_a_nat_instance_serves_the_network_alone_and_starts_when_there_is_a_way_out(
    made: dict[NetworkMode, Template],
) -> None:
    template = made[NetworkMode.NAT_INSTANCE]
    template.resource_count_is("AWS::EC2::NatGateway", 0)
    assert subnets(template)["Public1"][2], "without an address it could not ask for its own"
    template.has_resource_properties(
        "AWS::EC2::LaunchTemplate",
        {
            "LaunchTemplateData": Match.object_like(
                {"ImageId": "ami-0123456789abcdef0", "InstanceType": "t4g.nano"}
                | {"MetadataOptions": {"HttpTokens": "required"}}
            )
        },
    )
    [group] = template.find_resources("AWS::EC2::SecurityGroup").values()
    assert [rule["CidrIp"]["Fn::GetAtt"][1] for rule in group["Properties"]["SecurityGroupIngress"]] == ["CidrBlock"]
    [scaling] = template.find_resources("AWS::AutoScaling::AutoScalingGroup").values()
    ways_out = template.find_resources("AWS::EC2::Route", {"Properties": {"GatewayId": Match.any_value()}})
    assert ways_out.keys() <= set(scaling["DependsOn"])
    routes = template.find_resources("AWS::EC2::Route", {"Properties": {"NetworkInterfaceId": Match.any_value()}})
    assert len(routes) == 2, "one instance serves both zones"


def test_a_private_network_has_endpoints_and_no_way_to_the_internet(made: dict[NetworkMode, Template]) -> None:
    template = made[NetworkMode.PRIVATE]
    assert {public for _, _, public in subnets(template).values()} == {False}
    template.resource_count_is("AWS::EC2::InternetGateway", 0)
    template.resource_count_is("AWS::EC2::Route", 0)
    endpoints = template.find_resources("AWS::EC2::VPCEndpoint", {"Properties": {"VpcEndpointType": "Interface"}})
    services = {endpoint["Properties"]["ServiceName"].partition("eu-west-1.")[2] for endpoint in endpoints.values()}
    assert services == {
        *("ecr.api", "ecr.dkr", "logs", "secretsmanager", "sts", "ecs", "ecs-agent", "ecs-telemetry"),
        *("scheduler", "sns"),
    }
    for endpoint in endpoints.values():
        assert endpoint["Properties"]["PrivateDnsEnabled"] is True
    [group] = template.find_resources("AWS::EC2::SecurityGroup").values()
    [rule] = group["Properties"]["SecurityGroupIngress"]
    assert (rule["FromPort"], rule["ToPort"], rule["CidrIp"]["Fn::GetAtt"][1]) == (443, 443, "CidrBlock")


def test_the_addresses_that_tasks_come_from_are_known_where_they_stay(stack: cdk.Stack) -> None:
    nat = Network(stack, "Nat", availability_zones=ZONES, mode=NetworkMode.NAT_GATEWAYS, nat_count=1)
    public = Network(stack, "Public", availability_zones=ZONES)
    [address] = stack.resolve(nat.egress_addresses)
    assert address["Fn::GetAtt"][1] == "PublicIp"
    assert public.egress_addresses == []


@pytest.mark.parametrize(
    ("mode", "subnet_type", "public_ip"),
    [
        (NetworkMode.PUBLIC, ec2.SubnetType.PUBLIC, True),
        (NetworkMode.NAT_INSTANCE, ec2.SubnetType.PRIVATE_WITH_EGRESS, False),
        (NetworkMode.NAT_GATEWAYS, ec2.SubnetType.PRIVATE_WITH_EGRESS, False),
        (NetworkMode.PRIVATE, ec2.SubnetType.PRIVATE_ISOLATED, False),
    ],
)
def test_tasks_go_into_private_subnets_where_there_are_any(
    stack: cdk.Stack, mode: NetworkMode, subnet_type: ec2.SubnetType, public_ip: bool
) -> None:
    vpc = Network(stack, "Network", availability_zones=ZONES, mode=mode, **ARGUMENTS[mode]).vpc
    placement = TaskPlacement.of(vpc)
    assert (placement.subnets.subnet_type, placement.public_ip) == (subnet_type, public_ip)


def test_tasks_leave_isolated_subnets_to_databases_if_there_are_public_ones(stack: cdk.Stack) -> None:
    vpc = ec2.Vpc.from_vpc_attributes(
        stack,
        "Vpc",
        vpc_id="vpc-1",
        availability_zones=ZONES,
        public_subnet_ids=["subnet-1", "subnet-2"],
        isolated_subnet_ids=["subnet-3", "subnet-4"],
    )
    assert TaskPlacement.of(vpc).public_ip


def test_an_existing_vpc_is_looked_up(app: cdk.App, stack: cdk.Stack, tmp_path: Path) -> None:
    vpc = Network.existing(stack, "Network", vpc_id="vpc-0123456789abcdef0")
    cdk.CfnOutput(stack, "Id", value=vpc.vpc_id)
    app.synth()
    [asked] = json.loads((tmp_path / "cdk.out" / "manifest.json").read_text())["missing"]
    assert asked["provider"] == "vpc-provider"
    assert asked["props"]["filter"] == {"vpc-id": "vpc-0123456789abcdef0"}


@pytest.mark.parametrize("zones", [[], ["eu-west-1a"], ["eu-west-1a", "eu-west-1a"]])
def test_fewer_than_two_different_zones_are_refused(stack: cdk.Stack, zones: list[str]) -> None:
    with pytest.raises(ValueError, match="two different availability zones"):
        Network(stack, "Network", availability_zones=zones)


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (GUIDE, "PUBLIC has public subnets, but ranges were given for private and public ones. Give public_cidrs"),
        (GUIDE | {"mode": NetworkMode.PRIVATE}, "PRIVATE has private subnets"),
        (GUIDE | {"mode": NetworkMode.NAT_GATEWAYS, "public_cidrs": None}, "Give private_cidrs and public_cidrs"),
        ({"public_cidrs": ["10.20.0.0/24"]}, "public_cidrs has 1 ranges for 2 availability zones"),
        ({"public_cidrs": ["10.20.0.0/24", "10.21.0.0/24"]}, "10.21.0.0/24 is not in the network 10.20.0.0/16"),
        ({"public_cidrs": ["10.20.0.0/24", "10.20.0.0/25"]}, "10.20.0.0/24 and 10.20.0.0/25 overlap"),
        ({"public_cidrs": ["10.20.0.0/24", "10.20.1.7/24"]}, "public_cidrs holds no IPv4 range: .* has host bits set"),
        ({"public_cidrs": ["10.20.0.0/24", "10.20.1.0/30"]}, "nearest is /28"),
        ({"public_cidrs": ["10.0.0.0/24", "10.0.1.0/24"], "cidr": "10.0.0.0/8"}, "nearest is /16"),
        ({"nat_count": 1}, "nat_count is 1 in NetworkMode.PUBLIC"),
        ({"nat_count": 3, "mode": NetworkMode.NAT_GATEWAYS}, "give 1 to 2"),
        ({"nat_count": 0, "mode": NetworkMode.NAT_GATEWAYS}, "give 1 to 2"),
        ({"mode": NetworkMode.NAT_INSTANCE}, "nat_image is missing in NetworkMode.NAT_INSTANCE"),
        ({"nat_image": IMAGE, "mode": NetworkMode.NAT_GATEWAYS}, "nat_image is given in NetworkMode.NAT_GATEWAYS"),
        ({"endpoints": [ec2.InterfaceVpcEndpointAwsService.SNS]}, "endpoints are for NetworkMode.PRIVATE"),
    ],
)
def test_settings_that_do_not_fit_are_refused(stack: cdk.Stack, arguments: dict[str, Any], told: str) -> None:
    with pytest.raises(ValueError, match=told):
        Network(stack, "Network", availability_zones=ZONES, **arguments)
