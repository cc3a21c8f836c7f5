"""HTTP APIs: their VPC links, and requests that go through one to a load balancer's listener and on to its targets."""

from __future__ import annotations

import asyncio
import json
from typing import Any

from local.cloud.additions.networks import Attributes, new_id, register
from local.cloud.additions.patching import replaces, replaces_entry, require

LINK = "AWS::ApiGatewayV2::VpcLink"
INTEGRATION = "AWS::ApiGatewayV2::Integration"
LINK_PROPERTIES = {"Name", "SubnetIds", "SecurityGroupIds", "Tags"}
# A mapping of requests or a TLS connection to the load balancer would be kept by ministack and left out in calls.
UNUSED_PROPERTIES = {"RequestParameters", "ResponseParameters", "TlsConfig", "IntegrationSubtype", "CredentialsArn"}
TIMEOUT = 30.0  # seconds; "Quotas for HTTP APIs" in the API Gateway Developer Guide

Answer = tuple[int, dict[str, Any], Any]


def apply() -> None:
    """ministack has no VPC links and knows a target by its id alone; AWS has them, and tells targets' ports apart."""
    from ministack.services import alb, apigateway, ec2
    from ministack.services.cloudformation import provisioners

    require(apigateway, "_apis", "_integrations")
    require(alb, "_listeners", "_lbs", "_targets", "_tgs", "_parse_targets_param", "_p", "_empty", "dispatch_request")
    require(ec2, "_subnets", "_security_groups")
    handlers = provisioners._RESOURCE_HANDLERS
    _add_links(handlers, ec2)
    _check_integrations(handlers, alb)
    _name_endpoints(handlers, apigateway)
    _go_through_links(apigateway, alb)
    _tell_targets_by_port(alb)


def _add_links(handlers: dict[str, Any], ec2: Any) -> None:
    def check(props: dict[str, Any]) -> None:
        unknown = sorted(set(props) - LINK_PROPERTIES)
        if unknown or not props.get("Name") or not props.get("SubnetIds"):
            raise ValueError(
                f"{LINK}: Name and SubnetIds are needed; not known here: {', '.join(unknown) or 'nothing'}"
            )
        missing = [name for name in props["SubnetIds"] if name not in ec2._subnets]
        missing += [name for name in props.get("SecurityGroupIds") or [] if name not in ec2._security_groups]
        if missing:
            raise ValueError(f"{LINK}: there is no {', '.join(missing)}")

    def create(_logical_id: str, props: dict[str, Any], _stack_name: str) -> tuple[str, Attributes]:
        check(props)
        link = new_id("link")[5:15]
        return link, {"VpcLinkId": link}

    def update(physical_id: str, old: dict[str, Any], new: dict[str, Any], stack_name: str) -> tuple[str, Attributes]:
        check(new)
        places = ("SubnetIds", "SecurityGroupIds")
        if any(old.get(key) != new.get(key) for key in places):  # "Update requires: Replacement"
            return create("", new, stack_name)
        return physical_id, {"VpcLinkId": physical_id}

    register(handlers, LINK, create, update, lambda _physical_id, _props: None)


def _check_integrations(handlers: dict[str, Any], alb: Any) -> None:
    """ministack keeps any integration, AWS refuses a link to nothing."""

    def check(props: dict[str, Any]) -> None:
        if props.get("ConnectionType") != "VPC_LINK":
            return
        unused = sorted(UNUSED_PROPERTIES & {name for name, value in props.items() if value})
        if unused:
            raise ValueError(f"{INTEGRATION}: the stand-in has no {', '.join(unused)} for a VPC_LINK")
        if props.get("IntegrationType") != "HTTP_PROXY" or not props.get("ConnectionId"):
            raise ValueError(f"{INTEGRATION}: a VPC_LINK needs IntegrationType HTTP_PROXY and a ConnectionId")
        if props.get("IntegrationUri") not in alb._listeners:
            raise ValueError(
                f"{INTEGRATION}: IntegrationUri {props.get('IntegrationUri')} is no load balancer's listener"
            )

    table = handlers[INTEGRATION]

    @replaces_entry(table, "create", "logical_id props stack_name", INTEGRATION)
    def create(original: Any, logical_id: str, props: dict[str, Any], stack_name: str) -> Any:
        check(props)
        return original(logical_id, props, stack_name)

    @replaces_entry(table, "update", "physical_id old_props new_props stack_name logical_id", INTEGRATION)
    def update(original: Any, physical_id: str, old: dict[str, Any], new: dict[str, Any], *rest: Any) -> Any:
        check(new)
        return original(physical_id, old, new, *rest)


def _name_endpoints(handlers: dict[str, Any], apigateway: Any) -> None:
    """ministack's ApiEndpoint is an address of this machine, AWS's has the API's own host name."""
    from ministack.core.responses import get_region

    @replaces_entry(
        handlers["AWS::ApiGatewayV2::Api"], "create", "logical_id props stack_name", "AWS::ApiGatewayV2::Api"
    )
    def create(original: Any, *arguments: Any) -> tuple[str, Attributes]:
        api, attributes = original(*arguments)
        endpoint = f"https://{api}.execute-api.{get_region()}.amazonaws.com"
        apigateway._apis[api]["apiEndpoint"] = endpoint
        return api, attributes | {"ApiEndpoint": endpoint}


def _go_through_links(apigateway: Any, alb: Any) -> None:
    @replaces(apigateway, "_invoke_http_proxy", "integration path method headers body query_params")
    async def invoke(
        original: Any,
        integration: dict[str, Any],
        path: str,
        method: str,
        headers: dict[str, str],
        body: bytes,
        query_params: dict[str, Any],
    ) -> Answer:
        if integration.get("connectionType") != "VPC_LINK":
            answer: Answer = await original(integration, path, method, headers, body, query_params)
            return answer
        listener = alb._listeners.get(integration["integrationUri"])
        balancer = listener and alb._lbs.get(listener["LoadBalancerArn"])
        if balancer is None:
            return _unavailable()
        try:
            async with asyncio.timeout(TIMEOUT):
                return await _whole(
                    await alb.dispatch_request(
                        balancer, method, path, headers, body, query_params, int(listener["Port"])
                    )
                )
        except TimeoutError:
            return _unavailable()


async def _whole(answer: Answer) -> Answer:
    """An answer with its body: API Gateway passes on nothing that it does not have."""
    from ministack.core.responses import StreamingResponse

    status, headers, body = answer
    if not isinstance(body, StreamingResponse):
        return answer
    parts: list[bytes] = []

    async def send(message: dict[str, Any]) -> None:
        parts.append(message.get("body", b""))

    await body.runner(send, asyncio.Event().wait)
    kept = {name: value for name, value in headers.items() if name.lower() not in ("transfer-encoding", "connection")}
    return status, kept | {"content-length": str(sum(map(len, parts)))}, b"".join(parts)


def _unavailable() -> Answer:
    return 503, {"Content-Type": "application/json"}, json.dumps({"message": "Service Unavailable"}).encode()


def _tell_targets_by_port(alb: Any) -> None:
    """All tasks of this machine share 127.0.0.1: their ports tell them apart, as those of one address do on AWS."""

    def named(target: dict[str, Any], arn: str) -> tuple[str, int]:
        return target["Id"], int(target.get("Port") or alb._tgs[arn].get("Port") or 80)

    def change(name: str, put: Any) -> None:
        @replaces_entry(alb._ACTION_MAP, name, "params", "alb._ACTION_MAP")
        def act(original: Any, params: dict[str, Any]) -> Any:
            arn = alb._p(params, "TargetGroupArn")
            if arn not in alb._tgs:
                return original(params)
            given = [{"Id": i, "Port": p} for i, p in (named(t, arn) for t in alb._parse_targets_param(params))]
            there = [{"Id": i, "Port": p} for i, p in (named(t, arn) for t in alb._targets.get(arn, []))]
            alb._targets[arn] = put(there, given)
            return alb._empty(name)

    change("RegisterTargets", lambda there, given: there + [target for target in given if target not in there])
    change("DeregisterTargets", lambda there, given: [target for target in there if target not in given])
