"""CloudFront before a service."""

from __future__ import annotations

from collections.abc import Sequence

import aws_cdk as cdk
from aws_cdk import aws_certificatemanager as acm
from aws_cdk import aws_cloudfront as cloudfront
from aws_cdk import aws_cloudfront_origins as origins
from aws_cdk import aws_cloudwatch as cloudwatch
from aws_cdk import aws_iam as iam
from aws_cdk import aws_logs as logs
from aws_cdk import aws_route53 as route53
from aws_cdk import aws_route53_targets as route53_targets
from constructs import Construct

from snowgate.access_log_bucket import AccessLogBucket
from snowgate.acknowledgements import acknowledge
from snowgate.architecture import Architecture
from snowgate.asked_once import days, seconds, tcp
from snowgate.cloudfront_prefix_list import CloudFrontPrefixList
from snowgate.edge_checks import VIRGINIA, check_firewall, check_names, check_origin
from snowgate.origin_rotation import OriginRotation
from snowgate.origin_verify import ORIGIN_HEADER
from snowgate.web_acl import WebAcl
from snowgate.web_address import add_alias
from snowgate.web_service import WebService


class Edge(Construct):
    """A CloudFront distribution before a WebService that says ``behind_edge``, and that nobody reaches round it.

    An internal load balancer is reached by a VPC origin, through no public address. A public one lets in CloudFront's
    addresses alone, and only with a secret header, which a function exchanges every ``rotate_every``, 30 days by
    default.

    ``domain`` has a ``certificate`` of us-east-1; one is made if the stack is there and ``hosted_zone`` is given. In
    that zone the domain then leads to CloudFront. Without a domain callers use CloudFront's own name.

    Answers are kept for as long as their Cache-Control says, not at all without one, and never under
    ``uncached_paths``. ``waf`` puts a WebAcl with ``rate_limit`` before it, which is made in us-east-1 too: in other
    regions give a ``web_acl_arn``. CloudFront's name is in ``host``, what callers use in ``url``.

    Raises:
        ValueError: the service can be reached round the edge, or not by it; a domain, certificate or firewall that does
            not fit; each with what to do instead.
    """

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        service: WebService,
        domain: str | None = None,
        hosted_zone: route53.IHostedZone | None = None,
        certificate: acm.ICertificate | None = None,
        price_class: cloudfront.PriceClass = cloudfront.PriceClass.PRICE_CLASS_100,
        uncached_paths: Sequence[str] = ("/api/*",),
        waf: bool = True,
        web_acl_arn: str | None = None,
        rate_limit: int = 2000,
        rotate_every: cdk.Duration | None = None,
        python: str = "3.13",
        architecture: Architecture = Architecture.ARM64,
        keep_logs: cdk.Duration | None = None,
        log_retention: logs.RetentionDays = logs.RetentionDays.ONE_MONTH,
        removal_policy: cdk.RemovalPolicy = cdk.RemovalPolicy.DESTROY,
    ) -> None:
        super().__init__(scope, construct_id)
        check_origin(self, service)
        check_names(self, service, domain, hosted_zone, certificate)
        check_firewall(self, web_acl_arn, waf=waf)

        if certificate is None and domain is not None and hosted_zone is not None:
            proof = acm.CertificateValidation.from_dns(hosted_zone)
            certificate = acm.Certificate(self, "Certificate", domain_name=domain, validation=proof)
        if web_acl_arn is None and waf:
            web_acl_arn = WebAcl(self, "WebAcl", cloudfront=True, rate_limit=rate_limit).arn
        self.access_logs = AccessLogBucket(
            self, "AccessLogs", for_cloudfront=True, keep=keep_logs, removal_policy=removal_policy
        ).bucket
        callers = CloudFrontPrefixList(self, "Callers", log_retention=log_retention, removal_policy=removal_policy)
        origin = _origin(service)
        self.distribution = cloudfront.Distribution(
            self,
            "Distribution",
            comment=f"{cdk.Stack.of(self).stack_name}: before {service.node.path}",
            default_behavior=_behavior(origin, self._cache_policy()),
            additional_behaviors={
                path: _behavior(origin, cloudfront.CachePolicy.CACHING_DISABLED) for path in uncached_paths
            },
            domain_names=[domain] if domain else None,
            certificate=certificate,
            minimum_protocol_version=cloudfront.SecurityPolicyProtocol.TLS_V1_2_2021 if certificate else None,
            http_version=cloudfront.HttpVersion.HTTP2_AND_3,
            price_class=price_class,
            web_acl_id=web_acl_arn,
            enable_logging=True,
            log_bucket=self.access_logs,
            log_file_prefix="cloudfront/",
        )

        port = tcp(443 if service.is_tls else 80)
        service.load_balancer.connections.allow_from(callers.peer, port, "From CloudFront")
        if service.origin_verify and service.production_rule:
            OriginRotation(
                self,
                "OriginRotation",
                secret=service.origin_verify.secret,
                rule=service.production_rule,
                distribution=self.distribution,
                log_bucket=self.access_logs,
                web_acl_arn=web_acl_arn,
                every=rotate_every or days(30),
                python=python,
                architecture=architecture,
                log_retention=log_retention,
                removal_policy=removal_policy,
            )
        if domain and hosted_zone:
            leads_to = route53_targets.CloudFrontTarget(self.distribution)
            add_alias(self, domain, hosted_zone, leads_to, ipv6=True)
        self._acknowledge(domain, web_acl_arn)

        self.host = self.distribution.distribution_domain_name
        self.url = f"https://{domain or self.host}"

    def grant_invalidate(self, grantee: iam.IGrantable) -> iam.Grant:
        """Let ``grantee`` throw kept answers away."""
        return self.distribution.grant_create_invalidation(grantee)

    def metric_requests(self) -> cloudwatch.Metric:
        """Requests that CloudFront took, summed over five minutes. CloudFront's metrics are in us-east-1."""
        return self.distribution.metric_requests(statistic="Sum", region=VIRGINIA)

    def metric_errors(self) -> cloudwatch.Metric:
        """Percent of the answers with 5xx, over five minutes. CloudFront's metrics are in us-east-1."""
        return self.distribution.metric5xx_error_rate(statistic="Average", region=VIRGINIA)

    def _cache_policy(self) -> cloudfront.CachePolicy:
        """What the answer's Cache-Control says; no header and no cookie is part of the key."""
        return cloudfront.CachePolicy(
            self,
            "CachePolicy",
            comment="As long as Cache-Control says, and not at all without it",
            default_ttl=seconds(0),
            min_ttl=seconds(0),
            max_ttl=days(365),
            query_string_behavior=cloudfront.CacheQueryStringBehavior.all(),
            enable_accept_encoding_brotli=True,
            enable_accept_encoding_gzip=True,
        )

    def _acknowledge(self, domain: str | None, web_acl_arn: str | None) -> None:
        reasons = {"CFR1": "Who may call is the service's to decide, by its token and not by country."}
        if web_acl_arn is None:
            reasons["CFR2"] = "waf=False was asked for; the service itself limits and authenticates its callers."
        if domain is None:
            reasons["CFR4"] = "CloudFront's own name has CloudFront's own certificate, and takes older TLS with it."
        acknowledge(self.distribution, reasons)


def _origin(service: WebService) -> cloudfront.IOrigin:
    """The way to the load balancer: through the VPC, or with the secret header."""
    only = cloudfront.OriginProtocolPolicy
    policy = only.HTTPS_ONLY if service.is_tls else only.HTTP_ONLY
    if service.origin_verify is None or service.domain is None:
        return origins.VpcOrigin.with_application_load_balancer(
            service.load_balancer,
            domain_name=service.domain,
            protocol_policy=policy,
            origin_ssl_protocols=[cloudfront.OriginSslPolicy.TLS_V1_2],
        )
    return origins.HttpOrigin(
        service.domain,
        protocol_policy=policy,
        origin_ssl_protocols=[cloudfront.OriginSslPolicy.TLS_V1_2],
        custom_headers={ORIGIN_HEADER: service.origin_verify.value},
    )


def _behavior(origin: cloudfront.IOrigin, cache: cloudfront.ICachePolicy) -> cloudfront.BehaviorOptions:
    return cloudfront.BehaviorOptions(
        origin=origin,
        cache_policy=cache,
        # The certificate of the load balancer is for its own name, which is what it is then asked for.
        origin_request_policy=cloudfront.OriginRequestPolicy.ALL_VIEWER_EXCEPT_HOST_HEADER,
        response_headers_policy=cloudfront.ResponseHeadersPolicy.SECURITY_HEADERS,
        viewer_protocol_policy=cloudfront.ViewerProtocolPolicy.REDIRECT_TO_HTTPS,
        allowed_methods=cloudfront.AllowedMethods.ALLOW_ALL,
        compress=True,
    )
