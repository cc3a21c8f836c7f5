"""The stage of an HTTP API as all of the library's are made."""

from __future__ import annotations

import json

import aws_cdk as cdk
from aws_cdk import aws_apigatewayv2 as apigatewayv2
from aws_cdk import aws_logs as logs
from constructs import Construct

# "Customize HTTP API access logs" in the API Gateway Developer Guide. No header and no query: they hold tokens.
_LOGGED = {
    "requestId": "requestId",
    "ip": "identity.sourceIp",
    "requestTime": "requestTime",
    "httpMethod": "httpMethod",
    "path": "path",
    "status": "status",
    "protocol": "protocol",
    "responseLength": "responseLength",
    "integrationError": "integrationErrorMessage",
}


def add_default_stage(
    scope: Construct,
    api: apigatewayv2.HttpApi,
    *,
    throttle_rate: int,
    throttle_burst: int,
    log_retention: logs.RetentionDays,
    removal_policy: cdk.RemovalPolicy,
) -> tuple[apigatewayv2.HttpStage, logs.LogGroup]:
    """Give ``api`` its ``$default`` stage, throttled and with an access log, both made in ``scope``.

    The stage named so stands in no path: what is served at /health is /health here too.
    """
    access_log = logs.LogGroup(scope, "AccessLog", retention=log_retention, removal_policy=removal_policy)
    stage = apigatewayv2.HttpStage(
        scope,
        "Stage",
        http_api=api,
        stage_name="$default",
        auto_deploy=True,
        throttle=apigatewayv2.ThrottleSettings(rate_limit=throttle_rate, burst_limit=throttle_burst),
    )
    resource = stage.node.default_child
    assert isinstance(resource, apigatewayv2.CfnStage)  # noqa: S101 - the one child that every stage has
    resource.access_log_settings = apigatewayv2.CfnStage.AccessLogSettingsProperty(
        destination_arn=access_log.log_group_arn,
        format=json.dumps({name: f"$context.{variable}" for name, variable in _LOGGED.items()}),
    )
    return stage, access_log


def host_of(api: apigatewayv2.HttpApi) -> str:
    """The host name that API Gateway gives an API, and keeps."""
    return f"{api.http_api_id}.execute-api.{cdk.Stack.of(api).region}.{cdk.Aws.URL_SUFFIX}"
