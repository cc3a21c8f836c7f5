"""The name under which a load balancer or a distribution is known."""

from __future__ import annotations

from aws_cdk import aws_route53 as route53
from constructs import Construct

from snowgate.tokens import is_token


def check_domain(path: str, domain: str | None, hosted_zone: route53.IHostedZone | None) -> None:
    """Refuse a zone without a domain, and a domain that is not in the zone.

    Raises:
        ValueError: says which, for the construct at ``path``.
    """
    if hosted_zone is None:
        return
    zone = hosted_zone.zone_name
    if domain is None:
        raise ValueError(f"{path} has a hosted_zone but no domain. Give domain, as in reports.{zone}.")
    if is_token(domain) or is_token(zone):
        return
    if domain != zone and not domain.endswith(f".{zone}"):
        nearest = f"{domain.partition('.')[0]}.{zone}"
        raise ValueError(f"{path}: the domain {domain} is not in the hosted zone {zone}; nearest is {nearest}.")


def add_alias(
    scope: Construct, domain: str, hosted_zone: route53.IHostedZone, target: route53.IAliasRecordTarget, *, ipv6: bool
) -> None:
    """Let ``domain`` lead to ``target``, by IPv6 too if it has such addresses."""
    where = route53.RecordTarget.from_alias(target)
    route53.ARecord(scope, "Alias", zone=hosted_zone, record_name=domain, target=where)
    if ipv6:
        route53.AaaaRecord(scope, "AliasIpv6", zone=hosted_zone, record_name=domain, target=where)
