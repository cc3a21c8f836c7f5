"""Application Auto Scaling of ECS services: its bounds, and nothing that follows a load."""

from __future__ import annotations

from typing import Any

from local.cloud.additions.networks import add_type, register
from local.cloud.additions.patching import require

DIMENSION = "ecs:service:DesiredCount"


def apply() -> None:
    """ministack has no Application Auto Scaling, AWS has: here a target keeps the count within its bounds once.

    That is when a stack makes or changes it, as RegisterScalableTarget does. Policies and scheduled actions are kept
    by the stack, and nothing ever follows them.
    """
    from ministack.services import ecs
    from ministack.services.cloudformation import provisioners

    require(ecs, "_services", "_update_service")
    handlers = provisioners._RESOURCE_HANDLERS
    add_type(handlers, "AWS::ApplicationAutoScaling::ScalingPolicy", "policy")
    _add_targets(handlers, ecs)


def _add_targets(handlers: dict[str, Any], ecs: Any) -> None:
    def put(props: dict[str, Any]) -> tuple[str, dict[str, Any]]:
        if props["ScalableDimension"] != DIMENSION:
            raise ValueError(f"{props['ScalableDimension']} is not scaled here: {DIMENSION} alone is.")
        _service, cluster, name = props["ResourceId"].split("/")
        service = ecs._services.get(f"{cluster}/{name}")
        if service is None:
            raise ValueError(f"ECS service doesn't exist: {props['ResourceId']}")
        least, most = int(props["MinCapacity"]), int(props["MaxCapacity"])
        count = max(least, min(most, service["desiredCount"]))
        if count != service["desiredCount"]:
            ecs._update_service({"cluster": cluster, "service": name, "desiredCount": count})
        # "Return values" of AWS::ApplicationAutoScaling::ScalableTarget in the CloudFormation User Guide.
        physical_id = f"{props['ResourceId']}|{DIMENSION}|{props['ServiceNamespace']}"
        return physical_id, {"Id": physical_id}

    def create(_logical_id: str, props: dict[str, Any], _stack_name: str) -> tuple[str, dict[str, Any]]:
        return put(props)

    def update(_physical_id: str, _old: dict[str, Any], new: dict[str, Any], _stack: str) -> tuple[str, dict[str, Any]]:
        return put(new)

    register(
        handlers,
        "AWS::ApplicationAutoScaling::ScalableTarget",
        create,
        update,
        lambda _physical_id, _props: None,
    )
