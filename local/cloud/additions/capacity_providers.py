"""Which capacity providers a cluster uses, FARGATE and FARGATE_SPOT."""

from __future__ import annotations

from typing import Any

from local.cloud.additions.networks import register
from local.cloud.additions.patching import require
from local.cloud.additions.task_definitions import api_spelling


def apply() -> None:
    """ministack has no ClusterCapacityProviderAssociations, AWS has: it is PutClusterCapacityProviders."""
    from ministack.services import ecs
    from ministack.services.cloudformation import provisioners

    require(ecs, "_put_cluster_capacity_providers")

    def put(props: dict[str, Any], providers: list[str], strategy: list[dict[str, Any]]) -> tuple[str, dict[str, Any]]:
        request = {
            "cluster": props["Cluster"],
            "capacityProviders": providers,
            "defaultCapacityProviderStrategy": api_spelling(strategy),
        }
        status, _headers, body = ecs._put_cluster_capacity_providers(request)
        if status >= 400:
            raise ValueError(f"AWS::ECS::ClusterCapacityProviderAssociations failed: {body!r}")
        return str(props["Cluster"]), {}

    def create(_logical_id: str, props: dict[str, Any], _stack_name: str) -> tuple[str, dict[str, Any]]:
        return put(props, props["CapacityProviders"], props["DefaultCapacityProviderStrategy"])

    def update(_physical_id: str, _old: dict[str, Any], new: dict[str, Any], _stack: str) -> tuple[str, dict[str, Any]]:
        return put(new, new["CapacityProviders"], new["DefaultCapacityProviderStrategy"])

    def delete(_physical_id: str, props: dict[str, Any]) -> None:
        put(props, [], [])

    handlers = provisioners._RESOURCE_HANDLERS
    register(handlers, "AWS::ECS::ClusterCapacityProviderAssociations", create, update, delete)
