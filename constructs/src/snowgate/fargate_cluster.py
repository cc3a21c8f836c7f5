"""The ECS cluster that services run in, and where in the network their tasks go."""

from __future__ import annotations

from dataclasses import dataclass

from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_ecs as ecs
from constructs import Construct

from snowgate.acknowledgements import acknowledge
from snowgate.asked_once import anywhere, tcp


class FargateCluster(Construct):
    """A cluster with the capacity providers FARGATE and FARGATE_SPOT, and without Container Insights unless asked."""

    def __init__(self, scope: Construct, construct_id: str, *, vpc: ec2.IVpc, insights: bool = False) -> None:
        super().__init__(scope, construct_id)

        self.cluster = ecs.Cluster(
            self,
            "Cluster",
            vpc=vpc,
            enable_fargate_capacity_providers=True,
            container_insights_v2=ecs.ContainerInsights.ENABLED if insights else ecs.ContainerInsights.DISABLED,
        )
        if not insights:
            reason = "Container Insights is paid by the metric, even while no task runs; ECS's own metrics are free."
            acknowledge(self.cluster, {"ECS4": reason})


@dataclass(frozen=True)
class TaskPlacement:
    """Subnets and public address for tasks: in private subnets with a way out if the network has such, else public.

    Private subnets without a way out are for databases, unless there are no others: then endpoints are in them.
    """

    subnets: ec2.SubnetSelection
    public_ip: bool

    @classmethod
    def of(cls, vpc: ec2.IVpc) -> TaskPlacement:
        """Where tasks go in ``vpc``; a task in a public subnet reaches the internet only with a public address."""
        if vpc.private_subnets:
            return cls(ec2.SubnetSelection(subnet_type=ec2.SubnetType.PRIVATE_WITH_EGRESS), public_ip=False)
        if vpc.isolated_subnets and not vpc.public_subnets:
            return cls(ec2.SubnetSelection(subnet_type=ec2.SubnetType.PRIVATE_ISOLATED), public_ip=False)
        return cls(ec2.SubnetSelection(subnet_type=ec2.SubnetType.PUBLIC), public_ip=True)


def open_way_out(group: ec2.SecurityGroup) -> None:
    """Let tasks reach Snowflake and AWS, and nothing else.

    Port 80 is for certificate revocation lists and OCSP, which are plain HTTP ("Allowing hostnames" in the Snowflake
    documentation); without it each login waits for a time-out.
    """
    group.add_egress_rule(anywhere(), tcp(443), "Snowflake and AWS")
    group.add_egress_rule(anywhere(), tcp(80), "Certificate revocation: plain HTTP by design")
