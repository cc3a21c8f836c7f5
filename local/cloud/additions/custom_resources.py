"""Custom resources: what follows a failed Create, and how long an answer may be."""

from __future__ import annotations

import json
from typing import Any

from local.cloud.additions.patching import replaces, require

LONGEST_ANSWER = 4096  # bytes, "Custom resource response objects" in the CloudFormation guide


def apply() -> None:
    """ministack sends no Delete after a failed Create and takes answers of any length, AWS does and refuses."""
    from ministack.services.cloudformation import custom_resource, provisioners

    require(custom_resource, "invoke_custom_resource", "_pending")
    failed: dict[tuple[str, str], str] = {}  # (stack id, logical id) -> the physical id that a FAILED answer named

    @replaces(custom_resource, "deliver_response", "token response")
    def deliver_response(original: Any, token: str, response: dict[str, Any]) -> Any:
        if len(json.dumps(response)) > LONGEST_ANSWER:
            response = response | {"Status": "FAILED", "Reason": "Response object is too long.", "Data": {}}
        if response.get("Status") == "FAILED" and response.get("PhysicalResourceId"):
            place = (response.get("StackId", ""), response.get("LogicalResourceId", ""))
            failed[place] = response["PhysicalResourceId"]
        return original(token, response)

    @replaces(provisioners, "_custom_resource_create", "logical_id props stack_name resource_type")
    def create(
        original: Any,
        logical_id: str,
        props: dict[str, Any],
        stack_name: str,
        resource_type: str = "AWS::CloudFormation::CustomResource",
    ) -> Any:
        place = (provisioners._cr_stack_id(stack_name), logical_id)
        failed.pop(place, None)
        try:
            return original(logical_id, props, stack_name, resource_type)
        except RuntimeError as failure:
            physical_id = failed.pop(place, None)
            if physical_id is None:
                raise
            try:
                provisioners._custom_resource_delete(physical_id, props, stack_name, logical_id, resource_type)
            except (RuntimeError, TimeoutError) as second:
                raise RuntimeError(f"{failure} (the Delete that followed failed too: {second})") from failure
            raise

    # The other name of the type finds its function in the table.
    provisioners._RESOURCE_HANDLERS["AWS::CloudFormation::CustomResource"]["create"] = (
        provisioners._custom_resource_create
    )
