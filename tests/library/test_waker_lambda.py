"""The waker: what it asks ECS for, and what it refuses."""

import base64
import json

import boto3
import pytest
from botocore.stub import Stubber

from snowgate.lambdas.waker import handler as waker

SERVICE = {"cluster": "reports", "service": "worker"}


@pytest.fixture
def ecs(monkeypatch):
    """A stubbed ECS client that fails the test on any call that is not expected, and on any that is missing."""
    for name, value in {"CLUSTER": "reports", "SERVICE": "worker", "MAX_TASKS": "4", "REPORTS_PER_TASK": "5"}.items():
        monkeypatch.setenv(name, value)
    client = boto3.client("ecs", region_name="eu-west-1", aws_access_key_id="x", aws_secret_access_key="x")  # noqa: S106
    monkeypatch.setitem(waker._clients, "ecs", client)
    monkeypatch.setattr(waker.time, "sleep", lambda seconds: None)
    monkeypatch.setattr(waker, "_answered", {})
    with Stubber(client) as stubber:
        yield stubber
        stubber.assert_no_pending_responses()


def finds(ecs, count, status="ACTIVE", running=0):
    found = {"serviceName": "worker", "status": status, "desiredCount": count, "runningCount": running}
    ecs.add_response(
        "describe_services",
        {"services": [found], "failures": []},
        {"cluster": "reports", "services": ["worker"]},
    )


def raises_to(ecs, count):
    ecs.add_response("update_service", {"service": {}}, {**SERVICE, "desiredCount": count})
    finds(ecs, count)


def post(body):
    return {"httpMethod": "POST", "body": body if isinstance(body, str) or body is None else json.dumps(body)}


def answer(event):
    reply = waker.handler(event, None)
    return reply["statusCode"], json.loads(reply["body"])


def test_a_batch_raises_the_count_to_what_the_queue_needs(ecs):
    finds(ecs, 0)
    raises_to(ecs, 3)
    assert answer(post({"data": [[0, 7, 1]]})) == (200, {"data": [[0, {"desired": 3, "was": 0}]]})


def test_the_count_is_never_lowered(ecs):
    finds(ecs, 3)
    assert answer(post({"data": [[0, 1, 0]]})) == (200, {"data": [[0, {"desired": 3, "was": 3}]]})


def test_the_count_stays_within_the_most_tasks_allowed(ecs):
    finds(ecs, 1)
    raises_to(ecs, 4)
    assert answer(post({"data": [[0, 1000, 2]]}))[1]["data"][0][1] == {"desired": 4, "was": 1}


def test_nothing_pending_asks_for_nobody(ecs):
    finds(ecs, 0)
    assert answer(post({"data": [[0, 0, 0]]})) == (200, {"data": [[0, {"desired": 0, "was": 0}]]})


def delivered(batch, data, header="sf-external-function-query-batch-id"):
    return post({"data": data}) | {"headers": {header: batch, "content-type": "application/json"}}


@pytest.mark.parametrize("header", ["sf-external-function-query-batch-id", "Sf-External-Function-Query-Batch-Id"])
def test_a_batch_that_is_delivered_again_changes_nothing(ecs, header):
    finds(ecs, 0)
    raises_to(ecs, 2)
    first = answer(delivered("q:1", [[0, 6, 0]], header))
    # By now the workers have done it all and sleep at 0: ECS is not even asked.
    assert answer(delivered("q:1", [[0, 6, 0]], header)) == first


def test_another_batch_with_the_same_rows_counts(ecs):
    for batch in ("q:1", "q:2"):
        finds(ecs, 0)
        raises_to(ecs, 2)
        assert answer(delivered(batch, [[0, 6, 0]]))[0] == 200


def test_a_batch_that_failed_is_tried_again(ecs):
    finds(ecs, 0, status="INACTIVE")
    assert answer(delivered("q:1", [[0, 6, 0]]))[0] == 500
    finds(ecs, 0)
    raises_to(ecs, 2)
    assert answer(delivered("q:1", [[0, 6, 0]]))[0] == 200


def test_only_the_last_batches_of_a_quarter_hour_are_remembered(ecs, monkeypatch):
    for number in range(waker.REMEMBER_BATCHES + 50):
        finds(ecs, 4)
        answer(delivered(f"q:{number}", [[0, 6, 0]]))
    assert len(waker._answered) == waker.REMEMBER_BATCHES

    later = waker.time.monotonic() + waker.REMEMBER_SECONDS + 1
    monkeypatch.setattr(waker.time, "monotonic", lambda: later)
    finds(ecs, 4)
    answer(delivered("q:new", [[0, 6, 0]]))
    assert len(waker._answered) == 1


def test_every_row_of_a_batch_is_answered_by_its_number(ecs):
    finds(ecs, 0)
    raises_to(ecs, 2)
    rows = answer(post({"data": [[0, 1, 0], [1, 6, 0]]}))[1]["data"]
    assert rows == [[0, {"desired": 2, "was": 0}], [1, {"desired": 2, "was": 0}]]


@pytest.mark.parametrize("event", [post({}), post(None), post(""), {"source": "aws.events"}, {}])
def test_a_call_by_hand_or_by_clock_asks_for_one_worker(ecs, event):
    finds(ecs, 0)
    raises_to(ecs, 1)
    assert answer(event) == (200, {"data": [[0, {"desired": 1, "was": 0}]]})


def test_a_count_that_another_wake_lowered_meanwhile_is_raised_again(ecs):
    finds(ecs, 0)
    ecs.add_response("update_service", {"service": {}}, {**SERVICE, "desiredCount": 3})
    finds(ecs, 1)
    raises_to(ecs, 3)
    assert answer(post({"data": [[0, 15, 0]]}))[1]["data"][0][1] == {"desired": 3, "was": 0}


def test_numbers_may_come_as_text_and_bodies_as_base64(ecs):
    finds(ecs, 0)
    raises_to(ecs, 2)
    body = base64.b64encode(b'{"data": [[0, "6", 0.0]]}').decode()
    assert answer({**post(body), "isBase64Encoded": True})[0] == 200


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ("{", "not JSON"),
        ("[]", '{"data": [[row, pending, busy]'),
        ({"data": []}, "at least one row"),
        ({"data": [[0, 1, 0]], "more": 1}, '{"data": [[row, pending, busy]'),
        ({"data": [[0, 1]]}, "Row 0 of data must be [row, pending, busy]; given was [0, 1]"),
        ({"data": [[0, 1, 0], "x"]}, "Row 1 of data"),
        ({"data": [[0, -1, 0]]}, "pending of row 0 must be a whole number from 0; given was -1"),
        ({"data": [[0, 1.5, 0]]}, "pending of row 0"),
        ({"data": [[0, 1, None]]}, "busy of row 0"),
        ({"data": [[0, True, 0]]}, "pending of row 0"),
        ({"data": [[0, "9" * 100, 0]]}, "pending of row 0"),
        ({"data": [["x", 1, 0]]}, "row of row 0"),
        ('{"data": [[0, NaN, 0]]}', "pending of row 0"),
        ('{"data": [[0, 1e999, 0]]}', "pending of row 0"),
    ],
)
def test_a_wrong_body_is_refused_and_changes_nothing(ecs, body, said):
    status, reply = answer(post(body))
    assert status == 400
    assert said in reply["error"]


def test_a_body_that_is_no_base64_is_refused(ecs):
    assert answer({**post("%%"), "isBase64Encoded": True})[0] == 400


def test_a_missing_service_is_named_to_snowflake(ecs):
    finds(ecs, 0, status="INACTIVE")
    status, reply = answer(post({}))
    assert (status, reply) == (
        500,
        {"error": "Cluster reports has no active service worker: deploy the worker's stack first."},
    )


def test_a_refusal_by_ecs_is_passed_on_to_snowflake(ecs):
    ecs.add_client_error("describe_services", "AccessDeniedException", "not allowed")
    status, reply = answer(post({}))
    assert status == 500
    assert "AccessDeniedException" in reply["error"]


def test_a_clock_whose_wake_fails_raises_so_that_it_is_tried_again(ecs):
    finds(ecs, 0, status="INACTIVE")
    with pytest.raises(waker.ServiceMissing):
        waker.handler({"source": "aws.scheduler"}, None)


def metrics(capsys):
    """What the lines of the log enter in embedded metric format: by namespace and dimensions."""
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    for line in lines:
        for told in line.get("_aws", {}).get("CloudWatchMetrics", []):
            [dimensions] = told["Dimensions"]
            yield (
                told["Namespace"],
                {name: line[name] for name in dimensions},
                {metric["Name"]: line[metric["Name"]] for metric in told["Metrics"]},
            )


def test_a_look_enters_the_counts_and_wakes_nobody(ecs, capsys):
    finds(ecs, 2, running=1)
    waker.handler({"watch": True}, None)
    service = {"Cluster": "reports", "Service": "worker"}
    assert list(metrics(capsys)) == [("Snowgate", service, {"DesiredTasks": 2, "RunningTasks": 1})]


def test_a_look_at_a_service_that_is_gone_fails_and_so_stays_silent(ecs, capsys):
    finds(ecs, 0, status="INACTIVE")
    with pytest.raises(waker.ServiceMissing):
        waker.handler({"watch": True}, None)
    assert list(metrics(capsys)) == []


def test_a_call_enters_how_much_is_pending(ecs, capsys):
    finds(ecs, 4)
    answer(post({"data": [[0, 7, 1], [1, 9, 0]]}))
    [(_, _, entered)] = metrics(capsys)
    assert entered == {"PendingWork": 9}
