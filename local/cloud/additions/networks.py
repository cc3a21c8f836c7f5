"""The VPC family: what ministack's CloudFormation lacks of it."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from typing import Any

from local.cloud.additions.patching import IncompatibleMinistack, replaces_entry, require

Attributes = dict[str, Any]


def apply() -> None:
    """ministack knows no EIP, NatGateway, FlowLog, interface and single security group rules: here they have an id."""
    from ministack.services import ec2
    from ministack.services.cloudformation import provisioners

    require(ec2, "_addresses", "_nat_gateways", "_subnets", "_vpcs", "_now_ts")
    handlers = provisioners._RESOURCE_HANDLERS
    add_type(handlers, "AWS::EC2::FlowLog", "fl")
    add_type(handlers, "AWS::EC2::NetworkInterface", "eni")
    add_type(handlers, "AWS::EC2::SecurityGroupIngress", "sgr")
    add_type(handlers, "AWS::EC2::SecurityGroupEgress", "sgr")
    _add_addresses(handlers, ec2)
    _add_nat_gateways(handlers, ec2)
    _complete_vpc_attributes(handlers)


def add_type(handlers: dict[str, Any], resource_type: str, prefix: str) -> None:
    """Let stacks hold this type: its properties lie in the stack's record, an id stands for it, nothing works on it."""

    def create(_logical_id: str, _props: dict[str, Any], _stack_name: str) -> tuple[str, Attributes]:
        physical_id = new_id(prefix)
        return physical_id, {"Id": physical_id}

    def update(physical_id: str, _old: dict[str, Any], _new: dict[str, Any], _stack: str) -> tuple[str, Attributes]:
        return physical_id, {"Id": physical_id}

    register(handlers, resource_type, create, update, lambda _physical_id, _props: None)


def register(
    handlers: dict[str, Any],
    resource_type: str,
    create: Callable[..., Any],
    update: Callable[..., Any],
    delete: Callable[..., Any],
) -> None:
    """Register a type that ministack must not have yet. Raises IncompatibleMinistack when it has."""
    if resource_type in handlers:
        raise IncompatibleMinistack(f"ministack has {resource_type} of its own: remove the addition")
    handlers[resource_type] = {"create": create, "update": update, "delete": delete}


def new_id(prefix: str) -> str:
    """A new id as EC2 makes them."""
    return f"{prefix}-{uuid.uuid4().hex[:17]}"


def _add_addresses(handlers: dict[str, Any], ec2: Any) -> None:
    def create(_logical_id: str, _props: dict[str, Any], _stack_name: str) -> tuple[str, Attributes]:
        allocation = new_id("eipalloc")
        address = f"203.0.113.{uuid.uuid4().int % 254 + 1}"
        attributes = {"AllocationId": allocation, "PublicIp": address}
        ec2._addresses[allocation] = attributes | {"Domain": "vpc"}
        return address, attributes

    def update(physical_id: str, _old: dict[str, Any], _new: dict[str, Any], _stack: str) -> tuple[str, Attributes]:
        record = next(record for record in ec2._addresses.values() if record["PublicIp"] == physical_id)
        return physical_id, {"AllocationId": record["AllocationId"], "PublicIp": physical_id}

    def delete(physical_id: str, _props: dict[str, Any]) -> None:
        for allocation, record in list(ec2._addresses.items()):
            if record.get("PublicIp") == physical_id:
                del ec2._addresses[allocation]

    register(handlers, "AWS::EC2::EIP", create, update, delete)


def _add_nat_gateways(handlers: dict[str, Any], ec2: Any) -> None:
    def create(_logical_id: str, props: dict[str, Any], _stack_name: str) -> tuple[str, Attributes]:
        gateway = new_id("nat")
        ec2._nat_gateways[gateway] = {
            "NatGatewayId": gateway,
            "SubnetId": props["SubnetId"],
            "VpcId": ec2._subnets[props["SubnetId"]]["VpcId"],
            "AllocationId": props.get("AllocationId", ""),
            "ConnectivityType": props.get("ConnectivityType", "public"),
            "State": "available",
            "CreateTime": ec2._now_ts(),
            "Tags": props.get("Tags", []),
        }
        return gateway, {"NatGatewayId": gateway}

    def update(physical_id: str, _old: dict[str, Any], _new: dict[str, Any], _stack: str) -> tuple[str, Attributes]:
        return physical_id, {"NatGatewayId": physical_id}

    def delete(physical_id: str, _props: dict[str, Any]) -> None:
        ec2._nat_gateways.pop(physical_id, None)

    register(handlers, "AWS::EC2::NatGateway", create, update, delete)


def _complete_vpc_attributes(handlers: dict[str, Any]) -> None:
    """ministack gives a VPC no CidrBlock attribute, AWS does: the CDK's Vpc.vpc_cidr_block asks for it."""
    vpc = handlers["AWS::EC2::VPC"]

    def attributes(physical_id: str, props: dict[str, Any]) -> Attributes:
        return {
            "CidrBlock": props["CidrBlock"],
            "CidrBlockAssociations": [f"vpc-cidr-assoc-{physical_id[4:]}"],
            "Ipv6CidrBlocks": [],
        }

    @replaces_entry(vpc, "create", "logical_id props stack_name", "AWS::EC2::VPC")
    def create(original: Any, logical_id: str, props: dict[str, Any], stack_name: str) -> tuple[str, Attributes]:
        physical_id, known = original(logical_id, props, stack_name)
        return physical_id, attributes(physical_id, props) | known

    @replaces_entry(vpc, "update", "physical_id old_props new_props stack_name logical_id", "AWS::EC2::VPC")
    def update(
        original: Any, physical_id: str, old: dict[str, Any], new: dict[str, Any], *rest: Any
    ) -> tuple[str, Attributes]:
        new_physical_id, known = original(physical_id, old, new, *rest)
        return new_physical_id, attributes(new_physical_id, new) | known
