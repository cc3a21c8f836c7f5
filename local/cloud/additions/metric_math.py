"""Alarms on metric math."""

from __future__ import annotations

from typing import Any

from local.cloud.additions.patching import replaces_entry


def apply() -> None:
    """ministack refuses an alarm with `Metrics`, AWS takes it: here the stack keeps it, and it never fires."""
    from ministack.core.responses import get_account_id, get_region
    from ministack.services.cloudformation import provisioners

    handlers = provisioners._RESOURCE_HANDLERS["AWS::CloudWatch::Alarm"]

    def kept(name: str) -> tuple[str, dict[str, Any]]:
        return name, {"Arn": f"arn:aws:cloudwatch:{get_region()}:{get_account_id()}:alarm:{name}"}

    @replaces_entry(handlers, "create", "logical_id props stack_name", "AWS::CloudWatch::Alarm")
    def create(original: Any, logical_id: str, props: dict[str, Any], stack_name: str) -> Any:
        if props.get("Metrics"):
            return kept(props.get("AlarmName") or f"{stack_name}-{logical_id}")
        return original(logical_id, props, stack_name)

    @replaces_entry(
        handlers, "update", "physical_id old_props new_props stack_name logical_id", "AWS::CloudWatch::Alarm"
    )
    def update(original: Any, physical_id: str, old: dict[str, Any], new: dict[str, Any], *rest: Any) -> Any:
        if new.get("Metrics"):
            return kept(new.get("AlarmName") or physical_id)
        return original(physical_id, old, new, *rest)
