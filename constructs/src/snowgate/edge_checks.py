"""What an Edge refuses."""

from __future__ import annotations

import aws_cdk as cdk
from aws_cdk import aws_certificatemanager as acm
from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_route53 as route53
from constructs import Construct

from snowgate.tokens import is_token
from snowgate.web_address import check_domain
from snowgate.web_service import WebService

VIRGINIA = "us-east-1"


def check_origin(edge: Construct, service: WebService) -> None:
    """Refuse a service that can be reached round the edge, or that CloudFront cannot reach.

    Raises:
        ValueError: says which, and what to give the service.
    """
    path, origin = edge.node.path, service.node.path
    if not service.is_behind_edge:
        raise ValueError(f"{path}: {origin} can be reached round the edge. Give the WebService behind_edge=True.")
    if service.is_tls and service.domain is None:
        raise ValueError(
            f"{path}: {origin} speaks TLS, but has no domain that its certificate is for, and CloudFront checks that. "
            "Give the WebService the domain, or leave its certificate out if it is internal: the way there is private."
        )
    if not service.is_public and isinstance(service.vpc, ec2.Vpc) and service.vpc.internet_gateway_id is None:
        raise ValueError(
            f"{path}: CloudFront reaches a VPC only if it has an internet gateway, although nothing passes through it, "
            f"and that of {origin} has none. Take a network with public subnets: NetworkMode.NAT_INSTANCE or "
            "NAT_GATEWAYS keep the tasks in private ones."
        )
    here, there = cdk.Stack.of(edge).region, cdk.Stack.of(service).region
    if here != there:
        raise ValueError(f"{path} is in {here} and {origin} in {there}. Put the Edge beside its service.")


def check_names(
    edge: Construct,
    service: WebService,
    domain: str | None,
    hosted_zone: route53.IHostedZone | None,
    certificate: acm.ICertificate | None,
) -> None:
    """Refuse a domain that is the origin's, that has no certificate, or one that CloudFront does not take.

    Raises:
        ValueError: says which, and where a certificate is made.
    """
    path = edge.node.path
    check_domain(path, domain, hosted_zone)
    if certificate is not None and domain is None:
        raise ValueError(f"{path} has a certificate but no domain. Give the domain that it is for.")
    if domain is not None and service.is_public and domain == service.domain:
        raise ValueError(
            f"{path}: under {domain} CloudFront looks for the load balancer of {service.node.path}, and would find "
            f"itself. Give one of them another domain, as in origin.{domain} for the WebService."
        )
    if domain is None:
        return
    region = _region_of(certificate) if certificate else cdk.Stack.of(edge).region
    if certificate is None and (hosted_zone is None or region != VIRGINIA):
        raise ValueError(
            f"{path}: no certificate for {domain}. CloudFront takes those of {VIRGINIA} alone, whatever region the "
            f"service is in: one is made here only if the stack is there and has the hosted_zone. Make it in a stack "
            f"in {VIRGINIA}, both stacks with cross_region_references=True, or give one by its ARN."
        )
    if not is_token(region) and region != VIRGINIA:
        raise ValueError(
            f"{path}: the certificate is in {region}, and CloudFront takes those of {VIRGINIA} alone, whatever region "
            "the service is in."
        )


def _region_of(certificate: acm.ICertificate) -> str:
    """That of its ARN, which the CDK does not read, or of the stack that makes it."""
    arn = certificate.certificate_arn
    return certificate.env.region if is_token(arn) else arn.split(":")[3]


def check_firewall(edge: Construct, web_acl_arn: str | None, *, waf: bool) -> None:
    """Refuse a firewall that cannot be made here, or that is not for CloudFront.

    Raises:
        ValueError: says which, and where it is made.
    """
    path, region = edge.node.path, cdk.Stack.of(edge).region
    if web_acl_arn is not None and not waf:
        raise ValueError(f"{path} has a web_acl_arn and waf=False. Leave one of them out.")
    if web_acl_arn is None and waf and region != VIRGINIA:
        raise ValueError(
            f"{path}: AWS WAF keeps web ACLs for CloudFront in {VIRGINIA}, and this stack is in {region}. Make a "
            f"WebAcl with cloudfront=True in a stack there and give its ARN as web_acl_arn, or say waf=False."
        )
    known = web_acl_arn is not None and not is_token(web_acl_arn)
    if known and f":wafv2:{VIRGINIA}:" not in str(web_acl_arn) or known and ":global/webacl/" not in str(web_acl_arn):
        raise ValueError(
            f"{path}: {web_acl_arn} is no web ACL for CloudFront; such a one is "
            f"arn:aws:wafv2:{VIRGINIA}:<account>:global/webacl/<name>/<id>."
        )
