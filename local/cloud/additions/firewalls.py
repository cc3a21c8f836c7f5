"""Which firewall stands before which resource: ministack has AWS WAF's call for it, and no resource in stacks."""

from __future__ import annotations

from typing import Any

from local.cloud.additions.networks import Attributes, register
from local.cloud.additions.patching import require

ASSOCIATION = "AWS::WAFv2::WebACLAssociation"


def apply() -> None:
    """ministack's CloudFormation cannot associate a web ACL, AWS's can; no request is ever stopped here."""
    from ministack.services import waf
    from ministack.services.cloudformation import provisioners

    require(waf, "_associate_web_acl", "_disassociate_web_acl")

    def create(_logical_id: str, props: dict[str, Any], _stack_name: str) -> tuple[str, Attributes]:
        status, _, body = waf._associate_web_acl(props)
        if status != 200:
            raise ValueError(f"{ASSOCIATION}: AWS WAF refuses it: {body!r}")
        return f"{props['WebACLArn']}|{props['ResourceArn']}", {}

    def update(physical_id: str, old: dict[str, Any], new: dict[str, Any], stack_name: str) -> tuple[str, Attributes]:
        return (physical_id, {}) if old == new else create("", new, stack_name)  # "Update requires: Replacement"

    def delete(_physical_id: str, props: dict[str, Any]) -> None:
        waf._disassociate_web_acl(props)

    register(provisioners._RESOURCE_HANDLERS, ASSOCIATION, create, update, delete)
