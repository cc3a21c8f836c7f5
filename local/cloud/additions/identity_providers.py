"""OIDC providers that a stack makes."""

from __future__ import annotations

from typing import Any

from local.cloud.additions.networks import Attributes, register
from local.cloud.additions.patching import require


def apply() -> None:
    """ministack's CloudFormation knows no OIDCProvider, its IAM does: a stack makes them there.

    Nobody comes in by one: AssumeRoleWithWebIdentity, which AWS's tools send unsigned, is refused as every unsigned
    request is. No token's signature would be checked.
    """
    from ministack.services import iam
    from ministack.services.cloudformation import provisioners

    require(iam, "_create_oidc_provider", "_delete_oidc_provider", "_oidc_providers")

    def create(_logical_id: str, props: dict[str, Any], _stack_name: str) -> tuple[str, Attributes]:
        request = {"Url": [props["Url"]]}
        request |= {f"ClientIDList.member.{n}": [one] for n, one in enumerate(props.get("ClientIdList", []), 1)}
        status, _headers, body = iam._create_oidc_provider(request)
        if status >= 400:
            raise ValueError(f"AWS::IAM::OIDCProvider failed: {body!r}")
        [arn] = [arn for arn, one in iam._oidc_providers.items() if one["Url"] == props["Url"]]
        return arn, {"Arn": arn}

    def update(arn: str, old: dict[str, Any], new: dict[str, Any], stack: str) -> tuple[str, Attributes]:
        if old["Url"] != new["Url"]:
            return create("", new, stack)
        iam._oidc_providers[arn]["ClientIDList"] = new.get("ClientIdList", [])
        return arn, {"Arn": arn}

    def delete(arn: str, _props: dict[str, Any]) -> None:
        iam._delete_oidc_provider({"OpenIDConnectProviderArn": [arn]})

    register(provisioners._RESOURCE_HANDLERS, "AWS::IAM::OIDCProvider", create, update, delete)
