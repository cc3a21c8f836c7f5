"""The firewall before a load balancer or CloudFront."""

from __future__ import annotations

import aws_cdk as cdk
from aws_cdk import aws_elasticloadbalancingv2 as elbv2
from aws_cdk import aws_wafv2 as wafv2
from constructs import Construct

# "AWS Managed Rules rule groups list" in the AWS WAF Developer Guide, from the cheapest look at a request on.
_MANAGED = (
    "AWSManagedRulesAmazonIpReputationList",
    "AWSManagedRulesKnownBadInputsRuleSet",
    "AWSManagedRulesCommonRuleSet",
    "AWSManagedRulesSQLiRuleSet",
)
# "Rate-based rule statement" in the AWS WAF Developer Guide.
_RATES = range(10, 2_000_000_000 + 1)


class WebAcl(Construct):
    """A web ACL of AWS WAF: AWS's own rule groups, and a limit of ``rate_limit`` requests per address in five minutes.

    ``cloudfront`` says that it is for CloudFront instead of a load balancer; such a one is made in us-east-1. The
    common rule set blocks bodies above 8 KB.

    Raises:
        ValueError: for CloudFront in another region, or the rate is out of range.
    """

    def __init__(
        self, scope: Construct, construct_id: str, *, cloudfront: bool = False, rate_limit: int = 2000
    ) -> None:
        super().__init__(scope, construct_id)
        if cloudfront and cdk.Stack.of(self).region != "us-east-1":
            raise ValueError(
                f"{self.node.path}: a web ACL for CloudFront is made in us-east-1, and this stack is in "
                f"{cdk.Stack.of(self).region}. Put it into a stack of its own there, and give its ARN to what needs it."
            )
        if rate_limit not in _RATES:
            nearest = min(_RATES[0], _RATES[-1], key=lambda allowed: abs(allowed - rate_limit))
            raise ValueError(
                f"{self.node.path}: rate_limit is {rate_limit}; allowed is {_RATES[0]} to {_RATES[-1]}, nearest is "
                f"{nearest}."
            )

        self.web_acl = wafv2.CfnWebACL(
            self,
            "WebAcl",
            scope="CLOUDFRONT" if cloudfront else "REGIONAL",
            default_action=wafv2.CfnWebACL.DefaultActionProperty(allow={}),
            visibility_config=_visible(construct_id),
            rules=[_rate_rule(rate_limit), *(_managed_rule(name, place) for place, name in enumerate(_MANAGED, 1))],
        )
        self.arn = self.web_acl.attr_arn

    def protect(self, load_balancer: elbv2.IApplicationLoadBalancer) -> None:
        """Let every request of ``load_balancer`` pass through here first."""
        wafv2.CfnWebACLAssociation(
            self, "Association", resource_arn=load_balancer.load_balancer_arn, web_acl_arn=self.arn
        )


def _rate_rule(limit: int) -> wafv2.CfnWebACL.RuleProperty:
    return wafv2.CfnWebACL.RuleProperty(
        name="Rate",
        priority=0,
        action=wafv2.CfnWebACL.RuleActionProperty(block={}),
        statement=wafv2.CfnWebACL.StatementProperty(
            rate_based_statement=wafv2.CfnWebACL.RateBasedStatementProperty(limit=limit, aggregate_key_type="IP")
        ),
        visibility_config=_visible("Rate"),
    )


def _managed_rule(name: str, priority: int) -> wafv2.CfnWebACL.RuleProperty:
    return wafv2.CfnWebACL.RuleProperty(
        name=name,
        priority=priority,
        override_action=wafv2.CfnWebACL.OverrideActionProperty(none={}),
        statement=wafv2.CfnWebACL.StatementProperty(
            managed_rule_group_statement=wafv2.CfnWebACL.ManagedRuleGroupStatementProperty(vendor_name="AWS", name=name)
        ),
        visibility_config=_visible(name),
    )


def _visible(name: str) -> wafv2.CfnWebACL.VisibilityConfigProperty:
    return wafv2.CfnWebACL.VisibilityConfigProperty(
        cloud_watch_metrics_enabled=True, metric_name=name, sampled_requests_enabled=True
    )
