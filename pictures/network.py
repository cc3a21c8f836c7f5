"""The network: subnets, the ways out, endpoints, and which security group lets whom in at which port."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from pictures import parts
from pictures.arrows import Arrows
from pictures.drawing import Node, Picture
from pictures.templates import Resource, Templates

INTERNET = "Internet"
VPC = "Any address of the VPC"


def picture(name: str, templates: Templates, arrows: Arrows) -> Picture:
    """Every security group in the subnets that it is used in, and what its rules and the routes allow."""
    [vpc] = templates.all("AWS::EC2::VPC")
    around = f"VPC {vpc.properties['CidrBlock']}"
    tiers = _tiers(templates)
    groups: dict[str, list[Node]] = {"": [], around: []}
    for title in dict.fromkeys(tiers.values()):
        groups[title] = []
    nested = dict.fromkeys(dict.fromkeys(tiers.values()), around)

    groups[""].append(Node(INTERNET, INTERNET, ["Snowflake, AWS's APIs"], "outside"))
    lines: list[tuple[str, str, str]] = []
    gateways = templates.all("AWS::EC2::NatGateway")
    if gateways:
        title = tiers[templates.references(gateways[0].properties["SubnetId"], gateways[0].stack)[0]]
        groups[title].append(Node("NAT", "NAT gateways", [f"{len(gateways)}, addresses that stay"], "door"))
        lines.append(("NAT", INTERNET, ""))
    for endpoint in templates.all("AWS::EC2::VPCEndpoint"):
        service = str(endpoint.properties["ServiceName"]).rsplit(".", 1)[-1].strip("'\"]}")
        kind = endpoint.properties.get("VpcEndpointType", "Interface").lower()
        groups[around].append(Node(endpoint.name, f"{service.upper()} endpoint", [f"{kind}, by the routes"], "data"))

    for group in templates.all("AWS::EC2::SecurityGroup"):
        users = _users(group, templates, arrows)
        title = next(
            (tiers[subnet] for user in users for subnet in _subnets(user, templates) if subnet in tiers), around
        )
        shown = [user for user in users if user.type != "AWS::StepFunctions::StateMachine"]
        what = [_called(user) for user in shown or users]
        groups[title].append(
            Node(
                _key(group),
                _title(group),
                [group.stack, *dict.fromkeys(what)],
                "compute" if _is_task(users) else "door",
            )
        )
        out = "NAT" if gateways and "private" in title else INTERNET
        lines.extend(_rules(group, templates, out))
    named = {node.key for nodes in groups.values() for node in nodes}
    for end in dict.fromkeys(end for source, target, _ in lines for end in (source, target)):
        if end == VPC:
            groups[around].append(Node(VPC, VPC, ["as far as its groups allow"], "outside"))
        elif end not in named:
            groups[""].append(Node(end, end, ["any of its addresses"], "outside"))
    return Picture(name, f"The network of {templates.environment}", groups, _joined(lines), nested=nested)


def _tiers(templates: Templates) -> dict[Resource, str]:
    """Each subnet's group: all public ones are one, so are all others."""
    subnets = templates.all("AWS::EC2::Subnet")
    public = [one for one in subnets if _is_public(one, templates)]
    found = {}
    for kind, ours in (("public", public), ("private", [one for one in subnets if one not in public])):
        ranges = ", ".join(one.properties["CidrBlock"] for one in ours)
        found.update({one: f"{len(ours)} {kind} subnets: {ranges}" for one in ours})
    return found


def _is_public(subnet: Resource, templates: Templates) -> bool:
    """Whether a route leads to an internet gateway, as "Subnet basics" (Amazon VPC) has it; addresses say nothing."""
    tables = {
        table
        for one in templates.all("AWS::EC2::SubnetRouteTableAssociation")
        if subnet in templates.references(one.properties["SubnetId"], one.stack)
        for table in templates.references(one.properties["RouteTableId"], one.stack)
    }
    routes = [one for one in templates.all("AWS::EC2::Route") if "GatewayId" in one.properties]
    return any(tables.intersection(templates.references(one.properties["RouteTableId"], one.stack)) for one in routes)


def _users(group: Resource, templates: Templates, arrows: Arrows) -> list[Resource]:
    """Whose network interfaces are in the group, with the state machine of a job, which names the subnets."""
    kinds = ("AWS::ApiGatewayV2::VpcLink", "AWS::EC2::VPCEndpoint", "AWS::StepFunctions::StateMachine")
    links = [
        one
        for one in templates.all(*kinds, stack=group.stack)
        if group in templates.references(one.properties, one.stack)
    ]
    return [*arrows.behind(group), *links]


def _subnets(user: Resource, templates: Templates) -> list[Resource]:
    """The subnets that it names, itself or by its subnet group."""
    found = templates.references(user.properties, user.stack)
    for one in found:
        if one.type in ("AWS::RDS::DBSubnetGroup", "AWS::ElastiCache::SubnetGroup"):
            found = [*found, *templates.references(one.properties, one.stack)]
    return [one for one in found if one.type == "AWS::EC2::Subnet"]


def _is_task(users: list[Resource]) -> bool:
    return any(user.type in ("AWS::ECS::Service", "AWS::ECS::TaskDefinition") for user in users)


def _title(group: Resource) -> str:
    return parts.title(group).removesuffix(" security group").removesuffix(" group")


def _called(user: Resource) -> str:
    return parts.SHOWN[user.type][0] if user.type in parts.SHOWN else "API Gateway VPC link"


def _key(group: Resource) -> str:
    return f"{group.stack}.{group.name}"


def _rules(group: Resource, templates: Templates, out: str) -> Iterator[tuple[str, str, str]]:
    """What may leave to addresses, and who may come in; between two groups the rule of the one that lets in."""
    every = [
        (rule.properties, rule.type.removeprefix("AWS::EC2::SecurityGroup"))
        for rule in templates.all("AWS::EC2::SecurityGroupIngress", "AWS::EC2::SecurityGroupEgress")
        if group in templates.references(rule.properties["GroupId"], rule.stack)
    ]
    every += [
        (rule, kind) for kind in ("Ingress", "Egress") for rule in group.properties.get(f"SecurityGroup{kind}", [])
    ]
    for rule, kind in every:
        other = templates.references(
            rule.get("SourceSecurityGroupId" if kind == "Ingress" else "DestinationSecurityGroupId", {}), group.stack
        )
        port = _port(rule, group, templates)
        if kind == "Egress" and rule.get("CidrIp") == "0.0.0.0/0":
            yield _key(group), out, port
        elif kind == "Egress" and rule.get("CidrIp") not in (None, "255.255.255.255/32"):
            yield _key(group), _range(rule["CidrIp"], templates), port
        elif kind == "Ingress" and other:
            yield _key(other[0]), _key(group), port
        elif kind == "Egress" and other and not _lets_in(other[0], templates):
            yield _key(group), _key(other[0]), port
        elif kind == "Ingress":
            yield _source(rule, templates), _key(group), port


def _port(rule: dict[str, Any], group: Resource, templates: Templates) -> str:
    """The port, or whose it is where only the deploy knows it."""
    owners = templates.references(rule["FromPort"], group.stack)
    return parts.SHOWN[owners[0].type][0].split()[-1] if owners else str(rule["FromPort"])


def _lets_in(group: Resource, templates: Templates) -> bool:
    """Whether another group is named in what it lets in: then that rule is the arrow."""
    return any(
        group in templates.references(rule.properties["GroupId"], rule.stack)
        and "SourceSecurityGroupId" in rule.properties
        for rule in templates.all("AWS::EC2::SecurityGroupIngress")
    )


def _source(rule: dict[str, Any], templates: Templates) -> str:
    return "CloudFront" if "SourcePrefixListId" in rule else _range(rule["CidrIp"], templates)


def _range(addresses: Any, templates: Templates) -> str:
    """What the addresses are: a reference is one to the VPC's own."""
    [vpc] = templates.all("AWS::EC2::VPC")
    if not isinstance(addresses, str) or addresses == vpc.properties["CidrBlock"]:
        return VPC
    return INTERNET if addresses == "0.0.0.0/0" else addresses


def _joined(lines: list[tuple[str, str, str]]) -> list[tuple[str, str, str]]:
    ports: dict[tuple[str, str], list[str]] = {}
    for source, target, port in lines:
        ports.setdefault((source, target), []).append(port)
    return [(source, target, ", ".join(filter(None, dict.fromkeys(said)))) for (source, target), said in ports.items()]
