"""The load balancer of a service, as all of the library's are made."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import aws_cdk as cdk
from aws_cdk import aws_certificatemanager as acm
from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_ecs as ecs
from aws_cdk import aws_elasticloadbalancingv2 as elbv2
from aws_cdk import aws_iam as iam
from constructs import Construct

from snowgate.acknowledgements import acknowledge
from snowgate.asked_once import anywhere, seconds, tcp
from snowgate.fargate_cluster import TaskPlacement


def add_load_balancer(
    scope: Construct, *, vpc: ec2.IVpc, tls: bool, public: bool, closed: bool, deletion_protection: bool
) -> elbv2.ApplicationLoadBalancer:
    """Give ``scope`` its load balancer: open to the internet if ``public``, else to the network; or ``closed``."""
    group = ec2.SecurityGroup(
        scope, "LoadBalancerGroup", vpc=vpc, allow_all_outbound=False, description="Callers of the load balancer"
    )
    if closed:
        pass
    elif public:
        group.add_ingress_rule(anywhere(), tcp(443), "TLS from everywhere")
        group.add_ingress_rule(anywhere(), tcp(80), "Sent on to TLS")
        acknowledge(group, {"EC23": "Public was asked for; what is served is TLS, and port 80 only sends there."})
    else:
        port = tcp(443 if tls else 80)
        group.add_ingress_rule(ec2.Peer.ipv4(vpc.vpc_cidr_block), port, "From the network")
        acknowledge(group, {"EC23": "Only the network's own range, which cdk-nag cannot read before the deploy."})
    return elbv2.ApplicationLoadBalancer(
        scope,
        "LoadBalancer",
        vpc=vpc,
        vpc_subnets=None if public else TaskPlacement.of(vpc).subnets,
        internet_facing=public,
        security_group=group,
        drop_invalid_header_fields=True,
        deletion_protection=deletion_protection,
    )


def add_listener(
    load_balancer: elbv2.ApplicationLoadBalancer, certificate: acm.ICertificate | None, *, redirect: bool
) -> elbv2.ApplicationListener:
    """Let the load balancer listen: for TLS if there is a certificate, to which ``redirect`` sends plain HTTP."""
    if certificate is None:
        return load_balancer.add_listener("Http", port=80, protocol=elbv2.ApplicationProtocol.HTTP, open=False)
    if redirect:
        load_balancer.add_redirect(open=False)
    return load_balancer.add_listener(
        "Https",
        port=443,
        protocol=elbv2.ApplicationProtocol.HTTPS,
        certificates=[certificate],
        ssl_policy=elbv2.SslPolicy.RECOMMENDED_TLS,
        open=False,
    )


@dataclass(frozen=True)
class Targets:
    """Where a listener sends requests: a second group and a rule are there if requests are moved between two."""

    production: elbv2.ApplicationTargetGroup
    alternate: elbv2.ApplicationTargetGroup | None
    rule: elbv2.ApplicationListenerRule | None

    @property
    def groups(self) -> list[elbv2.ApplicationTargetGroup]:
        """The groups that there are."""
        return [self.production, *([self.alternate] if self.alternate else [])]


def add_targets(
    listener: elbv2.ApplicationListener,
    *,
    vpc: ec2.IVpc,
    port: int,
    health_path: str,
    drain: cdk.Duration,
    two: bool,
    only_if: Sequence[elbv2.ListenerCondition],
) -> Targets:
    """Let ``listener`` send on what fulfils ``only_if``, or everything, to one target group or ``two``."""

    def group(name: str) -> elbv2.ApplicationTargetGroup:
        return elbv2.ApplicationTargetGroup(
            listener,
            name,
            vpc=vpc,
            port=port,
            protocol=elbv2.ApplicationProtocol.HTTP,
            target_type=elbv2.TargetType.IP,
            deregistration_delay=drain,
            health_check=elbv2.HealthCheck(path=health_path, interval=seconds(15)),
        )

    production = group("TasksGroup")
    if not two and not only_if:
        listener.add_target_groups("Tasks", target_groups=[production])
        return Targets(production, None, None)

    alternate = group("AlternateGroup") if two else None
    refusal = elbv2.ListenerAction.fixed_response(403 if only_if else 404, content_type="text/plain", message_body="")
    listener.add_action("Otherwise", action=refusal)
    shares = [elbv2.WeightedTargetGroup(target_group=production, weight=100)]
    if alternate:
        shares.append(elbv2.WeightedTargetGroup(target_group=alternate, weight=0))
    rule = elbv2.ApplicationListenerRule(
        listener,
        "Production",
        listener=listener,
        priority=1,
        conditions=[*only_if] or [elbv2.ListenerCondition.path_patterns(["/*"])],
        action=elbv2.ListenerAction.weighted_forward(shares),
    )
    return Targets(production, alternate, rule)


def attach(service: ecs.FargateService, targets: Targets) -> None:
    """Put the tasks of ``service`` behind ``targets``; with two groups, let ECS move the requests between them."""
    if targets.rule is not None:
        service.node.add_dependency(targets.rule)
    if targets.rule is None or targets.alternate is None:
        targets.production.add_target(service)
        return
    # "Amazon ECS infrastructure IAM role for load balancers" in the Amazon ECS Developer Guide.
    policy = "AmazonECSInfrastructureRolePolicyForLoadBalancers"
    mover = iam.Role(
        service,
        "TrafficShift",
        assumed_by=iam.ServicePrincipal("ecs.amazonaws.com"),
        managed_policies=[iam.ManagedPolicy.from_aws_managed_policy_name(policy)],
    )
    reason = "AWS keeps this policy for exactly this role, and changes it with what ECS needs to move requests."
    acknowledge(mover, {f"IAM4[Policy::arn:<AWS::Partition>:iam::aws:policy/{policy}]": reason})
    container = service.task_definition.default_container
    assert container is not None, "a service behind a load balancer has a container"
    target = service.load_balancer_target(
        container_name=container.container_name,
        container_port=container.container_port,
        alternate_target=ecs.AlternateTarget(
            "Alternate",
            alternate_target_group=targets.alternate,
            production_listener=ecs.ListenerRuleConfiguration.application_listener_rule(targets.rule),
            role=mover,
        ),
    )
    targets.production.add_target(target)
