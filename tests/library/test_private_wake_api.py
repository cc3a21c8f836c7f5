"""The way in from Snowflake without the internet: a private WakeApi and an integration that says so."""

from __future__ import annotations

from collections.abc import Callable

import aws_cdk as cdk
import pytest
from aws_cdk import assertions
from aws_cdk import aws_lambda as lambda_

from snowgate import SnowflakeApiIntegration, SnowflakeDeployer, WakeApi

Synthesise = Callable[[], assertions.Template]
Match = assertions.Match
ROLE = "arn:aws:iam::111122223333:role/reports-snowflake"
PREFIX = "https://x.execute-api.eu-west-1.amazonaws.com/prod/trigger"


def api(stack: cdk.Stack, **options: object) -> WakeApi:
    waker = lambda_.Function.from_function_attributes(
        stack,
        "Waker",
        function_arn="arn:aws:lambda:eu-west-1:111122223333:function:waker",
        same_environment=True,
    )
    return WakeApi(stack, "WakeApi", waker=waker, invoker_role_arn=ROLE, **options)


def denied(made: assertions.Template) -> list[object]:
    [found] = made.find_resources("AWS::ApiGateway::RestApi").values()
    assert found["Properties"]["EndpointConfiguration"] == {"Types": ["PRIVATE"]}
    statements = found["Properties"]["Policy"]["Statement"]
    return [statement["Condition"] for statement in statements if statement["Effect"] == "Deny"]


def test_a_private_api_lets_in_the_role_only_and_only_from_snowflakes_networks(
    stack: cdk.Stack, template: Synthesise
) -> None:
    api(stack, snowflake_vpcs=["vpc-0a", "vpc-0b"])
    assert denied(template()) == [
        {"ArnNotEquals": {"aws:PrincipalArn": ROLE}},
        {"StringNotEquals": {"aws:SourceVpc": ["vpc-0a", "vpc-0b"]}},
    ]


def test_an_endpoint_or_a_vpc_is_enough(stack: cdk.Stack, template: Synthesise) -> None:
    api(stack, snowflake_vpcs=["vpc-0a"], snowflake_vpc_endpoints=["vpce-0c"])
    # One statement with two keys denies only those for whom both hold.
    assert denied(template())[1] == {
        "StringNotEquals": {"aws:SourceVpc": ["vpc-0a"], "aws:SourceVpce": ["vpce-0c"]},
    }


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"snowflake_vpcs": ["vpce-0c"]}, "snowflake_vpcs takes ids that begin with vpc-; given was 'vpce-0c'"),
        ({"snowflake_vpc_endpoints": ["vpc-0a"]}, "snowflake_vpc_endpoints takes ids that begin with vpce-"),
    ],
)
def test_an_id_of_the_wrong_kind_is_refused(stack: cdk.Stack, options: dict[str, list[str]], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        api(stack, **options)


@pytest.mark.parametrize(("private", "provider"), [(False, "aws_api_gateway"), (True, "aws_private_api_gateway")])
def test_the_integration_names_the_provider_and_tells_drift(
    stack: cdk.Stack, deployer: SnowflakeDeployer, template: Synthesise, private: bool, provider: str
) -> None:
    integration = SnowflakeApiIntegration(
        stack,
        "ApiIntegration",
        deployer=deployer,
        name="A",
        role_name="r",
        allowed_prefixes=[PREFIX],
        private=private,
        recheck="2026-01-01T00:00:00Z",
    )
    cdk.CfnOutput(stack, "Drift", value=integration.drift)
    made = template()
    made.has_resource_properties(
        "Custom::SnowflakeApiIntegration", {"Provider": provider, "Recheck": "2026-01-01T00:00:00Z"}
    )
    made.has_output("Drift", {"Value": {"Fn::GetAtt": [Match.any_value(), "Drift"]}})


def test_a_prefix_that_is_no_https_url_is_refused(stack: cdk.Stack, deployer: SnowflakeDeployer) -> None:
    with pytest.raises(ValueError, match=r"'http://x' in allowed_prefixes must begin with https://"):
        SnowflakeApiIntegration(
            stack, "ApiIntegration", deployer=deployer, name="A", role_name="r", allowed_prefixes=["http://x"]
        )
