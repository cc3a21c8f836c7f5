"""Requests that AWS refuses and ministack would take."""

from __future__ import annotations

import json
from typing import Any

from local.cloud.additions.patching import replaces, replaces_entry, require

MOST_SERVICES = 10  # of one DescribeServices


def apply() -> None:
    """ministack keeps any desired count, task definition and trust policy; AWS checks them."""
    from ministack.services import ecs, iam

    require(ecs, "_clusters", "_task_defs", "_resolve_cluster_name", "_resolve_td_key")
    _check_services(ecs)
    _check_trust_policies(iam)


def _check_services(ecs: Any) -> None:
    from ministack.core.responses import error_response_json

    for action in ("CreateService", "UpdateService"):

        @replaces_entry(ecs._ACTION_MAP, action, "data", "ecs._ACTION_MAP")
        def change(original: Any, data: dict[str, Any]) -> Any:
            definition = data.get("taskDefinition")
            if ecs._resolve_cluster_name(data.get("cluster", "default")) not in ecs._clusters:
                return error_response_json("ClusterNotFoundException", "Cluster not found.", 400)
            if definition and ecs._resolve_td_key(definition) not in ecs._task_defs:
                return error_response_json("ClientException", "Unable to describe task definition.", 400)
            if (data.get("desiredCount") or 0) < 0:
                message = "Invalid desiredCount. It must be greater than or equal to 0."
                return error_response_json("InvalidParameterException", message, 400)
            return original(data)

    @replaces_entry(ecs._ACTION_MAP, "DescribeServices", "data", "ecs._ACTION_MAP")
    def describe(original: Any, data: dict[str, Any]) -> Any:
        if len(data.get("services") or []) > MOST_SERVICES:
            message = f"Services cannot have more than {MOST_SERVICES} items."
            return error_response_json("InvalidParameterException", message, 400)
        return original(data)


def _check_trust_policies(iam: Any) -> None:
    @replaces(iam, "_trust_policy_not_principal_error", "doc")
    def trust_policy_error(original: Any, doc: Any) -> Any:
        try:
            document = json.loads(doc) if isinstance(doc, str) else doc
        except ValueError:
            return "This policy contains invalid Json"
        if not isinstance(document, dict) or "Statement" not in document:
            return "Syntax errors in policy."
        return original(doc)
