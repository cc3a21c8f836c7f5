"""CloudFront's VPC origins in stacks: ministack has their API, and its distributions reach a load balancer by name."""

from __future__ import annotations

import random
from typing import Any

from local.cloud.additions.networks import Attributes, register
from local.cloud.additions.patching import replaces, require

ORIGIN = "AWS::CloudFront::VpcOrigin"
CONFIG = {"Name", "Arn", "HTTPPort", "HTTPSPort", "OriginProtocolPolicy", "OriginSSLProtocols"}
PROPERTIES = {"VpcOriginEndpointConfig", "Tags"}


def apply() -> None:
    """ministack's CloudFormation has no VPC origins, AWS's does."""
    from ministack.services import cloudfront
    from ministack.services.cloudformation import provisioners

    require(cloudfront, "_vpc_origins", "_check_vpc_origin_endpoint_config", "_vpc_origin_name_taken", "_now_iso")
    require(cloudfront, "_vpc_origin_in_use", "_KSUID_CHARS", "get_account_id")
    require(cloudfront, "_find", "_text")
    register(provisioners._RESOURCE_HANDLERS, ORIGIN, *_handlers(cloudfront))
    _connect_as_configured(cloudfront)


def _handlers(cloudfront: Any) -> tuple[Any, Any, Any]:
    origins = cloudfront._vpc_origins

    def create(_logical_id: str, props: dict[str, Any], _stack_name: str) -> tuple[str, Attributes]:
        config = _config(cloudfront, props)
        if cloudfront._vpc_origin_name_taken(config["Name"]):
            raise ValueError(f"{ORIGIN}: there is a VPC origin named {config['Name']}")
        name = "vo_" + "".join(random.choices(cloudfront._KSUID_CHARS, k=22))
        now = cloudfront._now_iso()
        account = cloudfront.get_account_id()
        origins[name] = {
            "Id": name,
            "Arn": f"arn:aws:cloudfront::{account}:vpcorigin/{name}",
            "AccountId": account,
            "Status": "Deployed",
            "CreatedTime": now,
            "LastModifiedTime": now,
            "VpcOriginEndpointConfig": config,
            "Version": 2,
        }
        return name, attributes(name)

    def update(physical_id: str, _old: dict[str, Any], new: dict[str, Any], _stack: str) -> tuple[str, Attributes]:
        config = _config(cloudfront, new)
        if config != origins[physical_id]["VpcOriginEndpointConfig"]:
            if cloudfront._vpc_origin_in_use(physical_id):
                raise ValueError(f"{ORIGIN}: {physical_id} is used by a distribution and cannot be changed")
            origins[physical_id] |= {"VpcOriginEndpointConfig": config, "LastModifiedTime": cloudfront._now_iso()}
            origins[physical_id]["Version"] += 2
        return physical_id, attributes(physical_id)

    def delete(physical_id: str, _props: dict[str, Any]) -> None:
        origins.pop(physical_id, None)

    def attributes(name: str) -> Attributes:
        return {key: origins[name][key] for key in ("Id", "Arn", "Status", "CreatedTime", "LastModifiedTime")}

    return create, update, delete


def _connect_as_configured(cloudfront: Any) -> None:
    """ministack reaches any origin but a custom one as the viewer came, and a load balancer in its own region only."""
    from ministack.core.responses import set_request_region
    from ministack.services import alb

    require(alb, "_lbs")

    @replaces(cloudfront, "_dataplane_origin", "origin_el")
    def origin(original: Any, element: Any) -> dict[str, Any]:
        found: dict[str, Any] = original(element)
        vpc = cloudfront._find(element, "VpcOriginConfig")
        if vpc is None:
            return found
        config = cloudfront._vpc_origins[cloudfront._text(vpc, "VpcOriginId")]["VpcOriginEndpointConfig"]
        return found | {
            "http_port": config["HTTPPort"],
            "https_port": config["HTTPSPort"],
            "protocol_policy": config["OriginProtocolPolicy"],
            "read_timeout": int(cloudfront._text(vpc, "OriginReadTimeout") or "30"),
            "vpc_arn": config["Arn"],
        }

    @replaces(cloudfront, "_registered_alb", "origin")
    def registered(original: Any, origin: dict[str, Any]) -> Any:
        if "vpc_arn" not in origin:
            return original(origin)
        set_request_region(origin["vpc_arn"].split(":")[3])
        return alb._lbs.get(origin["vpc_arn"])


def _config(cloudfront: Any, props: dict[str, Any]) -> dict[str, Any]:
    """The origin's configuration as ministack keeps it; raises ValueError for what CloudFront refuses."""
    given = props.get("VpcOriginEndpointConfig") or {}
    if unknown := (set(props) - PROPERTIES) | (set(given) - CONFIG):
        raise ValueError(f"{ORIGIN}: not known here: {', '.join(sorted(unknown))}")
    protocols = given.get("OriginSSLProtocols")
    fields = {
        "Name": given.get("Name", ""),
        "Arn": given.get("Arn", ""),
        "HTTPPort": int(given.get("HTTPPort", 80)),
        "HTTPSPort": int(given.get("HTTPSPort", 443)),
        "OriginProtocolPolicy": given.get("OriginProtocolPolicy", "match-viewer"),
        "OriginSslProtocols": protocols,
        "Quantity": len(protocols) if protocols is not None else None,
        "IpAddressType": "ipv4",
    }
    config, error = cloudfront._check_vpc_origin_endpoint_config(fields)
    if error:
        raise ValueError(f"{ORIGIN}: CloudFront refuses it: {error[2]!r}")
    found: dict[str, Any] = config
    return found
