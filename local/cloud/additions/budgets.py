"""Budgets that a stack makes."""

from __future__ import annotations

from typing import Any

from local.cloud.additions.networks import register
from local.cloud.additions.patching import require


def apply() -> None:
    """ministack's CloudFormation knows no Budget, its own API does: a stack makes them there. Nothing is ever spent."""
    from ministack.services import budgets
    from ministack.services.cloudformation import provisioners

    require(budgets, "_create_budget", "_delete_budget")
    require(provisioners, "_physical_name")

    def make(name: str, props: dict[str, Any]) -> tuple[str, dict[str, Any]]:
        request = {
            "Budget": _api_form(props["Budget"]) | {"BudgetName": name},
            "NotificationsWithSubscribers": props.get("NotificationsWithSubscribers", []),
        }
        status, _headers, body = budgets._create_budget(request)
        if status >= 400:
            raise ValueError(f"AWS::Budgets::Budget failed: {body!r}")
        return name, {}

    def create(logical_id: str, props: dict[str, Any], stack_name: str) -> tuple[str, dict[str, Any]]:
        given = props["Budget"].get("BudgetName")
        return make(given or provisioners._physical_name(stack_name, logical_id, max_len=100), props)

    def update(physical_id: str, _old: dict[str, Any], new: dict[str, Any], _stack: str) -> tuple[str, dict[str, Any]]:
        budgets._delete_budget({"BudgetName": physical_id})
        return make(physical_id, new)

    def delete(physical_id: str, _props: dict[str, Any]) -> None:
        budgets._delete_budget({"BudgetName": physical_id})

    register(provisioners._RESOURCE_HANDLERS, "AWS::Budgets::Budget", create, update, delete)


def _api_form(budget: dict[str, Any]) -> dict[str, Any]:
    """The API writes an amount as text, a template as a number."""
    limit = budget["BudgetLimit"]
    return budget | {"BudgetLimit": limit | {"Amount": str(limit["Amount"])}}
