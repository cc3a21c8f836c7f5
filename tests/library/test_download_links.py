"""DownloadLinks alone in a stack."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import aws_cdk as cdk
import pytest
from aws_cdk import assertions
from aws_cdk import aws_iam as iam

from snowgate import DownloadLinks, ReportBucket, SnowflakeDeployer

Synthesise = Callable[[], assertions.Template]


@pytest.fixture
def links(stack: cdk.Stack) -> DownloadLinks:
    return DownloadLinks(stack, "Links", bucket=ReportBucket(stack, "Reports"), throttle_rate=7, throttle_burst=9)


def only(template: assertions.Template, kind: str) -> dict[str, Any]:
    [found] = template.find_resources(kind).values()
    return found["Properties"]


def statements(template: assertions.Template, role: str) -> list[dict[str, Any]]:
    """What the policies of the roles say whose logical id begins so."""
    return [
        statement
        for policy in template.find_resources("AWS::IAM::Policy").values()
        if any(attached["Ref"].startswith(role) for attached in policy["Properties"]["Roles"])
        for statement in policy["Properties"]["PolicyDocument"]["Statement"]
    ]


def actions(statement: dict[str, Any]) -> set[str]:
    given = statement["Action"]
    return {given} if isinstance(given, str) else set(given)


def test_get_and_head_reach_the_function_and_nothing_else_does(links: DownloadLinks, template: Synthesise) -> None:
    made = template()
    routes = [route["Properties"] for route in made.find_resources("AWS::ApiGatewayV2::Route").values()]
    assert {route["RouteKey"] for route in routes} == {"GET /reports/{id}/download", "HEAD /reports/{id}/download"}
    integration = only(made, "AWS::ApiGatewayV2::Integration")
    assert (integration["IntegrationType"], integration["PayloadFormatVersion"]) == ("AWS_PROXY", "2.0")
    permissions = made.find_resources("AWS::Lambda::Permission").values()
    assert {permission["Properties"]["Principal"] for permission in permissions} == {"apigateway.amazonaws.com"}


def test_the_key_is_generated_and_in_no_template(links: DownloadLinks, template: Synthesise) -> None:
    secret = only(template(), "AWS::SecretsManager::Secret")
    assert secret["GenerateSecretString"] == {"ExcludePunctuation": True, "PasswordLength": 48}
    assert "SecretString" not in secret


def test_the_function_reads_reports_their_tags_and_the_key_and_nothing_else(
    links: DownloadLinks, template: Synthesise
) -> None:
    made = template()
    allowed = statements(made, "LinksLambdaRole")
    assert set().union(*map(actions, allowed)) == {
        "logs:CreateLogStream",
        "logs:PutLogEvents",
        "s3:GetObject",
        "s3:GetObjectTagging",
        "secretsmanager:DescribeSecret",
        "secretsmanager:GetSecretValue",
        "xray:PutTelemetryRecords",
        "xray:PutTraceSegments",
    }
    for statement in allowed:
        resource = json.dumps(statement["Resource"])
        assert ("/reports/*" in resource) == any(action.startswith("s3:") for action in actions(statement))
        assert (resource == '"*"') == any(action.startswith("xray:") for action in actions(statement))


def test_the_stage_is_throttled_and_its_log_has_neither_headers_nor_queries(
    links: DownloadLinks, template: Synthesise
) -> None:
    stage = only(template(), "AWS::ApiGatewayV2::Stage")
    assert stage["DefaultRouteSettings"] == {"ThrottlingRateLimit": 7, "ThrottlingBurstLimit": 9}
    logged = json.loads(stage["AccessLogSettings"]["Format"])
    assert logged["path"] == "$context.path"
    assert not {"header", "query", "authorizer"} & set(str(logged).lower().replace(".", " ").split())


def test_who_makes_links_may_read_the_key_alone(links: DownloadLinks, stack: cdk.Stack, template: Synthesise) -> None:
    role = iam.Role(stack, "Worker", assumed_by=iam.ServicePrincipal("ecs-tasks.amazonaws.com"))
    links.grant_sign(role)
    [statement] = statements(template(), "Worker")
    assert actions(statement) == {"secretsmanager:DescribeSecret", "secretsmanager:GetSecretValue"}
    assert statement["Resource"] == stack.resolve(links.secret.secret_arn)


def test_who_revokes_links_may_tag_reports_and_not_read_them(
    links: DownloadLinks, stack: cdk.Stack, template: Synthesise
) -> None:
    role = iam.Role(stack, "Operator", assumed_by=iam.AccountPrincipal("111122223333"))
    links.grant_revoke(role)
    [statement] = statements(template(), "Operator")
    assert actions(statement) == {"s3:GetObjectTagging", "s3:PutObjectTagging", "s3:DeleteObjectTagging"}
    assert "/reports/*" in json.dumps(statement["Resource"])


def test_a_service_is_told_what_it_needs_to_make_links(links: DownloadLinks, stack: cdk.Stack) -> None:
    told = stack.resolve(links.environment)
    assert set(told) == {"LINK_URL", "LINK_KEY_SECRET_ARN", "LINK_DAYS"}
    assert told["LINK_DAYS"] == "7"
    assert told["LINK_URL"]["Fn::Join"][1][0] == "https://"
    assert ".execute-api.eu-west-1." in told["LINK_URL"]["Fn::Join"][1]


def test_a_deployer_exchanges_the_key_later_than_any_link_ends(
    stack: cdk.Stack, deployer: SnowflakeDeployer, template: Synthesise
) -> None:
    bucket = ReportBucket(stack, "Reports")
    DownloadLinks(stack, "Links", bucket=bucket, deployer=deployer, valid_for=cdk.Duration.days(30))
    made = template()
    rules = only(made, "AWS::SecretsManager::RotationSchedule")["RotationRules"]
    assert rules == {"ScheduleExpression": "rate(32 days)"}
    tags = only(made, "AWS::SecretsManager::Secret")["Tags"]
    assert {"Key": "snowgate:rotates", "Value": "token"} in tags


@pytest.mark.parametrize(
    ("valid_for", "says"),
    [
        (cdk.Duration.days(0), "for 0 days; allowed is 1 to 30 whole days, nearest is 1"),
        (cdk.Duration.hours(36), "for 1.5 days; allowed is 1 to 30 whole days, nearest is 1"),
        (cdk.Duration.days(31), "for 31 days; allowed is 1 to 30 whole days, nearest is 30"),
    ],
)
def test_links_that_live_for_too_short_or_too_long_are_refused(
    stack: cdk.Stack, valid_for: cdk.Duration, says: str
) -> None:
    bucket = ReportBucket(stack, "Reports")
    with pytest.raises(ValueError, match=f"Stack/Links: links are valid {says}"):
        DownloadLinks(stack, "Links", bucket=bucket, valid_for=valid_for)


def test_clicks_that_failed_and_that_were_refused_are_counted(links: DownloadLinks, stack: cdk.Stack) -> None:
    metrics = {"4xx": links.metric_refusals(), "5xx": links.metric_failures()}
    for name, metric in metrics.items():
        assert (metric.namespace, metric.metric_name, metric.statistic) == ("AWS/ApiGateway", name, "Sum")
        assert stack.resolve(metric.dimensions) == {"ApiId": stack.resolve(links.api.http_api_id)}
