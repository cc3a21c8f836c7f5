"""What watches and scales a service, deployed to the AWS stand-in."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.local.cloud_server import CloudServer, StackFailed, cloud_server

# Templates of single constructs, as the library's tests keep them.
MONITORING = "tests/library/__snapshots__/test_service_monitoring"
AGENT = "tests/library/__snapshots__/test_agent_service"
TOPIC = {"Type": "AWS::SNS::Topic"}


@pytest.fixture(scope="module")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[CloudServer]:
    with cloud_server(tmp_path_factory.mktemp("cloud")) as server:
        yield server


@pytest.fixture(scope="module")
def account(cloud: CloudServer) -> str:
    return str(cloud.client("sts").get_caller_identity()["Account"])


def delete(cloud: CloudServer, name: str) -> None:
    client = cloud.client("cloudformation")
    client.delete_stack(StackName=name)
    client.get_waiter("stack_delete_complete").wait(StackName=name, WaiterConfig={"Delay": 0.1, "MaxAttempts": 300})


def test_the_monitoring_of_the_library_deploys_as_it_is_and_goes_again(
    cloud: CloudServer, account: str, root: Path
) -> None:
    [snapshot] = (root / MONITORING).iterdir()
    resources = json.loads(snapshot.read_text())["Resources"]
    cloud.deploy("monitoring", resources)
    [topic] = cloud.client("sns").list_topics()["Topics"]
    attributes = cloud.client("sns").get_topic_attributes(**topic)["Attributes"]
    effects = {statement["Effect"] for statement in json.loads(attributes["Policy"])["Statement"]}
    assert effects == {"Allow", "Deny"}
    [subscription] = cloud.client("sns").list_subscriptions()["Subscriptions"]
    assert (subscription["Protocol"], subscription["Endpoint"]) == ("email", "operations@example.org")
    [dashboard] = cloud.client("cloudwatch").list_dashboards()["DashboardEntries"]
    assert dashboard["DashboardName"] == "Stack-Monitoring"
    budgets = cloud.client("budgets")
    [budget] = budgets.describe_budgets(AccountId=account)["Budgets"]
    assert budget["BudgetLimit"] == {"Amount": "50", "Unit": "USD"}
    told = budgets.describe_notifications_for_budget(AccountId=account, BudgetName=budget["BudgetName"])
    assert [each["Threshold"] for each in told["Notifications"]] == [80.0, 100.0]

    delete(cloud, "monitoring")
    assert cloud.client("sns").list_topics()["Topics"] == []
    assert cloud.client("cloudwatch").list_dashboards()["DashboardEntries"] == []
    assert budgets.describe_budgets(AccountId=account).get("Budgets", []) == []


def test_a_budget_that_changes_keeps_its_name(cloud: CloudServer, account: str) -> None:
    def budget(usd: int) -> dict[str, Any]:
        limit = {"BudgetType": "COST", "TimeUnit": "MONTHLY", "BudgetLimit": {"Amount": usd, "Unit": "USD"}}
        return {"Budget": {"Type": "AWS::Budgets::Budget", "Properties": {"Budget": limit}}}

    name = cloud.deploy("budget", budget(10), Name={"Ref": "Budget"})["Name"]
    assert cloud.deploy("budget", budget(20), Name={"Ref": "Budget"})["Name"] == name
    [found] = cloud.client("budgets").describe_budgets(AccountId=account)["Budgets"]
    assert (found["BudgetName"], found["BudgetLimit"]["Amount"]) == (name, "20")
    delete(cloud, "budget")


def scaled_service(least: int, most: int, dimension: str = "ecs:service:DesiredCount") -> dict[str, Any]:
    task = {
        "Family": "agent",
        "Cpu": "256",
        "Memory": "512",
        "NetworkMode": "awsvpc",
        "RequiresCompatibilities": ["FARGATE"],
        "ContainerDefinitions": [{"Name": "agent", "Image": "registry/agent:1", "Essential": True}],
    }
    service = {"ServiceName": "agent", "Cluster": {"Ref": "Cluster"}, "TaskDefinition": {"Ref": "Task"}}
    resource_id = {"Fn::Join": ["/", ["service", {"Ref": "Cluster"}, {"Fn::GetAtt": ["Service", "Name"]}]]}
    target = {
        "MinCapacity": least,
        "MaxCapacity": most,
        "ResourceId": resource_id,
        "RoleARN": "arn:aws:iam::111122223333:role/scaling",
        "ScalableDimension": dimension,
        "ServiceNamespace": "ecs",
        "ScheduledActions": [{"ScheduledActionName": "Down", "Schedule": "cron(0 20 * * ? *)"}],
    }
    policy = {
        "PolicyName": "cpu",
        "PolicyType": "TargetTrackingScaling",
        "ScalingTargetId": {"Ref": "Target"},
        "TargetTrackingScalingPolicyConfiguration": {
            "PredefinedMetricSpecification": {"PredefinedMetricType": "ECSServiceAverageCPUUtilization"},
            "TargetValue": 60,
        },
    }
    return {
        "Cluster": {"Type": "AWS::ECS::Cluster", "Properties": {"ClusterName": "agents"}},
        "Task": {"Type": "AWS::ECS::TaskDefinition", "Properties": task},
        "Service": {"Type": "AWS::ECS::Service", "Properties": service | {"LaunchType": "FARGATE"}},
        "Target": {"Type": "AWS::ApplicationAutoScaling::ScalableTarget", "Properties": target},
        "Policy": {"Type": "AWS::ApplicationAutoScaling::ScalingPolicy", "Properties": policy},
    }


def desired(cloud: CloudServer) -> int:
    [service] = cloud.client("ecs").describe_services(cluster="agents", services=["agent"])["services"]
    return int(service["desiredCount"])


def test_a_scalable_target_brings_the_count_within_its_bounds(cloud: CloudServer) -> None:
    made = cloud.deploy("scaled", scaled_service(3, 9), Target={"Ref": "Target"})
    assert made["Target"] == "service/agents/agent|ecs:service:DesiredCount|ecs"
    assert desired(cloud) == 3
    cloud.deploy("scaled", scaled_service(1, 2))
    assert desired(cloud) == 2
    delete(cloud, "scaled")


def test_what_is_not_an_ecs_service_is_not_scaled(cloud: CloudServer) -> None:
    with pytest.raises(StackFailed, match="dynamodb:table:ReadCapacityUnits is not scaled here"):
        cloud.deploy("table", scaled_service(1, 2, "dynamodb:table:ReadCapacityUnits"))


def test_a_rule_with_a_pattern_brings_what_matches_into_a_queue(cloud: CloudServer) -> None:
    pattern = {"source": ["example"], "detail-type": ["ECS Task State Change"], "detail": {"stopCode": ["A"]}}
    arn = {"Fn::GetAtt": ["Events", "Arn"]}
    statement = {
        "Effect": "Allow",
        "Principal": {"Service": "events.amazonaws.com"},
        "Action": "sqs:SendMessage",
        "Resource": arn,
    }
    resources = {
        "Events": {"Type": "AWS::SQS::Queue"},
        "Open": {
            "Type": "AWS::SQS::QueuePolicy",
            "Properties": {
                "Queues": [{"Ref": "Events"}],
                "PolicyDocument": {"Version": "2012-10-17", "Statement": [statement]},
            },
        },
        "Rule": {
            "Type": "AWS::Events::Rule",
            "Properties": {"EventPattern": pattern, "Targets": [{"Id": "Queue", "Arn": arn}]},
        },
        "Alarm": {
            "Type": "AWS::CloudWatch::Alarm",
            "Properties": {
                "Namespace": "AWS/SQS",
                "MetricName": "NumberOfMessagesSent",
                "Dimensions": [{"Name": "QueueName", "Value": {"Fn::GetAtt": ["Events", "QueueName"]}}],
                "ComparisonOperator": "GreaterThanOrEqualToThreshold",
                "EvaluationPeriods": 1,
                "Period": 300,
                "Statistic": "Sum",
                "Threshold": 1,
                "TreatMissingData": "notBreaching",
            },
        },
    }
    url = cloud.deploy("failures", resources, Url={"Ref": "Events"})["Url"]
    events = cloud.client("events")
    for code in ("A", "B"):
        entry = {"DetailType": "ECS Task State Change", "Detail": json.dumps({"stopCode": code})}
        answer = events.put_events(Entries=[entry | {"Source": "example"}])
        assert answer["FailedEntryCount"] == 0
    messages = cloud.client("sqs").receive_message(QueueUrl=url, WaitTimeSeconds=2, MaxNumberOfMessages=10)["Messages"]
    assert [json.loads(message["Body"])["detail"] for message in messages] == [{"stopCode": "A"}]
    [alarm] = cloud.client("cloudwatch").describe_alarms()["MetricAlarms"]
    assert alarm["TreatMissingData"] == "notBreaching"
    delete(cloud, "failures")


def test_an_agent_of_the_library_deploys_as_it_is(cloud: CloudServer, root: Path) -> None:
    [snapshot] = (root / AGENT).iterdir()
    resources = {
        name: resource
        for name, resource in json.loads(snapshot.read_text())["Resources"].items()
        # The network's own custom resource needs assets, and is not what is looked at here.
        if "CustomVpcRestrictDefaultSG" not in name and resource["Type"] != "Custom::VpcRestrictDefaultSG"
    }
    cloud.deploy("agent", resources)
    ecs = cloud.client("ecs")
    [cluster] = [arn for arn in ecs.list_clusters()["clusterArns"] if "Agent" in arn]
    [arn] = ecs.list_services(cluster=cluster)["serviceArns"]
    [service] = ecs.describe_services(cluster=cluster, services=[arn])["services"]
    assert service["desiredCount"] == 2
    rules = [rule for rule in cloud.client("events").list_rules()["Rules"] if "Agent" in rule["Name"]]
    patterns = [json.loads(rule["EventPattern"]) for rule in rules]
    assert [f"service:{service['serviceName']}"] in [pattern["detail"].get("group") for pattern in patterns]
    assert [arn] in [pattern.get("resources") for pattern in patterns]
    delete(cloud, "agent")
    assert not [arn for arn in ecs.list_clusters()["clusterArns"] if "Agent" in arn]
