"""Edge before a WebService, in stacks that are otherwise empty."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import aws_cdk as cdk
import pytest
from aws_cdk import assertions
from aws_cdk import aws_certificatemanager as acm
from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_ecs as ecs
from aws_cdk import aws_iam as iam
from aws_cdk import aws_route53 as route53
from cdk_nag import AwsSolutionsChecks
from syrupy.assertion import SnapshotAssertion

from snowgate import Edge, Network, NetworkMode, WebService

Match = assertions.Match
Synthesise = Callable[[], assertions.Template]
Make = Callable[..., WebService]
IMAGE = ecs.ContainerImage.from_registry("public.ecr.aws/example/service@sha256:" + "0" * 64)
WEB_ACL = "arn:aws:wafv2:us-east-1:111122223333:global/webacl/Edge/12345678"
CERTIFICATE = "arn:aws:acm:{}:111122223333:certificate/12345678"


class VirginianStack(cdk.Stack):
    """Where CloudFront's certificates and web ACLs are."""

    @property
    def availability_zones(self) -> list[str]:
        return ["us-east-1a", "us-east-1b"]


def zone_of(stack: cdk.Stack) -> route53.IHostedZone:
    return route53.HostedZone.from_hosted_zone_attributes(stack, "Zone", hosted_zone_id="Z111", zone_name="example.com")


@pytest.fixture(scope="module")
def made(flags: dict[str, object], tmp_path_factory: pytest.TempPathFactory) -> dict[str, assertions.Template]:
    """An edge by its defaults before an internal service, and one with everything before a public one."""
    folder: Path = tmp_path_factory.mktemp("edges")
    app = cdk.App(
        context={**flags, "aws:cdk:bundling-stacks": []},
        builtin_cloud_formation_validation=False,
        analytics_reporting=False,
        outdir=str(folder),
    )
    cdk.Validations.of(app).add_plugins(AwsSolutionsChecks(app))
    environment = cdk.Environment(account="111122223333", region="us-east-1")
    stacks = {name: VirginianStack(app, name, env=environment) for name in ("Internal", "Public")}
    networks = {
        name: Network(stack, "Network", availability_zones=stack.availability_zones).vpc
        for name, stack in stacks.items()
    }

    stack, vpc = stacks["Internal"], networks["Internal"]
    Edge(stack, "Edge", service=WebService(stack, "Web", vpc=vpc, image=IMAGE, behind_edge=True))

    stack, vpc, zone = stacks["Public"], networks["Public"], zone_of(stacks["Public"])
    web = WebService(
        stack, "Web", vpc=vpc, image=IMAGE, behind_edge=True, public=True, domain="origin.example.com", hosted_zone=zone
    )
    Edge(stack, "Edge", service=web, domain="www.example.com", hosted_zone=zone, web_acl_arn=WEB_ACL)
    app.synth()
    return {name: assertions.Template.from_stack(stack) for name, stack in stacks.items()}


@pytest.fixture
def make(stack: cdk.Stack, vpc: ec2.IVpc) -> Make:
    def web(**arguments: Any) -> WebService:
        return WebService(stack, "Web", image=IMAGE, **({"vpc": vpc, "behind_edge": True} | arguments))

    return web


def distribution(made: assertions.Template) -> dict[str, Any]:
    [only] = made.find_resources("AWS::CloudFront::Distribution").values()
    return only["Properties"]["DistributionConfig"]


@pytest.mark.parametrize("name", ["Internal", "Public"])
def test_the_template_is_that_of_the_snapshot(
    made: dict[str, assertions.Template], name: str, snapshot: SnapshotAssertion
) -> None:
    assert made[name].to_json() == snapshot(name=name)


def test_an_internal_load_balancer_is_reached_through_the_vpc(made: dict[str, assertions.Template]) -> None:
    template = made["Internal"]
    [balancer] = template.find_resources("AWS::ElasticLoadBalancingV2::LoadBalancer")
    [origin] = template.find_resources("AWS::CloudFront::VpcOrigin")
    template.has_resource_properties(
        "AWS::CloudFront::VpcOrigin",
        {"VpcOriginEndpointConfig": Match.object_like({"Arn": {"Ref": balancer}, "OriginProtocolPolicy": "http-only"})},
    )
    template.has_resource_properties("AWS::ElasticLoadBalancingV2::LoadBalancer", {"Scheme": "internal"})
    [used] = distribution(template)["Origins"]
    assert used["VpcOriginConfig"]["VpcOriginId"]["Fn::GetAtt"][0] == origin


@pytest.mark.parametrize(("name", "port"), [("Internal", 80), ("Public", 443)])
def test_the_load_balancer_lets_in_cloudfront_and_nobody_else(
    made: dict[str, assertions.Template], name: str, port: int
) -> None:
    template = made[name]
    [group] = template.find_resources(
        "AWS::EC2::SecurityGroup", {"Properties": {"GroupDescription": "Callers of the load balancer"}}
    )
    template.has_resource_properties(
        "AWS::EC2::SecurityGroup",
        {"GroupDescription": "Callers of the load balancer", "SecurityGroupIngress": Match.absent()},
    )
    ways_in = [
        rule["Properties"]
        for rule in template.find_resources("AWS::EC2::SecurityGroupIngress").values()
        if rule["Properties"]["GroupId"] == {"Fn::GetAtt": [group, "GroupId"]}
    ]
    [way] = ways_in
    assert (way["FromPort"], way["ToPort"]) == (port, port)
    assert way["SourcePrefixListId"]["Fn::GetAtt"][1] == "PrefixLists.0.PrefixListId"


def test_the_prefix_list_is_asked_for_by_the_deploy(made: dict[str, assertions.Template]) -> None:
    [asked] = made["Internal"].find_resources("Custom::AWS").values()
    assert "com.amazonaws.global.cloudfront.origin-facing" in asked["Properties"]["Create"]


def test_a_public_load_balancer_asks_for_what_cloudfront_sends_and_it_is_rotated(
    made: dict[str, assertions.Template],
) -> None:
    template = made["Public"]
    [origin] = distribution(template)["Origins"]
    [header] = origin["OriginCustomHeaders"]
    [rule] = template.find_resources("AWS::ElasticLoadBalancingV2::ListenerRule").values()
    [condition] = rule["Properties"]["Conditions"]
    assert header["HeaderName"] == condition["HttpHeaderConfig"]["HttpHeaderName"]
    assert [header["HeaderValue"]] == condition["HttpHeaderConfig"]["Values"]
    assert origin["CustomOriginConfig"]["OriginProtocolPolicy"] == "https-only"
    template.has_resource_properties(
        "AWS::SecretsManager::RotationSchedule",
        {"RotationRules": {"ScheduleExpression": "rate(30 days)"}, "RotateImmediatelyOnUpdate": False},
    )


def test_the_rotation_may_change_this_rule_this_distribution_and_this_secret(
    made: dict[str, assertions.Template],
) -> None:
    template = made["Public"]
    [policy] = [
        found for name, found in template.find_resources("AWS::IAM::Policy").items() if name.startswith("EdgeOrigin")
    ]
    statements = policy["Properties"]["PolicyDocument"]["Statement"]
    assert {"Action": "wafv2:GetWebACL", "Effect": "Allow", "Resource": WEB_ACL} in statements
    [traced] = [statement for statement in statements if statement["Resource"] == "*"]
    assert traced["Action"] == ["xray:PutTelemetryRecords", "xray:PutTraceSegments"]


def test_the_domain_leads_to_cloudfront_with_tls_1_2_and_a_certificate(made: dict[str, assertions.Template]) -> None:
    template = made["Public"]
    config = distribution(template)
    assert config["Aliases"] == ["www.example.com"]
    assert config["ViewerCertificate"]["MinimumProtocolVersion"] == "TLSv1.2_2021"
    template.has_resource_properties("AWS::CertificateManager::Certificate", {"DomainName": "www.example.com"})
    records = template.find_resources("AWS::Route53::RecordSet", {"Properties": {"Name": "www.example.com."}})
    assert {record["Properties"]["Type"] for record in records.values()} == {"A", "AAAA"}


def test_nothing_under_api_is_kept_and_elsewhere_what_the_answer_allows(made: dict[str, assertions.Template]) -> None:
    template = made["Internal"]
    config = distribution(template)
    [api] = config["CacheBehaviors"]
    disabled = "4135ea2d-6df8-44a3-9df3-4b5a84be39ad"  # CachingDisabled ("Use managed cache policies")
    assert (api["PathPattern"], api["CachePolicyId"]) == ("/api/*", disabled)
    template.has_resource_properties(
        "AWS::CloudFront::CachePolicy", {"CachePolicyConfig": Match.object_like({"DefaultTTL": 0, "MinTTL": 0})}
    )
    for behavior in (api, config["DefaultCacheBehavior"]):
        assert behavior["ViewerProtocolPolicy"] == "redirect-to-https"
        assert "DELETE" in behavior["AllowedMethods"]


def test_by_default_it_is_cheap_logged_and_behind_a_firewall(made: dict[str, assertions.Template]) -> None:
    template = made["Internal"]
    config = distribution(template)
    [acl] = template.find_resources("AWS::WAFv2::WebACL", {"Properties": {"Scope": "CLOUDFRONT"}})
    assert config["WebACLId"] == {"Fn::GetAtt": [acl, "Arn"]}
    assert config["PriceClass"] == "PriceClass_100"
    [bucket] = template.find_resources(
        "AWS::S3::Bucket",
        {"Properties": {"OwnershipControls": {"Rules": [{"ObjectOwnership": "BucketOwnerPreferred"}]}}},
    )
    assert config["Logging"]["Bucket"]["Fn::GetAtt"][0] == bucket


def test_a_firewall_of_another_stack_is_taken(made: dict[str, assertions.Template]) -> None:
    assert distribution(made["Public"])["WebACLId"] == WEB_ACL
    made["Public"].resource_count_is("AWS::WAFv2::WebACL", 0)


def test_outside_of_virginia_it_works_without_a_firewall_or_with_one_from_there(
    make: Make, stack: cdk.Stack, template: Synthesise
) -> None:
    certificate = acm.Certificate.from_certificate_arn(stack, "Certificate", CERTIFICATE.format("us-east-1"))
    edge = Edge(stack, "Edge", service=make(), waf=False, domain="www.example.org", certificate=certificate)
    role = iam.Role(stack, "Editor", assumed_by=iam.ServicePrincipal("codebuild.amazonaws.com"))
    edge.grant_invalidate(role)
    made = template()
    assert "WebACLId" not in distribution(made)
    made.resource_count_is("AWS::Route53::RecordSet", 0)
    assert edge.url == "https://www.example.org"
    for metric in (edge.metric_requests(), edge.metric_errors()):
        assert metric.region == "us-east-1"
        assert metric.dimensions


def test_a_service_that_can_be_reached_round_the_edge_is_refused(make: Make, stack: cdk.Stack) -> None:
    with pytest.raises(ValueError, match="can be reached round the edge. Give the WebService behind_edge=True"):
        Edge(stack, "Edge", service=make(behind_edge=False), waf=False)


def test_a_service_with_tls_needs_the_domain_of_its_certificate(make: Make, stack: cdk.Stack) -> None:
    certificate = acm.Certificate.from_certificate_arn(stack, "Certificate", CERTIFICATE.format("eu-west-1"))
    with pytest.raises(ValueError, match="has no domain that its certificate is for"):
        Edge(stack, "Edge", service=make(certificate=certificate), waf=False)


def test_an_edge_under_the_name_of_its_public_origin_is_refused(make: Make, stack: cdk.Stack) -> None:
    certificate = acm.Certificate.from_certificate_arn(stack, "Certificate", CERTIFICATE.format("us-east-1"))
    web = make(public=True, certificate=certificate, domain="www.example.com")
    with pytest.raises(ValueError, match=r"would find itself. .* as in origin.www.example.com for the WebService"):
        Edge(stack, "Edge", service=web, waf=False, domain="www.example.com", certificate=certificate)


def test_a_network_without_an_internet_gateway_is_refused(make: Make, stack: cdk.Stack) -> None:
    zones = ["eu-west-1a", "eu-west-1b"]
    private = Network(stack, "Private", availability_zones=zones, mode=NetworkMode.PRIVATE).vpc
    with pytest.raises(ValueError, match="only if it has an internet gateway"):
        Edge(stack, "Edge", service=make(vpc=private), waf=False)


def test_an_edge_in_another_region_than_its_service_is_refused(make: Make, app: cdk.App) -> None:
    virginia = cdk.Stack(app, "Virginia", env=cdk.Environment(account="111122223333", region="us-east-1"))
    with pytest.raises(ValueError, match="is in us-east-1 and Stack/Web in eu-west-1. Put the Edge beside"):
        Edge(virginia, "Edge", service=make())


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (
            {"domain": "www.example.com"},
            "no certificate for www.example.com. CloudFront takes those of us-east-1",
        ),
        ({"domain": "www.example.com", "zone": True}, "one is made here only if the stack is there"),
        ({"domain": "www.example.com", "certificate": "eu-west-1"}, "the certificate is in eu-west-1"),
        ({"certificate": "us-east-1"}, "has a certificate but no domain"),
        ({"zone": True}, "has a hosted_zone but no domain"),
        ({"domain": "www.example.org", "zone": True, "certificate": "us-east-1"}, "not in the hosted zone example.com"),
        ({"waf": True}, "keeps web ACLs for CloudFront in us-east-1, and this stack is in eu-west-1"),
        ({"web_acl_arn": WEB_ACL}, "has a web_acl_arn and waf=False"),
        ({"waf": True, "web_acl_arn": WEB_ACL.replace("global", "regional")}, "is no web ACL for CloudFront"),
    ],
)
def test_names_and_firewalls_that_cloudfront_does_not_take_are_refused(
    make: Make, stack: cdk.Stack, arguments: dict[str, Any], told: str
) -> None:
    given = {"waf": False} | arguments
    if given.pop("zone", False):
        given["hosted_zone"] = zone_of(stack)
    if region := given.pop("certificate", None):
        given["certificate"] = acm.Certificate.from_certificate_arn(stack, "Certificate", CERTIFICATE.format(region))
    with pytest.raises(ValueError, match=told):
        Edge(stack, "Edge", service=make(), **given)


@pytest.mark.parametrize("every", [cdk.Duration.hours(12), cdk.Duration.days(1001)])
def test_a_secret_is_rotated_every_1_to_1000_days(make: Make, stack: cdk.Stack, every: cdk.Duration) -> None:
    certificate = acm.Certificate.from_certificate_arn(stack, "Certificate", CERTIFICATE.format("eu-west-1"))
    web = make(public=True, certificate=certificate, domain="origin.example.com")
    with pytest.raises(ValueError, match="every 1 to 1000 whole days"):
        Edge(stack, "Edge", service=web, waf=False, rotate_every=every)
