"""The report service as aws-ecs-patterns would have it, to be priced beside ours."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable
from pathlib import Path

import aws_cdk as cdk
from aws_cdk import aws_ecs as ecs
from aws_cdk import aws_ecs_patterns as patterns
from constructs import Construct

from cost.templates import Stack
from stacks.environment import Environment
from stacks.synthesis import quick_app

# Neither the patterns nor these stacks of ours have to do with the other systems.
SYSTEMS = ("WeatherWarehouse", "ConflictUpdater", "MatillionAgent")
_IMAGE = "amazon/amazon-ecs-sample"  # as in the patterns' documentation


class RivalStack(cdk.Stack):
    """A worker behind a queue, and a service behind a load balancer where the environment has a web role.

    Both in the VPC and the cluster that the first pattern makes by default, as large as ours and of our architecture.
    No bucket, no secrets, no links, nobody who hears of alarms: only what the patterns bring.
    """

    def __init__(self, scope: Construct, construct_id: str, *, environment: Environment) -> None:
        super().__init__(scope, construct_id)
        image = ecs.ContainerImage.from_registry(_IMAGE)
        platform = ecs.RuntimePlatform(
            cpu_architecture=ecs.CpuArchitecture.of(environment.built_for.value),
            operating_system_family=ecs.OperatingSystemFamily.LINUX,
        )
        # Without these two the CDK warns; they cost nothing.
        breaker = ecs.DeploymentCircuitBreaker(enable=True)

        worker = patterns.QueueProcessingFargateService(
            self,
            "Worker",
            image=image,
            cpu=environment.worker.cpu,
            memory_limit_mib=environment.worker.memory_mib,
            runtime_platform=platform,
            circuit_breaker=breaker,
            min_healthy_percent=100,
        )
        if environment.web:
            patterns.ApplicationLoadBalancedFargateService(
                self,
                "Web",
                cluster=worker.cluster,
                cpu=environment.web.cpu,
                memory_limit_mib=environment.web.memory_mib,
                runtime_platform=platform,
                circuit_breaker=breaker,
                min_healthy_percent=100,
                task_image_options=patterns.ApplicationLoadBalancedTaskImageOptions(image=image),
            )


def rivals(environments: Iterable[Environment]) -> dict[str, Stack]:
    """The rival of each environment, synthesised by the same CDK, by the environment's name."""
    with tempfile.TemporaryDirectory() as folder:
        app = quick_app(Path(folder))
        for environment in environments:
            RivalStack(app, environment.name, environment=environment)
        return {stack.stack_name: Stack("Rival", stack.template) for stack in app.synth().stacks}
