"""The way to AWS services from a network without the internet."""

from __future__ import annotations

from collections.abc import Sequence

from aws_cdk import aws_ec2 as ec2
from constructs import Construct

from snowgate.acknowledgements import acknowledge
from snowgate.asked_once import tcp

# "Amazon ECR interface VPC endpoints" and "Amazon ECS interface VPC endpoints" in their guides. The library's tasks ask
# for logs, secrets and STS (the workload identity) besides; the scheduler is a sleeping worker's alarm clock.
_NEEDED = {
    "Ecr": "ecr.api",
    "EcrDocker": "ecr.dkr",
    "Logs": "logs",
    "SecretsManager": "secretsmanager",
    "Sts": "sts",
    "Ecs": "ecs",
    "EcsAgent": "ecs-agent",
    "EcsTelemetry": "ecs-telemetry",
    "Scheduler": "scheduler",
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
        group.add_ingress_rule(ec2.Peer.ipv4(vpc.vpc_cidr_block), tcp(443), "From the network")
        acknowledge(group, {"EC23": "Only the network's own range, which cdk-nag cannot read before the deploy."})

        needed = {name: ec2.InterfaceVpcEndpointAwsService(service) for name, service in _NEEDED.items()}
        for name, service in {**needed, **{service.short_name: service for service in more}}.items():
            ec2.InterfaceVpcEndpoint(
                self, name, vpc=vpc, service=service, security_groups=[group], open=False, private_dns_enabled=True
            )
