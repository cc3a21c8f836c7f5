"""The ECS service of tasks that nobody calls."""

from __future__ import annotations

from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_ecs as ecs
from constructs import Construct

from snowgate.fargate_cluster import TaskPlacement


def unattended_service(
    scope: Construct,
    *,
    vpc: ec2.IVpc,
    cluster: ecs.ICluster,
    task_definition: ecs.FargateTaskDefinition,
    security_group: ec2.ISecurityGroup,
    spot_percent: int,
    min_healthy_percent: int,
    desired_count: int | None,
) -> ecs.FargateService:
    """Make a Fargate service without load balancer, whose failing deploys are rolled back.

    ``spot_percent`` of the tasks run on Fargate Spot. Where something else changes the desired count, None keeps it out
    of the template, which would reset the running one.
    """
    placement = TaskPlacement.of(vpc)
    shares = {"FARGATE": 100 - spot_percent, "FARGATE_SPOT": spot_percent}
    return ecs.FargateService(
        scope,
        "Service",
        cluster=cluster,
        task_definition=task_definition,
        desired_count=desired_count,
        capacity_provider_strategies=[
            ecs.CapacityProviderStrategy(capacity_provider=name, weight=share)
            for name, share in shares.items()
            if share
        ],
        assign_public_ip=placement.public_ip,
        vpc_subnets=placement.subnets,
        security_groups=[security_group],
        circuit_breaker=ecs.DeploymentCircuitBreaker(rollback=True),
        min_healthy_percent=min_healthy_percent,
        max_healthy_percent=200,
        propagate_tags=ecs.PropagatedTagSource.SERVICE,
    )
