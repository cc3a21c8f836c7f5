"""What each type of resource takes of the price table: priced, free with a reason, or refused."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from cost import tasks
from cost import use as assumed
from cost.price_table import CostError
from cost.schedules import HOURS, runs_a_month
from cost.tasks import Amounts
from cost.templates import Resource
from cost.use import Estate

NAT, BALANCER, DATABASE = "AWS::EC2::NatGateway", "AWS::ElasticLoadBalancingV2::LoadBalancer", "AWS::RDS::DBInstance"


def amounts(resource: Resource, estate: Estate) -> Amounts:
    """What a resource takes in a month: keys of the price table, and how much in the price's unit.

    Raises:
        CostError: its type is unknown, or it has a property that changes the price in a way that is.
    """
    if resource.type in FREE or resource.type.startswith(FREE_STARTS):
        return
    if resource.type not in PRICED:
        raise CostError(
            f"{resource.stack.name}: {resource.name} is of type {resource.type}, which nobody has priced. Add the type "
            "to PRICED in cost/pricing.py with what AWS asks for it, or to FREE with the reason."
        )
    try:
        yield from PRICED[resource.type](resource, estate)
    except (KeyError, TypeError) as error:
        raise CostError(
            f"{resource.stack.name}: {resource.name}, of type {resource.type}, lacks a property that its price needs, "
            f"or has it as no plain value ({error!r}). Teach the function in PRICED of cost/pricing.py to read it."
        ) from error


def _nat_gateway(resource: Resource, estate: Estate) -> Amounts:
    yield "nat_gateway_hour", HOURS
    yield "nat_gateway_gb", _leaving_gb(estate) / len(list(resource.stack.of_type(NAT)))


def _address(resource: Resource, estate: Estate) -> Amounts:
    yield "public_ipv4_hour", HOURS


def _group_of_instances(resource: Resource, estate: Estate) -> Amounts:
    """NAT instances. Their traffic costs nothing by itself; their addresses are Elastic IPs, priced as such."""
    template = next(
        (
            one
            for one in resource.stack.of_type("AWS::EC2::LaunchTemplate")
            if one.is_named_in(resource.properties["LaunchTemplate"])
        ),
        None,
    )
    if template is None:
        raise CostError(f"{resource.stack.name}: {resource.name} has no launch template in its stack to be priced by.")
    count = float(resource.properties["MinSize"])
    kind = template.properties["LaunchTemplateData"]["InstanceType"]
    yield f"ec2_{_key(kind)}_hour", HOURS * count
    yield "ebs_gp3_gb_month", assumed.NAT_INSTANCE_GB * count


def _endpoint(resource: Resource, estate: Estate) -> Amounts:
    if resource.properties.get("VpcEndpointType", "Gateway") == "Interface":
        others = resource.stack.of_type(resource.type)
        count = sum(one.properties.get("VpcEndpointType") == "Interface" for one in others)
        yield "vpc_endpoint_hour", HOURS * len(resource.properties["SubnetIds"])
        yield "vpc_endpoint_gb", _leaving_gb(estate) / count


def _flow_log(resource: Resource, estate: Estate) -> Amounts:
    yield from tasks.logs(resource.stack, _interface_hours(estate) * assumed.FLOW_LOG_MB * 1_000)


def _load_balancer(resource: Resource, estate: Estate) -> Amounts:
    use = estate.use(resource.stack)
    yield "alb_hour", HOURS
    # A capacity unit is 25 new connections a second or a gigabyte an hour, whichever is more.
    yield "alb_lcu_hour", max(use.requests / 25 / 3600, use.answers_gb)
    if resource.properties.get("Scheme") == "internet-facing":
        yield "public_ipv4_hour", HOURS * len(resource.properties["Subnets"])
        yield "data_out_gb", use.answers_gb


def _http_api(resource: Resource, estate: Estate) -> Amounts:
    """One before a load balancer takes the requests of the web role, one before a function the downloads."""
    use = estate.use(resource.stack)
    integrations = resource.stack.of_type("AWS::ApiGatewayV2::Integration")
    of_web = any(
        one.properties.get("ConnectionType") == "VPC_LINK"
        for one in integrations
        if resource.is_named_in(one.properties["ApiId"])
    )
    requests = use.requests if of_web else use.downloads
    yield "http_api_request", requests
    yield "data_out_gb", use.answers_gb if of_web else 0
    yield from tasks.logs(resource.stack, requests * assumed.REQUEST_LOG_KB)


def _rest_api(resource: Resource, estate: Estate) -> Amounts:
    wakes = estate.use(resource.stack).wakes
    yield "rest_api_request", wakes
    yield from tasks.logs(resource.stack, wakes * assumed.REQUEST_LOG_KB)


def _distribution(resource: Resource, estate: Estate) -> Amounts:
    use = estate.use(resource.stack)
    yield "cloudfront_request", use.requests
    yield "cloudfront_gb", use.answers_gb


def _web_acl(resource: Resource, estate: Estate) -> Amounts:
    yield "waf_web_acl_month", 1
    yield "waf_rule_month", len(resource.properties.get("Rules", []))
    yield "waf_request", estate.use(resource.stack).requests


def _database(resource: Resource, estate: Estate) -> Amounts:
    """PostgreSQL by its class; Multi-AZ is two of everything. A replica has the storage of what it copies."""
    properties = resource.properties
    copies = 2 if properties.get("MultiAZ") else 1
    source = next(
        (
            one
            for one in resource.stack.of_type(DATABASE)
            if one.is_named_in(properties.get("SourceDBInstanceIdentifier"))
        ),
        resource,
    )
    engine, storage = source.properties["Engine"], properties.get("StorageType")
    if engine != "postgres" or storage != "gp3":
        raise CostError(
            f"{resource.stack.name}: database {resource.name} has engine {engine} and storage {storage}; "
            "cost/pricing.py prices postgres with gp3. Add the prices of the other one."
        )
    yield f"rds_{_key(properties['DBInstanceClass'])}_hour", HOURS * copies
    yield "rds_gp3_gb_month", float(source.properties["AllocatedStorage"]) * copies
    if properties.get("ManageMasterUserPassword"):
        yield "secret_month", 1


def _cache(resource: Resource, estate: Estate) -> Amounts:
    kind = _key(resource.properties["CacheNodeType"])
    yield f"elasticache_{kind}_hour", HOURS * resource.properties["NumCacheClusters"]


def _table(resource: Resource, estate: Estate) -> Amounts:
    """The lock of a job: one write when a run begins and one when it ends."""
    machines = resource.stack.of_type("AWS::StepFunctions::StateMachine")
    yield "dynamodb_write", 2 * sum(tasks.runs_of(one, estate) for one in machines)


def _bucket(resource: Resource, estate: Estate) -> Amounts:
    """What holds files has a log of its accesses; what holds such logs has none."""
    use = estate.use(resource.stack)
    if "LoggingConfiguration" in resource.properties:
        yield "s3_put", use.files
        yield "s3_get", use.files + use.downloads
        yield "s3_gb_month", use.kept_gb
        yield "data_out_gb", use.downloads_gb


def _secret(resource: Resource, estate: Estate) -> Amounts:
    yield "secret_month", 1


def _key_of_kms(resource: Resource, estate: Estate) -> Amounts:
    yield "kms_key_month", 1
    if resource.properties.get("EnableKeyRotation"):
        yield "kms_rotation_month", 2


def _alarm(resource: Resource, estate: Estate) -> Amounts:
    metrics = [one["MetricStat"] for one in resource.properties.get("Metrics", []) if "MetricStat" in one]
    if any(one["Period"] < 60 for one in metrics or [resource.properties]):
        raise CostError(
            f"{resource.stack.name}: alarm {resource.name} looks more often than once a minute, which has a price of "
            "its own: add it to cost/prices.toml and to cost/pricing.py."
        )
    yield "alarm_month", len(metrics) or 1


def _dashboard(resource: Resource, estate: Estate) -> Amounts:
    yield "dashboard_month", 1


def _schedule(resource: Resource, estate: Estate) -> Amounts:
    yield "scheduler_call", runs_a_month(resource.properties["ScheduleExpression"])


def _queue(resource: Resource, estate: Estate) -> Amounts:
    """A queue that tasks work off: they ask for 20 seconds at a time. Others get messages of failures only."""
    readers = [
        one
        for one in resource.stack.of_type(tasks.SERVICE)
        if resource.is_named_in(tasks.variables(tasks.definition_of(one)).get("QUEUE_NAME"))
    ]
    asks = sum(tasks.service_hours(one, estate) for one in readers) * 3600 / 20
    yield "sqs_request", asks + (3 * estate.use(resource.stack).reports if readers else 0)


def _parameter(resource: Resource, estate: Estate) -> Amounts:
    if resource.properties.get("Tier", "Standard") != "Standard":
        raise CostError(
            f"{resource.stack.name}: parameter {resource.name} is {resource.properties['Tier']}, which costs: add its "
            "price to cost/prices.toml and to cost/pricing.py."
        )
    yield from ()


def _leaving_gb(estate: Estate) -> float:
    """What NAT gateways or endpoints carry: rows from Snowflake, and what tasks that always run send and fetch."""
    rows = sum(estate.use(stack).rows_gb for stack in estate.stacks)
    return rows + _task_hours(estate) * assumed.NAT_MB / assumed.GB


def _interface_hours(estate: Estate) -> float:
    """Hours of all network interfaces whose traffic a flow log may tell of."""
    fixed = {NAT: 1, BALANCER: 2, DATABASE: 1}
    count = sum(fixed.get(resource.type, 0) for stack in estate.stacks for resource in stack.resources)
    return _task_hours(estate) + HOURS * count


def _task_hours(estate: Estate) -> float:
    return sum(tasks.service_hours(one, estate) for stack in estate.stacks for one in stack.of_type(tasks.SERVICE))


def _key(name: str) -> str:
    """A type's name as it stands in the key of its price."""
    return name.replace(".", "_")


PRICED: dict[str, Callable[[Resource, Estate], Iterator[tuple[str, float]]]] = {
    "AWS::ApiGateway::RestApi": _rest_api,
    "AWS::ApiGatewayV2::Api": _http_api,
    "AWS::AutoScaling::AutoScalingGroup": _group_of_instances,
    "AWS::CloudFront::Distribution": _distribution,
    "AWS::CloudWatch::Alarm": _alarm,
    "AWS::CloudWatch::Dashboard": _dashboard,
    "AWS::DynamoDB::Table": _table,
    "AWS::EC2::EIP": _address,
    "AWS::EC2::FlowLog": _flow_log,
    NAT: _nat_gateway,
    "AWS::EC2::VPCEndpoint": _endpoint,
    "AWS::ECS::Cluster": tasks.cluster,
    tasks.SERVICE: tasks.service,
    tasks.DEFINITION: tasks.definition,
    "AWS::ElastiCache::ReplicationGroup": _cache,
    BALANCER: _load_balancer,
    "AWS::KMS::Key": _key_of_kms,
    tasks.FUNCTION: tasks.function,
    DATABASE: _database,
    "AWS::S3::Bucket": _bucket,
    "AWS::SQS::Queue": _queue,
    "AWS::SSM::Parameter": _parameter,
    "AWS::Scheduler::Schedule": _schedule,
    "AWS::SecretsManager::Secret": _secret,
    "AWS::StepFunctions::StateMachine": tasks.state_machine,
    "AWS::WAFv2::WebACL": _web_acl,
}

_NETWORK = "part of a network, which costs nothing itself"
_ACCESS = "permissions cost nothing"
_OF_API = "part of an API, which is priced by its requests"
_OF_SERVICE = "part of a service, whose tasks are priced"
_OF_CLOUDFRONT = "part of a distribution, which is priced by its requests"
_OF_DATABASE = "part of a database or cache, which is priced by its nodes"

# A custom resource is a call of a function at a deploy.
FREE_STARTS = ("Custom::", "AWS::IAM::")
FREE = {
    "AWS::CDK::Metadata": "not a resource",
    "AWS::ApiGateway::Account": _OF_API,
    "AWS::ApiGateway::Deployment": _OF_API,
    "AWS::ApiGateway::Method": _OF_API,
    "AWS::ApiGateway::Model": _OF_API,
    "AWS::ApiGateway::RequestValidator": _OF_API,
    "AWS::ApiGateway::Resource": _OF_API,
    "AWS::ApiGateway::Stage": _OF_API,
    "AWS::ApiGatewayV2::Integration": _OF_API,
    "AWS::ApiGatewayV2::Route": _OF_API,
    "AWS::ApiGatewayV2::Stage": _OF_API,
    "AWS::ApiGatewayV2::VpcLink": "links of HTTP APIs cost nothing, as links of REST APIs do",
    "AWS::ApplicationAutoScaling::ScalableTarget": _OF_SERVICE,
    "AWS::ApplicationAutoScaling::ScalingPolicy": _OF_SERVICE,
    "AWS::Budgets::Budget": "budgets without actions cost nothing",
    "AWS::CertificateManager::Certificate": "public certificates cost nothing",
    "AWS::CloudFront::CachePolicy": _OF_CLOUDFRONT,
    "AWS::CloudFront::VpcOrigin": _OF_CLOUDFRONT,
    "AWS::EC2::InternetGateway": _NETWORK,
    "AWS::EC2::LaunchTemplate": "priced with the group that starts from it",
    "AWS::EC2::NetworkInterface": _NETWORK,
    "AWS::EC2::Route": _NETWORK,
    "AWS::EC2::RouteTable": _NETWORK,
    "AWS::EC2::SecurityGroup": _NETWORK,
    "AWS::EC2::SecurityGroupEgress": _NETWORK,
    "AWS::EC2::SecurityGroupIngress": _NETWORK,
    "AWS::EC2::Subnet": _NETWORK,
    "AWS::EC2::SubnetRouteTableAssociation": _NETWORK,
    "AWS::EC2::VPC": _NETWORK,
    "AWS::EC2::VPCGatewayAttachment": _NETWORK,
    "AWS::ECR::Repository": "priced with the images of task definitions",
    "AWS::ECS::ClusterCapacityProviderAssociations": _OF_SERVICE,
    "AWS::ElastiCache::SubnetGroup": _OF_DATABASE,
    "AWS::ElastiCache::User": _OF_DATABASE,
    "AWS::ElastiCache::UserGroup": _OF_DATABASE,
    "AWS::ElasticLoadBalancingV2::Listener": "part of a load balancer, which is priced",
    "AWS::ElasticLoadBalancingV2::ListenerRule": "part of a load balancer, which is priced",
    "AWS::ElasticLoadBalancingV2::TargetGroup": "part of a load balancer, which is priced",
    "AWS::Events::Rule": "events of AWS's services and schedules of rules cost nothing; what they call does",
    "AWS::Lambda::EventInvokeConfig": "part of a function, which is priced by its calls",
    "AWS::Lambda::Permission": _ACCESS,
    "AWS::Logs::LogGroup": "priced with what writes to it",
    "AWS::RDS::DBParameterGroup": _OF_DATABASE,
    "AWS::RDS::DBSubnetGroup": _OF_DATABASE,
    "AWS::Route53::RecordSet": "priced with its zone, which is not this application's",
    "AWS::S3::BucketPolicy": _ACCESS,
    "AWS::SNS::Subscription": "priced by what is sent; an alarm is rare",
    "AWS::SNS::Topic": "priced by what is sent; an alarm is rare",
    "AWS::SNS::TopicPolicy": _ACCESS,
    "AWS::SQS::QueuePolicy": _ACCESS,
    "AWS::SecretsManager::RotationSchedule": "a call of a function a month",
    "AWS::SecretsManager::SecretTargetAttachment": "part of a secret, which is priced",
}
