"""WebApi in front of a WebService."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import aws_cdk as cdk
import pytest
from aws_cdk import assertions
from aws_cdk import aws_certificatemanager as acm
from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_ecs as ecs

from snowgate import WebApi, WebService

Synthesise = Callable[[], assertions.Template]
Match = assertions.Match
CERTIFICATE = "arn:aws:acm:eu-west-1:111122223333:certificate/12345678"


@pytest.fixture
def api(stack: cdk.Stack, vpc: ec2.IVpc, image: ecs.ContainerImage) -> WebApi:
    service = WebService(stack, "Web", vpc=vpc, image=image, command=["web"])
    return WebApi(stack, "WebApi", vpc=vpc, service=service, throttle_rate=7, throttle_burst=9)


def only(template: assertions.Template, kind: str) -> dict[str, Any]:
    [found] = template.find_resources(kind).values()
    return found["Properties"]


def test_every_request_goes_through_a_vpc_link_to_the_internal_load_balancer(api: WebApi, template: Synthesise) -> None:
    made = template()

    integration = only(made, "AWS::ApiGatewayV2::Integration")
    assert (integration["IntegrationType"], integration["ConnectionType"]) == ("HTTP_PROXY", "VPC_LINK")
    [listener] = made.find_resources("AWS::ElasticLoadBalancingV2::Listener")
    [link] = made.find_resources("AWS::ApiGatewayV2::VpcLink")
    assert integration["IntegrationUri"] == {"Ref": listener}
    assert integration["ConnectionId"] == {"Ref": link}
    assert only(made, "AWS::ApiGatewayV2::Route")["RouteKey"] == "$default"
    made.has_resource_properties("AWS::ElasticLoadBalancingV2::LoadBalancer", {"Scheme": "internal"})


def test_the_link_reaches_the_load_balancer_alone(api: WebApi, template: Synthesise) -> None:
    made = template()
    group = next(
        group["Properties"]
        for group in made.find_resources("AWS::EC2::SecurityGroup").values()
        if group["Properties"]["GroupDescription"].startswith("From API Gateway")
    )
    [way] = group["SecurityGroupEgress"]
    assert (way["FromPort"], way["ToPort"]) == (80, 80)
    assert "LoadBalancerGroup" in way["DestinationSecurityGroupId"]["Fn::GetAtt"][0]
    assert "SecurityGroupIngress" not in group


def test_the_stage_is_the_default_one_throttled_and_logged_without_headers(api: WebApi, template: Synthesise) -> None:
    stage = only(template(), "AWS::ApiGatewayV2::Stage")

    assert stage["StageName"] == "$default"
    assert stage["AutoDeploy"] is True
    assert stage["DefaultRouteSettings"] == {"ThrottlingRateLimit": 7, "ThrottlingBurstLimit": 9}
    logged = json.loads(stage["AccessLogSettings"]["Format"])
    assert logged["status"] == "$context.status"
    assert "header" not in str(logged).lower()


def test_the_host_is_the_apis_own(api: WebApi, stack: cdk.Stack) -> None:
    resolved = stack.resolve(api.host)

    assert resolved["Fn::Join"][1][1:] == [".execute-api.eu-west-1.", {"Ref": "AWS::URLSuffix"}]
    assert stack.resolve(api.url)["Fn::Join"][1][0] == "https://"


@pytest.mark.parametrize(("public", "says"), [(True, "faces the internet"), (False, "speaks TLS")])
def test_a_service_that_needs_none_is_refused(
    stack: cdk.Stack, vpc: ec2.IVpc, image: ecs.ContainerImage, public: bool, says: str
) -> None:
    certificate = acm.Certificate.from_certificate_arn(stack, "Certificate", CERTIFICATE)
    service = WebService(stack, "Web", vpc=vpc, image=image, command=["web"], certificate=certificate, public=public)

    with pytest.raises(ValueError, match=says):
        WebApi(stack, "WebApi", vpc=vpc, service=service)


def test_requests_refusals_failures_and_latency_are_metrics_of_this_api(api: WebApi, stack: cdk.Stack) -> None:
    found = [api.metric_count(), api.metric_client_error(), api.metric_server_error(), api.metric_latency()]
    assert [(metric.metric_name, metric.statistic) for metric in found] == [
        ("Count", "Sum"),
        ("4xx", "Sum"),
        ("5xx", "Sum"),
        ("Latency", "Average"),
    ]
    for metric in found:
        assert stack.resolve(metric.dimensions) == {"ApiId": stack.resolve(api.api.http_api_id)}


def test_a_service_that_lets_in_an_edge_alone_is_refused(
    stack: cdk.Stack, vpc: ec2.IVpc, image: ecs.ContainerImage
) -> None:
    service = WebService(stack, "Web", vpc=vpc, image=image, behind_edge=True)

    with pytest.raises(ValueError, match="lets in an Edge alone"):
        WebApi(stack, "WebApi", vpc=vpc, service=service)
