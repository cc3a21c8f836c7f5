"""Batch jobs on the local platform: Step Functions runs tasks, and the runner runs their containers."""

from __future__ import annotations

import datetime
import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import psutil
import pytest
from botocore.exceptions import ClientError
from cloud_server import cloud_server
from job_platform import Jobs, jobs, wait_for


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Jobs]:
    folder = tmp_path_factory.mktemp("jobs")
    with cloud_server(folder / "cloud") as cloud, jobs(cloud, folder / "platform") as deployed:
        yield deployed


def working(made: Jobs, execution: str) -> psutil.Process:
    """The process of an execution's task, once it is at work."""

    def found() -> list[dict[str, object]]:
        file = made.folder / "run" / "tasks.json"
        running = json.loads(file.read_text()) if file.exists() else []
        return [task for task in running if task["arn"] in made.tasks(execution)]

    wait_for(lambda: found() and "working" in made.log(execution))
    return psutil.Process(int(str(found()[0]["pid"])))


@contextmanager
def denied(made: Jobs, action: str) -> Iterator[None]:
    """Take an action away from the role of the job's state machine for a while."""
    iam = made.cloud.client("iam")
    role = made.steps.describe_state_machine(stateMachineArn=made.machines["Job"])["roleArn"].rsplit("/", 1)[1]
    deny = {"Version": "2012-10-17", "Statement": [{"Effect": "Deny", "Action": action, "Resource": "*"}]}
    iam.put_role_policy(RoleName=role, PolicyName="taken", PolicyDocument=json.dumps(deny))
    try:
        yield
    finally:
        iam.delete_role_policy(RoleName=role, PolicyName="taken")


def test_a_job_that_ends_well_succeeds_and_its_output_is_in_its_log(made: Jobs) -> None:
    execution = made.start(WORD="given")
    ended = made.end(execution)
    assert ended["status"] == "SUCCEEDED", (ended.get("error"), ended.get("cause"))
    assert json.loads(ended["output"]) == {"outcome": "succeeded", "attempts": 1, "task": made.tasks(execution)[0]}
    assert made.log(execution) == ["word: given secret: hush", "scheduled: ", "working", "no end of line"]
    assert made.task(execution)["containers"][0]["exitCode"] == 0


def test_another_exit_code_fails_it_and_is_not_tried_again(made: Jobs) -> None:
    execution = made.start(CODE="1")
    ended = made.end(execution)
    assert (ended["status"], ended["error"]) == ("FAILED", "BatchJob.ExitCode")
    assert ended["cause"].startswith("exit code 1 (Essential container in task exited")
    assert f"task/Container/{made.tasks(execution)[0].rsplit('/', 1)[1]}" in ended["cause"]
    assert made.runs() == 1


def test_a_killed_container_is_told_from_a_failed_one(made: Jobs) -> None:
    ended = made.run(KILL="1")
    assert ended["cause"].startswith("exit code 137: it was killed: give it more memory")


def test_a_chosen_exit_code_is_tried_again_until_it_succeeds(made: Jobs) -> None:
    execution = made.start(CODE="75", ONCE="1")
    ended = made.end(execution)
    assert ended["status"] == "SUCCEEDED"
    assert json.loads(ended["output"])["attempts"] == 2
    assert len(made.tasks(execution)) == made.runs() == 2


def test_a_chosen_exit_code_fails_it_after_the_last_attempt(made: Jobs) -> None:
    ended = made.run(CODE="75")
    assert ended["status"] == "FAILED"
    assert ended["cause"].startswith("exit code 75")
    assert made.runs() == 3


def test_a_task_that_takes_too_long_is_stopped_and_a_stubborn_one_killed(made: Jobs) -> None:
    execution = made.start("Hasty", STUBBORN="1")
    process = working(made, execution)
    ended = made.end(execution)
    assert (ended["status"], ended["error"]) == ("FAILED", "BatchJob.TimedOut")
    wait_for(lambda: not process.is_running())
    wait_for(lambda: made.task(execution)["lastStatus"] == "STOPPED")
    assert made.task(execution)["containers"][0]["exitCode"] == 137
    assert made.runs() == 1


def test_of_two_starts_in_the_same_instant_one_works_and_the_other_is_skipped(made: Jobs) -> None:
    started: list[str] = []
    starters = [threading.Thread(target=lambda: started.append(made.start(SECONDS_TO_WORK="2"))) for _ in range(4)]
    for starter in starters:
        starter.start()
    for starter in starters:
        starter.join()
    outcomes = [json.loads(made.end(execution)["output"])["outcome"] for execution in started]
    assert sorted(outcomes) == ["skipped", "skipped", "skipped", "succeeded"]
    [metric] = made.cloud.client("cloudwatch").list_metrics(Namespace="Snowgate/BatchJob")["Metrics"]
    assert metric["MetricName"] == "ExecutionsSkipped"
    assert metric["Dimensions"] == [{"Name": "StateMachineArn", "Value": made.machines["Job"]}]
    assert made.runs() == 1


def test_an_aborted_execution_stops_its_task_and_holds_up_nobody(made: Jobs) -> None:
    execution = made.start(SECONDS_TO_WORK="60")
    process = working(made, execution)
    made.steps.stop_execution(executionArn=execution, error="Test", cause="enough")
    wait_for(lambda: not process.is_running())
    wait_for(lambda: made.task(execution)["lastStatus"] == "STOPPED")
    task = made.task(execution)
    assert (task["stopCode"], task["containers"][0]["exitCode"]) == ("UserInitiated", 143)
    assert made.run()["status"] == "SUCCEEDED"
    assert made.end(execution)["status"] == "ABORTED"


def test_a_task_that_an_aborted_execution_left_behind_is_stopped_before_the_next_one_works(made: Jobs) -> None:
    execution = made.start(SECONDS_TO_WORK="60")
    process = working(made, execution)
    with denied(made, "ecs:StopTask"):
        made.steps.stop_execution(executionArn=execution)
        time.sleep(0.5)
    assert process.is_running()
    following = made.start()
    ended = made.end(following)
    assert ended["status"] == "SUCCEEDED", (ended.get("error"), ended.get("cause"))
    assert not process.is_running()
    first, second = made.task(execution), made.task(following)
    assert first["stoppedReason"] == "Its time is over"
    assert second["createdAt"] >= first["stoppedAt"]


def test_a_task_that_somebody_stops_fails_its_job(made: Jobs) -> None:
    execution = made.start(SECONDS_TO_WORK="60")
    working(made, execution)
    task = made.task(execution)
    made.ecs.stop_task(cluster=task["clusterArn"], task=task["taskArn"], reason="by hand")
    assert made.end(execution)["cause"].startswith("exit code 143: it was asked to stop, and ended at that (by hand)")


def test_an_image_that_is_not_there_fails_the_job_and_names_it(made: Jobs) -> None:
    ended = made.run("Unknown")
    assert (ended["status"], ended["error"]) == ("FAILED", "BatchJob.TaskFailedToStart")
    assert "CannotPullContainerError: tests/unknown:local: this platform only has tests/job:local" in ended["cause"]


def test_a_runner_that_is_killed_takes_the_task_along_and_the_next_one_does_not_start_it_again(made: Jobs) -> None:
    execution = made.start(SECONDS_TO_WORK="60")
    process = working(made, execution)
    assert made.runner
    made.runner.kill()
    made.runner.wait()
    wait_for(lambda: not process.is_running())
    made.start_runner()
    assert made.end(execution)["cause"].startswith("exit code 137")
    assert made.runs() == 1


def test_an_input_that_is_not_known_is_refused_before_anything_runs(made: Jobs) -> None:
    made.marks.unlink(missing_ok=True)
    for given, message in (({"LOOKBACK_HOURS": "48"}, "given was LOOKBACK_HOURS"), ({"environment": "A=1"}, "form")):
        started = made.steps.start_execution(stateMachineArn=made.machines["Job"], input=json.dumps(given))
        ended = made.end(started["executionArn"])
        assert (ended["status"], ended["error"]) == ("FAILED", "BatchJob.Input")
        assert message in ended["cause"]
    assert made.runs() == 0


def test_its_schedule_starts_it_with_the_time_for_which_it_was_meant(made: Jobs) -> None:
    scheduler = made.cloud.client("scheduler")
    [schedule] = scheduler.list_schedules()["Schedules"]
    found = scheduler.get_schedule(Name=schedule["Name"])
    moment = datetime.datetime.now(datetime.UTC).replace(microsecond=0) + datetime.timedelta(seconds=1)
    before = executions(made)
    scheduler.update_schedule(
        Name=schedule["Name"],
        ScheduleExpression=f"at({moment:%Y-%m-%dT%H:%M:%S})",
        FlexibleTimeWindow={"Mode": "OFF"},
        Target=found["Target"],
    )
    wait_for(lambda: executions(made) - before)
    [execution] = executions(made) - before
    assert made.end(execution)["status"] == "SUCCEEDED"
    assert made.log(execution)[1] == f"scheduled: daily-{moment:%Y-%m-%dT%H:%M:%SZ}"


def test_a_call_that_the_scheduler_cannot_deliver_is_a_dead_letter(made: Jobs) -> None:
    scheduler, sqs = made.cloud.client("scheduler"), made.cloud.client("sqs")
    [schedule] = scheduler.list_schedules()["Schedules"]
    found = scheduler.get_schedule(Name=schedule["Name"])
    scheduler.create_schedule(
        Name="astray",
        ScheduleExpression=f"at({datetime.datetime.now(datetime.UTC):%Y-%m-%dT%H:%M:%S})",
        FlexibleTimeWindow={"Mode": "OFF"},
        Target=found["Target"] | {"Arn": made.machines["Hasty"]},
    )
    name = found["Target"]["DeadLetterConfig"]["Arn"].rsplit(":", 1)[1]
    url = sqs.get_queue_url(QueueName=name)["QueueUrl"]
    answer = sqs.receive_message(QueueUrl=url, WaitTimeSeconds=10, MessageAttributeNames=["All"])
    [letter] = answer["Messages"]
    assert letter["MessageAttributes"]["ERROR_CODE"]["StringValue"] == "AccessDeniedException"
    assert "scheduled_at" in json.loads(letter["Body"])


def executions(made: Jobs) -> set[str]:
    listed = made.steps.list_executions(stateMachineArn=made.machines["Job"])["executions"]
    return {execution["executionArn"] for execution in listed}


@pytest.mark.parametrize(
    ("taken", "error"),
    [
        ("ecs:RunTask", "not authorized to perform: ecs:RunTask"),
        ("iam:PassRole", "not authorized to perform: iam:PassRole"),
        ("dynamodb:PutItem", "not authorized to perform: dynamodb:PutItem"),
    ],
)
def test_what_the_state_machines_role_may_not_do_it_does_not(made: Jobs, taken: str, error: str) -> None:
    with denied(made, taken):
        ended = made.run()
    assert ended["status"] == "FAILED"
    assert error in ended["cause"]
    assert made.runs() == 0


def test_a_state_machine_that_runs_longer_than_it_says_is_timed_out(made: Jobs) -> None:
    definition = {
        "StartAt": "Wait",
        "TimeoutSeconds": 1,
        "States": {"Wait": {"Type": "Wait", "Seconds": 3, "End": True}},
    }
    role = made.steps.describe_state_machine(stateMachineArn=made.machines["Job"])["roleArn"]
    made.steps.create_state_machine(name="slow", definition=json.dumps(definition), roleArn=role)
    machine = made.machines["Job"].rsplit(":", 1)[0] + ":slow"
    ended = made.end(made.steps.start_execution(stateMachineArn=machine)["executionArn"])
    assert ended["status"] == "TIMED_OUT"


def test_an_integration_whose_permission_is_not_known_is_refused(made: Jobs) -> None:
    state = {"Type": "Task", "Resource": "arn:aws:states:::sns:publish", "Parameters": {}, "End": True}
    role = made.steps.describe_state_machine(stateMachineArn=made.machines["Job"])["roleArn"]
    definition = json.dumps({"StartAt": "Publish", "States": {"Publish": state}})
    made.steps.create_state_machine(name="sends", definition=definition, roleArn=role)
    machine = made.machines["Job"].rsplit(":", 1)[0] + ":sends"
    ended = made.end(made.steps.start_execution(stateMachineArn=machine)["executionArn"])
    assert "does not know which permission" in ended["cause"]


def test_a_role_that_step_functions_may_not_assume_or_that_cannot_wait_is_refused(made: Jobs) -> None:
    wrong = made.cloud.make_role("not-for-states", {"Principal": {"Service": "lambda.amazonaws.com"}})
    empty = made.cloud.make_role("may-nothing", {"Principal": {"Service": "states.amazonaws.com"}})
    run = {"Type": "Task", "Resource": "arn:aws:states:::ecs:runTask.sync", "End": True}
    definition = json.dumps({"StartAt": "Run", "States": {"Run": run}})
    for role, message in ((wrong, "is authorized to assume"), (empty, "not authorized to create managed-rule")):
        with pytest.raises(ClientError, match=message):
            made.steps.create_state_machine(name="refused", definition=definition, roleArn=role)
