"""WebService alone in a stack."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import aws_cdk as cdk
import pytest
from aws_cdk import assertions
from aws_cdk import aws_certificatemanager as acm
from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_ecs as ecs
from aws_cdk import aws_iam as iam
from aws_cdk import aws_route53 as route53
from aws_cdk import aws_secretsmanager as secretsmanager
from aws_cdk import aws_sns as sns
from syrupy.assertion import SnapshotAssertion

from snowgate import Deployment, ServiceScaling, WebService

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


@pytest.fixture
def zone(stack: cdk.Stack) -> route53.IHostedZone:
    return route53.HostedZone.from_hosted_zone_attributes(stack, "Zone", hosted_zone_id="Z111", zone_name="example.com")


def container(made: assertions.Template) -> dict[str, Any]:
    [definition] = made.find_resources("AWS::ECS::TaskDefinition").values()
    [only] = definition["Properties"]["ContainerDefinitions"]
    return only


def service(made: assertions.Template) -> dict[str, Any]:
    [only] = made.find_resources("AWS::ECS::Service").values()
    return only["Properties"]


def alarms(made: assertions.Template) -> dict[str, dict[str, Any]]:
    """Alarms by the name of their construct."""
    found = made.find_resources("AWS::CloudWatch::Alarm").items()
    return {name.removeprefix("WebAlarms")[:-8]: alarm["Properties"] for name, alarm in found}


def unrotated(web: WebService) -> None:
    """Accept that the secret of an edge is not rotated without the edge."""
    reason = "The Edge rotates it, which is not in this test."
    cdk.Validations.of(web).acknowledge(cdk.Acknowledgment(id="AwsSolutions::AwsSolutions-SMG4", reason=reason))


def test_the_template_is_that_of_the_snapshot(make: Make, template: Synthesise, snapshot: SnapshotAssertion) -> None:
    make()
    assert template().to_json() == snapshot(name="WebService")


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


def test_a_domain_gets_a_certificate_and_leads_to_the_load_balancer(
    make: Make, zone: route53.IHostedZone, template: Synthesise
) -> None:
    web = make(public=True, domain="reports.example.com", hosted_zone=zone)
    made = template()
    made.has_resource_properties(
        "AWS::CertificateManager::Certificate",
        {
            "DomainName": "reports.example.com",
            "ValidationMethod": "DNS",
            "DomainValidationOptions": [{"DomainName": "reports.example.com", "HostedZoneId": "Z111"}],
        },
    )
    made.has_resource_properties(
        "AWS::Route53::RecordSet",
        {"Name": "reports.example.com.", "Type": "A", "HostedZoneId": "Z111", "AliasTarget": Match.any_value()},
    )
    assert web.url == "https://reports.example.com"


def test_a_certificate_that_is_given_is_taken_for_the_domain_too(
    make: Make, zone: route53.IHostedZone, certificate: acm.ICertificate, template: Synthesise
) -> None:
    make(certificate=certificate, domain="reports.example.com", hosted_zone=zone)
    made = template()
    made.resource_count_is("AWS::CertificateManager::Certificate", 0)
    made.resource_count_is("AWS::Route53::RecordSet", 1)


@pytest.mark.parametrize(
    ("domain", "told"),
    [
        (None, "hosted_zone but no domain. Give domain, as in reports.example.com"),
        ("reports.example.org", "not in the hosted zone example.com; nearest is reports.example.com"),
        ("reportsexample.com", "not in the hosted zone example.com"),
    ],
)
def test_a_domain_that_does_not_fit_its_zone_is_refused(
    make: Make, zone: route53.IHostedZone, domain: str | None, told: str
) -> None:
    with pytest.raises(ValueError, match=told):
        make(domain=domain, hosted_zone=zone)


def test_a_deploy_keeps_all_tasks_and_goes_back_for_tasks_that_fail_and_for_alarms(
    make: Make, template: Synthesise
) -> None:
    make(latency=cdk.Duration.millis(1500))
    made = template()
    configuration = service(made)["DeploymentConfiguration"]
    assert configuration["MinimumHealthyPercent"] == 100
    assert configuration["DeploymentCircuitBreaker"] == {"Enable": True, "Rollback": True}
    assert (configuration["Alarms"]["Enable"], configuration["Alarms"]["Rollback"]) == (True, True)
    asked = {name["Ref"].removeprefix("WebAlarms")[:-8] for name in configuration["Alarms"]["AlarmNames"]}
    assert asked == {"TaskErrors", "LoadBalancerErrors", "Unhealthy", "Slow"}
    assert alarms(made).keys() - asked == {"NobodyAnswers"}
    slow = alarms(made)["Slow"]
    assert (slow["Threshold"], slow["ExtendedStatistic"], slow["MetricName"]) == (1.5, "p99", "TargetResponseTime")


def test_every_alarm_names_its_load_balancer_says_what_silence_means_and_tells_the_topic(
    make: Make, stack: cdk.Stack, template: Synthesise
) -> None:
    topic = sns.Topic.from_topic_arn(stack, "Topic", "arn:aws:sns:eu-west-1:111122223333:alarms")
    web = make(alarm_topic=topic)
    found = alarms(template())
    assert len(found) == len(web.alarms) == 4
    for name, alarm in found.items():
        assert "LoadBalancer" in {dimension["Name"] for dimension in alarm["Dimensions"]}
        assert alarm["TreatMissingData"] == ("breaching" if name == "NobodyAnswers" else "notBreaching")
        assert alarm["AlarmActions"] == alarm["OKActions"] == ["arn:aws:sns:eu-west-1:111122223333:alarms"]


@pytest.mark.parametrize(
    ("deployment", "configuration"),
    [
        (Deployment.BLUE_GREEN, {"Strategy": "BLUE_GREEN", "BakeTimeInMinutes": 5}),
        (
            Deployment.CANARY,
            {"Strategy": "CANARY", "CanaryConfiguration": {"CanaryPercent": 10, "CanaryBakeTimeInMinutes": 5}},
        ),
        (
            Deployment.LINEAR,
            {"Strategy": "LINEAR", "LinearConfiguration": {"StepPercent": 20, "StepBakeTimeInMinutes": 5}},
        ),
    ],
)
def test_requests_are_moved_between_two_target_groups_by_the_rule_of_the_listener(
    make: Make, template: Synthesise, deployment: Deployment, configuration: dict[str, Any]
) -> None:
    make(deployment=deployment)
    made = template()
    assert configuration.items() <= service(made)["DeploymentConfiguration"].items()
    groups = set(made.find_resources("AWS::ElasticLoadBalancingV2::TargetGroup"))
    [rule] = made.find_resources("AWS::ElasticLoadBalancingV2::ListenerRule")
    [balancer] = service(made)["LoadBalancers"]
    advanced = balancer["AdvancedConfiguration"]
    assert {balancer["TargetGroupArn"]["Ref"], advanced["AlternateTargetGroupArn"]["Ref"]} == groups
    assert advanced["ProductionListenerRule"] == {"Ref": rule}
    made.has_resource_properties(
        "AWS::ElasticLoadBalancingV2::ListenerRule",
        {
            "Conditions": [{"Field": "path-pattern", "PathPatternConfig": {"Values": ["/*"]}}],
            "Actions": [{"Type": "forward", "ForwardConfig": Match.any_value()}],
        },
    )
    made.has_resource("AWS::ECS::Service", {"DependsOn": Match.array_with([rule])})
    # Either group may have the tasks: one of them alone says nothing.
    expression = next(m["Expression"] for m in alarms(made)["NobodyAnswers"]["Metrics"] if "Expression" in m)
    assert expression == "FILL(group0, 0) + FILL(group1, 0)"


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ({"strategy": ecs.DeploymentStrategy.ROLLING, "step_percent": 5}, "A ROLLING deployment has no steps"),
        ({"strategy": ecs.DeploymentStrategy.CANARY}, "A CANARY deployment needs step_percent and step_bake_time"),
        (
            {"strategy": ecs.DeploymentStrategy.LINEAR, "step_percent": 2, "step_bake_time": cdk.Duration.minutes(1)},
            "step_percent of a LINEAR deployment is 2; allowed is 3 to 100, nearest is 3",
        ),
        (
            {"strategy": ecs.DeploymentStrategy.CANARY, "step_percent": 200, "step_bake_time": cdk.Duration.minutes(1)},
            "nearest is 100",
        ),
        ({"strategy": ecs.DeploymentStrategy.BLUE_GREEN, "bake_time": cdk.Duration.hours(25)}, "the most is 24 hours"),
        ({"strategy": ecs.DeploymentStrategy.ROLLING, "bake_time": cdk.Duration.hours(1)}, "keeps no old tasks"),
    ],
)
def test_a_deployment_that_ecs_does_not_take_is_refused(arguments: dict[str, Any], told: str) -> None:
    with pytest.raises(ValueError, match=told):
        Deployment(**arguments)


def test_a_health_check_is_pythons_a_command_or_the_load_balancers(make: Make, template: Synthesise) -> None:
    make(health_check=["/bin/alive", "--quick"])
    assert container(template())["HealthCheck"]["Command"] == ["CMD", "/bin/alive", "--quick"]


def test_without_a_health_check_the_container_is_not_asked(make: Make, template: Synthesise) -> None:
    make(health_check=None)
    assert "HealthCheck" not in container(template())


def test_a_task_drains_and_stops_within_one_time_and_starts_within_another(make: Make, template: Synthesise) -> None:
    make(stop_timeout=cdk.Duration.seconds(90), health_grace=cdk.Duration.minutes(5))
    made = template()
    [group] = made.find_resources("AWS::ElasticLoadBalancingV2::TargetGroup").values()
    attributes = {entry["Key"]: entry["Value"] for entry in group["Properties"]["TargetGroupAttributes"]}
    assert attributes["deregistration_delay.timeout_seconds"] == "90"
    assert container(made)["StopTimeout"] == 90
    assert service(made)["HealthCheckGracePeriodSeconds"] == 300


def test_a_web_acl_stands_before_the_load_balancer_if_asked(make: Make, template: Synthesise) -> None:
    make(waf=True)
    made = template()
    [acl] = made.find_resources("AWS::WAFv2::WebACL")
    [balancer] = made.find_resources("AWS::ElasticLoadBalancingV2::LoadBalancer")
    made.has_resource_properties(
        "AWS::WAFv2::WebACLAssociation",
        {"ResourceArn": {"Ref": balancer}, "WebACLArn": {"Fn::GetAtt": [acl, "Arn"]}},
    )


def test_behind_an_edge_nobody_is_let_in_and_a_public_one_asks_for_a_secret(
    make: Make, certificate: acm.ICertificate, template: Synthesise
) -> None:
    web = make(public=True, behind_edge=True, certificate=certificate)
    unrotated(web)
    made = template()
    made.has_resource_properties(
        "AWS::EC2::SecurityGroup",
        {"GroupDescription": "Callers of the load balancer", "SecurityGroupIngress": Match.absent()},
    )
    made.has_resource_properties(
        "AWS::ElasticLoadBalancingV2::Listener",
        {
            "DefaultActions": [
                {"Type": "fixed-response", "FixedResponseConfig": Match.object_like({"StatusCode": "403"})}
            ]
        },
    )
    made.resource_count_is("AWS::ElasticLoadBalancingV2::Listener", 1)
    [rule] = made.find_resources("AWS::ElasticLoadBalancingV2::ListenerRule").values()
    [condition] = rule["Properties"]["Conditions"]
    assert condition["HttpHeaderConfig"]["HttpHeaderName"] == "x-origin-verify"
    [value] = condition["HttpHeaderConfig"]["Values"]
    assert value["Fn::Join"][1][0] == "{{resolve:secretsmanager:"


def test_behind_an_edge_requests_are_moved_too_and_only_those_with_the_secret(
    make: Make, certificate: acm.ICertificate, template: Synthesise
) -> None:
    web = make(public=True, behind_edge=True, certificate=certificate, deployment=Deployment.CANARY)
    unrotated(web)
    made = template()
    [rule] = made.find_resources("AWS::ElasticLoadBalancingV2::ListenerRule").values()
    assert [condition["Field"] for condition in rule["Properties"]["Conditions"]] == ["http-header"]
    [action] = rule["Properties"]["Actions"]
    assert [group["Weight"] for group in action["ForwardConfig"]["TargetGroups"]] == [100, 0]


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ({"waf": True, "behind_edge": True}, "Leave waf out here; the Edge has its own"),
        ({"min_tasks": 0}, "min_tasks is 0; the least is 1. ScaleToZeroWorker is what sleeps"),
        ({"stop_timeout": cdk.Duration.seconds(121)}, "1 to 120 seconds, nearest is 120 seconds"),
        ({"stop_timeout": cdk.Duration.seconds(0)}, "nearest is 1 seconds"),
        (
            {"scaling": ServiceScaling(max_tasks=4, requests_per_task=100), "deployment": Deployment.BLUE_GREEN},
            "requests_per_task counts one target group, and a BLUE_GREEN deployment has two",
        ),
        ({"scaling": ServiceScaling(max_tasks=2), "min_tasks": 3}, "max_tasks is 2, below min_tasks 3"),
    ],
)
def test_what_ecs_or_waf_do_not_bear_is_refused(make: Make, arguments: dict[str, Any], told: str) -> None:
    with pytest.raises(ValueError, match=told):
        make(**arguments)


def test_a_caller_can_be_let_in_and_a_role_may_deploy(make: Make, stack: cdk.Stack, template: Synthesise) -> None:
    web = make()
    role = iam.Role(stack, "Deployer", assumed_by=iam.ServicePrincipal("codebuild.amazonaws.com"))
    web.grant_update(role)
    web.allow_from(ec2.Connections(peer=ec2.Peer.ipv4("192.0.2.0/24")))
    made = template()
    made.has_resource_properties(
        "AWS::EC2::SecurityGroup",
        {"SecurityGroupIngress": Match.array_with([Match.object_like({"CidrIp": "192.0.2.0/24", "FromPort": 80})])},
    )
    [policy] = [p for name, p in made.find_resources("AWS::IAM::Policy").items() if name.startswith("Deployer")]
    [statement] = policy["Properties"]["PolicyDocument"]["Statement"]
    assert statement["Action"] == ["ecs:DescribeServices", "ecs:UpdateService"]
    assert "Service" in statement["Resource"]["Ref"]


@pytest.mark.parametrize(
    ("metric", "name", "statistic"),
    [
        ("metric_requests", "RequestCount", "Sum"),
        ("metric_errors", "HTTPCode_Target_5XX_Count", "Sum"),
        ("metric_latency", "TargetResponseTime", "p99"),
        ("metric_cpu", "CPUUtilization", "Average"),
        ("metric_memory", "MemoryUtilization", "Average"),
    ],
)
def test_each_metric_has_dimensions(make: Make, metric: str, name: str, statistic: str) -> None:
    found = getattr(make(), metric)()
    assert (found.metric_name, found.statistic) == (name, statistic)
    assert found.dimensions
