"""A row inserted wakes the worker, and no row is forgotten when the wake-up fails."""

import json
import time

import pytest
from snowflake.connector.errors import ProgrammingError

ROW = "INSERT INTO REPORT_CONFIG (REPORT_NAME) VALUES ('sales_report')"
CALL = "CALL SEND_ECS_TRIGGER()"


def waiting(system):
    return system.run("SELECT COUNT(*) AS N FROM REPORT_CONFIG_INSERT_STREAM")[0]["N"]


def outcome(rows):
    return json.loads(rows[0]["SEND_ECS_TRIGGER"])


def log(system):
    return system.run("SELECT ROWS_SEEN, PENDING, BUSY, ANSWER, ERROR_MESSAGE FROM TRIGGER_LOG ORDER BY TRIGGER_ID")


def test_a_row_wakes_the_worker_and_is_then_out_of_the_stream(system):
    system.run(ROW)
    system.run(ROW)
    assert waiting(system) == 2
    said = outcome(system.run(CALL))
    assert said == {"rows_seen": 2, "pending": 2, "busy": 0, "answer": {"desired": 1, "was": 0}}
    assert system.aws.calls == [{"data": [[0, 2, 0]]}]
    assert waiting(system) == 0
    (row,) = log(system)
    assert (row["ROWS_SEEN"], row["PENDING"], row["BUSY"], row["ERROR_MESSAGE"]) == (2, 2, 0, None)
    assert json.loads(row["ANSWER"]) == {"desired": 1, "was": 0}


def test_a_failed_wake_up_is_logged_and_the_rows_stay_in_the_stream(system):
    system.run(ROW)
    system.aws.replies.append((400, {"error": "CANNOT NOW"}))
    with pytest.raises(ProgrammingError, match="CANNOT NOW"):
        system.run(CALL)
    assert waiting(system) == 1
    (row,) = log(system)
    assert "CANNOT NOW" in row["ERROR_MESSAGE"]
    assert row["ROWS_SEEN"] is None

    assert outcome(system.run(CALL))["rows_seen"] == 1
    assert waiting(system) == 0


def test_nothing_pending_calls_nobody(system):
    assert outcome(system.run(CALL)) == {"rows_seen": 0, "pending": 0, "busy": 0, "answer": None}
    assert system.aws.calls == []


def test_a_row_for_later_wakes_the_worker_once_so_that_it_sets_its_alarm_clock(system):
    system.run(
        "INSERT INTO REPORT_CONFIG (REPORT_NAME, TRIGGER_TYPE, RUN_AT) "
        "SELECT 'sales_report', 'SCHEDULED', DATEADD('HOUR', 1, SYSDATE())"
    )
    assert outcome(system.run(CALL))["pending"] == 1
    assert outcome(system.run(CALL))["pending"] == 0
    assert len(system.aws.calls) == 1


def test_a_row_for_later_starts_no_second_worker_beside_a_busy_one(system):
    system.run(
        "INSERT INTO REPORT_CONFIG (REPORT_NAME, STATUS, CLAIMED_BY, LEASE_UNTIL) "
        "SELECT 'sales_report', 'PROCESSING', 'task-1', DATEADD('MINUTE', 1, SYSDATE())"
    )
    system.run(
        "INSERT INTO REPORT_CONFIG (REPORT_NAME, TRIGGER_TYPE, RUN_AT) "
        "SELECT 'sales_report', 'SCHEDULED', DATEADD('HOUR', 1, SYSDATE())"
    )
    assert outcome(system.run(CALL)) == {"rows_seen": 2, "pending": 0, "busy": 1, "answer": None}
    assert waiting(system) == 0


def test_updates_of_a_row_wake_nobody(system):
    system.run(ROW)
    system.run(CALL)
    system.run("UPDATE REPORT_CONFIG SET STATUS = 'COMPLETED'")
    assert waiting(system) == 0


def wait_for(check, seconds=8):
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        if found := check():
            return found
        time.sleep(0.05)
    return check()


def state(system):
    return system.run(f"SHOW TASKS IN SCHEMA {system.config}")[0]["state"].lower()


def test_the_task_wakes_the_worker_by_itself_and_operators_can_stop_it(prepared):
    system = prepared(tasks_enabled=True).deploy()
    system.aws.calls.clear()
    assert state(system) == "started"
    system.run(ROW)
    assert wait_for(lambda: system.aws.calls) == [{"data": [[0, 1, 0]]}]

    stopped = system.run(f"CALL {system.reporting}.STOP_ALL_TASKS()")
    assert json.loads(stopped[0]["STOP_ALL_TASKS"]) == {"stopped": [f"{system.config}.ECS_TRIGGER_TASK"]}
    assert state(system) == "suspended"
    system.run(ROW)
    time.sleep(1.5)
    assert len(system.aws.calls) == 1

    system.run(f"CALL {system.reporting}.START_ALL_TASKS()")
    assert state(system) == "started"
    assert wait_for(lambda: len(system.aws.calls) == 2)
    system.run(f"CALL {system.reporting}.STOP_ALL_TASKS()")
