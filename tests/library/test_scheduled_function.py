"""ScheduledFunction alone in a stack."""

from __future__ import annotations

from collections.abc import Callable

import aws_cdk as cdk
import pytest
from aws_cdk import assertions
from aws_cdk import aws_iam as iam
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_scheduler as scheduler
from aws_cdk import aws_sns as sns
from syrupy.assertion import SnapshotAssertion

from snowgate import ScheduledFunction

Synthesise = Callable[[], assertions.Template]
Match = assertions.Match
Make = Callable[..., ScheduledFunction]
DAILY = scheduler.ScheduleExpression.cron(hour="2", minute="0", time_zone=cdk.TimeZone.AMERICA_NEW_YORK)


@pytest.fixture
def make(stack: cdk.Stack) -> Make:
    function = lambda_.Function.from_function_arn(
        stack, "Cleaner", "arn:aws:lambda:eu-west-1:111122223333:function:cleaner"
    )

    def scheduled(**arguments: object) -> ScheduledFunction:
        return ScheduledFunction(stack, "Daily", function=function, schedule=DAILY, **arguments)

    return scheduled


def test_the_template_is_that_of_the_snapshot(make: Make, template: Synthesise, snapshot: SnapshotAssertion) -> None:
    make()
    assert template().to_json() == snapshot


def test_the_function_gets_its_input_and_the_scheduled_time(make: Make, template: Synthesise) -> None:
    make(input={"keep_days": 30}, retries=5, max_age=cdk.Duration.hours(6))
    template().has_resource_properties(
        "AWS::Scheduler::Schedule",
        {
            "ScheduleExpressionTimezone": "America/New_York",
            "Target": Match.object_like(
                {
                    "Input": '{"keep_days":30,"scheduled_at":"<aws.scheduler.scheduled-time>"}',
                    "RetryPolicy": {"MaximumRetryAttempts": 5, "MaximumEventAgeInSeconds": 21600},
                }
            ),
        },
    )


def test_its_role_may_call_the_function_and_write_dead_letters(make: Make, template: Synthesise) -> None:
    make()
    [policy] = template().find_resources("AWS::IAM::Policy").values()
    allowed = {
        statement["Action"]: statement["Resource"] for statement in policy["Properties"]["PolicyDocument"]["Statement"]
    }
    assert set(allowed) == {"lambda:InvokeFunction", "sqs:SendMessage"}
    assert all(resource.startswith("arn:aws:lambda:") for resource in allowed["lambda:InvokeFunction"])
    assert "DeadLetters" in str(allowed["sqs:SendMessage"])


def test_failures_and_dead_letters_tell_the_topic(make: Make, stack: cdk.Stack, template: Synthesise) -> None:
    topic = sns.Topic.from_topic_arn(stack, "Topic", "arn:aws:sns:eu-west-1:111122223333:operators")
    scheduled = make(alarm_topic=topic)
    assert len(scheduled.alarms) == 2
    alarms = template().find_resources("AWS::CloudWatch::Alarm").values()
    assert {alarm["Properties"]["MetricName"] for alarm in alarms} == {"Errors", "ApproximateNumberOfMessagesVisible"}
    for alarm in alarms:
        assert alarm["Properties"]["Dimensions"]
        assert alarm["Properties"]["AlarmActions"] == [topic.topic_arn]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"input": {"scheduled_at": "now"}}, "scheduled_at is the scheduled time"),
        ({"retries": 186}, "retries is 186; allowed is 0 to 185"),
    ],
)
def test_what_cannot_be_is_refused(make: Make, arguments: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make(**arguments)


def test_what_a_function_of_the_stack_fails_on_is_a_dead_letter_too(stack: cdk.Stack, template: Synthesise) -> None:
    role = iam.Role(stack, "CleanerRole", assumed_by=iam.ServicePrincipal("lambda.amazonaws.com"))
    code = lambda_.Code.from_inline("def handler(event, context): pass")
    cleaner = lambda_.Function(
        stack, "Cleaner", runtime=lambda_.Runtime.PYTHON_3_14, handler="index.handler", code=code, role=role
    )
    daily = ScheduledFunction(stack, "Daily", function=cleaner, schedule=DAILY)
    queue = stack.resolve(daily.dead_letter_queue.queue_arn)
    made = template()
    made.has_resource_properties(
        "AWS::Lambda::EventInvokeConfig", {"DestinationConfig": {"OnFailure": {"Destination": queue}}}
    )
    policies = made.find_resources("AWS::IAM::Policy")
    of_function = [one for name, one in policies.items() if name.startswith("CleanerRole")]
    assert of_function[0]["Properties"]["PolicyDocument"]["Statement"][0]["Resource"] == queue
