"""EventBridge Scheduler, and the mails that SES accepts."""

from __future__ import annotations

import base64
import datetime
import json
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from botocore.exceptions import ClientError
from cloud_server import CloudServer, cloud_server

NOTE = """
import json, os, boto3
def handler(event, context):
    boto3.client("sqs").send_message(QueueUrl=os.environ["NOTES"], MessageBody=json.dumps(event))
"""
OFF = {"Mode": "OFF"}


@dataclass(frozen=True)
class Clock:
    """A Lambda that notes its calls, and a schedule's role that may call it."""

    cloud: CloudServer
    notes_url: str
    function: str
    role: str

    def set(self, verb: str, text: str, *, seconds: float = 1.0, role: str = "", **options: Any) -> None:
        """Create or update the schedule so that it calls the Lambda once with this text."""
        moment = datetime.datetime.now(datetime.UTC) + datetime.timedelta(seconds=seconds)
        target = {"Arn": self.function, "RoleArn": role or self.role, "Input": json.dumps({"text": text})}
        call = getattr(self.cloud.client("scheduler"), f"{verb}_schedule")
        expression = f"at({moment:%Y-%m-%dT%H:%M:%S})"
        call(Name="clock", ScheduleExpression=expression, FlexibleTimeWindow=OFF, Target=target, **options)

    def notes(self, seconds: int = 6) -> list[str]:
        """The first texts that the Lambda noted within some seconds."""
        sqs = self.cloud.client("sqs")
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            messages = sqs.receive_message(QueueUrl=self.notes_url, WaitTimeSeconds=1).get("Messages", [])
            if messages:
                return [json.loads(message["Body"])["text"] for message in messages]
        return []


@pytest.fixture(scope="module")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[CloudServer]:
    with cloud_server(tmp_path_factory.mktemp("cloud")) as server:
        yield server


def make_clock(cloud: CloudServer, name: str) -> Clock:
    notes = cloud.client("sqs").create_queue(QueueName=name)["QueueUrl"]
    sends = {"Action": "sqs:SendMessage", "Resource": "*"}
    function_role = cloud.make_role(f"{name}-function", {"Principal": {"Service": "lambda.amazonaws.com"}}, sends)
    function = cloud.make_function(name, function_role, NOTE, NOTES=notes)
    invokes = {"Action": "lambda:InvokeFunction", "Resource": function}
    role = cloud.make_role(f"{name}-schedule", {"Principal": {"Service": "scheduler.amazonaws.com"}}, invokes)
    return Clock(cloud, notes, function, role)


@pytest.fixture
def clock(cloud: CloudServer, request: pytest.FixtureRequest) -> Clock:
    return make_clock(cloud, f"clock-{abs(hash(request.node.name)) % 10**8}")


def test_a_one_time_schedule_fires_at_its_time_and_is_gone(clock: Clock) -> None:
    clock.set("create", "wake", ActionAfterCompletion="DELETE")
    assert clock.notes() == ["wake"]
    with pytest.raises(ClientError, match="ResourceNotFound"):
        clock.cloud.client("scheduler").get_schedule(Name="clock")


def test_a_fired_schedule_that_is_set_anew_fires_again(clock: Clock) -> None:
    clock.set("create", "first")
    assert clock.notes() == ["first"]
    clock.set("update", "second")
    assert clock.notes() == ["second"]
    clock.cloud.client("scheduler").delete_schedule(Name="clock")


def test_a_fired_schedule_stays_fired_over_a_restart(tmp_path: Path) -> None:
    with cloud_server(tmp_path) as cloud:
        clock = make_clock(cloud, "clock")
        clock.set("create", "once")
        assert clock.notes() == ["once"]
    with cloud_server(tmp_path, port=cloud.port) as cloud:
        assert clock.notes(seconds=2) == []


def test_a_role_that_the_scheduler_may_not_assume_is_refused(clock: Clock) -> None:
    role = clock.cloud.make_role("wrong-trust", {"Principal": {"Service": "lambda.amazonaws.com"}})
    with pytest.raises(ClientError, match="must allow AWS EventBridge Scheduler to assume the role"):
        clock.set("create", "never", role=role)


def test_a_schedule_whose_role_may_not_call_the_target_does_not_fire(clock: Clock) -> None:
    role = clock.cloud.make_role("powerless", {"Principal": {"Service": "scheduler.amazonaws.com"}})
    clock.set("create", "never", role=role, seconds=0, ActionAfterCompletion="DELETE")
    assert clock.notes(seconds=3) == []


def test_a_caller_who_may_not_pass_the_role_is_refused(clock: Clock) -> None:
    may_schedule = {"Action": "scheduler:CreateSchedule", "Resource": "*"}
    passes = {"Action": "iam:PassRole", "Resource": clock.role}
    trust = {"Principal": {"Service": "ecs-tasks.amazonaws.com"}}
    roles = {
        "passes": clock.cloud.make_role("passes", trust, may_schedule, passes),
        "keeps": clock.cloud.make_role("keeps", trust, may_schedule),
    }

    def create(role: str) -> None:
        session = clock.cloud.client("sts").assume_role(RoleArn=roles[role], RoleSessionName="fargate-1")
        clock.cloud.client("scheduler", session["Credentials"]).create_schedule(
            Name=role,
            ScheduleExpression="at(2099-01-01T00:00:00)",
            FlexibleTimeWindow=OFF,
            Target={"Arn": clock.function, "RoleArn": clock.role},
        )

    create("passes")
    with pytest.raises(ClientError, match="iam:PassRole"):
        create("keeps")


def test_a_time_zone_of_a_schedule_counts_and_its_input_has_the_time(clock: Clock) -> None:
    moment = datetime.datetime.now(datetime.UTC).replace(microsecond=0) + datetime.timedelta(seconds=1)
    elsewhere = moment.astimezone(ZoneInfo("Asia/Kolkata"))
    clock.cloud.client("scheduler").create_schedule(
        Name="elsewhere",
        ScheduleExpression=f"at({elsewhere:%Y-%m-%dT%H:%M:%S})",
        ScheduleExpressionTimezone="Asia/Kolkata",
        FlexibleTimeWindow=OFF,
        Target={
            "Arn": clock.function,
            "RoleArn": clock.role,
            "Input": json.dumps({"text": "<aws.scheduler.scheduled-time>"}),
        },
    )
    assert clock.notes() == [f"{moment:%Y-%m-%dT%H:%M:%SZ}"]


def test_a_stacks_schedule_keeps_its_time_zone(clock: Clock) -> None:
    properties = {
        "Name": "of-a-stack",
        "ScheduleExpression": "cron(0 2 * * ? *)",
        "ScheduleExpressionTimezone": "Europe/Zurich",
        "FlexibleTimeWindow": OFF,
        "Target": {"Arn": clock.function, "RoleArn": clock.role},
    }
    clock.cloud.deploy("zoned", {"Clock": {"Type": "AWS::Scheduler::Schedule", "Properties": properties}})
    found = clock.cloud.client("scheduler").get_schedule(Name="of-a-stack")
    assert found["ScheduleExpressionTimezone"] == "Europe/Zurich"


def test_a_raw_mail_can_be_read_whole_and_an_unverified_sender_is_refused(cloud: CloudServer) -> None:
    ses = cloud.client("sesv2")
    mail = b"From: reports@example.com\r\nTo: a@example.com\r\nSubject: Sales\r\n\r\nHere it is."

    def send() -> str:
        content = {"Raw": {"Data": mail}}
        sent = ses.send_email(
            FromEmailAddress="reports@example.com", Destination={"ToAddresses": ["a@example.com"]}, Content=content
        )
        return str(sent["MessageId"])

    with pytest.raises(ClientError, match="not verified"):
        send()
    ses.create_email_identity(EmailIdentity="reports@example.com")
    identifier = send()
    [[message]] = json.loads(cloud.get("/_ministack/ses/messages"))["messages"].values()
    assert (message["MessageId"], message["To"]) == (identifier, ["a@example.com"])
    assert base64.b64decode(message["Raw"]) == mail


DUE = """
import datetime, json, sys
from local.cloud.additions import schedules
from ministack.services import eventbridge
schedule, since, now = json.loads(sys.argv[1]), *(datetime.datetime.fromisoformat(a).timestamp() for a in sys.argv[2:])
due = schedules._due(schedule | {"State": "ENABLED", "CreationDate": since}, since, now, eventbridge)
print(due and due.astimezone(datetime.UTC).isoformat())
"""


@pytest.mark.parametrize(
    ("expression", "since", "now", "due"),
    [
        ("cron(0 2 * * ? *)", "2026-01-10T12:00:00+00:00", "2026-01-11T01:00:00+00:00", "2026-01-11T01:00:00+00:00"),
        ("cron(0 2 * * ? *)", "2026-07-10T12:00:00+00:00", "2026-07-11T00:00:00+00:00", "2026-07-11T00:00:00+00:00"),
        ("cron(0 2 * * ? *)", "2026-07-10T12:00:00+00:00", "2026-07-10T23:59:00+00:00", "None"),
        ("rate(5 minutes)", "2026-07-10T12:00:00+00:00", "2026-07-10T12:05:01+00:00", "2026-07-10T12:05:00+00:00"),
    ],
)
def test_a_cron_expression_is_read_in_its_time_zone_winter_and_summer(
    root: Path, expression: str, since: str, now: str, due: str
) -> None:
    schedule = {"ScheduleExpression": expression, "ScheduleExpressionTimezone": "Europe/Zurich"}
    command = [str(root / ".venv-cloud" / "bin" / "python"), "-c", DUE, json.dumps(schedule), since, now]
    assert subprocess.run(command, cwd=root, capture_output=True, text=True, check=True).stdout.strip() == due
