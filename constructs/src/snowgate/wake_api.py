"""The HTTPS address at which Snowflake wakes a worker."""

from __future__ import annotations

from collections.abc import Sequence

import aws_cdk as cdk
from aws_cdk import aws_apigateway as apigateway
from aws_cdk import aws_cloudwatch as cloudwatch
from aws_cdk import aws_iam as iam
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_logs as logs
from constructs import Construct

from snowgate.acknowledgements import acknowledge
from snowgate.tokens import is_token

# A batch of Snowflake's external functions, or {} by hand ("Remote service input and output data formats").
_BATCH = apigateway.JsonSchema(
    schema=apigateway.JsonSchemaVersion.DRAFT4,
    title="Batch",
    type=apigateway.JsonSchemaType.OBJECT,
    properties={
        "data": apigateway.JsonSchema(
            type=apigateway.JsonSchemaType.ARRAY,
            items=apigateway.JsonSchema(type=apigateway.JsonSchemaType.ARRAY),
        )
    },
)


class WakeApi(Construct):
    """A REST API with ``POST /trigger``, which calls ``waker`` and which one IAM role alone may call.

    ``invoker_role_arn`` may name a role that does not exist yet: it is compared, not referenced, so that the role can
    be made from what Snowflake tells about itself (SnowflakeApiIntegration). ``throttle_rate`` is calls a second.

    The API is regional unless ``snowflake_vpcs`` or ``snowflake_vpc_endpoints`` are given: then it is private, and
    lets in nobody from elsewhere. The VPC ids are those of purpose "generic" in SYSTEM$GET_SNOWFLAKE_PLATFORM_INFO();
    Snowflake must run in the same region, and endpoint ids change over time ("Planning an external function for AWS").

    Raises:
        ValueError: an id is not one of a VPC or of a VPC endpoint.
    """

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        waker: lambda_.IFunction,
        invoker_role_arn: str,
        snowflake_vpcs: Sequence[str] = (),
        snowflake_vpc_endpoints: Sequence[str] = (),
        throttle_rate: int = 10,
        throttle_burst: int = 20,
        log_retention: logs.RetentionDays = logs.RetentionDays.ONE_MONTH,
        removal_policy: cdk.RemovalPolicy = cdk.RemovalPolicy.DESTROY,
    ) -> None:
        super().__init__(scope, construct_id)
        _check("snowflake_vpcs", snowflake_vpcs, "vpc-")
        _check("snowflake_vpc_endpoints", snowflake_vpc_endpoints, "vpce-")
        sources = _sources(snowflake_vpcs, snowflake_vpc_endpoints)
        kind = apigateway.EndpointType.PRIVATE if sources else apigateway.EndpointType.REGIONAL

        self.access_log = logs.LogGroup(self, "AccessLog", retention=log_retention, removal_policy=removal_policy)
        self.api = apigateway.RestApi(
            self,
            "Api",
            rest_api_name=f"{cdk.Stack.of(self).stack_name}-{construct_id}",
            description="Wakes a worker on Fargate for what waits in Snowflake",
            endpoint_types=[kind],
            policy=_only(invoker_role_arn, cdk.Stack.of(self).account, sources),
            # Access and error logs of a REST API need an account-wide role in the region ("Set up CloudWatch logging
            # for REST APIs"). Others may use it too, so it stays when this API goes.
            cloud_watch_role=True,
            cloud_watch_role_removal_policy=cdk.RemovalPolicy.RETAIN,
            deploy_options=apigateway.StageOptions(
                stage_name="prod",
                tracing_enabled=True,
                throttling_rate_limit=throttle_rate,
                throttling_burst_limit=throttle_burst,
                logging_level=apigateway.MethodLoggingLevel.ERROR,
                data_trace_enabled=False,
                access_log_destination=apigateway.LogGroupLogDestination(self.access_log),
                access_log_format=apigateway.AccessLogFormat.json_with_standard_fields(
                    caller=True,
                    http_method=True,
                    ip=True,
                    protocol=True,
                    request_time=True,
                    resource_path=True,
                    response_length=True,
                    status=True,
                    user=True,
                ),
            ),
        )
        trigger = self.api.root.add_resource("trigger").add_method(
            "POST",
            apigateway.LambdaIntegration(waker, allow_test_invoke=False),
            authorization_type=apigateway.AuthorizationType.IAM,
            request_models={"application/json": self.api.add_model("Batch", schema=_BATCH)},
            request_validator=self.api.add_request_validator(
                "Body", validate_request_body=True, validate_request_parameters=True
            ),
        )
        self._acknowledge(trigger)

    @property
    def url(self) -> str:
        """The stage's URL, ending in a slash."""
        return self.api.url

    @property
    def trigger_url(self) -> str:
        """The URL that an external function names."""
        return self.api.url_for_path("/trigger")

    def grant_invoke(self, role: iam.IRole) -> iam.Grant:
        """Let ``role`` call ``POST /trigger``; the API itself lets only ``invoker_role_arn`` in."""
        return iam.Grant.add_to_principal(
            grantee=role,
            actions=["execute-api:Invoke"],
            resource_arns=[self.api.arn_for_execute_api("POST", "/trigger", "prod")],
        )

    def metric_count(self) -> cloudwatch.Metric:
        """Requests."""
        return self.api.metric_count(statistic="Sum")

    def metric_client_error(self) -> cloudwatch.Metric:
        """Requests that were refused (4xx)."""
        return self.api.metric_client_error(statistic="Sum")

    def metric_server_error(self) -> cloudwatch.Metric:
        """Requests that the waker failed (5xx)."""
        return self.api.metric_server_error(statistic="Sum")

    def metric_latency(self) -> cloudwatch.Metric:
        """Milliseconds from a request to its answer, on average."""
        return self.api.metric_latency(statistic="Average")

    def _acknowledge(self, trigger: apigateway.Method) -> None:
        reason = "Callers sign as an IAM role, and the resource policy lets in one; Snowflake knows no Cognito."
        acknowledge(trigger, {"COG4": reason})
        reason = "One role may call, throttled; a firewall has nothing left to decide and costs more than the API."
        acknowledge(self.api.deployment_stage, {"APIG3": reason})
        role = self.api.node.try_find_child("CloudWatchRole")
        if role is not None:
            policy = "arn:<AWS::Partition>:iam::aws:policy/service-role/AmazonAPIGatewayPushToCloudWatchLogs"
            reason = "The policy that API Gateway asks for, on the account-wide role that only API Gateway assumes."
            acknowledge(role, {f"IAM4[Policy::{policy}]": reason})


def _check(name: str, ids: Sequence[str], prefix: str) -> None:
    for one in ids:
        if not is_token(one) and not one.startswith(prefix):
            raise ValueError(f"{name} takes ids that begin with {prefix}; given was {one!r}.")


def _sources(vpcs: Sequence[str], endpoints: Sequence[str]) -> dict[str, list[str]]:
    """The networks that may call, by the condition key that names them; none for an API on the internet."""
    given = {"aws:SourceVpc": list(vpcs), "aws:SourceVpce": list(endpoints)}
    return {key: ids for key, ids in given.items() if ids}


def _only(role_arn: str, account: str, sources: dict[str, list[str]]) -> iam.PolicyDocument:
    """Allow the role and deny all others: in the role's own account an Allow alone would restrict nobody."""
    denied: list[dict[str, object]] = [{"ArnNotEquals": {"aws:PrincipalArn": role_arn}}]
    if sources:
        # The keys of one condition hold together: denied is who comes neither from such a VPC nor through an endpoint.
        denied.append({"StringNotEquals": sources})
    return iam.PolicyDocument(
        statements=[
            iam.PolicyStatement(
                principals=[iam.AccountPrincipal(account)],
                actions=["execute-api:Invoke"],
                resources=["execute-api:/*"],
                conditions={"ArnEquals": {"aws:PrincipalArn": role_arn}},
            ),
            *(
                iam.PolicyStatement(
                    effect=iam.Effect.DENY,
                    principals=[iam.AnyPrincipal()],
                    actions=["execute-api:Invoke"],
                    resources=["execute-api:/*"],
                    conditions=conditions,
                )
                for conditions in denied
            ),
        ]
    )
