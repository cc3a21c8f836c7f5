"""The network of an environment."""

from __future__ import annotations

from collections.abc import Sequence

import aws_cdk as cdk
from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_iam as iam
from aws_cdk import aws_logs as logs
from constructs import Construct


class Network(Construct):
    """A VPC of public subnets, one in each zone, without NAT: tasks have public addresses and no way in.

    Security groups are the wall: the default one lets nothing through, and the library's services open only what their
    load balancer needs. S3 is reached by a gateway endpoint, which costs nothing; traffic is logged.

    ``availability_zones`` are at least two names as in ``eu-west-1a``. In a stack with a concrete account and region
    the CDK compares them with the stack's own ``availability_zones``, which it otherwise looks up in the account:
    override that property of the stack with the same names, and synth needs no account.

    Raises:
        ValueError: fewer than two different zones.
    """

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        cidr: str = "10.20.0.0/16",
        availability_zones: Sequence[str],
        log_retention: logs.RetentionDays = logs.RetentionDays.ONE_MONTH,
        removal_policy: cdk.RemovalPolicy = cdk.RemovalPolicy.DESTROY,
    ) -> None:
        super().__init__(scope, construct_id)
        if len(set(availability_zones)) < 2:
            raise ValueError(
                f"A network needs two different availability zones or more, because a load balancer does; "
                f"given were {list(availability_zones)}."
            )

        self.vpc = ec2.Vpc(
            self,
            "Vpc",
            ip_addresses=ec2.IpAddresses.cidr(cidr),
            availability_zones=list(availability_zones),
            nat_gateways=0,
            subnet_configuration=[ec2.SubnetConfiguration(name="Public", subnet_type=ec2.SubnetType.PUBLIC)],
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
