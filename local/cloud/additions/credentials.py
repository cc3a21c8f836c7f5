"""Root keys are checked like all others, and nobody is root without one."""

from __future__ import annotations

from typing import Any

from local.cloud.accounts import ACCOUNTS
from local.cloud.additions.patching import replaces, require

ROOT_KEYS = {account.access_key_id: account for account in ACCOUNTS}
# AWS lets anybody reach these; the API's or the function's own policy decides behind them.
OPEN_ACTIONS = ("execute-api:Invoke", "lambda:InvokeFunctionUrl")


def apply() -> None:
    """ministack takes "test" and any twelve digits for a root user unchecked, AWS checks all: only `accounts` pass."""
    from ministack.core import iam_evaluator as evaluator

    require(evaluator, "_signed_request", "_resource_policy", "AuthError", "EvalContext", "ResolvedCredential")

    @replaces(evaluator, "is_root_access_key", "access_key_id")
    def is_root_access_key(_original: Any, access_key_id: str) -> bool:
        # Without a key: what OPEN_ACTIONS reach. All else is refused below before anybody asks.
        return not access_key_id or access_key_id in ROOT_KEYS

    @replaces(evaluator, "_is_root_key", "access_key_id")
    def skips_signature_check(_original: Any, _access_key_id: str) -> bool:
        return False

    @replaces(evaluator, "resolve_credential", "access_key_id account_id session_token")
    def resolve_credential(original: Any, access_key_id: str, *arguments: Any, **options: Any) -> Any:
        account = ROOT_KEYS.get(access_key_id)
        if account is None:
            return original(access_key_id, *arguments, **options)
        return evaluator.ResolvedCredential(
            access_key_id=account.access_key_id,
            secret_access_key=account.secret_access_key,
            account_id=account.account_id,
            principal_arn=f"arn:aws:iam::{account.account_id}:root",
            principal_id=account.account_id,
            principal_type="Root",
            source_access_key_id=account.access_key_id,
        )

    _refuse_anonymous(evaluator)
    _name_roles_of_sessions(evaluator)


def _refuse_anonymous(evaluator: Any) -> None:
    """ministack serves a call without a key as root, AWS as nobody: it passes only where a bucket's policy says so."""

    def missing() -> Any:
        return evaluator.AuthError("MissingAuthenticationToken", "Request is missing Authentication Token")

    @replaces(evaluator, "enforce", "access_key_id iam_action service region resource_arn service_context")
    def enforce(
        original: Any,
        access_key_id: str,
        iam_action: str,
        service: str,
        region: str,
        resource_arn: str = "*",
        service_context: dict[str, Any] | None = None,
    ) -> Any:
        if access_key_id or iam_action in OPEN_ACTIONS or evaluator._signed_request.get() is not None:
            refused = original(access_key_id, iam_action, service, region, resource_arn, service_context)
            return refused or _denied_root(evaluator, access_key_id, iam_action, service, region, resource_arn)
        if service != "s3":
            return missing()
        anybody = evaluator.EvalContext("*", "Anonymous", "", iam_action, resource_arn, region)
        policy = (evaluator._resource_policy(service, resource_arn) or (None,))[0]
        decision = evaluator.evaluate_resource_policy(policy, anybody)
        return None if decision.decision == "Allow" else decision

    @replaces(evaluator, "check_credentials", "access_key_id service")
    def check_credentials(original: Any, access_key_id: str, service: str | None = None) -> Any:
        if not access_key_id and evaluator._signed_request.get() is None:
            return missing()
        return original(access_key_id, service)


def _denied_root(
    evaluator: Any, access_key_id: str, iam_action: str, service: str, region: str, resource_arn: str
) -> Any:
    """ministack lets a root user pass every resource policy, AWS denies it what the policy denies to all.

    Only a bucket's policy itself stays in its reach, or nobody could mend it.
    """
    account = ROOT_KEYS.get(access_key_id)
    found = evaluator._resource_policy(service, resource_arn)
    if account is None or found is None or iam_action.endswith("BucketPolicy"):
        return None
    root = evaluator.EvalContext(
        f"arn:aws:iam::{account.account_id}:root", "Root", account.account_id, iam_action, resource_arn, region
    )
    result = evaluator.evaluate_resource_policy(found[0], root)
    if result.decision != "Deny":
        return None
    result.resource_policy_arn = resource_arn
    return result


def _name_roles_of_sessions(evaluator: Any) -> None:
    """ministack gives aws:PrincipalArn of a role's session as the session's ARN, AWS as the role's."""
    from ministack.services import iam

    @replaces(evaluator, "_resolve_condition_key", "key ctx")
    def resolve_condition_key(original: Any, key: str, context: Any) -> Any:
        value = original(key, context)
        if key.lower() != "aws:principalarn" or ":assumed-role/" not in str(value):
            return value
        account, name = value.split(":")[4], value.split("/")[1]
        role = iam._roles.get_scoped(account, None, name)
        return role["Arn"] if role else f"arn:aws:iam::{account}:role/{name}"
