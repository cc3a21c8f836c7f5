"""Containers that run beside a task's own, for its metrics."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from aws_cdk import aws_ecs as ecs
from aws_cdk import aws_iam as iam

from snowgate.acknowledgements import acknowledge
from snowgate.fargate_task import FargateTask
from snowgate.pinned_image import require_digest


@dataclass(frozen=True)
class Sidecar:
    """A container that runs beside the task's own and may end without ending the task.

    ``image`` is a public image by its digest. Its environment gets LOG_GROUP, the name of the task's log group, which
    the task's role may then write to; ``statements`` are what that role may do besides. It takes at most ``memory_mib``
    of the task's memory. All containers of a task share one host name: what listens at 127.0.0.1 in one is reached by
    all ("Task networking for Fargate" in the Amazon ECS Developer Guide).
    """

    name: str
    image: str
    environment: Mapping[str, str] = field(default_factory=dict)
    command: Sequence[str] = ()
    statements: Sequence[iam.PolicyStatement] = ()
    memory_mib: int = 256

    @classmethod
    def cloudwatch_agent(cls, *, image: str, namespace: str, config: Mapping[str, object] | None = None) -> Sidecar:
        """The CloudWatch agent, which takes StatsD at UDP 127.0.0.1:8125 and puts metrics into ``namespace`` only.

        ``image`` is public.ecr.aws/cloudwatch-agent/cloudwatch-agent@sha256:…. ``config`` is another configuration
        ("Manually create or edit the CloudWatch agent configuration file" in the Amazon CloudWatch User Guide).
        """
        statsd = {"service_address": "127.0.0.1:8125", "metrics_collection_interval": 60}
        default = {"metrics": {"namespace": namespace, "metrics_collected": {"statsd": statsd}}}
        return cls(
            name="cloudwatch-agent",
            image=image,
            environment={"CW_CONFIG_CONTENT": json.dumps(config or default)},
            statements=[
                iam.PolicyStatement(
                    actions=["cloudwatch:PutMetricData"],
                    resources=["*"],
                    conditions={"StringEquals": {"cloudwatch:namespace": namespace}},
                )
            ],
        )

    @classmethod
    def adot_collector(cls, *, image: str, namespace: str, config: Mapping[str, object] | None = None) -> Sidecar:
        """The AWS Distro for OpenTelemetry: OTLP at 127.0.0.1:4317 (gRPC) and :4318 (HTTP) to metrics in ``namespace``.

        The metrics go through the task's log group, in embedded metric format. ``image`` is
        public.ecr.aws/aws-observability/aws-otel-collector@sha256:…. ``config`` is another configuration ("Setting up
        the AWS Distro for OpenTelemetry Collector in Amazon ECS" in the ADOT documentation).
        """
        protocols = {"grpc": {"endpoint": "127.0.0.1:4317"}, "http": {"endpoint": "127.0.0.1:4318"}}
        metrics = {"namespace": namespace, "log_group_name": "${env:LOG_GROUP}", "log_stream_name": "metrics/{TaskId}"}
        pipeline = {"receivers": ["otlp"], "processors": ["batch"], "exporters": ["awsemf"]}
        default = {
            "receivers": {"otlp": {"protocols": protocols}},
            "processors": {"batch": {"timeout": "60s"}},
            "exporters": {"awsemf": metrics},
            "service": {"pipelines": {"metrics": pipeline}},
        }
        return cls(
            name="adot-collector", image=image, environment={"AOT_CONFIG_CONTENT": json.dumps(config or default)}
        )

    def add_to(self, task: FargateTask) -> ecs.ContainerDefinition:
        """Make the container in ``task`` and let its role do what the container does.

        Raises:
            ValueError: the image has no digest.
        """
        container = task.definition.add_container(
            self.name,
            image=ecs.ContainerImage.from_registry(self.image),
            command=list(self.command) or None,
            environment={**self.environment, "LOG_GROUP": task.log_group.log_group_name},
            essential=False,
            memory_limit_mib=self.memory_mib,
            logging=ecs.LogDrivers.aws_logs(stream_prefix=self.name, log_group=task.log_group),
        )
        require_digest(container)
        task.log_group.grant_write(task.role)
        for statement in self.statements:
            task.role.add_to_principal_policy(statement)
        reason = "cloudwatch:PutMetricData knows no resources; the condition names the one namespace."
        acknowledge(task.role, {"IAM5[Resource::*]": reason})
        return container
