"""ScaleToZeroWorker alone in a stack."""

from __future__ import annotations

import json
from collections.abc import Callable

import aws_cdk as cdk
import pytest
from aws_cdk import assertions
from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_ecs as ecs
from aws_cdk import aws_sns as sns
from syrupy.assertion import SnapshotAssertion

from snowgate import Architecture, FargateSize, ScaleToZeroWorker

Synthesise = Callable[[], assertions.Template]
Match = assertions.Match
Make = Callable[..., ScaleToZeroWorker]


@pytest.fixture
def make(stack: cdk.Stack, vpc: ec2.IVpc, image: ecs.ContainerImage) -> Make:
    def worker(**arguments: object) -> ScaleToZeroWorker:
        return ScaleToZeroWorker(stack, "Worker", vpc=vpc, image=image, command=["work"], **arguments)

    return worker


def statements(made: assertions.Template, logical_id: str) -> list[dict[str, object]]:
    """The statements of the one policy whose logical id begins so."""
    policies = made.find_resources("AWS::IAM::Policy")
    [found] = [policy for name, policy in policies.items() if name.startswith(logical_id)]
    return found["Properties"]["PolicyDocument"]["Statement"]


def test_no_desired_count_is_in_the_template(make: Make, template: Synthesise) -> None:
    make()
    template().has_resource_properties("AWS::ECS::Service", {"DesiredCount": Match.absent()})


def test_a_failing_deploy_is_rolled_back(make: Make, template: Synthesise) -> None:
    make()
    deployment = {
        "DeploymentCircuitBreaker": {"Enable": True, "Rollback": True},
        "MinimumHealthyPercent": 0,
        "MaximumPercent": 200,
    }
    template().has_resource_properties("AWS::ECS::Service", {"DeploymentConfiguration": deployment})


def test_the_first_task_waits_for_the_policies_of_both_its_roles(make: Make, template: Synthesise) -> None:
    make()
    made = template()
    [service] = made.find_resources("AWS::ECS::Service").values()
    policies = [name for name in made.find_resources("AWS::IAM::Policy") if name.startswith("WorkerTaskDefinition")]
    assert len(policies) == 2
    assert set(policies) <= set(service["DependsOn"])


def test_the_container_writes_to_tmp_alone_and_has_two_minutes_to_stop(make: Make, template: Synthesise) -> None:
    make(
        size=FargateSize(cpu=1024, memory_mib=2048, ephemeral_gib=40),
        architecture=Architecture.X86_64,
        environment={"COLOUR": "blue"},
        health_check=["true"],
        max_tasks=7,
    )
    made = template()
    made.has_resource_properties(
        "AWS::ECS::TaskDefinition",
        {
            "Cpu": "1024",
            "Memory": "2048",
            "EphemeralStorage": {"SizeInGiB": 40},
            "RuntimePlatform": {"CpuArchitecture": "X86_64", "OperatingSystemFamily": "LINUX"},
            "ContainerDefinitions": [
                Match.object_like(
                    {
                        "Command": ["work"],
                        "ReadonlyRootFilesystem": True,
                        "StopTimeout": 120,
                        "MountPoints": [{"ContainerPath": "/tmp", "ReadOnly": False, "SourceVolume": "tmp"}],
                        "HealthCheck": Match.object_like({"Command": ["CMD", "true"]}),
                        "Environment": Match.array_with(
                            [{"Name": "MAX_TASKS", "Value": "7"}, {"Name": "COLOUR", "Value": "blue"}]
                        ),
                    }
                )
            ],
        },
    )


def test_tasks_may_change_their_own_service_and_no_other(make: Make, template: Synthesise) -> None:
    make()
    made = template()
    own = statements(made, "WorkerTaskDefinitionTaskRole")
    [change] = [s for s in own if "ecs:UpdateService" in s["Action"]]
    assert change["Action"] == ["ecs:DescribeServices", "ecs:UpdateService"]
    [logical_id] = made.find_resources("AWS::ECS::Service")
    assert change["Resource"]["Fn::Join"][1][-1] == f"/Stack-{logical_id}*"  # type: ignore[index]


def test_tasks_may_protect_themselves_and_set_their_one_alarm_clock(make: Make, template: Synthesise) -> None:
    make()
    made = template()
    own = statements(made, "WorkerTaskDefinitionTaskRole")
    allowed = {action for s in own for action in ([s["Action"]] if isinstance(s["Action"], str) else s["Action"])}
    assert allowed == {
        "ecs:DescribeServices",
        "ecs:UpdateService",
        "ecs:GetTaskProtection",
        "ecs:UpdateTaskProtection",
        "scheduler:CreateSchedule",
        "scheduler:UpdateSchedule",
        "scheduler:DeleteSchedule",
        "scheduler:GetSchedule",
        "iam:PassRole",
    }
    [schedule] = [s for s in own if "scheduler:CreateSchedule" in s["Action"]]
    [definition] = made.find_resources("AWS::ECS::TaskDefinition").values()
    [container] = definition["Properties"]["ContainerDefinitions"]
    names = {entry["Name"]: entry["Value"] for entry in container["Environment"]}
    assert str(schedule["Resource"]).endswith(f":schedule/default/{names['ALARM_CLOCK_NAME']}")
    [passed] = [s for s in own if s["Action"] == "iam:PassRole"]
    assert passed["Resource"] == names["ALARM_CLOCK_ROLE_ARN"]


def test_the_alarm_clock_names_the_waker_as_it_will_be_called(make: Make, template: Synthesise) -> None:
    make()
    made = template()
    [waker] = made.find_resources("AWS::Lambda::Function", {"Properties": {"Handler": "handler.handler"}}).values()
    name = waker["Properties"]["FunctionName"]
    assert len(name) <= 64
    [call] = statements(made, "WorkerAlarmClockRole")
    assert call["Action"] == "lambda:InvokeFunction"
    assert str(call["Resource"]).endswith(f":function:{name}")


def test_the_waker_may_change_that_service_only(make: Make, template: Synthesise) -> None:
    make(max_tasks=3, work_per_task=8)
    made = template()
    [logical_id] = made.find_resources("AWS::ECS::Service")
    own = statements(made, "WorkerWaker")
    [change] = [s for s in own if "ecs:UpdateService" in s["Action"]]
    assert change["Resource"] == {"Ref": logical_id}
    assert {str(s["Action"]) for s in own} == {
        "['logs:CreateLogStream', 'logs:PutLogEvents']",
        "['ecs:DescribeServices', 'ecs:UpdateService']",
        "['xray:PutTelemetryRecords', 'xray:PutTraceSegments']",
    }
    made.has_resource_properties(
        "AWS::Lambda::Function",
        {
            "Environment": {
                "Variables": {
                    "MAX_TASKS": "3",
                    "REPORTS_PER_TASK": "8",
                    "SERVICE": {"Fn::GetAtt": [logical_id, "Name"]},
                    "CLUSTER": Match.any_value(),
                }
            },
            "ReservedConcurrentExecutions": Match.absent(),
        },
    )


def test_a_sweep_calls_the_waker_at_its_interval_and_is_left_out_by_default(make: Make, template: Synthesise) -> None:
    make(sweep=cdk.Duration.minutes(30))
    template().has_resource_properties("AWS::Events::Rule", {"ScheduleExpression": "rate(30 minutes)"})


def test_without_a_sweep_no_schedule_wakes_anybody(make: Make, template: Synthesise) -> None:
    make()
    rules = [rule["Properties"] for rule in template().find_resources("AWS::Events::Rule").values()]
    [look] = [rule for rule in rules if "ScheduleExpression" in rule]
    assert look["Targets"][0]["Input"] == '{"watch":true}'


def test_the_template_is_that_of_the_snapshot(make: Make, template: Synthesise, snapshot: SnapshotAssertion) -> None:
    make()
    assert template().to_json() == snapshot(name="ScaleToZeroWorker")


def test_work_that_waits_while_nothing_runs_and_silence_are_alarms(
    make: Make, stack: cdk.Stack, template: Synthesise
) -> None:
    topic = sns.Topic.from_topic_arn(stack, "Topic", "arn:aws:sns:eu-west-1:111122223333:alarms")
    worker = make(alarm_topic=topic)
    assert len(worker.alarms) == 2
    made = template()
    [service] = made.find_resources("AWS::ECS::Service")
    [alarm] = [
        found["Properties"]
        for found in made.find_resources("AWS::CloudWatch::Alarm").values()
        if "Metrics" in found["Properties"]
    ]
    assert (alarm["TreatMissingData"], alarm["EvaluationPeriods"], alarm["Threshold"]) == ("breaching", 3, 1)
    watched = {}
    for entry in alarm["Metrics"]:
        if "Expression" in entry:
            assert entry["Expression"] == "IF(running < 1, desired, 0)"
        else:
            metric = entry["MetricStat"]["Metric"]
            watched[entry["Id"]] = metric["MetricName"]
            assert metric["Namespace"] == "Snowgate"
            assert {"Name": "Service", "Value": {"Fn::GetAtt": [service, "Name"]}} in metric["Dimensions"]
    assert watched == {"desired": "DesiredTasks", "running": "RunningTasks"}
    for found in made.find_resources("AWS::CloudWatch::Alarm").values():
        assert found["Properties"]["AlarmActions"] == ["arn:aws:sns:eu-west-1:111122223333:alarms"]


def test_a_task_that_fails_to_start_is_kept_with_its_reason(make: Make, template: Synthesise) -> None:
    make()
    made = template()
    [queue] = made.find_resources("AWS::SQS::Queue")
    kept = [
        rule["Properties"]["EventPattern"]["detail-type"]
        for rule in made.find_resources("AWS::Events::Rule").values()
        if rule["Properties"]["Targets"][0]["Arn"] == {"Fn::GetAtt": [queue, "Arn"]}
    ]
    assert sorted(kept) == [["ECS Service Action"], ["ECS Task State Change"]]


def test_the_metrics_of_a_worker_have_the_dimensions_under_which_the_waker_enters_them(make: Make) -> None:
    worker = make()
    service = {"Cluster": worker.cluster.cluster_name, "Service": worker.service.service_name}
    for metric in (worker.metric_pending(), worker.metric_desired_tasks(), worker.metric_running_tasks()):
        assert metric.dimensions == service
    assert worker.metric_start_failures().dimensions == {"QueueName": worker.start_failures.queue.queue_name}


@pytest.mark.parametrize(
    ("percent", "weights"),
    [(0, {"FARGATE": 100}), (30, {"FARGATE": 70, "FARGATE_SPOT": 30}), (100, {"FARGATE_SPOT": 100})],
)
def test_a_share_of_the_tasks_can_run_on_spot(
    make: Make, template: Synthesise, percent: int, weights: dict[str, int]
) -> None:
    make(spot_percent=percent)
    made = template()
    strategy = [{"CapacityProvider": name, "Weight": weight} for name, weight in weights.items()]
    made.has_resource_properties("AWS::ECS::Service", {"CapacityProviderStrategy": strategy})
    # The service comes after the cluster has its capacity providers, and goes before it loses them.
    [association] = made.find_resources("AWS::ECS::ClusterCapacityProviderAssociations")
    made.has_resource("AWS::ECS::Service", {"DependsOn": Match.array_with([association])})


def test_nothing_comes_in_and_only_tls_and_revocation_lists_go_out(make: Make, template: Synthesise) -> None:
    make()
    template().has_resource_properties(
        "AWS::EC2::SecurityGroup",
        {
            "SecurityGroupIngress": Match.absent(),
            "SecurityGroupEgress": [
                Match.object_like({"FromPort": port, "ToPort": port, "IpProtocol": "tcp"}) for port in (443, 80)
            ],
        },
    )


def test_tasks_go_to_private_subnets_where_the_network_has_such(
    stack: cdk.Stack, image: ecs.ContainerImage, template: Synthesise
) -> None:
    vpc = ec2.Vpc(stack, "Vpc", nat_gateways=1)
    vpc.add_flow_log("Traffic")
    ScaleToZeroWorker(stack, "Worker", vpc=vpc, image=image, command=["work"])
    made = assertions.Template.from_stack(stack)
    [service] = made.find_resources("AWS::ECS::Service").values()
    placed = service["Properties"]["NetworkConfiguration"]["AwsvpcConfiguration"]
    assert placed["AssignPublicIp"] == "DISABLED"
    assert all("Private" in subnet["Ref"] for subnet in placed["Subnets"])


def test_a_cluster_that_is_given_is_used(make: Make, stack: cdk.Stack, vpc: ec2.IVpc, template: Synthesise) -> None:
    cluster = ecs.Cluster.from_cluster_attributes(stack, "Shared", cluster_name="shared", vpc=vpc)
    make(cluster=cluster)
    made = template()
    made.resource_count_is("AWS::ECS::Cluster", 0)
    made.has_resource_properties("AWS::ECS::Service", {"Cluster": "shared"})


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"max_tasks": 0}, "max_tasks is 0; allowed is 1 to 1000, nearest is 1"),
        ({"work_per_task": 0}, "work_per_task is 0"),
        ({"spot_percent": 101}, "nearest is 100"),
    ],
)
def test_numbers_out_of_range_are_refused(make: Make, arguments: dict[str, int], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make(**arguments)


def test_the_construct_knows_nothing_of_reports_but_the_wakers_variable(make: Make, template: Synthesise) -> None:
    make()
    text = json.dumps(template().to_json()).replace("REPORTS_PER_TASK", "")
    assert "report" not in text.lower()
