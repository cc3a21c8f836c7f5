"""An HTTP service on Fargate behind a load balancer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal

import aws_cdk as cdk
from aws_cdk import aws_certificatemanager as acm
from aws_cdk import aws_cloudwatch as cloudwatch
from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_ecs as ecs
from aws_cdk import aws_elasticloadbalancingv2 as elbv2
from aws_cdk import aws_iam as iam
from aws_cdk import aws_logs as logs
from aws_cdk import aws_route53 as route53
from aws_cdk import aws_route53_targets as route53_targets
from aws_cdk import aws_s3 as s3
from aws_cdk import aws_sns as sns
from constructs import Construct

from snowgate.access_log_bucket import AccessLogBucket
from snowgate.alarm_actions import send_alarms
from snowgate.architecture import Architecture
from snowgate.asked_once import minutes, seconds, tcp
from snowgate.deployment import Deployment
from snowgate.fargate_cluster import FargateCluster, TaskPlacement, open_way_out
from snowgate.fargate_size import FargateSize
from snowgate.fargate_task import FargateTask
from snowgate.load_balancer import add_listener, add_load_balancer, add_targets, attach
from snowgate.origin_verify import OriginVerify
from snowgate.service_scaling import ServiceScaling
from snowgate.web_acl import WebAcl
from snowgate.web_address import add_alias, check_domain
from snowgate.web_service_alarms import WebServiceAlarms
from snowgate.web_service_checks import check_entrance, check_tasks

_MINUTE = minutes(1)


class WebService(Construct):
    """An ECS service of ``min_tasks`` Fargate tasks behind an application load balancer with access logs.

    The load balancer is internal, for callers in the network, unless ``public`` is said; a public one speaks TLS and
    sends plain HTTP there. TLS has the ``certificate``, or one that is made for ``domain`` in ``hosted_zone``, where
    the domain then leads to the load balancer. ``behind_edge`` lets in nobody but the Edge that is put before it.
    ``waf`` puts a WebAcl before it.

    The container listens on ``port`` and answers 200 at ``health_path``. ``health_check`` is what is run in the
    container, a list of words without a shell: "python" asks that path with Python, None leaves it to the load
    balancer. A task that does not answer yet is left alone for ``health_grace``, 60 seconds by default. One that goes
    gets no new requests, has ``stop_timeout`` (30 seconds by default, 120 at most) for those it has, and as long again
    after SIGTERM.

    A deploy never has fewer than the desired tasks in service; ``deployment`` says how new ones take over, and it goes
    back if tasks fail or an alarm goes off. ``latency`` adds an alarm on the 99th percentile. With ``scaling`` the
    template holds no desired count, so that a deploy does not reset it: a new service starts one task.

    ``cluster`` and ``access_logs`` are made if they are not given.

    Raises:
        ValueError: public without TLS, a domain that does not fit, a drain or a scaling that the deployment does not
            bear, WAF behind an edge, which has its own, or a stack without a concrete region: who writes the access
            logs of a load balancer depends on it.
    """

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        vpc: ec2.IVpc,
        image: ecs.ContainerImage,
        command: Sequence[str] | None = None,
        environment: Mapping[str, str] | None = None,
        secrets: Mapping[str, ecs.Secret] | None = None,
        size: FargateSize = FargateSize.SMALL,
        architecture: Architecture = Architecture.ARM64,
        task_role_name: str | None = None,
        cluster: ecs.ICluster | None = None,
        port: int = 8000,
        health_path: str = "/health",
        health_check: Sequence[str] | Literal["python"] | None = "python",
        health_grace: cdk.Duration | None = None,
        stop_timeout: cdk.Duration | None = None,
        min_tasks: int = 1,
        scaling: ServiceScaling | None = None,
        deployment: Deployment = Deployment.ROLLING,
        certificate: acm.ICertificate | None = None,
        domain: str | None = None,
        hosted_zone: route53.IHostedZone | None = None,
        public: bool = False,
        behind_edge: bool = False,
        waf: bool = False,
        deletion_protection: bool = False,
        latency: cdk.Duration | None = None,
        alarm_topic: sns.ITopic | None = None,
        access_logs: s3.IBucket | None = None,
        log_retention: logs.RetentionDays = logs.RetentionDays.ONE_MONTH,
        removal_policy: cdk.RemovalPolicy = cdk.RemovalPolicy.DESTROY,
    ) -> None:
        super().__init__(scope, construct_id)
        drain = stop_timeout or seconds(30)
        check_domain(self.node.path, domain, hosted_zone)
        tls = certificate is not None or hosted_zone is not None
        check_entrance(self, public=public, tls=tls, behind_edge=behind_edge, waf=waf)
        check_tasks(self, deployment=deployment, scaling=scaling, min_tasks=min_tasks, drain=drain)
        if certificate is None and domain is not None and hosted_zone is not None:
            proof = acm.CertificateValidation.from_dns(hosted_zone)
            certificate = acm.Certificate(self, "Certificate", domain_name=domain, validation=proof)
        self.vpc, self.is_public, self.is_tls, self.is_behind_edge = vpc, public, tls, behind_edge

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
            health_check=_python_check(port, health_path) if health_check == "python" else health_check,
            port=port,
            stop_timeout=drain,
            role_name=task_role_name,
            log_retention=log_retention,
            removal_policy=removal_policy,
        )
        self.task_definition, self.task_role, self.log_group = task.definition, task.role, task.log_group
        self.load_balancer = add_load_balancer(
            self, vpc=vpc, tls=tls, public=public, closed=behind_edge, deletion_protection=deletion_protection
        )
        if access_logs is None:
            access_logs = AccessLogBucket(self, "AccessLogs", removal_policy=removal_policy).bucket
        self.load_balancer.log_access_logs(access_logs, "load-balancer")
        self.listener = add_listener(self.load_balancer, certificate, redirect=public and not behind_edge)
        # A public load balancer can be reached by any distribution of CloudFront's: this one shows a secret.
        self.origin_verify = (
            OriginVerify(self, "OriginVerify", removal_policy=removal_policy) if public and behind_edge else None
        )
        targets = add_targets(
            self.listener,
            vpc=vpc,
            port=port,
            health_path=health_path,
            drain=drain,
            two=deployment.shifts_traffic,
            only_if=[self.origin_verify.condition] if self.origin_verify else [],
        )
        self.target_group, self.production_rule = targets.production, targets.rule
        alarms = WebServiceAlarms(
            self, "Alarms", load_balancer=self.load_balancer, target_groups=targets.groups, latency=latency
        )
        self.security_group = ec2.SecurityGroup(
            self,
            "TaskGroup",
            vpc=vpc,
            allow_all_outbound=False,
            description="Web tasks: the load balancer alone comes in",
        )
        self.service = self._service(
            None if scaling else min_tasks, deployment, alarms.rollback, health_grace or seconds(60)
        )

        open_way_out(self.security_group)
        attach(self.service, targets)
        # The first task can pull its image, and get its secrets, only with the policies of the role that starts it.
        self.service.node.add_dependency(self.cluster, self.listener, task.execution_role)
        self.scaling = (
            scaling.apply(self.service, min_tasks=min_tasks, target_group=self.target_group) if scaling else None
        )
        self.web_acl = WebAcl(self, "WebAcl") if waf else None
        if self.web_acl:
            self.web_acl.protect(self.load_balancer)
        if domain and hosted_zone:
            leads_to = route53_targets.LoadBalancerTarget(self.load_balancer)
            add_alias(self, domain, hosted_zone, leads_to, ipv6=False)
        send_alarms(alarms.all, alarm_topic)

        self.alarms, self.domain = alarms.all, domain
        self.url = f"{'https' if tls else 'http'}://{domain or self.load_balancer.load_balancer_dns_name}"

    def allow_from(self, other: ec2.IConnectable) -> None:
        """Let ``other`` call the load balancer, as a network's own callers may unless it is behind an edge."""
        self.load_balancer.connections.allow_from(other, tcp(443 if self.is_tls else 80), "A caller")

    def grant_update(self, grantee: iam.IGrantable) -> iam.Grant:
        """Let ``grantee`` look at the service, change its number of tasks and start a new deployment of it."""
        return iam.Grant.add_to_principal(
            grantee=grantee,
            actions=["ecs:DescribeServices", "ecs:UpdateService"],
            resource_arns=[self.service.service_arn],
        )

    def metric_requests(self) -> cloudwatch.Metric:
        """Requests that the load balancer took, summed over a minute."""
        return self.load_balancer.metrics.request_count(period=_MINUTE)

    def metric_errors(self) -> cloudwatch.Metric:
        """Answers of the tasks with 5xx, summed over a minute."""
        return self.load_balancer.metrics.http_code_target(elbv2.HttpCodeTarget.TARGET_5XX_COUNT, period=_MINUTE)

    def metric_latency(self, statistic: str = "p99") -> cloudwatch.Metric:
        """Seconds that the tasks take to answer: 99 of 100 requests are below, unless ``statistic`` says otherwise."""
        return self.load_balancer.metrics.target_response_time(period=_MINUTE, statistic=statistic)

    def metric_cpu(self) -> cloudwatch.Metric:
        """Percent of the tasks' CPU that is in use, on average over five minutes."""
        return self.service.metric_cpu_utilization()

    def metric_memory(self) -> cloudwatch.Metric:
        """Percent of the tasks' memory that is in use, on average over five minutes."""
        return self.service.metric_memory_utilization()

    def _service(
        self,
        desired_count: int | None,
        deployment: Deployment,
        alarms: Sequence[cloudwatch.Alarm],
        health_grace: cdk.Duration,
    ) -> ecs.FargateService:
        placement, strategy = TaskPlacement.of(self.vpc), deployment.strategy
        return ecs.FargateService(
            self,
            "Service",
            cluster=self.cluster,
            task_definition=self.task_definition,
            desired_count=desired_count,
            capacity_provider_strategies=[ecs.CapacityProviderStrategy(capacity_provider="FARGATE", weight=1)],
            assign_public_ip=placement.public_ip,
            vpc_subnets=placement.subnets,
            security_groups=[self.security_group],
            circuit_breaker=ecs.DeploymentCircuitBreaker(rollback=True),
            deployment_alarms=ecs.DeploymentAlarmConfig(
                alarm_names=[alarm.alarm_name for alarm in alarms], behavior=ecs.AlarmBehavior.ROLLBACK_ON_ALARM
            ),
            # ROLLING is what ECS does anyway.
            deployment_strategy=strategy if deployment.shifts_traffic else None,
            bake_time=deployment.bake_time,
            canary_configuration=deployment.shift if strategy is ecs.DeploymentStrategy.CANARY else None,
            linear_configuration=deployment.shift if strategy is ecs.DeploymentStrategy.LINEAR else None,
            min_healthy_percent=100,
            max_healthy_percent=200,
            health_check_grace_period=health_grace,
            propagate_tags=ecs.PropagatedTagSource.SERVICE,
        )


def _python_check(port: int, path: str) -> list[str]:
    """A check without curl, which slim images lack."""
    return ["python", "-c", f"import urllib.request as u; u.urlopen('http://127.0.0.1:{port}{path}', timeout=5)"]
