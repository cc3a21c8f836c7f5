"""Which resources become a box of a picture, what each is called, and which are folded away and why."""

from __future__ import annotations

import re

from pictures.templates import Resource, Templates

# type: (what AWS calls it, its colour's class)
SHOWN = {
    "AWS::ApiGateway::RestApi": ("API Gateway REST API", "door"),
    "AWS::ApiGatewayV2::Api": ("API Gateway HTTP API", "door"),
    "AWS::CloudFront::Distribution": ("CloudFront distribution", "door"),
    "AWS::DynamoDB::Table": ("DynamoDB table", "data"),
    "AWS::ECS::Service": ("ECS service on Fargate", "compute"),
    "AWS::ECS::TaskDefinition": ("ECS task on Fargate", "compute"),
    "AWS::ElastiCache::ReplicationGroup": ("ElastiCache for Valkey", "data"),
    "AWS::ElasticLoadBalancingV2::LoadBalancer": ("Application Load Balancer", "door"),
    "AWS::Events::Rule": ("EventBridge rule", "time"),
    "AWS::Lambda::Function": ("Lambda function", "compute"),
    "AWS::RDS::DBInstance": ("RDS for PostgreSQL", "data"),
    "AWS::S3::Bucket": ("S3 bucket", "data"),
    "AWS::SNS::Topic": ("SNS topic", "alarm"),
    "AWS::Scheduler::Schedule": ("EventBridge schedule", "time"),
    "AWS::SecretsManager::Secret": ("Secrets Manager secret", "secret"),
    "AWS::StepFunctions::StateMachine": ("Step Functions state machine", "compute"),
    "Custom::SnowflakeApiIntegration": ("custom resource", "deploy"),
    "Custom::SnowflakeLogin": ("custom resource", "deploy"),
    "Custom::SnowflakeScripts": ("custom resource", "deploy"),
}

_PERMISSION = "a right: drawn as the arrow that it allows"
_PART = "part of the box that it belongs to"
_NETWORK = "drawn in the picture of the network"
_WATCH = "watches a box; docs/operations.md has them"
FOLDED = {
    "AWS::IAM::Role": _PERMISSION,
    "AWS::IAM::Policy": _PERMISSION,
    "AWS::Lambda::Permission": _PERMISSION,
    "AWS::S3::BucketPolicy": "refuses plain HTTP, and lets logs in",
    "AWS::SNS::TopicPolicy": "refuses plain HTTP",
    "AWS::SQS::QueuePolicy": "refuses plain HTTP, and lets its one sender in",
    "AWS::SQS::Queue": "keeps what could not be started or delivered, for its alarm; docs/operations.md has them",
    "AWS::KMS::Key": "encrypts the topic beside it",
    "AWS::Logs::LogGroup": "nearly every box has one",
    "AWS::CloudWatch::Alarm": _WATCH,
    "AWS::CloudWatch::Dashboard": _WATCH,
    "AWS::ApiGateway::Account": "one for the account: lets API Gateway write logs",
    "AWS::ApiGateway::Deployment": _PART,
    "AWS::ApiGateway::Method": _PART,
    "AWS::ApiGateway::Model": _PART,
    "AWS::ApiGateway::RequestValidator": _PART,
    "AWS::ApiGateway::Resource": _PART,
    "AWS::ApiGateway::Stage": _PART,
    "AWS::ApiGatewayV2::Integration": _PART,
    "AWS::ApiGatewayV2::Route": _PART,
    "AWS::ApiGatewayV2::Stage": _PART,
    "AWS::ApiGatewayV2::VpcLink": "the way of an HTTP API into the network: a word at its arrow",
    "AWS::ApplicationAutoScaling::ScalableTarget": _PART,
    "AWS::ApplicationAutoScaling::ScalingPolicy": _PART,
    "AWS::CloudFront::CachePolicy": _PART,
    "AWS::CloudFront::VpcOrigin": "the way of CloudFront into the network: a word at its arrow",
    "AWS::ECS::Cluster": "holds services and tasks, and does nothing itself",
    "AWS::ECS::ClusterCapacityProviderAssociations": _PART,
    "AWS::ElasticLoadBalancingV2::Listener": _PART,
    "AWS::ElasticLoadBalancingV2::TargetGroup": _PART,
    "AWS::ElastiCache::SubnetGroup": _PART,
    "AWS::ElastiCache::User": _PART,
    "AWS::ElastiCache::UserGroup": _PART,
    "AWS::Lambda::EventInvokeConfig": _PART,
    "AWS::RDS::DBParameterGroup": _PART,
    "AWS::RDS::DBSubnetGroup": _PART,
    "AWS::SecretsManager::RotationSchedule": "drawn as the arrow to the secret that it rotates",
    "AWS::SSM::Parameter": "the name of the image, which the tasks' definitions hold too",
    "AWS::EC2::EIP": _NETWORK,
    "AWS::EC2::FlowLog": "the network's log",
    "AWS::EC2::InternetGateway": _NETWORK,
    "AWS::EC2::NatGateway": _NETWORK,
    "AWS::EC2::Route": _NETWORK,
    "AWS::EC2::RouteTable": _NETWORK,
    "AWS::EC2::SecurityGroup": _NETWORK,
    "AWS::EC2::SecurityGroupEgress": _NETWORK,
    "AWS::EC2::SecurityGroupIngress": _NETWORK,
    "AWS::EC2::Subnet": _NETWORK,
    "AWS::EC2::SubnetRouteTableAssociation": _NETWORK,
    "AWS::EC2::VPC": _NETWORK,
    "AWS::EC2::VPCEndpoint": _NETWORK,
    "AWS::EC2::VPCGatewayAttachment": _NETWORK,
    "AWS::WAFv2::WebACL": "the firewall of the box that it stands before",
    "Custom::S3AutoDeleteObjects": "empties a bucket before it is deleted",
    "Custom::AWS": "asks AWS for a figure during a deploy: CloudFront's addresses",
    "Custom::VpcRestrictDefaultSG": "empties the network's default security group during a deploy",
}

# What a logical id ends in that its box's second line says again, or that only the library's inside needs.
_SUFFIXES = (
    "LambdaFunction", "Function", "Service", "TaskDefinition", "StateMachine", "LockTable", "Distribution", "Instance",
    "Secret", "Bucket", "LoadBalancer", "User",
)  # fmt: skip


def title(resource: Resource) -> str:
    """A human name, out of the logical id: WorkerWakerLambdaFunction45D61F58 is "Worker waker"."""
    name = re.sub(r"[0-9A-F]{8}$", "", resource.name)
    for suffix in _SUFFIXES:
        if name.endswith(suffix) and name != suffix:
            name = name.removesuffix(suffix)
            break
    words = re.findall(r"OAuth|[A-Z]+(?![a-z])|[A-Z][a-z]+|\d+", name)
    spoken = [word if word.isupper() or word == "OAuth" else word.lower() for word in words]
    text = " ".join("API" if word == "api" else word for word in spoken)
    return text[:1].upper() + text[1:]


def is_shown(resource: Resource, templates: Templates) -> bool:
    """Whether it has a box of its own; ValueError for a type that is in neither table."""
    if resource.type in FOLDED:
        return False
    if resource.type not in SHOWN:
        raise ValueError(
            f"{resource.stack}.{resource.name} is of type {resource.type}, which no picture knows. "
            "Say in pictures/parts.py how it is shown (SHOWN), or why it is not (FOLDED)"
        )
    return not _is_minor(resource, templates)


def _is_minor(resource: Resource, templates: Templates) -> bool:
    """Instances of a shown type that serve another box."""
    kind, properties = resource.type, resource.properties
    if kind == "AWS::S3::Bucket":  # keeps access logs
        return properties.get("AccessControl") == "LogDeliveryWrite"
    if kind == "AWS::ECS::TaskDefinition":  # its service is the box
        services = templates.all("AWS::ECS::Service", stack=resource.stack)
        return any(resource in templates.references(one.properties["TaskDefinition"], one.stack) for one in services)
    if kind == "AWS::Events::Rule":  # tells an alarm's queue what ECS said, or counts for an alarm
        return "ScheduleExpression" not in properties or "Watch" in resource.name
    if kind == "AWS::Lambda::Function":  # the CDK's own, which only a custom resource calls
        return resource.name.startswith(("AWS", "Custom"))
    return False


def details(resource: Resource, templates: Templates) -> list[str]:
    """The lines below the title."""
    properties, (kind, _) = resource.properties, SHOWN[resource.type]
    lines = [kind]
    if resource.type.startswith("Custom::"):
        lines = [resource.type]
    elif resource.type in ("AWS::ECS::Service", "AWS::ECS::TaskDefinition"):
        task = resource
        if resource.type == "AWS::ECS::Service":
            [task] = templates.references(properties["TaskDefinition"], resource.stack)
        lines.append(f"{int(task.properties['Cpu']) / 1024:g} vCPU, {int(task.properties['Memory']) / 1024:g} GiB")
    elif resource.type in ("AWS::Scheduler::Schedule", "AWS::Events::Rule"):
        zone = properties.get("ScheduleExpressionTimezone", "")
        lines.append(f"{properties['ScheduleExpression']} {zone}".strip())
    elif resource.type == "AWS::RDS::DBInstance":
        lines.append(properties["DBInstanceClass"] + (", Multi-AZ" if properties.get("MultiAZ") else ""))
    elif resource.type == "AWS::ElasticLoadBalancingV2::LoadBalancer":
        lines.append(properties["Scheme"])
    return lines
