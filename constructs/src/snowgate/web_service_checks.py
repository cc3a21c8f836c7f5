"""What a WebService refuses."""

from __future__ import annotations

import aws_cdk as cdk
from constructs import Construct

from snowgate.deployment import Deployment
from snowgate.fargate_task import STOPS
from snowgate.service_scaling import ServiceScaling
from snowgate.tokens import is_token


def check_entrance(service: Construct, *, public: bool, tls: bool, behind_edge: bool, waf: bool) -> None:
    """Refuse plain HTTP on the internet, a firewall in the wrong place, and a region that nobody knows.

    Raises:
        ValueError: says which, and what to give instead.
    """
    path = service.node.path
    if public and not tls:
        raise ValueError(
            f"{path} would speak plain HTTP to the internet. Give a certificate, or a domain with its hosted_zone to "
            "make one for, or leave public out: the load balancer is then internal."
        )
    if waf and behind_edge:
        raise ValueError(
            f"{path} is behind an edge: its WAF would see CloudFront's addresses and none of the callers'. Leave waf "
            "out here; the Edge has its own."
        )
    if is_token(cdk.Stack.of(service).region):
        raise ValueError(
            f"{path} is in a stack without a region, but access logs need to know it. Give the stack an "
            'environment, as in env=cdk.Environment(account="111122223333", region="eu-west-1").'
        )


def check_tasks(
    service: Construct, *, deployment: Deployment, scaling: ServiceScaling | None, min_tasks: int, drain: cdk.Duration
) -> None:
    """Refuse a drain, a number of tasks or a scaling that ECS does not bear.

    Raises:
        ValueError: says which, and what is allowed.
    """
    path = service.node.path
    if not is_token(min_tasks) and min_tasks < 1:
        raise ValueError(f"{path}: min_tasks is {min_tasks}; the least is 1. ScaleToZeroWorker is what sleeps.")
    seconds = drain.to_seconds()
    if seconds not in STOPS:
        raise ValueError(
            f"{path}: stop_timeout is {drain.to_human_string()}; Fargate allows {STOPS[0]} to {STOPS[-1]} seconds, "
            f"nearest is {STOPS[0] if seconds < STOPS[0] else STOPS[-1]} seconds."
        )
    if scaling and scaling.requests_per_task and deployment.shifts_traffic:
        # "Service auto scaling and deployments" in the Amazon ECS Developer Guide.
        raise ValueError(
            f"{path}: requests_per_task counts one target group, and a {deployment.strategy.name} deployment has two. "
            "Scale on cpu_percent or memory_percent, or take Deployment.ROLLING."
        )
