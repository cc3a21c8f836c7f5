"""WakeApi alone in a stack."""

from __future__ import annotations

from collections.abc import Callable

import aws_cdk as cdk
import pytest
from aws_cdk import assertions
from aws_cdk import aws_iam as iam
from aws_cdk import aws_lambda as lambda_

from snowgate import SnowflakeApiIntegration, WakeApi

Synthesise = Callable[[], assertions.Template]
Match = assertions.Match
ROLE = "arn:aws:iam::111122223333:role/reports-snowflake"


@pytest.fixture
def api(stack: cdk.Stack) -> WakeApi:
    waker = lambda_.Function.from_function_attributes(
        stack,
        "Waker",
        function_arn="arn:aws:lambda:eu-west-1:111122223333:function:waker",
        same_environment=True,
    )
    return WakeApi(stack, "WakeApi", waker=waker, invoker_role_arn=ROLE)


def test_calls_are_signed_and_checked(api: WakeApi, template: Synthesise) -> None:
    made = template()
    made.has_resource_properties(
        "AWS::ApiGateway::Method",
        {"HttpMethod": "POST", "AuthorizationType": "AWS_IAM", "RequestValidatorId": Match.any_value()},
    )
    made.resource_count_is("AWS::ApiGateway::Method", 1)
    made.has_resource_properties("AWS::ApiGateway::RequestValidator", {"ValidateRequestBody": True})


def test_one_role_is_let_in_and_everybody_else_denied(api: WakeApi, template: Synthesise) -> None:
    [made] = template().find_resources("AWS::ApiGateway::RestApi").values()
    allow, deny = made["Properties"]["Policy"]["Statement"]
    assert (allow["Effect"], allow["Condition"]) == ("Allow", {"ArnEquals": {"aws:PrincipalArn": ROLE}})
    assert (deny["Effect"], deny["Condition"]) == ("Deny", {"ArnNotEquals": {"aws:PrincipalArn": ROLE}})
    assert deny["Principal"] == {"AWS": "*"}
    assert made["Properties"]["EndpointConfiguration"] == {"Types": ["REGIONAL"]}


def test_the_api_is_told_from_others_by_its_name(api: WakeApi, template: Synthesise) -> None:
    template().has_resource_properties("AWS::ApiGateway::RestApi", {"Name": "Stack-WakeApi"})


def test_the_stage_is_throttled_and_logs_accesses_but_no_bodies(api: WakeApi, template: Synthesise) -> None:
    template().has_resource_properties(
        "AWS::ApiGateway::Stage",
        {
            "StageName": "prod",
            "AccessLogSetting": Match.object_like({"DestinationArn": Match.any_value()}),
            "MethodSettings": [
                Match.object_like(
                    {
                        "ThrottlingRateLimit": 10,
                        "ThrottlingBurstLimit": 20,
                        "LoggingLevel": "ERROR",
                        "DataTraceEnabled": False,
                    }
                )
            ],
        },
    )


def test_a_role_is_granted_post_trigger_alone(api: WakeApi, stack: cdk.Stack, template: Synthesise) -> None:
    role = iam.Role(stack, "Role", assumed_by=iam.AccountPrincipal("999999999999"))
    api.grant_invoke(role)
    [policy] = template().find_resources("AWS::IAM::Policy").values()
    [statement] = policy["Properties"]["PolicyDocument"]["Statement"]
    assert statement["Action"] == "execute-api:Invoke"
    assert statement["Resource"]["Fn::Join"][1][-1] == "/prod/POST/trigger"


def test_the_computed_arn_is_that_of_the_role_to_come(stack: cdk.Stack) -> None:
    assert SnowflakeApiIntegration.computed_role_arn(stack, "reports-snowflake") == ROLE


def test_requests_refusals_failures_and_latency_are_metrics_of_this_api(api: WakeApi, stack: cdk.Stack) -> None:
    found = [api.metric_count(), api.metric_client_error(), api.metric_server_error(), api.metric_latency()]
    assert [(metric.metric_name, metric.statistic) for metric in found] == [
        ("Count", "Sum"),
        ("4XXError", "Sum"),
        ("5XXError", "Sum"),
        ("Latency", "Average"),
    ]
    for metric in found:
        assert stack.resolve(metric.dimensions) == {"ApiName": "Stack-WakeApi"}
