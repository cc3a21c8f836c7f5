"""Roles that AWS services act as: who may assume them, and what they may do."""

from __future__ import annotations

import json
from typing import Any

from local.cloud.additions.trust import names_service


def find(arn: str) -> dict[str, Any] | None:
    """A role's record by its ARN."""
    from ministack.services import iam

    if arn.count(":") != 5:
        return None
    role: dict[str, Any] | None = iam._roles.get_scoped(arn.split(":")[4], None, arn.rsplit("/", 1)[-1])
    return role


def trusts(arn: str, service: str) -> bool:
    """Whether there is such a role, and an AWS service may assume it."""
    role = find(arn)
    if role is None:
        return False
    document = role["AssumeRolePolicyDocument"]
    document = json.loads(document) if isinstance(document, str) else document
    statements = document["Statement"]
    return any(
        names_service(statement, service)
        for statement in ([statements] if isinstance(statements, dict) else statements)
    )


def session(arn: str, name: str) -> str:
    """The ARN of a role's session."""
    return arn.replace(":iam:", ":sts:").replace(":role/", ":assumed-role/") + f"/{name}"


def allows(principal: str, action: str, resource: str, region: str, keys: dict[str, str] | None = None) -> bool:
    """Whether the identity policies of a user, role session or root user allow an action."""
    from ministack.core import iam_evaluator as evaluator

    if principal.endswith(":root"):
        return True
    account, name = principal.split(":")[4], principal.split("/")[1]
    is_session = ":assumed-role/" in principal
    gather = evaluator._gather_role_policies if is_session else evaluator._gather_user_policies
    context = evaluator.EvalContext(
        principal_arn=principal,
        principal_type="AssumedRole" if is_session else "User",
        principal_account=account,
        action=action,
        resource_arn=resource,
        region=region,
        service_context=keys or {},
    )
    return bool(evaluator.evaluate(context, gather(name, account)).decision == "Allow")
