"""Who calls, reads or writes whom: found in the templates' policies, targets, integrations and references."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from pictures import parts
from pictures.templates import Resource, Templates


@dataclass(frozen=True)
class Outside:
    """What no template makes."""

    title: str
    detail: str


SNOWFLAKE = Outside("Snowflake", "your account")
POSTGRES = Outside("PostgreSQL", "a server of yours")
MATILLION = Outside("Matillion", "its control plane")
CALLERS = Outside("Callers", "over HTTPS")
Box = Resource | Outside

# What happens in a deploy or at a rotation only.
DDL, FILLS_IN, ROTATES = "DDL", "reads", "rotates"

# What a container talks to beyond AWS, by the variable that tells it where.
_PEERS = {
    "SNOWFLAKE_ACCOUNT": (SNOWFLAKE, "SQL"),
    "POSTGRES_HOST": (POSTGRES, "SQL"),
    "MATILLION_REGION": (MATILLION, "asks for work"),
}

# What a right means, by the action; of several the first that fits.
_VERBS = (
    ("secretsmanager:GetSecretValue", "reads"),
    ("ecs:UpdateService", "desired count"),
    ("ecs:RunTask", "runs"),
    ("lambda:InvokeFunction", "invokes"),
    ("states:StartExecution", "starts"),
    ("execute-api:Invoke", "calls, SigV4"),
    ("sns:Publish", "publishes"),
    ("iam:PassRole", "sets"),
    ("dynamodb:PutItem", "takes the lock"),
)
_READS, _WRITES = "s3:GetObject", "s3:PutObject"


@dataclass(frozen=True)
class Arrow:
    """From whoever acts to what it acts on."""

    source: Box
    target: Box
    label: str


class Arrows:
    """All arrows of an environment."""

    def __init__(self, templates: Templates) -> None:
        self._templates = templates
        self._actors = self._who_acts_as()
        self.found = sorted(set(self._all()), key=str)

    def box(self, resource: Resource) -> Resource | None:
        """The box that stands for it: itself, the service of a task, the clock of a role that EventBridge assumes."""
        if resource.type == "AWS::ECS::TaskDefinition":
            for service in self._templates.all("AWS::ECS::Service", stack=resource.stack):
                if resource in self._references(service, "TaskDefinition"):
                    return service
        if resource in self.clocks:
            return resource
        return resource if parts.is_shown(resource, self._templates) else None

    @property
    def clocks(self) -> list[Resource]:
        """Roles of EventBridge Scheduler that no schedule of a template uses: a program makes the schedule."""
        used = [
            role
            for schedule in self._templates.all("AWS::Scheduler::Schedule")
            for role in self._references(schedule, "Target", "RoleArn")
        ]
        return [
            role
            for role in self._templates.all("AWS::IAM::Role")
            if "scheduler.amazonaws.com" in str(role.properties["AssumeRolePolicyDocument"]) and role not in used
        ]

    def _references(self, resource: Resource, *path: str) -> list[Resource]:
        value: Any = resource.properties
        for key in path:
            value = value.get(key, {})
        return self._templates.references(value, resource.stack)

    def _boxes(self, resource: Resource, *path: str) -> list[Resource]:
        boxes = [self.box(one) for one in self._references(resource, *path)]
        return [one for one in boxes if one]

    def _who_acts_as(self) -> dict[Resource, list[Box]]:
        """The boxes that use a role."""
        actors: dict[Resource, list[Box]] = {role: [role] for role in self.clocks}
        keys = {
            "AWS::Lambda::Function": ("Role",),
            "AWS::StepFunctions::StateMachine": ("RoleArn",),
            "AWS::ECS::TaskDefinition": ("TaskRoleArn", "ExecutionRoleArn"),
        }
        for kind, names in keys.items():
            for user in self._templates.all(kind):
                box = self.box(user)
                for name in names:
                    for role in self._references(user, name):
                        if box:
                            actors.setdefault(role, []).append(box)
        for role in self._templates.all("AWS::IAM::Role"):
            trusted = self._references(role, "AssumeRolePolicyDocument")
            if any(one.type == "Custom::SnowflakeApiIntegration" for one in trusted):
                actors.setdefault(role, []).append(SNOWFLAKE)
        return actors

    def _all(self) -> Iterator[Arrow]:
        for arrow in (
            *self._allowed(), *self._timed(), *self._rest_apis(), *self._http_apis(), *self._load_balanced(),
            *self._containers(), *self._databases(), *self._snowflake(),
        ):  # fmt: skip
            if arrow.source != arrow.target:
                yield arrow

    def _allowed(self) -> Iterator[Arrow]:
        """What the policies allow to the boxes that use their roles."""
        for policy in self._templates.all("AWS::IAM::Policy"):
            actors = [actor for role in self._references(policy, "Roles") for actor in self._actors.get(role, [])]
            granted: dict[Resource, set[str]] = {}
            for statement in policy.properties["PolicyDocument"]["Statement"]:
                named = statement["Action"]
                for reference in self._templates.references(statement["Resource"], policy.stack):
                    if (box := self.box(reference)) and statement["Effect"] == "Allow":
                        granted.setdefault(box, set()).update([named] if isinstance(named, str) else named)
            for box, actions in granted.items():
                if verb := _verb(actions, box):
                    yield from (Arrow(actor, box, verb) for actor in actors)

    def _timed(self) -> Iterator[Arrow]:
        for rule in self._templates.all("AWS::Events::Rule"):
            if parts.is_shown(rule, self._templates):
                yield from (Arrow(rule, box, "invokes") for box in self._boxes(rule, "Targets"))
        for schedule in self._templates.all("AWS::Scheduler::Schedule"):
            yield from (Arrow(schedule, box, "starts") for box in self._boxes(schedule, "Target", "Arn"))
        for schedule in self._templates.all("AWS::SecretsManager::RotationSchedule"):
            for function in self._boxes(schedule, "RotationLambdaARN"):
                yield from (Arrow(function, box, ROTATES) for box in self._boxes(schedule, "SecretId"))

    def _rest_apis(self) -> Iterator[Arrow]:
        for method in self._templates.all("AWS::ApiGateway::Method"):
            [api], [path] = self._references(method, "RestApiId"), self._references(method, "ResourceId")
            label = f"{method.properties['HttpMethod']} /{path.properties['PathPart']}"
            yield from (Arrow(api, box, label) for box in self._boxes(method, "Integration", "Uri"))

    def _http_apis(self) -> Iterator[Arrow]:
        keys: dict[tuple[Resource, Resource], list[str]] = {}
        for route in self._templates.all("AWS::ApiGatewayV2::Route"):
            [api], [integration] = self._references(route, "ApiId"), self._references(route, "Target")
            way = " by VPC link" if integration.properties.get("ConnectionType") == "VPC_LINK" else ""
            for target in self._references(integration, "IntegrationUri"):
                box = self._load_balancer(target) or self.box(target)
                if box:
                    key = route.properties["RouteKey"].replace("$default", "every path") + way
                    keys.setdefault((api, box), []).append(key)
        for (api, box), routes in keys.items():
            paths = {route.rpartition(" ")[2] for route in routes}
            methods = ", ".join(route.partition(" ")[0] for route in routes)
            label = f"{methods} {paths.pop()}" if len(routes) > 1 and len(paths) == 1 else ", ".join(routes)
            yield Arrow(CALLERS, api, "HTTPS")
            yield Arrow(api, box, label)

    def _load_balancer(self, listener: Resource) -> Resource | None:
        if listener.type != "AWS::ElasticLoadBalancingV2::Listener":
            return None
        return self._references(listener, "LoadBalancerArn")[0]

    def _load_balanced(self) -> Iterator[Arrow]:
        behind: dict[Resource, list[tuple[Resource, int]]] = {}
        for service in self._templates.all("AWS::ECS::Service"):
            for one in service.properties.get("LoadBalancers", []):
                for group in self._templates.references(one["TargetGroupArn"], service.stack):
                    behind.setdefault(group, []).append((service, one["ContainerPort"]))
        for listener in self._templates.all("AWS::ElasticLoadBalancingV2::Listener"):
            balancer = self._load_balancer(listener)
            if not balancer:
                continue
            for group in self._references(listener, "DefaultActions"):
                for service, port in behind.get(group, []):
                    yield Arrow(balancer, service, f"port {port}")
            if balancer.properties["Scheme"] == "internet-facing":
                yield Arrow(CALLERS, balancer, "HTTPS")
        for distribution in self._templates.all("AWS::CloudFront::Distribution"):
            yield Arrow(CALLERS, distribution, "HTTPS")
            for origin in self._references(distribution, "DistributionConfig", "Origins"):
                yield from (
                    Arrow(distribution, box, "VPC origin") for box in self._boxes(origin, "VpcOriginEndpointConfig")
                )

    def _containers(self) -> Iterator[Arrow]:
        for task in self._templates.all("AWS::ECS::TaskDefinition"):
            box = self.box(task)
            for container in task.properties["ContainerDefinitions"]:
                for variable in container.get("Environment", []) + container.get("Secrets", []):
                    if box and variable["Name"] in _PEERS:
                        peer, label = _PEERS[variable["Name"]]
                        yield Arrow(box, peer, label)

    def _databases(self) -> Iterator[Arrow]:
        """Whom a database's security group lets in."""
        stores = self._templates.all("AWS::RDS::DBInstance", "AWS::ElastiCache::ReplicationGroup")
        for rule in self._templates.all("AWS::EC2::SecurityGroupIngress"):
            for store in stores:
                if set(self._references(rule, "GroupId")) & set(self._groups(store)):
                    label = "SQL" if store.type == "AWS::RDS::DBInstance" else "RESP"
                    for source in self._references(rule, "SourceSecurityGroupId"):
                        yield from (Arrow(box, store, label) for box in self.behind(source))

    def _groups(self, resource: Resource) -> list[Resource]:
        return [one for one in self._references(resource) if one.type == "AWS::EC2::SecurityGroup"]

    def behind(self, group: Resource) -> list[Resource]:
        """The boxes whose network interfaces are in the security group.

        A job's task has its group from the state machine that runs it.
        """
        users = [
            one
            for one in self._templates.all(stack=group.stack)
            if one.type in parts.SHOWN and not one.type.startswith("Custom::") and group in self._groups(one)
        ]
        return [
            run
            for user in users
            for run in (self._run_by(user) if user.type == "AWS::StepFunctions::StateMachine" else [user])
        ]

    def _run_by(self, machine: Resource) -> list[Resource]:
        tasks = self._templates.all("AWS::ECS::TaskDefinition", stack=machine.stack)
        return [task for task in tasks if task in self._references(machine, "DefinitionString")]

    def _snowflake(self) -> Iterator[Arrow]:
        """The custom resources, the function that answers them, and the APIs that they tell Snowflake of."""
        for custom in self._templates.all():
            if custom.type.startswith("Custom::Snowflake"):
                for function in self._boxes(custom, "ServiceToken"):
                    yield Arrow(custom, function, "invokes")
                    yield Arrow(function, SNOWFLAKE, DDL)
                    yield from (Arrow(function, box, FILLS_IN) for box in self._boxes(custom, "Secrets"))
                for api in self._references(custom, "Values"):
                    if api.type == "AWS::ApiGatewayV2::Api":
                        yield Arrow(SNOWFLAKE, api, "HTTPS, token")


def _verb(actions: set[str], box: Resource) -> str | None:
    if box.type == "AWS::RDS::DBInstance":
        return "password" if "secretsmanager:GetSecretValue" in actions else None
    if "secretsmanager:PutSecretValue" in actions:  # a rotation's, which its schedule tells
        return None
    if box.type == "AWS::S3::Bucket":
        spoken = [verb for action, verb in ((_READS, "reads"), (_WRITES, "writes")) if action in actions]
        return ", ".join(spoken) or None
    return next((verb for action, verb in _VERBS if action in actions), None)
