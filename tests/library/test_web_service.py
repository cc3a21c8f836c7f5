"""WebService alone in a stack."""

from __future__ import annotations

from collections.abc import Callable

import aws_cdk as cdk
import pytest
from aws_cdk import assertions
from aws_cdk import aws_certificatemanager as acm
from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_ecs as ecs
from aws_cdk import aws_secretsmanager as secretsmanager

from snowgate import WebService

Synthesise = Callable[[], assertions.Template]
Match = assertions.Match
Make = Callable[..., WebService]


@pytest.fixture
def make(stack: cdk.Stack, vpc: ec2.IVpc, image: ecs.ContainerImage) -> Make:
    def web(**arguments: object) -> WebService:
        return WebService(stack, "Web", vpc=vpc, image=image, command=["web"], **arguments)

    return web


@pytest.fixture
def certificate(stack: cdk.Stack) -> acm.ICertificate:
    return acm.Certificate.from_certificate_arn(
        stack, "Certificate", "arn:aws:acm:eu-west-1:111122223333:certificate/12345678"
    )


def test_the_load_balancer_is_internal_and_open_to_the_network_alone(make: Make, template: Synthesise) -> None:
    web = make()
    made = template()
    made.has_resource_properties("AWS::ElasticLoadBalancingV2::LoadBalancer", {"Scheme": "internal"})
    made.has_resource_properties("AWS::ElasticLoadBalancingV2::Listener", {"Port": 80, "Protocol": "HTTP"})
    made.has_resource_properties(
        "AWS::EC2::SecurityGroup",
        {
            "GroupDescription": "Callers of the load balancer",
            "SecurityGroupIngress": [
                Match.object_like({"CidrIp": {"Fn::GetAtt": [Match.any_value(), "CidrBlock"]}, "FromPort": 80})
            ],
        },
    )
    assert web.url.startswith("http://")


def test_a_public_service_without_certificate_is_refused(make: Make) -> None:
    with pytest.raises(ValueError, match="plain HTTP to the internet. Give a certificate"):
        make(public=True)


def test_a_stack_without_a_region_is_refused(image: ecs.ContainerImage) -> None:
    stack = cdk.Stack()
    with pytest.raises(ValueError, match="a stack without a region"):
        WebService(stack, "Web", vpc=ec2.Vpc(stack, "Vpc"), image=image, command=["web"])


def test_a_public_service_speaks_tls_and_sends_plain_http_there(
    make: Make, certificate: acm.ICertificate, template: Synthesise
) -> None:
    web = make(public=True, certificate=certificate)
    made = template()
    made.has_resource_properties("AWS::ElasticLoadBalancingV2::LoadBalancer", {"Scheme": "internet-facing"})
    made.has_resource_properties("AWS::ElasticLoadBalancingV2::Listener", {"Port": 443, "Protocol": "HTTPS"})
    made.has_resource_properties(
        "AWS::ElasticLoadBalancingV2::Listener",
        {
            "Port": 80,
            "DefaultActions": [
                {"Type": "redirect", "RedirectConfig": Match.object_like({"Protocol": "HTTPS", "Port": "443"})}
            ],
        },
    )
    assert web.url.startswith("https://")


def test_an_internal_service_can_have_a_certificate(
    make: Make, certificate: acm.ICertificate, template: Synthesise
) -> None:
    make(certificate=certificate)
    made = template()
    made.has_resource_properties("AWS::ElasticLoadBalancingV2::LoadBalancer", {"Scheme": "internal"})
    made.resource_count_is("AWS::ElasticLoadBalancingV2::Listener", 1)


def test_invalid_headers_are_dropped_and_accesses_logged(make: Make, template: Synthesise) -> None:
    make(deletion_protection=True)
    made = template()
    [balancer] = made.find_resources("AWS::ElasticLoadBalancingV2::LoadBalancer").values()
    attributes = {entry["Key"]: entry["Value"] for entry in balancer["Properties"]["LoadBalancerAttributes"]}
    assert attributes["routing.http.drop_invalid_header_fields.enabled"] == "true"
    assert attributes["access_logs.s3.enabled"] == "true"
    assert attributes["deletion_protection.enabled"] == "true"


def test_the_load_balancer_asks_for_health_and_only_it_reaches_the_tasks(make: Make, template: Synthesise) -> None:
    make(port=9000, health_path="/alive", min_tasks=2)
    made = template()
    made.has_resource_properties(
        "AWS::ElasticLoadBalancingV2::TargetGroup", {"HealthCheckPath": "/alive", "Port": 9000, "TargetType": "ip"}
    )
    made.has_resource_properties("AWS::EC2::SecurityGroupIngress", {"FromPort": 9000, "ToPort": 9000})
    made.has_resource_properties(
        "AWS::ECS::Service",
        {
            "DesiredCount": 2,
            "DeploymentConfiguration": Match.object_like(
                {"DeploymentCircuitBreaker": {"Enable": True, "Rollback": True}}
            ),
        },
    )


def test_secrets_come_from_secrets_manager_and_the_container_is_checked_without_curl(
    make: Make, stack: cdk.Stack, template: Synthesise
) -> None:
    token = secretsmanager.Secret(stack, "Token")
    cdk.Validations.of(token).acknowledge(
        cdk.Acknowledgment(id="AwsSolutions::AwsSolutions-SMG4", reason="only in this test")
    )
    make(secrets={"API_TOKEN": ecs.Secret.from_secrets_manager(token)})
    made = template()
    [definition] = made.find_resources("AWS::ECS::TaskDefinition").values()
    [container] = definition["Properties"]["ContainerDefinitions"]
    assert [entry["Name"] for entry in container["Secrets"]] == ["API_TOKEN"]
    [reads_it] = [name for name in made.find_resources("AWS::IAM::Policy") if "ExecutionRole" in name]
    made.has_resource("AWS::ECS::Service", {"DependsOn": Match.array_with([reads_it])})
    assert container["HealthCheck"]["Command"][:2] == ["CMD", "python"]
    assert "http://127.0.0.1:8000/health" in container["HealthCheck"]["Command"][3]
    assert container["PortMappings"] == [{"ContainerPort": 8000, "Protocol": "tcp"}]
