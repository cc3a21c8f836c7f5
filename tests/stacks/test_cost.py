"""What an environment costs: the arithmetic on small templates, and what it comes to for the real ones."""

from __future__ import annotations

import datetime
import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from assemblies import SYSTEMS

from cost import page, pricing, report
from cost import use as assumed
from cost.bill import Bill, bill
from cost.price_table import CostError, read_prices
from cost.rival import rivals
from cost.schedules import average, runs_a_month
from cost.templates import Stack, read_stacks
from report_service.metrics import Metrics
from report_service.queue.rows import Demand
from snowgate.lambdas.waker import handler as waker
from stacks.environment import Environment
from stacks.environment_load import LoadTable

PRICES = read_prices()
NOTHING = LoadTable(reports=0, emails=0, downloads=0, requests=0, weather_requests=0, weather_files=0, conflict_runs=0)
ARM = {"CpuArchitecture": "ARM64"}


def priced(
    *resources: tuple[str, dict[str, Any]],
    stack: str = "ReportService",
    load: LoadTable = NOTHING,
    region: str = "eu-west-1",
) -> Bill:
    """The bill of a stack whose resources are called A, B, C …"""
    named = {chr(65 + place): {"Type": type_, "Properties": given} for place, (type_, given) in enumerate(resources)}
    return bill([Stack(stack, {"Resources": named})], PRICES, region, load)


def dollars(found: Bill, *, at_load: bool = False) -> dict[str, float]:
    """US dollars by price, without logs, whose sizes are assumed."""
    lines = [line for line in found.lines if not line.key.startswith("log_")]
    return {
        line.key: round(line.load if at_load else line.idle, 4)
        for line in lines
        if (line.load if at_load else line.idle)
    }


def task(
    cpu: str = "256", memory: str = "512", image: str = "registry/name:1", **more: Any
) -> tuple[str, dict[str, Any]]:
    container = {"Image": image, "Environment": more.pop("variables", [])}
    return "AWS::ECS::TaskDefinition", {"Cpu": cpu, "Memory": memory, "ContainerDefinitions": [container], **more}


def service(definition: str, public: str = "DISABLED", **more: Any) -> tuple[str, dict[str, Any]]:
    network = {"AwsvpcConfiguration": {"AssignPublicIp": public}}
    return "AWS::ECS::Service", {
        "TaskDefinition": {"Ref": definition},
        "Cluster": "c",
        "NetworkConfiguration": network,
        **more,
    }


def variables(**values: str) -> list[dict[str, str]]:
    return [{"Name": name, "Value": value} for name, value in values.items()]


WORKER = (
    task(variables=variables(IDLE_SECONDS="60", MAX_TASKS="2"), RuntimePlatform=ARM),
    service("A", "ENABLED"),
    (
        "AWS::Lambda::Function",
        {
            "Architectures": ["arm64"],
            "MemorySize": 256,
            "TracingConfig": {"Mode": "Active"},
            "Environment": {"Variables": {"MAX_TASKS": "2", "SERVICE": {"Fn::GetAtt": ["B", "Name"]}}},
        },
    ),
    ("AWS::Events::Rule", {"ScheduleExpression": "rate(1 hour)", "Targets": [{"Arn": {"Fn::GetAtt": ["C", "Arn"]}}]}),
)
JOB = (
    task("1024", "2048", RuntimePlatform=ARM),
    (
        "AWS::StepFunctions::StateMachine",
        {"DefinitionString": {"Fn::Join": ["", ['{"Type":"Task","AssignPublicIp":"DISABLED"', {"Ref": "A"}, "}"]]}},
    ),
    ("AWS::Scheduler::Schedule", {"ScheduleExpression": "cron(0 5 * * ? *)", "Target": {"Arn": {"Ref": "B"}}}),
)

# Properties of one resource, and US dollars a month in eu-west-1, worked out by hand.
FIXED: dict[str, tuple[str, dict[str, Any], float]] = {
    "a NAT gateway": ("AWS::EC2::NatGateway", {}, 730 * 0.048),
    "an Elastic IP": ("AWS::EC2::EIP", {}, 730 * 0.005),
    "interface endpoints": (
        "AWS::EC2::VPCEndpoint",
        {"VpcEndpointType": "Interface", "SubnetIds": ["a", "b"]},
        2 * 730 * 0.011,
    ),
    "a gateway endpoint": ("AWS::EC2::VPCEndpoint", {"VpcEndpointType": "Gateway"}, 0),
    "an internal load balancer": (
        "AWS::ElasticLoadBalancingV2::LoadBalancer",
        {"Scheme": "internal", "Subnets": ["a", "b"]},
        730 * 0.0252,
    ),
    "a public load balancer": (
        "AWS::ElasticLoadBalancingV2::LoadBalancer",
        {"Scheme": "internet-facing", "Subnets": ["a", "b"]},
        730 * (0.0252 + 2 * 0.005),
    ),
    "a secret": ("AWS::SecretsManager::Secret", {}, 0.40),
    "a key": ("AWS::KMS::Key", {}, 1.00),
    "a key that is rotated": ("AWS::KMS::Key", {"EnableKeyRotation": True}, 1.00 + 2 * 1.00),
    "an alarm": ("AWS::CloudWatch::Alarm", {"MetricName": "Errors", "Period": 300}, 0.10),
    "an alarm on two metrics": (
        "AWS::CloudWatch::Alarm",
        {"Metrics": [{"Expression": "a / b"}, {"MetricStat": {"Period": 60}}, {"MetricStat": {"Period": 60}}]},
        0.20,
    ),
    "a dashboard": ("AWS::CloudWatch::Dashboard", {}, 3.00),
    "a firewall with two rules": ("AWS::WAFv2::WebACL", {"Rules": [{}, {}]}, 5.00 + 2 * 1.00),
    "a cache of two nodes": (
        "AWS::ElastiCache::ReplicationGroup",
        {"CacheNodeType": "cache.t4g.micro", "NumCacheClusters": 2},
        2 * 730 * 0.0128,
    ),
    "a database": (
        "AWS::RDS::DBInstance",
        {
            "DBInstanceClass": "db.t4g.micro",
            "Engine": "postgres",
            "StorageType": "gp3",
            "AllocatedStorage": "20",
            "ManageMasterUserPassword": True,
        },
        730 * 0.017 + 20 * 0.127 + 0.40,
    ),
    "a database in two zones": (
        "AWS::RDS::DBInstance",
        {
            "DBInstanceClass": "db.t4g.small",
            "Engine": "postgres",
            "StorageType": "gp3",
            "AllocatedStorage": "50",
            "MultiAZ": True,
        },
        2 * (730 * 0.035 + 50 * 0.127),
    ),
    "an API and CloudFront that nobody asks": ("AWS::CloudFront::Distribution", {}, 0),
    "a bucket that holds nothing": ("AWS::S3::Bucket", {"LoggingConfiguration": {}}, 0),
}


@pytest.mark.parametrize("case", FIXED)
def test_what_is_there_all_month_costs_what_aws_asks_for_a_month(case: str) -> None:
    type_, properties, expected = FIXED[case]
    assert priced((type_, properties)).idle == pytest.approx(expected)


def test_a_replica_has_the_storage_of_its_source() -> None:
    source = FIXED["a database"][1] | {"ManageMasterUserPassword": False}
    replica = {"DBInstanceClass": "db.t4g.micro", "StorageType": "gp3", "SourceDBInstanceIdentifier": {"Ref": "A"}}
    found = priced(("AWS::RDS::DBInstance", source), ("AWS::RDS::DBInstance", replica))
    assert found.idle == pytest.approx(2 * (730 * 0.017 + 20 * 0.127))


def test_tasks_that_always_run_cost_their_size_in_either_architecture() -> None:
    arm = priced(task("512", "1024", RuntimePlatform=ARM), service("A", DesiredCount=2))
    assert dollars(arm) == {
        "fargate_arm64_vcpu_hour": round(2 * 730 * 0.5 * 0.03238, 4),
        "fargate_arm64_gb_hour": round(2 * 730 * 1 * 0.00356, 4),
    }
    x86 = priced(task(EphemeralStorage={"SizeInGiB": 50}), service("A", "ENABLED"))
    assert dollars(x86) == {
        "fargate_x86_64_vcpu_hour": round(730 * 0.25 * 0.04048, 4),
        "fargate_x86_64_gb_hour": round(730 * 0.5 * 0.004445, 4),
        "fargate_storage_gb_hour": round(730 * 30 * 0.000111, 4),
        "public_ipv4_hour": round(730 * 0.005, 4),
    }


def test_quiet_hours_lower_the_count() -> None:
    down = {"Schedule": "cron(0 20 ? * MON-FRI *)", "ScalableTargetAction": {"MinCapacity": 1}}
    up = {"Schedule": "cron(0 6 ? * MON-FRI *)", "ScalableTargetAction": {"MinCapacity": 3}}
    target = {"ResourceId": {"Fn::GetAtt": ["B", "Name"]}, "MinCapacity": 3, "ScheduledActions": [down, up]}
    found = priced(
        task("1024", "2048", RuntimePlatform=ARM), service("A"), ("AWS::ApplicationAutoScaling::ScalableTarget", target)
    )
    # Three tasks for 14 hours of five days, one for the other 98 hours of a week.
    tasks = (5 * 14 * 3 + 98 * 1) / 168
    assert found.lines[0].idle_quantity == pytest.approx(730 * tasks, rel=0.005)  # a year is no whole number of weeks


def test_a_worker_that_sleeps_costs_its_sweeps() -> None:
    found = dollars(priced(*WORKER))
    hours = 730 * (45 + 60 + 15) / 3600
    assert found == {
        "fargate_arm64_vcpu_hour": round(hours * 0.25 * 0.03238, 4),
        "fargate_arm64_gb_hour": round(hours * 0.5 * 0.00356, 4),
        "public_ipv4_hour": round(hours * 0.005, 4),
        "custom_metric_month": 0.60,
        "lambda_request": round(730 / 1e6 * 0.20, 4),
        "lambda_arm64_gb_second": round(730 * 0.3 * 0.25 * 0.0000133334, 4),
        "xray_trace": round(730 / 1e6 * 5, 4),
    }


def test_reports_wake_it_and_keep_it_at_work() -> None:
    load = NOTHING.model_copy(update={"reports": 1000, "reports_per_wake": 4, "report_seconds": 30})
    found = dollars(priced(*WORKER, load=load), at_load=True)
    hours = ((730 + 250) * 120 + 1000 * 30) / 3600
    assert found["public_ipv4_hour"] == round(hours * 0.005, 4)
    assert found["custom_metric_month"] == round(0.30 * (2 + (3 + 1) * 250 / 730), 4)
    credits = ((730 + 250) * (60 + 60) + 1000 * 30) / 3600
    assert priced(*WORKER, load=load).load_credits == pytest.approx(credits)


def test_no_load_needs_more_than_all_its_tasks() -> None:
    load = NOTHING.model_copy(update={"reports": 10_000_000, "report_seconds": 100})
    assert dollars(priced(*WORKER, load=load), at_load=True)["public_ipv4_hour"] == round(2 * 730 * 0.005, 4)


def test_e_mails_cost_where_a_sender_is_set() -> None:
    load = NOTHING.model_copy(update={"emails": 2000, "report_megabytes": 5})
    sender = task(variables=variables(MAIL_SENDER="reports@example.com"))
    found = dollars(priced(sender, service("A"), load=load), at_load=True)
    assert (found["ses_recipient"], found["ses_attachment_gb"]) == (0.20, round(2000 * 5 / 1000 * 0.12, 4))
    assert "ses_recipient" not in dollars(priced(task(), service("A"), load=load), at_load=True)


def test_files_cost_their_writes_their_months_and_their_way_out() -> None:
    load = NOTHING.model_copy(update={"reports": 3000, "report_megabytes": 4, "months_kept": 6, "downloads": 500})
    found = dollars(priced(("AWS::S3::Bucket", {"LoggingConfiguration": {}}), load=load), at_load=True)
    assert found == {
        "s3_put": round(3000 / 1000 * 0.005, 4),
        "s3_get": round(3500 / 10_000 * 0.004, 4),
        "s3_gb_month": round(3000 * 4 / 1000 * 6 * 0.023, 4),
        "data_out_gb": round(500 * 4 / 1000 * 0.09, 4),
    }


def test_apis_cost_their_requests() -> None:
    load = NOTHING.model_copy(update={"requests": 2_000_000, "downloads": 1_000_000, "answer_kilobytes": 10})
    link = {"ApiId": {"Ref": "A"}, "ConnectionType": "VPC_LINK"}
    web = priced(("AWS::ApiGatewayV2::Api", {}), ("AWS::ApiGatewayV2::Integration", link), load=load)
    assert dollars(web, at_load=True) == {"http_api_request": 2.22, "data_out_gb": 1.80}
    links = priced(("AWS::ApiGatewayV2::Api", {}), load=load)
    assert dollars(links, at_load=True) == {"http_api_request": 1.11}
    woken = NOTHING.model_copy(update={"reports": 5_000_000, "reports_per_wake": 5})
    assert dollars(priced(("AWS::ApiGateway::RestApi", {}), stack="Trigger", load=woken), at_load=True) == {
        "rest_api_request": 3.50
    }


def test_a_job_costs_a_minute_at_least_for_each_time_it_is_scheduled() -> None:
    found = dollars(priced(*JOB, stack="ConflictUpdater"))
    hours = 365 / 12 * 60 / 3600
    assert found["fargate_arm64_vcpu_hour"] == round(hours * 0.03238, 4)
    assert found["state_transition"] == round(365 / 12 * 1 / 1000 * 0.025, 4)
    load = NOTHING.model_copy(update={"conflict_runs": 20, "conflict_minutes": 10})
    longer = dollars(priced(*JOB, stack="ConflictUpdater", load=load), at_load=True)
    assert longer["fargate_arm64_gb_hour"] == round((365 / 12 + 20) * (45 + 600 + 15) / 3600 * 2 * 0.00356, 4)


def test_container_insights_are_custom_metrics() -> None:
    cluster = {"ClusterSettings": [{"Name": "containerInsights", "Value": "enabled"}]}
    found = priced(task(), service("A", Cluster={"Ref": "C"}), ("AWS::ECS::Cluster", cluster))
    assert dollars(found)["custom_metric_month"] == round((11 + 13 + 8) * 0.30, 4)
    cluster["ClusterSettings"][0]["Value"] = "enhanced"
    with pytest.raises(CostError, match="cluster A has Container Insights with enhanced .* cost/prices.toml"):
        priced(("AWS::ECS::Cluster", cluster))


def test_nat_instances_cost_their_hours_and_their_disk() -> None:
    template = {"LaunchTemplateData": {"InstanceType": "t4g.nano"}}
    group = {"MinSize": "1", "LaunchTemplate": {"LaunchTemplateId": {"Ref": "A"}}}
    found = priced(("AWS::EC2::LaunchTemplate", template), ("AWS::AutoScaling::AutoScalingGroup", group))
    assert found.idle == pytest.approx(730 * 0.0046 + 8 * 0.088)


def test_an_image_that_is_built_is_kept_once() -> None:
    built = "111122223333.dkr.ecr.eu-west-1.amazonaws.com/cdk-hnb659fds-container-assets-111122223333-eu-west-1:abc"
    found = dollars(priced(task(image=built), task(image=built), task()))
    assert found == {"ecr_gb_month": round(0.15 * 0.10, 4)}


@pytest.mark.parametrize(
    ("expression", "runs"),
    [
        ("rate(5 minutes)", 730 * 12),
        ("rate(6 hours)", 730 / 6),
        ("rate(1 day)", 730 / 24),
        ("cron(0 2 * * ? *)", 365 / 12),
        ("cron(0/15 8-17 * * ? *)", 365 * 40 / 12),
        ("cron(30 6 1,15 * ? *)", 2),
        ("cron(0 0 1 JAN,JUL ? *)", 2 / 12),
    ],
)
def test_schedules_come_as_often_as_they_say(expression: str, runs: float) -> None:
    assert runs_a_month(expression) == pytest.approx(runs)


def test_schedules_that_are_not_understood_are_refused() -> None:
    for expression in ("cron(0 8 ? * 6L *)", "cron(0 8 * * ? 2027)", "at(2027-01-01T00:00:00)"):
        with pytest.raises(CostError, match="cost/schedules.py knows"):
            runs_a_month(expression)


def test_a_count_that_changes_at_noon_is_the_mean() -> None:
    assert average([("cron(0 0 * * ? *)", 1), ("cron(0 12 * * ? *)", 4)]) == pytest.approx(2.5)


def test_what_nobody_has_priced_is_refused_with_its_name_and_where_to_add_it() -> None:
    with pytest.raises(CostError, match="ReportService: A is of type AWS::Kinesis::Stream.*PRICED in cost/pricing.py"):
        priced(("AWS::Kinesis::Stream", {}))
    with pytest.raises(CostError, match=r"no price rds_db_r6g_large_hour .*prices.toml: add"):
        priced(("AWS::RDS::DBInstance", FIXED["a database"][1] | {"DBInstanceClass": "db.r6g.large"}))
    with pytest.raises(CostError, match="database A has engine mysql and storage gp3"):
        priced(("AWS::RDS::DBInstance", FIXED["a database"][1] | {"Engine": "mysql"}))
    with pytest.raises(CostError, match="alarm A looks more often than once a minute"):
        priced(("AWS::CloudWatch::Alarm", {"Period": 10}))
    with pytest.raises(CostError, match="parameter A is Advanced"):
        priced(("AWS::SSM::Parameter", {"Tier": "Advanced"}))


def test_a_property_that_cannot_be_read_is_named() -> None:
    function = {"Environment": {"Variables": {"MAX_TASKS": "2", "SERVICE": {"Ref": "A"}}}}
    with pytest.raises(CostError, match="ReportService: A, of type AWS::ECS::Service, lacks a property .*KeyError"):
        priced(("AWS::ECS::Service", {"TaskDefinition": {"Ref": "B"}}), task())
    with pytest.raises(CostError, match="service A is woken, and its container has no IDLE_SECONDS"):
        priced(service("B"), task(), ("AWS::Lambda::Function", function))
    with pytest.raises(CostError, match="the task definition of service A is not in its stack"):
        priced(service("Elsewhere"))


def test_every_type_that_the_library_makes_is_priced_or_free(root: Path) -> None:
    known = {*pricing.PRICED, *pricing.FREE}
    for file in (root / "tests" / "library" / "__snapshots__").rglob("*.json"):
        types = {one["Type"] for one in json.loads(file.read_text()).get("Resources", {}).values()}
        assert {type_ for type_ in types if not type_.startswith(pricing.FREE_STARTS)} <= known, file


def test_a_region_without_prices_is_refused_with_those_that_have() -> None:
    with pytest.raises(CostError, match="no prices of region ap-south-1; prices.toml has eu-west-1, us-east-1. Add"):
        priced(region="ap-south-1")


def test_a_figure_names_a_source_that_exists(tmp_path: Path) -> None:
    file = tmp_path / "prices.toml"
    text = (Path(page.ROOT) / "cost" / "prices.toml").read_text()
    file.write_text(text.replace('source = "waf"', 'source = "hearsay"', 1))
    with pytest.raises(CostError, match="there is no source hearsay"):
        read_prices(file)
    file.write_text(text.replace("usd = 0.048", 'usd = "0.048"', 1))
    with pytest.raises(CostError, match="nat_gateway_hour.regions.eu-west-1.usd"):
        read_prices(file)


def test_allowances_are_those_of_an_account_and_never_more_than_it_takes() -> None:
    found = priced(*(4 * [("AWS::CloudWatch::Dashboard", {})]), ("AWS::CloudWatch::Alarm", {"Period": 60}))
    assert found.allowance(PRICES) == pytest.approx(3 * 3.00 + 0.10)


def test_the_programs_enter_as_many_metrics_as_are_priced(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", "report_service")
    Metrics("dev").looked(Demand(0, 0, None, datetime.datetime.now(datetime.UTC)))
    [record] = caplog.records
    [told] = vars(record)["fields"]["_aws"]["CloudWatchMetrics"]
    assert len(told["Metrics"]) == assumed.WORKER_METRICS
    monkeypatch.setenv("CLUSTER", "c")
    monkeypatch.setenv("SERVICE", "s")
    monkeypatch.setattr(waker, "_describe", lambda *_: {"desiredCount": 0, "runningCount": 0})
    monkeypatch.setattr(waker, "_ecs", lambda: None)
    assert len(waker.handler({"watch": True}, None)) == assumed.WATCH_METRICS


# The environments themselves.


@pytest.fixture(scope="module")
def stacks(assembly: Path, environments: list[Environment]) -> dict[str, list[Stack]]:
    return {one.name: read_stacks(assembly, one.name) for one in environments}


@pytest.fixture(scope="module")
def dev(environments: list[Environment]) -> Environment:
    return next(one for one in environments if one.name == "dev")


@pytest.fixture(scope="module")
def dev_bill(stacks: dict[str, list[Stack]], dev: Environment) -> Bill:
    return bill(stacks["dev"], PRICES, dev.region, dev.load)


def by_stack(found: Bill) -> Counter[str]:
    total: Counter[str] = Counter()
    for line in found.lines:
        total[line.stack] += line.idle  # type: ignore[assignment]
    return total


def test_dev_costs_at_most_5_usd_a_month_while_nobody_asks(dev_bill: Bill) -> None:
    assert by_stack(dev_bill)["Alarms"] == pytest.approx(3.00)  # the key of the alarms' topic, from its third year on
    assert by_stack(dev_bill)["ReportService"] < 2
    assert 0 < dev_bill.idle <= 5
    assert dev_bill.load > dev_bill.idle


def test_the_sweep_is_in_it(dev_bill: Bill, dev: Environment) -> None:
    [hours] = [line.idle_quantity for line in dev_bill.lines if line.key == "public_ipv4_hour"]
    sweeps = 730 * 60 / dev.worker.sweep_minutes
    assert hours == pytest.approx(sweeps * (45 + dev.worker.idle_seconds + 15) / 3600)


def test_an_aws_ecs_patterns_version_costs_more_for_its_nat_gateways_and_its_waiting_task(
    dev: Environment, dev_bill: Bill
) -> None:
    rival = bill([rivals([dev])["dev"]], PRICES, dev.region, dev.load)
    found = dollars(rival)
    assert found["nat_gateway_hour"] == round(2 * 730 * 0.048, 4)
    assert found["public_ipv4_hour"] == round(2 * 730 * 0.005, 4)
    assert found["fargate_arm64_vcpu_hour"] == round(730 * 0.25 * 0.03238, 4)
    assert rival.idle > 10 * dev_bill.without(SYSTEMS).idle


def test_the_report_ends_with_the_total_and_names_what_it_rests_on(dev: Environment, dev_bill: Bill) -> None:
    rival = priced(("AWS::EC2::NatGateway", {}))
    text = report.text(dev, dev_bill, rival, dev_bill, PRICES)
    lines = text.splitlines()
    assert lines[-1] == f"Total idle: {dev_bill.idle:.2f} USD/month"
    assert str(PRICES.date) in lines[0]
    for told in ("reports 1000", "Assumed:", "Left out:", "Snowflake bills for itself", "costs 35.04 USD idle"):
        assert told in text
    sums = [float(line.split()[-2]) for line in lines if line.split() and line.split()[0] in by_stack(dev_bill)]
    assert sum(sums) == pytest.approx(dev_bill.idle, abs=0.03)


def test_a_synth_says_what_each_environment_costs_and_goes_on_where_it_cannot(
    assembly: Path, dev: Environment, dev_bill: Bill
) -> None:
    elsewhere = dev.model_copy(update={"region": "ap-south-1"})
    first, second = report.summaries([dev, elsewhere], assembly)
    assert first == f"dev: {dev_bill.idle:.2f} USD/month idle, {dev_bill.load:.2f} at its stated load"
    assert second.startswith("dev: not priced. There are no prices of region ap-south-1")


def test_the_page_is_what_the_templates_and_the_prices_give(
    stacks: dict[str, list[Stack]], environments: list[Environment]
) -> None:
    assert page.PAGE.read_text() == page.text(stacks, environments, PRICES), "python -m cost.page writes it anew"


def test_every_price_is_of_every_region_that_an_environment_is_in(environments: list[Environment]) -> None:
    assert {one.region for one in environments} <= set(PRICES.regions)
