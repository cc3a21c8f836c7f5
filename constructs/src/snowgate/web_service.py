"""An HTTP service on Fargate behind a load balancer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import aws_cdk as cdk
from aws_cdk import aws_certificatemanager as acm
from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_ecs as ecs
from aws_cdk import aws_elasticloadbalancingv2 as elbv2
from aws_cdk import aws_logs as logs
from aws_cdk import aws_s3 as s3
from constructs import Construct

from snowgate.access_log_bucket import AccessLogBucket
from snowgate.acknowledgements import acknowledge
from snowgate.architecture import Architecture
from snowgate.fargate_cluster import FargateCluster, TaskPlacement, open_way_out
from snowgate.fargate_size import FargateSize
from snowgate.fargate_task import FargateTask


class WebService(Construct):
    """An ECS service of ``min_tasks`` Fargate tasks behind an application load balancer with access logs.

    The load balancer is internal, for callers in the network, unless ``public`` is said; a public one speaks TLS with
    ``certificate`` and sends plain HTTP there. The container listens on ``port`` and answers 200 at ``health_path``.
    ``cluster`` and ``access_logs`` are made if they are not given.

    Raises:
        ValueError: public without a certificate, or a stack without a concrete region: who writes the access logs of a
            load balancer depends on it.
    """

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        vpc: ec2.IVpc,
        image: ecs.ContainerImage,
        command: Sequence[str],
        environment: Mapping[str, str] | None = None,
        secrets: Mapping[str, ecs.Secret] | None = None,
        size: FargateSize = FargateSize.SMALL,
        architecture: Architecture = Architecture.ARM64,
        task_role_name: str | None = None,
        cluster: ecs.ICluster | None = None,
        port: int = 8000,
        health_path: str = "/health",
        min_tasks: int = 1,
        certificate: acm.ICertificate | None = None,
        public: bool = False,
        deletion_protection: bool = False,
        access_logs: s3.IBucket | None = None,
        log_retention: logs.RetentionDays = logs.RetentionDays.ONE_MONTH,
        removal_policy: cdk.RemovalPolicy = cdk.RemovalPolicy.DESTROY,
    ) -> None:
        super().__init__(scope, construct_id)
        if public and certificate is None:
            raise ValueError(
                f"{self.node.path} would speak plain HTTP to the internet. Give a certificate, or leave public out: "
                "the load balancer is then internal."
            )
        if cdk.Token.is_unresolved(cdk.Stack.of(self).region):
            raise ValueError(
                f"{self.node.path} is in a stack without a region, but access logs need to know it. Give the stack an "
                'environment, as in env=cdk.Environment(account="111122223333", region="eu-west-1").'
            )

        self.cluster = cluster or FargateCluster(self, "Cluster", vpc=vpc).cluster
        task = FargateTask(
            self,
            "Task",
            image=image,
            command=command,
            size=size,
            architecture=architecture,
            environment={"PORT": str(port), **(environment or {})},
            secrets=secrets,
            health_check=_health_check(port, health_path),
            port=port,
            role_name=task_role_name,
            log_retention=log_retention,
            removal_policy=removal_policy,
        )
        self.task_definition, self.task_role = task.definition, task.role
        self.service = self._service(vpc, min_tasks)
        self.load_balancer = self._load_balancer(vpc, certificate, public, deletion_protection)
        if access_logs is None:
            access_logs = AccessLogBucket(self, "AccessLogs", removal_policy=removal_policy).bucket
        listener = self._listener(certificate, public)

        self.load_balancer.log_access_logs(access_logs, "load-balancer")
        target_group = listener.add_targets(
            "Tasks",
            port=port,
            protocol=elbv2.ApplicationProtocol.HTTP,
            targets=[self.service],
            deregistration_delay=cdk.Duration.seconds(30),
            health_check=elbv2.HealthCheck(path=health_path, interval=cdk.Duration.seconds(15)),
        )
        # The first task can pull its image, and get its secrets, only with the policies of the role that starts it.
        self.service.node.add_dependency(self.cluster, listener, task.execution_role)
        self.listener, self.target_group = listener, target_group
        self.is_public, self.is_tls = public, certificate is not None

        scheme = "https" if certificate else "http"
        self.url = f"{scheme}://{self.load_balancer.load_balancer_dns_name}"

    def _service(self, vpc: ec2.IVpc, min_tasks: int) -> ecs.FargateService:
        group = ec2.SecurityGroup(
            self,
            "TaskGroup",
            vpc=vpc,
            allow_all_outbound=False,
            description="Web tasks: the load balancer alone comes in",
        )
        open_way_out(group)
        placement = TaskPlacement.of(vpc)
        return ecs.FargateService(
            self,
            "Service",
            cluster=self.cluster,
            task_definition=self.task_definition,
            desired_count=min_tasks,
            capacity_provider_strategies=[ecs.CapacityProviderStrategy(capacity_provider="FARGATE", weight=1)],
            assign_public_ip=placement.public_ip,
            vpc_subnets=placement.subnets,
            security_groups=[group],
            circuit_breaker=ecs.DeploymentCircuitBreaker(rollback=True),
            min_healthy_percent=100,
            max_healthy_percent=200,
            health_check_grace_period=cdk.Duration.seconds(60),
            propagate_tags=ecs.PropagatedTagSource.SERVICE,
        )

    def _load_balancer(
        self, vpc: ec2.IVpc, certificate: acm.ICertificate | None, public: bool, deletion_protection: bool
    ) -> elbv2.ApplicationLoadBalancer:
        group = ec2.SecurityGroup(
            self, "LoadBalancerGroup", vpc=vpc, allow_all_outbound=False, description="Callers of the load balancer"
        )
        if public:
            group.add_ingress_rule(ec2.Peer.any_ipv4(), ec2.Port.tcp(443), "TLS from everywhere")
            group.add_ingress_rule(ec2.Peer.any_ipv4(), ec2.Port.tcp(80), "Sent on to TLS")
            acknowledge(group, {"EC23": "Public was asked for; what is served is TLS, and port 80 only sends there."})
        else:
            port = ec2.Port.tcp(443 if certificate else 80)
            group.add_ingress_rule(ec2.Peer.ipv4(vpc.vpc_cidr_block), port, "From the network")
            acknowledge(group, {"EC23": "Only the network's own range, which cdk-nag cannot read before the deploy."})
        subnets = None if public else TaskPlacement.of(vpc).subnets
        return elbv2.ApplicationLoadBalancer(
            self,
            "LoadBalancer",
            vpc=vpc,
            vpc_subnets=subnets,
            internet_facing=public,
            security_group=group,
            drop_invalid_header_fields=True,
            deletion_protection=deletion_protection,
        )

    def _listener(self, certificate: acm.ICertificate | None, public: bool) -> elbv2.ApplicationListener:
        if certificate is None:
            return self.load_balancer.add_listener("Http", port=80, protocol=elbv2.ApplicationProtocol.HTTP, open=False)
        if public:
            self.load_balancer.add_redirect(open=False)
        return self.load_balancer.add_listener(
            "Https",
            port=443,
            protocol=elbv2.ApplicationProtocol.HTTPS,
            certificates=[certificate],
            ssl_policy=elbv2.SslPolicy.RECOMMENDED_TLS,
            open=False,
        )


def _health_check(port: int, path: str) -> list[str]:
    """A check without curl, which slim images lack."""
    return ["python", "-c", f"import urllib.request as u; u.urlopen('http://127.0.0.1:{port}{path}', timeout=5)"]
