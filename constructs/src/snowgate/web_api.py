"""The HTTPS address of a service whose load balancer is internal."""

from __future__ import annotations

import aws_cdk as cdk
from aws_cdk import aws_apigatewayv2 as apigatewayv2
from aws_cdk import aws_apigatewayv2_integrations as integrations
from aws_cdk import aws_cloudwatch as cloudwatch
from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_logs as logs
from constructs import Construct

from snowgate.acknowledgements import acknowledge
from snowgate.asked_once import tcp
from snowgate.fargate_cluster import TaskPlacement
from snowgate.http_api_stage import add_default_stage, host_of
from snowgate.web_service import WebService


class WebApi(Construct):
    """An HTTP API in front of ``service``: TLS and a host name that stays, without a domain of one's own.

    It passes every request on through a VPC link, as it came; who may call is the service's to decide.
    ``throttle_rate`` is calls a second, ``throttle_burst`` calls at once. API Gateway answers 503 for a service that
    takes longer than 30 seconds.

    Raises:
        ValueError: the service's load balancer is public, so callers reach it already, speaks TLS itself, or lets in an
            Edge alone.
    """

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        vpc: ec2.IVpc,
        service: WebService,
        throttle_rate: int = 50,
        throttle_burst: int = 100,
        log_retention: logs.RetentionDays = logs.RetentionDays.ONE_MONTH,
        removal_policy: cdk.RemovalPolicy = cdk.RemovalPolicy.DESTROY,
    ) -> None:
        super().__init__(scope, construct_id)
        if service.is_behind_edge:
            raise ValueError(
                f"{self.node.path}: {service.node.path} lets in an Edge alone. Leave behind_edge out of it, "
                "or leave the WebApi out."
            )
        if service.is_public or service.is_tls:
            raise ValueError(
                f"{self.node.path}: the load balancer of {service.node.path} "
                f"{'faces the internet' if service.is_public else 'speaks TLS'}. A WebApi is for an internal one "
                "without a certificate: leave public and certificate out of the WebService, or leave the WebApi out."
            )

        self.api = apigatewayv2.HttpApi(
            self,
            "Api",
            api_name=f"{cdk.Stack.of(self).stack_name}-{construct_id}",
            description="The report service's HTTP API",
            create_default_stage=False,
            default_integration=integrations.HttpAlbIntegration(
                "Service", service.listener, vpc_link=self._link(vpc, service)
            ),
        )
        self.stage, self.access_log = add_default_stage(
            self,
            self.api,
            throttle_rate=throttle_rate,
            throttle_burst=throttle_burst,
            log_retention=log_retention,
            removal_policy=removal_policy,
        )
        acknowledge(
            self.api,
            {"APIG4": "The service asks for its token on every route but health and docs; the API passes it through."},
        )

        self.host = host_of(self.api)
        self.url = f"https://{self.host}"

    def metric_count(self) -> cloudwatch.Metric:
        """Requests."""
        return self.api.metric_count(statistic="Sum")

    def metric_client_error(self) -> cloudwatch.Metric:
        """Requests that were refused (4xx)."""
        return self.api.metric_client_error(statistic="Sum")

    def metric_server_error(self) -> cloudwatch.Metric:
        """Requests that the service, or the way to it, failed (5xx)."""
        return self.api.metric_server_error(statistic="Sum")

    def metric_latency(self) -> cloudwatch.Metric:
        """Milliseconds from a request to its answer, on average."""
        return self.api.metric_latency(statistic="Average")

    def _link(self, vpc: ec2.IVpc, service: WebService) -> apigatewayv2.VpcLink:
        group = ec2.SecurityGroup(
            self, "LinkGroup", vpc=vpc, allow_all_outbound=False, description="From API Gateway to the load balancer"
        )
        callers = ec2.Peer.security_group_id(service.load_balancer.connections.security_groups[0].security_group_id)
        group.add_egress_rule(callers, tcp(80), "To the load balancer alone")
        return apigatewayv2.VpcLink(
            self, "Link", vpc=vpc, subnets=TaskPlacement.of(vpc).subnets, security_groups=[group]
        )
