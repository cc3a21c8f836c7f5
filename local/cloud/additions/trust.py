"""Who may assume a role: the ECS agent for services' roles, and no root user in a service's place."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

from local.cloud.accounts import OPERATOR
from local.cloud.additions.patching import replaces

AGENT_SESSION = "fargate-"
AGENT_PRINCIPAL = "ecs-tasks.amazonaws.com"
OPERATOR_ARN = f"arn:aws:iam::{OPERATOR.account_id}:root"


def apply() -> None:
    """ministack lets a root user assume every service's role, AWS only the service: here the agent's sessions do.

    local/fargate.py stands for the ECS agent: the operator's sessions named fargate-… are ecs-tasks.amazonaws.com.
    """
    from ministack.core import iam_evaluator as evaluator

    @replaces(evaluator, "evaluate_trust_policy", "trust_doc caller_arn ctx")
    def evaluate_trust_policy(original: Any, trust_doc: Any, caller_arn: str, ctx: Any = None) -> bool:
        document = json.loads(trust_doc) if isinstance(trust_doc, str) else trust_doc
        statements = document.get("Statement", [])
        statements = [statements] if isinstance(statements, dict) else statements
        session = str(ctx.service_context.get("sts:rolesessionname") or "") if ctx else ""
        if caller_arn == OPERATOR_ARN and session.startswith(AGENT_SESSION):
            keys = {
                "aws:sourceaccount": OPERATOR.account_id,
                "aws:sourcearn": f"arn:aws:ecs:{ctx.region}:{OPERATOR.account_id}:*",
            }
            ctx = replace(ctx, service_context=ctx.service_context | keys)
            statements = [s | {"Principal": "*"} for s in statements if names_service(s, AGENT_PRINCIPAL)]
        else:
            statements = [_without_services(s) for s in statements]
        return bool(original({**document, "Statement": statements}, caller_arn, ctx))


def names_service(statement: dict[str, Any], service: str) -> bool:
    """Whether a policy statement's principal is, or includes, this AWS service."""
    principal = statement.get("Principal")
    named = principal.get("Service", []) if isinstance(principal, dict) else []
    return service in ([named] if isinstance(named, str) else named)


def _without_services(statement: dict[str, Any]) -> dict[str, Any]:
    principal = statement.get("Principal")
    if not isinstance(principal, dict):
        return statement
    return statement | {"Principal": {kind: who for kind, who in principal.items() if kind != "Service"}}
