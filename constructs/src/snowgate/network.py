"""The network of an environment."""

from __future__ import annotations

from collections.abc import Sequence

import aws_cdk as cdk
from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_iam as iam
from aws_cdk import aws_logs as logs
from constructs import Construct

from snowgate.nat_instances import NatInstances
from snowgate.network_mode import NetworkMode
from snowgate.private_endpoints import PrivateEndpoints
from snowgate.subnet_ranges import SUBNETS, ranges_in


class Network(Construct):
    """A VPC with subnets in each zone, and a way out for tasks that ``mode`` chooses: public addresses by default.

    Security groups are the wall: the default one lets nothing through, and the library's services open only what their
    load balancer needs. S3 is reached by a gateway endpoint, which costs nothing; traffic is logged.

    ``availability_zones`` are at least two names as in ``eu-west-1a``. In a stack with a concrete account and region
    the CDK compares them with the stack's own ``availability_zones``, which it otherwise looks up in the account:
    override that property of the stack with the same names, and synth needs no account.

    ``public_cidrs`` and ``private_cidrs`` are the subnets' ranges, one a zone; without them ``cidr`` is split evenly.
    The NAT modes have ``nat_count`` instances or gateways, one a zone unless told otherwise. Their public addresses
    stay, and are ``egress_addresses``. NAT instances are of ``nat_instance_type``, t4g.nano by default, and start from
    ``nat_image``, an image of fck-nat. PRIVATE has endpoints for what tasks need, and for ``endpoints`` too.

    Raises:
        ValueError: fewer than two different zones; ranges or NAT settings that do not fit mode, network or zones.
    """

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        cidr: str = "10.20.0.0/16",
        availability_zones: Sequence[str],
        mode: NetworkMode = NetworkMode.PUBLIC,
        public_cidrs: Sequence[str] | None = None,
        private_cidrs: Sequence[str] | None = None,
        nat_count: int | None = None,
        nat_image: ec2.IMachineImage | None = None,
        nat_instance_type: ec2.InstanceType | None = None,
        endpoints: Sequence[ec2.InterfaceVpcEndpointAwsService] = (),
        log_retention: logs.RetentionDays = logs.RetentionDays.ONE_MONTH,
        removal_policy: cdk.RemovalPolicy = cdk.RemovalPolicy.DESTROY,
    ) -> None:
        super().__init__(scope, construct_id)
        _check_zones(availability_zones)
        _check_nat(mode, len(availability_zones), nat_count, nat_image)
        if endpoints and mode is not NetworkMode.PRIVATE:
            raise ValueError(f"endpoints are for NetworkMode.PRIVATE; in {mode} tasks reach the services without.")
        addresses = ranges_in(cidr, availability_zones, mode, {"Public": public_cidrs, "Private": private_cidrs})

        nat_addresses = [
            ec2.CfnEIP(self, f"NatAddress{number}", domain="vpc")
            for number in range(1, 1 + (nat_count or len(availability_zones)) * mode.has_nat)
        ]
        instances = None
        if nat_image is not None:
            kind = nat_instance_type or ec2.InstanceType("t4g.nano")
            instances = NatInstances(image=nat_image, instance_type=kind, addresses=nat_addresses)
        self.vpc = ec2.Vpc(
            self,
            "Vpc",
            ip_addresses=addresses,
            availability_zones=list(availability_zones),
            nat_gateways=len(nat_addresses),
            nat_gateway_provider=instances.provider if instances else _gateways(nat_addresses),
            subnet_configuration=SUBNETS[mode],
            gateway_endpoints={"S3": ec2.GatewayVpcEndpointOptions(service=ec2.GatewayVpcEndpointAwsService.S3)},
            restrict_default_security_group=True,
        )
        self.flow_log = logs.LogGroup(self, "FlowLog", retention=log_retention, removal_policy=removal_policy)
        # Names that the user gave are no accident: they keep synth from asking an account for them.
        reason = "The zones are a parameter, so that nothing is looked up."
        named = cdk.Acknowledgment(id="CloudFormation-Validate::W3010", reason=reason)
        cdk.Validations.of(self.vpc).acknowledge(named)

        writer = iam.Role(self, "FlowLogWriter", assumed_by=iam.ServicePrincipal("vpc-flow-logs.amazonaws.com"))
        self.vpc.add_flow_log("Traffic", destination=ec2.FlowLogDestination.to_cloud_watch_logs(self.flow_log, writer))
        if instances:
            instances.open_to(self.vpc)
        if mode is NetworkMode.PRIVATE:
            PrivateEndpoints(self, "Endpoints", vpc=self.vpc, more=endpoints)

        self.egress_addresses = [address.attr_public_ip for address in nat_addresses]

    @staticmethod
    def existing(scope: Construct, construct_id: str, *, vpc_id: str) -> ec2.IVpc:
        """A VPC that is there already: the first synth looks it up in the account, and ``cdk.context.json`` keeps it.

        Its flow logs, endpoints and default security group are as they are. The stack has a concrete account and
        region. Whoever may not look up gives ``ec2.Vpc.from_vpc_attributes`` wherever the library takes a ``vpc``.
        """
        return ec2.Vpc.from_lookup(scope, construct_id, vpc_id=vpc_id)


def _check_zones(zones: Sequence[str]) -> None:
    if len(set(zones)) < 2:
        raise ValueError(
            f"A network needs two different availability zones or more, because a load balancer does; "
            f"given were {list(zones)}."
        )


def _check_nat(mode: NetworkMode, zones: int, count: int | None, image: ec2.IMachineImage | None) -> None:
    if count is not None and not (mode.has_nat and 1 <= count <= zones):
        raise ValueError(
            f"nat_count is {count} in {mode} with {zones} zones. Leave it out, or give 1 to {zones} with "
            "NetworkMode.NAT_INSTANCE or NAT_GATEWAYS."
        )
    if (mode is NetworkMode.NAT_INSTANCE) != (image is not None):
        raise ValueError(
            f"nat_image is {'given' if image else 'missing'} in {mode}. NetworkMode.NAT_INSTANCE, and no other mode, "
            'starts from an image of fck-nat, as in ec2.MachineImage.generic_linux({"eu-west-1": "ami-…"}): the newest '
            "named fck-nat-al2023-*-arm64-ebs of the account that fck-nat's own page names."
        )


def _gateways(addresses: Sequence[ec2.CfnEIP]) -> ec2.NatProvider | None:
    if not addresses:
        return None
    return ec2.NatProvider.gateway(eip_allocation_ids=[address.attr_allocation_id for address in addresses])
