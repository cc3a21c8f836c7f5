"""The way to AWS services from a network without the internet."""

from __future__ import annotations

from collections.abc import Sequence

from aws_cdk import aws_ec2 as ec2
from constructs import Construct

from snowgate.acknowledgements import acknowledge

_Service = ec2.InterfaceVpcEndpointAwsService
# "Amazon ECR interface VPC endpoints" and "Amazon ECS interface VPC endpoints" in their guides. The library's tasks ask
# for logs, secrets and STS (the workload identity) besides; the scheduler is a sleeping worker's alarm clock.
_NEEDED = {
    "Ecr": _Service.ECR,
    "EcrDocker": _Service.ECR_DOCKER,
    "Logs": _Service.CLOUDWATCH_LOGS,
    "SecretsManager": _Service.SECRETS_MANAGER,
    "Sts": _Service.STS,
    "Ecs": _Service.ECS,
    "EcsAgent": _Service.ECS_AGENT,
    "EcsTelemetry": _Service.ECS_TELEMETRY,
    "Scheduler": _Service("scheduler"),
}


class PrivateEndpoints(Construct):
    """Interface endpoints for what Fargate tasks of this library need, behind one security group.

    ``more`` are further services, as in ``ec2.InterfaceVpcEndpointAwsService.SNS``. Each endpoint is paid by the hour
    and zone.
    """

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        vpc: ec2.IVpc,
        more: Sequence[ec2.InterfaceVpcEndpointAwsService] = (),
    ) -> None:
        super().__init__(scope, construct_id)

        group = ec2.SecurityGroup(
            self, "SecurityGroup", vpc=vpc, allow_all_outbound=False, description="TLS from the network to AWS"
        )
        group.add_ingress_rule(ec2.Peer.ipv4(vpc.vpc_cidr_block), ec2.Port.tcp(443), "From the network")
        acknowledge(group, {"EC23": "Only the network's own range, which cdk-nag cannot read before the deploy."})

        for name, service in {**_NEEDED, **{service.short_name: service for service in more}}.items():
            ec2.InterfaceVpcEndpoint(
                self, name, vpc=vpc, service=service, security_groups=[group], open=False, private_dns_enabled=True
            )
