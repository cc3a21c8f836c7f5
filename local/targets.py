"""The tasks behind load balancers: what the ECS service scheduler registers in its services' target groups."""

from __future__ import annotations

import socket
from collections.abc import Iterable, Mapping
from typing import Any

HOST = "127.0.0.1"

Target = tuple[str, int]  # a target group's ARN and a task's port


def groups_of(ecs: Any, cluster: str, task_group: str) -> list[str]:
    """The ARNs of the target groups of the service that a task belongs to; none for a task that was run by itself."""
    kind, _, name = task_group.partition(":")
    if kind != "service":
        return []
    services = ecs.describe_services(cluster=cluster, services=[name])["services"]
    balancers: Iterable[Mapping[str, Any]] = services[0].get("loadBalancers", []) if services else []
    return [balancer["targetGroupArn"] for balancer in balancers if "targetGroupArn" in balancer]


def _answers(port: int) -> bool:
    """Whether something listens there: until then a health check would fail, and no request would come."""
    with socket.socket() as probe:
        probe.settimeout(0.2)
        return probe.connect_ex((HOST, port)) == 0


class Targets:
    """Keeps the registered targets equal to the tasks that answer."""

    def __init__(self, elb: Any) -> None:
        self._elb = elb
        self._registered: set[Target] | None = None

    def sync(self, running: set[Target]) -> None:
        """Register those that answer, deregister those that run no more."""
        if self._registered is None:
            self._registered = self._found()
        wanted = {target for target in running if target in self._registered or _answers(target[1])}
        for group, port in wanted - self._registered:
            self._elb.register_targets(TargetGroupArn=group, Targets=[{"Id": HOST, "Port": port}])
        for group, port in self._registered - wanted:
            self._deregister(group, port)
        self._registered = wanted

    def _found(self) -> set[Target]:
        """What a runner before this one has left: its tasks are gone."""
        found = set()
        for group in self._elb.describe_target_groups()["TargetGroups"]:
            arn = group["TargetGroupArn"]
            for health in self._elb.describe_target_health(TargetGroupArn=arn)["TargetHealthDescriptions"]:
                found.add((arn, int(health["Target"]["Port"])))
        return found

    def _deregister(self, group: str, port: int) -> None:
        try:
            self._elb.deregister_targets(TargetGroupArn=group, Targets=[{"Id": HOST, "Port": port}])
        except self._elb.exceptions.TargetGroupNotFoundException:
            return  # it went with its stack
