"""Settling over the real queue: outcomes that wait for company, and a Snowflake that does not take them."""

import dataclasses
import json
import threading
import time
import urllib.request

import pytest
from service_rows import insert, row
from snowflake.connector.errors import OperationalError

from report_service.errors import ErrorCode, ReportError, RequestError
from report_service.heartbeat import Heartbeat
from report_service.queue import Produced, ReportQueue
from report_service.queue.outcome import completed, failed
from report_service.settling import Settling

PRODUCED = Produced("s3://bucket/key", 4, 1000, "ab" * 32)


class Scene:
    """Settling beside a heartbeat; `busy` says whether other reports are at work."""

    def __init__(self, queue, settling_queue):
        self.queue = queue
        self.heartbeat = Heartbeat(queue, lease_seconds=60)
        self.busy = False
        self.batches = []
        self.settling = Settling(
            settling_queue,
            self.heartbeat,
            more_to_come=lambda: self.busy,
            on_entered=lambda outcomes: self.batches.append(len(outcomes)),
            on_let_go=lambda: None,
        )
        self.settling.start()

    def put(self, claim, outcome=None):
        self.settling.put(self.heartbeat.add(claim), outcome or completed(claim, PRODUCED))

    def wait(self, seconds=10):
        end = time.monotonic() + seconds
        while self.heartbeat.count() and time.monotonic() < end:
            time.sleep(0.01)
        assert not self.heartbeat.count()


@pytest.fixture
def scene(snowflake_account, queue, monkeypatch):
    monkeypatch.setattr("report_service.settling._FIRST_PAUSE", 0.05)
    with snowflake_account.warehouse("settling") as session:
        made = Scene(queue, ReportQueue(session, actor="one", lease_seconds=60))
        yield made
        made.settling.finish(time.monotonic() + 5)


def claims(warehouse, queue, count):
    for _ in range(count):
        insert(warehouse, REPORT_NAME="a")
    return queue.claim(count)


def test_outcomes_wait_for_company_while_other_reports_are_at_work(warehouse, scene):
    scene.busy = True
    for claim in claims(warehouse, scene.queue, 5):
        scene.put(claim)
    scene.wait()
    assert scene.batches == [5]


def test_the_last_outcome_waits_for_nobody(warehouse, scene):
    (claim,) = claims(warehouse, scene.queue, 1)
    begun = time.monotonic()
    scene.put(claim)
    scene.wait()
    assert time.monotonic() - begun < 0.9  # the linger is a second


def test_an_attempt_counts_once_whoever_hands_it_over(warehouse, scene):
    (claim,) = claims(warehouse, scene.queue, 1)
    scene.busy = True
    attempt = scene.heartbeat.add(claim)
    scene.settling.put(attempt, completed(claim, PRODUCED))
    scene.settling.put(attempt, failed(claim, ReportError(ErrorCode.INTERNAL_ERROR, "second")))
    scene.wait()
    assert row(warehouse, claim.config_id)["STATUS"] == "COMPLETED"
    assert scene.batches == [1]


def fault(snowflake_account, **wanted):
    body = json.dumps(wanted).encode()
    urllib.request.urlopen(f"http://127.0.0.1:{snowflake_account.port}/_warehouse/faults", body, timeout=5).close()


def test_what_snowflake_does_not_take_is_entered_when_it_does(snowflake_account, warehouse, scene):
    (claim,) = claims(warehouse, scene.queue, 1)
    fault(snowflake_account, matching="SET STATUS = OUTCOMES.STATUS", number=300, times=2)
    scene.put(claim)
    scene.wait()
    assert row(warehouse, claim.config_id)["STATUS"] == "COMPLETED"


def test_of_outcomes_whose_lease_was_lost_the_others_are_entered(warehouse, scene):
    three = claims(warehouse, scene.queue, 3)
    scene.queue.cancel(scene.queue.job(str(three[1].config_id)))
    scene.busy = True
    for claim in three:
        scene.put(claim)
    scene.wait()
    found = [row(warehouse, claim.config_id)["STATUS"] for claim in three]
    assert found == ["COMPLETED", "CANCELLED", "COMPLETED"]
    assert scene.batches == [1, 1]


def test_an_entry_whose_answer_was_lost_counts_as_entered(warehouse, scene, monkeypatch):
    settle, lost = scene.settling._queue.settle, []

    def without_answer(outcomes):
        entered = settle(outcomes)
        if not lost:
            lost.append(entered)
            raise OperationalError("the connection was cut after COMMIT")
        return entered

    monkeypatch.setattr(scene.settling._queue, "settle", without_answer)
    scene.busy = True
    for claim in claims(warehouse, scene.queue, 3):
        scene.put(claim)
    scene.wait()
    assert (lost, scene.batches) == ([True], [3])


def test_one_outcome_that_snowflake_refuses_keeps_no_other_back(warehouse, scene):
    good, bad = claims(warehouse, scene.queue, 2)
    scene.busy = True
    scene.put(bad, completed(bad, Produced("s3://bucket/key", "no number", 1, "ab")))
    scene.put(good)
    until = time.monotonic() + 30
    while row(warehouse, good.config_id)["STATUS"] != "COMPLETED" and time.monotonic() < until:
        time.sleep(0.1)
    assert row(warehouse, good.config_id)["STATUS"] == "COMPLETED"
    scene.wait(30)  # the other is given up: its lease runs out, and it comes back
    assert row(warehouse, bad.config_id)["STATUS"] == "PROCESSING"


def test_the_log_does_not_repeat_what_a_wrong_request_says(warehouse, scene, caplog):
    one, two = claims(warehouse, scene.queue, 2)
    scene.put(one, failed(one, RequestError(ErrorCode.INVALID_RECIPIENT, "somebody@@example.com is no address")))
    scene.put(two, failed(two, ReportError(ErrorCode.QUERY_FAILED, "no such column")))
    scene.wait()
    told = {
        vars(record)["fields"]["code"]: vars(record)["fields"]
        for record in caplog.records
        if record.msg == "report.failed"
    }
    assert "somebody" not in str([vars(record) for record in caplog.records])
    assert told["QUERY_FAILED"]["message"] == "no such column"
    assert "message" not in told["INVALID_RECIPIENT"]


def test_lanes_wait_while_too_many_outcomes_do(warehouse, scene, monkeypatch):
    (claim,) = claims(warehouse, scene.queue, 1)
    held = threading.Event()
    monkeypatch.setattr(scene.settling._queue, "settle", lambda outcomes: held.wait(20))
    put = []

    def lane():
        for number in range(350):
            scene.put(dataclasses.replace(claim, config_id=-number))
            put.append(number)

    thread = threading.Thread(target=lane)
    thread.start()
    time.sleep(1)
    assert 200 <= len(put) <= 301  # those that wait, and the batch that is held
    held.set()
    thread.join(20)
    assert len(put) == 350
    scene.wait(20)


def test_what_fails_after_the_entry_ends_no_thread(warehouse, scene, monkeypatch):
    first, second = claims(warehouse, scene.queue, 2)
    told = scene.settling._on_entered
    monkeypatch.setattr(scene.settling, "_on_entered", lambda outcomes: 1 / 0)
    scene.put(first)
    scene.wait()
    monkeypatch.setattr(scene.settling, "_on_entered", told)
    scene.put(second)
    scene.wait()
    assert [row(warehouse, claim.config_id)["STATUS"] for claim in (first, second)] == ["COMPLETED"] * 2
