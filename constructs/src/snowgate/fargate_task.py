"""The task definition of a service on Fargate."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import aws_cdk as cdk
from aws_cdk import aws_ecs as ecs
from aws_cdk import aws_iam as iam
from aws_cdk import aws_logs as logs
from constructs import Construct

from snowgate.acknowledgements import acknowledge
from snowgate.architecture import Architecture
from snowgate.asked_once import linux, seconds
from snowgate.fargate_size import FargateSize

STOPS = range(1, 121)  # seconds between SIGTERM and SIGKILL
LONGEST_STOP = seconds(STOPS[-1])


class FargateTask(Construct):
    """One container that can write nowhere but to /tmp, with a log group of its own and two roles made for it alone.

    ``writable`` is for an image that somebody else made: its whole file system is writable, and /tmp is its own.
    ``command`` and ``health_check`` are lists of words, run without a shell; the command is the image's own unless
    given. ``stop_timeout`` is how long the container may go on after SIGTERM: 120 seconds, Fargate's most, unless told
    otherwise. A container that does not run as root needs an image that says ``VOLUME /tmp``: Fargate then gives the
    folder the owner and mode that it has in the image ("Bind mounts" in the Amazon ECS Developer Guide). ``role_name``
    is the task role's, if something outside must know it.
    """

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        image: ecs.ContainerImage,
        command: Sequence[str] | None = None,
        size: FargateSize = FargateSize.SMALL,
        architecture: Architecture = Architecture.ARM64,
        environment: Mapping[str, str] | None = None,
        secrets: Mapping[str, ecs.Secret] | None = None,
        health_check: Sequence[str] | None = None,
        port: int | None = None,
        writable: bool = False,
        stop_timeout: cdk.Duration = LONGEST_STOP,
        role_name: str | None = None,
        log_retention: logs.RetentionDays = logs.RetentionDays.ONE_MONTH,
        removal_policy: cdk.RemovalPolicy = cdk.RemovalPolicy.DESTROY,
    ) -> None:
        super().__init__(scope, construct_id)

        self.log_group = logs.LogGroup(self, "Log", retention=log_retention, removal_policy=removal_policy)
        self.definition = ecs.FargateTaskDefinition(
            self,
            "Definition",
            cpu=size.cpu,
            memory_limit_mib=size.memory_mib,
            ephemeral_storage_gib=size.ephemeral_gib,
            runtime_platform=ecs.RuntimePlatform(
                cpu_architecture=architecture.of_task, operating_system_family=linux()
            ),
            volumes=None if writable else [ecs.Volume(name="tmp")],
            task_role=self._named_role(role_name) if role_name else None,
        )
        self.role: iam.IRole = self.definition.task_role
        self.execution_role: iam.IRole = self.definition.obtain_execution_role()
        self.container = self.definition.add_container(
            "Container",
            image=image,
            command=list(command) if command else None,
            environment=dict(environment or {}),
            secrets=dict(secrets or {}),
            health_check=_health_check(health_check) if health_check else None,
            port_mappings=[ecs.PortMapping(container_port=port)] if port else None,
            readonly_root_filesystem=not writable,
            linux_parameters=ecs.LinuxParameters(self, "Linux", init_process_enabled=True),
            stop_timeout=stop_timeout,
            logging=ecs.LogDrivers.aws_logs(stream_prefix="task", log_group=self.log_group),
        )

        if not writable:
            self.container.add_mount_points(ecs.MountPoint(source_volume="tmp", container_path="/tmp", read_only=False))
        self._acknowledge()

    def _named_role(self, name: str) -> iam.Role:
        """A role that ECS assumes for tasks of this account alone ("Amazon ECS task IAM role" in its guide)."""
        own = {"StringEquals": {"aws:SourceAccount": cdk.Stack.of(self).account}}
        return iam.Role(
            self,
            "Role",
            role_name=name,
            assumed_by=iam.ServicePrincipal("ecs-tasks.amazonaws.com", conditions=own),
        )

    def _acknowledge(self) -> None:
        reason = "Settings only; every secret value comes from Secrets Manager."
        acknowledge(self.definition, {"ECS2": reason})
        reason = "ecr:GetAuthorizationToken cannot be limited to a repository; pulling is."
        acknowledge(self.execution_role, {"IAM5[Resource::*]": reason})


def _health_check(command: Sequence[str]) -> ecs.HealthCheck:
    return ecs.HealthCheck(
        command=["CMD", *command],
        interval=seconds(30),
        timeout=seconds(10),
        retries=3,
        start_period=seconds(60),
    )
