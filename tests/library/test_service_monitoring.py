"""ServiceMonitoring alone in a stack, and around everything that it watches."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import aws_cdk as cdk
import pytest
from aws_cdk import assertions
from aws_cdk import aws_cloudwatch as cloudwatch
from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_ecs as ecs
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_s3 as s3
from aws_cdk import aws_sns as sns
from syrupy.assertion import SnapshotAssertion

from snowgate import AgentService, BatchJob, PostgresDatabase, ScaleToZeroWorker, ServiceMonitoring, WebService

Synthesise = Callable[[], assertions.Template]
Match = assertions.Match
Resources = dict[str, dict[str, Any]]
ACCOUNT, REGION = "111122223333", "eu-west-1"


@pytest.fixture(scope="module")
def resources(flags: dict[str, object], tmp_path_factory: pytest.TempPathFactory) -> Resources:
    """All that a stack has in which everything is watched, synthesised once."""
    folder = tmp_path_factory.mktemp("monitoring")
    app = cdk.App(
        context={**flags, "aws:cdk:bundling-stacks": []},
        builtin_cloud_formation_validation=False,
        analytics_reporting=False,
        outdir=str(folder),
    )
    stack = cdk.Stack(app, "Stack", env=cdk.Environment(account=ACCOUNT, region=REGION))
    vpc = ec2.Vpc.from_vpc_attributes(
        stack,
        "Vpc",
        vpc_id="vpc-1",
        vpc_cidr_block="10.20.0.0/16",
        availability_zones=[f"{REGION}a", f"{REGION}b"],
        private_subnet_ids=["subnet-1", "subnet-2"],
        private_subnet_route_table_ids=["rtb-1", "rtb-2"],
    )
    image = ecs.ContainerImage.from_registry("public.ecr.aws/example/service@sha256:" + "0" * 64)
    monitoring = ServiceMonitoring(stack, "Monitoring")
    monitoring.watch_worker(ScaleToZeroWorker(stack, "Worker", vpc=vpc, image=image, command=["work"]))
    monitoring.watch_agent(AgentService(stack, "Agent", vpc=vpc, image=image))
    monitoring.watch_web(WebService(stack, "Web", vpc=vpc, image=image, command=["serve"]))
    monitoring.watch_job(BatchJob(stack, "Job", vpc=vpc, image=image))
    monitoring.watch_database(PostgresDatabase(stack, "Database", vpc=vpc))
    monitoring.watch_bucket(s3.Bucket.from_bucket_name(stack, "Bucket", "finished-reports"))
    monitoring.watch_reports("prod")
    entered = cloudwatch.Metric(namespace="Own", metric_name="Rows", dimensions_map={"Environment": "prod"})
    monitoring.watch_metrics({"Rows a day": [entered]}, "Entered")
    app.synth()
    return json.loads(Path(folder, "Stack.template.json").read_text())["Resources"]


def alarms(resources: Resources) -> dict[str, dict[str, Any]]:
    """Properties of every alarm, by its name or, where it has none, by its logical id."""
    return {
        resource["Properties"].get("AlarmName", name): resource["Properties"]
        for name, resource in resources.items()
        if resource["Type"] == "AWS::CloudWatch::Alarm"
    }


def logical_id(resources: Resources, type_: str, prefix: str) -> str:
    [found] = [name for name, made in resources.items() if made["Type"] == type_ and name.startswith(prefix)]
    return found


def test_the_template_is_that_of_the_snapshot(
    stack: cdk.Stack, template: Synthesise, snapshot: SnapshotAssertion
) -> None:
    ServiceMonitoring(stack, "Monitoring", emails=["operations@example.org"], monthly_budget_usd=50)
    assert template().to_json() == snapshot(name="ServiceMonitoring")


def test_every_alarm_goes_to_the_topic_and_says_what_silence_means(resources: Resources) -> None:
    topic = {"Ref": logical_id(resources, "AWS::SNS::Topic", "Monitoring")}
    found = alarms(resources)
    assert len(found) > 10
    for name, alarm in found.items():
        assert alarm["AlarmActions"] == [topic], name
        assert alarm["TreatMissingData"] in ("breaching", "notBreaching"), name


def test_every_metric_of_every_alarm_has_dimensions(resources: Resources) -> None:
    for name, alarm in alarms(resources).items():
        metrics = [entry["MetricStat"]["Metric"] for entry in alarm.get("Metrics", []) if "MetricStat" in entry]
        for metric in metrics or [alarm]:
            assert metric["Dimensions"], name


def test_errors_are_found_under_the_load_balancers_full_name(resources: Resources) -> None:
    balancer = logical_id(resources, "AWS::ElasticLoadBalancingV2::LoadBalancer", "Web")
    full_name = {"Name": "LoadBalancer", "Value": {"Fn::GetAtt": [balancer, "LoadBalancerFullName"]}}
    found = [alarm["Dimensions"] for alarm in alarms(resources).values() if "5XX" in alarm.get("MetricName", "")]
    assert found == [[full_name], [full_name]]


def test_there_is_one_dashboard_with_a_section_for_each(resources: Resources) -> None:
    [dashboard] = [made for made in resources.values() if made["Type"] == "AWS::CloudWatch::Dashboard"]
    body = json.dumps(dashboard["Properties"]["DashboardBody"])
    for title in ("Worker", "Worker: waker", "Agent", "Web", "Job", "Database", "Bucket", "Reports", "Entered"):
        assert f"# {title}" in body, title
    for name in ("ReportsCompleted", "ProcessingSeconds", "ErrorCode", "PendingWork", "BucketSizeBytes", "Rows a day"):
        assert name in body, name


def test_alarms_need_no_dashboard(stack: cdk.Stack, template: Synthesise) -> None:
    monitoring = ServiceMonitoring(stack, "Monitoring", with_dashboard=False)
    monitoring.watch_function(lambda_.Function.from_function_name(stack, "Function", "waker"))
    made = template()
    made.resource_count_is("AWS::CloudWatch::Dashboard", 0)
    made.resource_count_is("AWS::CloudWatch::Alarm", 2)
    assert monitoring.dashboard is None


@pytest.fixture
def topic(stack: cdk.Stack) -> sns.ITopic:
    return sns.Topic.from_topic_arn(stack, "Topic", f"arn:aws:sns:{REGION}:{ACCOUNT}:operations")


def test_a_topic_of_its_own_is_encrypted_takes_tls_only_and_lets_alarms_in(
    stack: cdk.Stack, template: Synthesise
) -> None:
    ServiceMonitoring(stack, "Monitoring", emails=["operations@example.org"])
    made = template()
    [key] = made.find_resources("AWS::KMS::Key")
    made.has_resource_properties("AWS::SNS::Topic", {"KmsMasterKeyId": {"Fn::GetAtt": [key, "Arn"]}})
    made.has_resource_properties("AWS::SNS::Subscription", {"Protocol": "email", "Endpoint": "operations@example.org"})
    [policy] = made.find_resources("AWS::SNS::TopicPolicy").values()
    statements = policy["Properties"]["PolicyDocument"]["Statement"]
    [tls] = [statement for statement in statements if statement["Effect"] == "Deny"]
    assert tls["Condition"] == {"Bool": {"aws:SecureTransport": "false"}}
    alarm = f"arn:aws:cloudwatch:{REGION}:{ACCOUNT}:alarm:*"
    let_in = {
        "cloudwatch.amazonaws.com": {"ArnLike": {"aws:SourceArn": alarm}},
        "budgets.amazonaws.com": {"StringEquals": {"aws:SourceAccount": ACCOUNT}},
    }
    assert {s["Principal"]["Service"]: s["Condition"] for s in statements if s["Effect"] == "Allow"} == let_in
    made.has_resource_properties(
        "AWS::KMS::Key",
        {
            "KeyPolicy": {
                "Statement": Match.array_with(
                    [
                        {
                            "Action": ["kms:Decrypt", "kms:GenerateDataKey*"],
                            "Effect": "Allow",
                            "Principal": {"Service": sorted(let_in)},
                            "Resource": "*",
                        }
                    ]
                )
            }
        },
    )


def test_a_topic_that_is_given_is_used(stack: cdk.Stack, topic: sns.ITopic, template: Synthesise) -> None:
    assert ServiceMonitoring(stack, "Monitoring", topic=topic).topic.topic_arn == topic.topic_arn
    made = template()
    for type_ in ("AWS::SNS::Topic", "AWS::KMS::Key", "AWS::Budgets::Budget"):
        made.resource_count_is(type_, 0)


def test_every_alarm_ends_with_the_runbook_if_there_is_one(
    stack: cdk.Stack, topic: sns.ITopic, template: Synthesise
) -> None:
    monitoring = ServiceMonitoring(stack, "Monitoring", topic=topic, runbook="https://example.org/runbook")
    function = lambda_.Function.from_function_name(stack, "Function", "function")
    monitoring.watch_function(function)
    own = cloudwatch.Metric(namespace="Shop", metric_name="Orders")
    monitoring.add_alarms([own.create_alarm(stack, "Orders", threshold=1, evaluation_periods=1)])
    made = template().find_resources("AWS::CloudWatch::Alarm").values()
    assert sorted(" ".join(alarm["Properties"]["AlarmDescription"].split()) for alarm in made) == [
        "Fault count is too high. Runbook: https://example.org/runbook",
        "Runbook: https://example.org/runbook",
        "Throttled count is too high. Runbook: https://example.org/runbook",
    ]


def test_a_budget_tells_the_topic_before_and_when_it_is_used_up(
    stack: cdk.Stack, topic: sns.ITopic, template: Synthesise
) -> None:
    ServiceMonitoring(stack, "Monitoring", topic=topic, monthly_budget_usd=120)
    [budget] = [made["Properties"] for made in template().find_resources("AWS::Budgets::Budget").values()]
    assert budget["Budget"]["BudgetLimit"] == {"Amount": 120, "Unit": "USD"}
    told = {
        entry["Notification"]["NotificationType"]: (entry["Notification"]["Threshold"], entry["Subscribers"])
        for entry in budget["NotificationsWithSubscribers"]
    }
    subscriber = [{"Address": topic.topic_arn, "SubscriptionType": "SNS"}]
    assert told == {"ACTUAL": (80, subscriber), "FORECASTED": (100, subscriber)}


def test_a_budget_waits_until_its_topic_lets_it_in(stack: cdk.Stack, template: Synthesise) -> None:
    ServiceMonitoring(stack, "Monitoring", monthly_budget_usd=120)
    made = template()
    [policy] = made.find_resources("AWS::SNS::TopicPolicy")
    [budget] = made.find_resources("AWS::Budgets::Budget").values()
    assert policy in budget["DependsOn"]


@pytest.mark.parametrize("usd", [0, -5])
def test_a_budget_of_nothing_is_refused(stack: cdk.Stack, topic: sns.ITopic, usd: int) -> None:
    with pytest.raises(ValueError, match=f"a budget of {usd} USD a month; give at least 1"):
        ServiceMonitoring(stack, "Monitoring", topic=topic, monthly_budget_usd=usd)


def test_addresses_for_a_topic_of_somebody_else_are_refused(stack: cdk.Stack, topic: sns.ITopic) -> None:
    with pytest.raises(ValueError, match="a topic was given, and emails operations@example.org"):
        ServiceMonitoring(stack, "Monitoring", topic=topic, emails=["operations@example.org"])
