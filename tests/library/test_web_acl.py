"""WebAcl alone in a stack."""

from __future__ import annotations

from collections.abc import Callable

import aws_cdk as cdk
import pytest
from aws_cdk import assertions
from syrupy.assertion import SnapshotAssertion

from snowgate import WebAcl

Synthesise = Callable[[], assertions.Template]


def test_the_template_is_that_of_the_snapshot(
    stack: cdk.Stack, template: Synthesise, snapshot: SnapshotAssertion
) -> None:
    WebAcl(stack, "Acl")
    assert template().to_json() == snapshot(name="WebAcl")


def test_the_rate_is_limited_first_and_then_come_the_groups_of_aws(stack: cdk.Stack, template: Synthesise) -> None:
    WebAcl(stack, "Acl", rate_limit=500)
    [acl] = template().find_resources("AWS::WAFv2::WebACL").values()
    assert acl["Properties"]["Scope"] == "REGIONAL"
    first, *others = sorted(acl["Properties"]["Rules"], key=lambda rule: rule["Priority"])
    assert first["Statement"]["RateBasedStatement"] == {"Limit": 500, "AggregateKeyType": "IP"}
    assert first["Action"] == {"Block": {}}
    assert [rule["Name"] for rule in others][-2:] == ["AWSManagedRulesCommonRuleSet", "AWSManagedRulesSQLiRuleSet"]


def test_one_for_cloudfront_is_made_in_virginia_and_refused_elsewhere(app: cdk.App, stack: cdk.Stack) -> None:
    virginia = cdk.Stack(app, "Virginia", env=cdk.Environment(account="111122223333", region="us-east-1"))
    assert WebAcl(virginia, "Acl", cloudfront=True).web_acl.scope == "CLOUDFRONT"
    with pytest.raises(ValueError, match="made in us-east-1, and this stack is in eu-west-1"):
        WebAcl(stack, "Acl", cloudfront=True)


@pytest.mark.parametrize(("rate", "nearest"), [(9, 10), (3_000_000_000, 2_000_000_000)])
def test_a_rate_that_waf_does_not_know_is_refused(stack: cdk.Stack, rate: int, nearest: int) -> None:
    with pytest.raises(ValueError, match=f"nearest is {nearest}"):
        WebAcl(stack, "Acl", rate_limit=rate)
