"""BatchJob alone in a stack; tests/local/test_jobs.py runs one."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

import aws_cdk as cdk
import pytest
from aws_cdk import assertions
from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_ecs as ecs
from aws_cdk import aws_iam as iam
from aws_cdk import aws_scheduler as scheduler
from aws_cdk import aws_sns as sns
from syrupy.assertion import SnapshotAssertion

from snowgate import BatchJob

Synthesise = Callable[[], assertions.Template]
Match = assertions.Match
Make = Callable[..., BatchJob]
NIGHTLY = scheduler.ScheduleExpression.cron(hour="2", minute="0", time_zone=cdk.TimeZone.EUROPE_ZURICH)


@pytest.fixture
def make(stack: cdk.Stack, vpc: ec2.IVpc, image: ecs.ContainerImage) -> Make:
    def job(**arguments: object) -> BatchJob:
        return BatchJob(stack, "Job", vpc=vpc, image=image, **arguments)

    return job


def definition(made: assertions.Template) -> dict[str, Any]:
    """The one state machine's definition, with each reference as the name of what it refers to."""
    [machine] = made.find_resources("AWS::StepFunctions::StateMachine").values()
    parts = machine["Properties"]["DefinitionString"]["Fn::Join"][1]
    found: dict[str, Any] = json.loads("".join(part if isinstance(part, str) else _name(part) for part in parts))
    return found


def _name(reference: dict[str, Any]) -> str:
    [value] = reference.values()
    return value if isinstance(value, str) else ".".join(value)


def nexts(state: dict[str, Any]) -> Iterator[str]:
    """The names of the states that may follow one."""
    yield from (state[key] for key in ("Next", "Default") if key in state)
    yield from (rule["Next"] for rule in [*state.get("Choices", []), *state.get("Catch", [])])


def test_the_template_is_that_of_the_snapshot(make: Make, template: Synthesise, snapshot: SnapshotAssertion) -> None:
    make()
    assert template().to_json() == snapshot


def test_every_state_is_there_and_can_be_reached(make: Make, template: Synthesise) -> None:
    make(schedule=NIGHTLY, scheduled_at_variable="RUN_ID")
    machine = definition(template())
    reached, waiting = set(), [machine["StartAt"]]
    while waiting:
        name = waiting.pop()
        if name not in reached:
            reached.add(name)
            waiting += nexts(machine["States"][name])
    assert reached == set(machine["States"])


def test_all_attempts_fit_into_the_state_machines_timeout(make: Make, template: Synthesise) -> None:
    make(
        max_attempts=4,
        timeout=cdk.Duration.minutes(20),
        retry_pause=cdk.Duration.seconds(600),
        stop_timeout=cdk.Duration.seconds(120),
    )
    machine = definition(template())
    assert machine["States"]["RunTask"]["TimeoutSeconds"] == 1200
    assert machine["TimeoutSeconds"] >= 4 * (1200 + 120) + 600 + 900 + 900


def test_only_chosen_exit_codes_are_tried_again(make: Make, template: Synthesise) -> None:
    make(retry_exit_codes=[75, 111], max_attempts=5)
    states = definition(template())["States"]
    assert "$code in [75, 111]" in states["ReadFailure"]["Assign"]["passing"]
    assert states["IsItTriedAgain"]["Choices"] == [{"Condition": "{% $passing and $attempt < 5 %}", "Next": "Pause"}]


def test_the_task_gets_no_public_address_in_private_subnets(
    stack: cdk.Stack, image: ecs.ContainerImage, template: Synthesise
) -> None:
    vpc = ec2.Vpc(stack, "Vpc", nat_gateways=1)
    vpc.add_flow_log("Traffic")
    BatchJob(stack, "Job", vpc=vpc, image=image)
    placed = definition(assertions.Template.from_stack(stack))["States"]["RunTask"]["Arguments"]["NetworkConfiguration"]
    assert placed["AwsvpcConfiguration"]["AssignPublicIp"] == "DISABLED"
    assert all("Private" in subnet for subnet in placed["AwsvpcConfiguration"]["Subnets"])


@pytest.mark.parametrize(
    ("spot", "expected"),
    [
        (False, {"LaunchType": "FARGATE"}),
        (True, {"CapacityProviderStrategy": [{"CapacityProvider": "FARGATE_SPOT", "Weight": 1}]}),
    ],
)
def test_it_runs_on_fargate_or_on_spot(make: Make, template: Synthesise, spot: bool, expected: dict[str, Any]) -> None:
    make(spot=spot)
    arguments = definition(template())["States"]["RunTask"]["Arguments"]
    assert {key: arguments[key] for key in ("LaunchType", "CapacityProviderStrategy") if key in arguments} == expected


def test_its_role_may_run_its_own_family_in_its_own_cluster_and_nothing_else(make: Make, template: Synthesise) -> None:
    make()
    made = template()
    [policy] = [
        found
        for name, found in made.find_resources("AWS::IAM::Policy").items()
        if name.startswith("JobRunsRoleDefault")
    ]
    statements = policy["Properties"]["PolicyDocument"]["Statement"]
    by_action = {str(statement["Action"]): statement for statement in statements}
    [task_definition] = made.find_resources("AWS::ECS::TaskDefinition").values()
    family = task_definition["Properties"]["Family"]
    assert str(by_action["ecs:RunTask"]["Resource"]).endswith(f":task-definition/{family}:*")
    assert "{'Ref': 'JobCluster" in str(by_action["['ecs:DescribeTasks', 'ecs:StopTask']"]["Resource"])
    assert "ecs:cluster" in str(by_action["ecs:ListTasks"]["Condition"])
    passed = by_action["iam:PassRole"]
    assert passed["Condition"] == {"StringEquals": {"iam:PassedToService": "ecs-tasks.amazonaws.com"}}
    assert len(passed["Resource"]) == 2
    rule = by_action["['events:DescribeRule', 'events:PutRule', 'events:PutTargets']"]["Resource"]
    assert str(rule).endswith(":rule/StepFunctionsGetEventsForECSTaskRule")
    assert by_action["cloudwatch:PutMetricData"]["Condition"] == {
        "StringEquals": {"cloudwatch:namespace": "Snowgate/BatchJob"}
    }
    limited = ("ecs:ListTasks", "cloudwatch:PutMetricData")
    everywhere = [action for action, statement in by_action.items() if statement["Resource"] == "*"]
    assert all("logs:CreateLogDelivery" in one or "xray:" in one or one in limited for one in everywhere)


def test_a_schedule_starts_it_in_its_time_zone_and_hands_on_the_time(make: Make, template: Synthesise) -> None:
    job = make(schedule=NIGHTLY, scheduled_at_variable="INGEST_RUN_ID", scheduled_at_prefix="daily-")
    made = template()
    made.has_resource_properties(
        "AWS::Scheduler::Schedule",
        {
            "ScheduleExpression": "cron(0 2 * * ? *)",
            "ScheduleExpressionTimezone": "Europe/Zurich",
            "Target": Match.object_like(
                {
                    "Input": '{"scheduled_at":"<aws.scheduler.scheduled-time>"}',
                    "DeadLetterConfig": Match.any_value(),
                    "RetryPolicy": {"MaximumRetryAttempts": 3, "MaximumEventAgeInSeconds": 3600},
                }
            ),
        },
    )
    environment = definition(made)["States"]["MakeEnvironment"]["Assign"]["environment"]
    assert '{"INGEST_RUN_ID": "daily-" & $in.scheduled_at}' in environment
    assert job.dead_letter_queue
    assert len(job.alarms) == 3


def test_without_a_schedule_there_is_no_queue(make: Make, template: Synthesise) -> None:
    job = make()
    template().resource_count_is("AWS::SQS::Queue", 0)
    assert job.dead_letter_queue is None


def test_each_alarm_has_dimensions_and_tells_the_topic(make: Make, stack: cdk.Stack, template: Synthesise) -> None:
    topic = sns.Topic.from_topic_arn(stack, "Topic", "arn:aws:sns:eu-west-1:111122223333:operators")
    make(schedule=NIGHTLY, alarm_topic=topic, most_skipped=3)
    alarms = template().find_resources("AWS::CloudWatch::Alarm").values()
    assert {alarm["Properties"]["MetricName"] for alarm in alarms} == {
        "ExecutionsFailed",
        "ExecutionsTimedOut",
        "ExecutionsSkipped",
        "ApproximateNumberOfMessagesVisible",
    }
    for alarm in alarms:
        assert alarm["Properties"]["Dimensions"]
        assert alarm["Properties"]["TreatMissingData"] == "notBreaching"
        assert alarm["Properties"]["AlarmActions"] == [topic.topic_arn]


def test_the_container_is_as_it_was_asked_for(make: Make, template: Synthesise) -> None:
    make(command=["python", "-m", "job"], environment={"A": "1"}, stop_timeout=cdk.Duration.seconds(90))
    container = {
        "Command": ["python", "-m", "job"],
        "Environment": [{"Name": "A", "Value": "1"}],
        "StopTimeout": 90,
        "Name": "Container",
    }
    template().has_resource_properties(
        "AWS::ECS::TaskDefinition", {"ContainerDefinitions": [Match.object_like(container)]}
    )


def test_a_cluster_that_is_given_is_used(make: Make, stack: cdk.Stack, vpc: ec2.IVpc, template: Synthesise) -> None:
    make(cluster=ecs.Cluster.from_cluster_attributes(stack, "Shared", cluster_name="shared", vpc=vpc))
    made = template()
    made.resource_count_is("AWS::ECS::Cluster", 0)
    assert definition(made)["States"]["RunTask"]["Arguments"]["Cluster"].endswith(":cluster/shared")


def test_another_role_can_be_let_start_it(make: Make, stack: cdk.Stack, template: Synthesise) -> None:
    operator = iam.Role(stack, "Operator", assumed_by=iam.AccountRootPrincipal())
    make().grant_start(operator)
    [policy] = [
        found
        for name, found in template().find_resources("AWS::IAM::Policy").items()
        if name.startswith("OperatorDefault")
    ]
    [statement] = policy["Properties"]["PolicyDocument"]["Statement"]
    assert statement["Action"] == "states:StartExecution"


def test_its_metrics_are_of_its_own_state_machine(make: Make) -> None:
    job = make()
    for metric in (job.metric_failed(), job.metric_timed_out(), job.metric_skipped(), job.metric_duration()):
        assert dict(metric.dimensions or {}) == {"StateMachineArn": job.state_machine.state_machine_arn}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"max_attempts": 0}, "Stack/Job: max_attempts is 0; allowed is 1 to 10, nearest is 1"),
        ({"most_skipped": -1}, "most_skipped is -1; allowed is 0 to 10000"),
        ({"retry_exit_codes": [0]}, "an exit code of retry_exit_codes is 0; allowed is 1 to 255"),
        ({"retry_pause": cdk.Duration.hours(1)}, "retry_pause in seconds is 3600; allowed is 1 to 900"),
        ({"stop_timeout": cdk.Duration.minutes(5)}, "stop_timeout in seconds is 300; .* nearest is 120"),
        ({"timeout": cdk.Duration.days(15)}, "timeout in seconds is 1296000; allowed is 1 to 1209600"),
    ],
)
def test_what_is_out_of_range_is_refused(make: Make, arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make(**arguments)
