"""Findings of cdk-nag that are accepted, each with its reason at the construct that causes it."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping

import aws_cdk as cdk
from constructs import IConstruct


def acknowledge(construct: IConstruct, reasons: Mapping[str, str]) -> None:
    """Record why findings of the AwsSolutions pack are accepted for a construct and what is in it.

    ``reasons`` maps a rule, as in ``"ECS4"`` or ``"IAM5[Resource::*]"``, to its reason. The pack's name goes before it:
    cdk-nag leaves an audit record only for such ids (cdk-nag README, "Acknowledging a Rule"). Where the CDK's own
    switch ``CDK_VALIDATION=false`` turns validation off, nobody reads reasons, and none are recorded: they take a
    tenth of such a synth.
    """
    if _validates():
        cdk.Validations.of(construct).acknowledge(
            *(
                cdk.Acknowledgment(id=f"AwsSolutions::AwsSolutions-{rule}", reason=reason)
                for rule, reason in reasons.items()
            )
        )


def acknowledge_pattern(construct: IConstruct, pattern: str, reason: str) -> None:
    """Record why the policies in a construct may name resources by a pattern, an ARN with ``*`` in it."""
    if _validates():
        readable = _readable(cdk.Stack.of(construct).resolve(pattern))
        acknowledge(construct, {f"IAM5[Resource::{readable}]": reason})


def _validates() -> bool:
    return os.environ.get("CDK_VALIDATION") != "false"


def _readable(value: object) -> str:
    """A resolved text as cdk-nag writes it in an id: ``<Id>`` for a reference, ``<Id.Arn>`` for an attribute."""
    if isinstance(value, str):
        return value
    if isinstance(value, dict) and len(value) == 1:
        [(function, argument)] = value.items()
        if function == "Ref":
            return f"<{argument}>"
        if function == "Fn::GetAtt":
            return f"<{'.'.join(argument)}>"
        if function == "Fn::Sub" and isinstance(argument, str):
            return re.sub(r"\$\{([^}]+)\}", r"<\1>", argument)
        if function == "Fn::Join" and argument[0] == "":
            return "".join(map(_readable, argument[1]))
    raise ValueError(f"cdk-nag has no id for a resource that is written as {value!r}.")
