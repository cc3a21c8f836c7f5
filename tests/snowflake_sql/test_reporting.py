"""090_reporting.sql, 100_daily_reports.sql: requests, cancellations, reruns, each with its row in the audit log."""

import json
from concurrent.futures import ThreadPoolExecutor

import pytest
import snowflake.connector

Refused = snowflake.connector.errors.ProgrammingError


@pytest.fixture
def call(system):
    """Call a procedure of the reporting schema as the owner and give its value."""

    def call(text):
        rows = system.run(f"CALL {system.reporting}.{text}", role=system.names["owner_role"])
        return json.loads(next(iter(rows[0].values())))

    return call


@pytest.fixture
def report(system):
    """Give a row of REPORT_CONFIG and its audit rows by CONFIG_ID."""

    def report(config_id):
        [row] = system.run(f"SELECT * FROM REPORT_CONFIG WHERE CONFIG_ID = {config_id}")
        log = system.run(f"SELECT * FROM REPORT_AUDIT_LOG WHERE CONFIG_ID = {config_id} ORDER BY AUDIT_ID")
        return row, [(entry["FROM_STATUS"], entry["TO_STATUS"], entry["DETAIL"]) for entry in log]

    return report


def end(system, config_id, status):
    system.run(f"UPDATE REPORT_CONFIG SET STATUS = '{status}' WHERE CONFIG_ID = {config_id}")


def test_a_request_is_a_pending_row_with_its_audit_row(call, report):
    answer = call("REQUEST_REPORT('sales_report', OBJECT_CONSTRUCT('start_date', '1997-01-01'), 'csv')")

    row, log = report(answer["config_id"])
    assert answer["status"] == "PENDING"
    assert answer["new"] is True
    assert (row["REPORT_NAME"], row["OUTPUT_FORMAT"], row["TRIGGER_TYPE"]) == ("sales_report", "CSV", "ADHOC")
    assert json.loads(row["PARAMETERS"]) == {"start_date": "1997-01-01"}
    assert json.loads(row["RECIPIENTS"]) == []
    assert (row["SOURCE"], row["RUN_AT"], row["REQUESTED_BY"]) == ("REQUEST_REPORT", None, "ADMIN")
    assert row["IDEMPOTENCY_KEY"] == answer["idempotency_key"]
    assert log == [(None, "PENDING", "submitted by REQUEST_REPORT")]


def test_a_name_alone_is_enough_and_all_else_can_be_named(call, report):
    row, _ = report(call("REQUEST_REPORT('order_priority')")["config_id"])
    assert (row["OUTPUT_FORMAT"], json.loads(row["PARAMETERS"])) == ("PDF", {})

    row, _ = report(
        call(
            "REQUEST_REPORT(report_name => 'order_priority', schedule_cron => '0 7 * * 1', "
            "schedule_timezone => 'Europe/Zurich', recipients => "
            """PARSE_JSON('[{"channel": "email", "to": "a@example.com"}]'))"""
        )["config_id"]
    )
    assert (row["TRIGGER_TYPE"], row["SCHEDULE_CRON"]) == ("SCHEDULED", "0 7 * * 1")
    assert row["SCHEDULE_TIMEZONE"] == "Europe/Zurich"
    assert json.loads(row["RECIPIENTS"]) == [{"channel": "email", "to": "a@example.com"}]

    row, _ = report(call("REQUEST_REPORT('order_priority', run_at => '2030-01-02 03:04:05')")["config_id"])
    assert (row["TRIGGER_TYPE"], str(row["RUN_AT"])) == ("SCHEDULED", "2030-01-02 03:04:05")


def test_the_same_key_again_is_the_same_row_unless_the_request_is_another(system, call):
    first = call("REQUEST_REPORT('pricing_summary', OBJECT_CONSTRUCT('delta', 60), idempotency_key => 'month-end')")
    again = call("REQUEST_REPORT('PRICING_SUMMARY', OBJECT_CONSTRUCT('delta', 60), idempotency_key => 'month-end')")

    assert (again["config_id"], again["new"]) == (first["config_id"], False)
    with pytest.raises(Refused, match=f"'month-end' is that of another request, CONFIG_ID {first['config_id']}"):
        call("REQUEST_REPORT('pricing_summary', OBJECT_CONSTRUCT('delta', 61), idempotency_key => 'month-end')")
    [count] = system.run("SELECT COUNT(*) AS N FROM REPORT_CONFIG WHERE IDEMPOTENCY_KEY = 'month-end'")
    [log] = system.run(f"SELECT COUNT(*) AS N FROM REPORT_AUDIT_LOG WHERE CONFIG_ID = {first['config_id']}")
    assert (count["N"], log["N"]) == (1, 1)


def test_the_same_key_with_another_time_zone_is_another_request(call):
    request = "REQUEST_REPORT('order_priority', schedule_cron => '0 7 * * 1', idempotency_key => 'weekly'"
    first = call(f"{request}, schedule_timezone => 'Europe/Zurich')")

    assert call(f"{request}, schedule_timezone => 'Europe/Zurich')") == first | {"new": False}
    with pytest.raises(Refused, match="'weekly' is that of another request"):
        call(f"{request}, schedule_timezone => 'Asia/Tokyo')")


def test_texts_with_quotes_stay_texts(call, report):
    awkward = """it's "quoted"; DROP TABLE REPORT_CONFIG; -- ? %s $$ é"""
    text = awkward.replace("'", "''")

    row, _ = report(call(f"REQUEST_REPORT('order_priority', OBJECT_CONSTRUCT('note', '{text}'))")["config_id"])
    assert json.loads(row["PARAMETERS"]) == {"note": awkward}


def test_callers_at_once_with_one_key_make_one_row(call):
    with ThreadPoolExecutor(4) as pool:
        asked = [pool.submit(call, "REQUEST_REPORT('order_priority', idempotency_key => 'race')") for _ in range(4)]
        answers = [future.result() for future in asked]

    assert len({answer["config_id"] for answer in answers}) == 1
    assert sum(answer["new"] for answer in answers) == 1


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ("NULL", "REPORT_NAME is None"),
        ("'x; DROP TABLE REPORT_CONFIG'", "REPORT_NAME is 'x; DROP"),
        ("'sales_report', NULL, 'WORD'", "OUTPUT_FORMAT is 'WORD'; allowed are PDF, EXCEL, CSV"),
        ("'sales_report', TO_VARIANT('a')", "PARAMETERS is 'a'; give an object"),
        ("'sales_report', recipients => OBJECT_CONSTRUCT('to', 'a')", "RECIPIENTS is .*give an array"),
        ("'sales_report', idempotency_key => 'a b'", "IDEMPOTENCY_KEY is 'a b'; allowed are 1 to 128"),
        ("'sales_report', schedule_cron => 'every day'", "SCHEDULE_CRON is 'every day'; give five fields"),
        ("'sales_report', schedule_cron => ''", "SCHEDULE_CRON is ''; give five fields"),
    ],
)
def test_a_wrong_request_is_refused_and_nothing_is_written(system, call, arguments, says):
    count = "SELECT COUNT(*) AS N FROM REPORT_CONFIG"
    before = system.run(count)

    with pytest.raises(Refused, match=says):
        call(f"REQUEST_REPORT({arguments})")
    assert system.run(count) == before


@pytest.mark.parametrize("status", ["PENDING", "PROCESSING"])
def test_a_report_that_has_not_ended_is_cancelled_once(system, call, report, status):
    config_id = call("REQUEST_REPORT('order_priority')")["config_id"]
    system.run(f"UPDATE REPORT_CONFIG SET STATUS = '{status}', CLAIM_TOKEN = 'T' WHERE CONFIG_ID = {config_id}")

    assert call(f"CANCEL_REPORT({config_id})") == {"config_id": config_id, "status": "CANCELLED", "cancelled": True}
    assert call(f"CANCEL_REPORT({config_id})")["cancelled"] is False
    row, log = report(config_id)
    assert (row["STATUS"], row["CLAIM_TOKEN"]) == ("CANCELLED", None)
    assert row["FINISHED_AT"] is not None
    assert log[1:] == [(status, "CANCELLED", "cancelled by CANCEL_REPORT")]


@pytest.mark.parametrize("status", ["COMPLETED", "FAILED"])
def test_a_report_that_has_ended_cannot_be_cancelled(system, call, status):
    config_id = call("REQUEST_REPORT('order_priority')")["config_id"]
    end(system, config_id, status)

    with pytest.raises(Refused, match=f"Report {config_id} is {status}; only PENDING and PROCESSING"):
        call(f"CANCEL_REPORT({config_id})")


@pytest.mark.parametrize("procedure", ["CANCEL_REPORT", "RERUN_REPORT"])
def test_a_report_that_nobody_requested_is_told_so(call, procedure):
    with pytest.raises(Refused, match="no report with CONFIG_ID 987654; .*V_REPORT_STATUS"):
        call(f"{procedure}(987654)")


@pytest.mark.parametrize("status", ["COMPLETED", "FAILED", "CANCELLED"])
def test_a_rerun_is_a_new_row_with_the_old_request(system, call, report, status):
    parameters = "OBJECT_CONSTRUCT('delta', 30)"
    old = call(f"REQUEST_REPORT('pricing_summary', {parameters}, 'CSV', schedule_cron => '0 7 * * *')")["config_id"]
    end(system, old, status)

    new = call(f"RERUN_REPORT({old})")
    row, log = report(new["config_id"])
    assert new == {"config_id": new["config_id"], "parent_id": old, "status": "PENDING", "new": True}
    assert (row["PARENT_ID"], row["REPORT_NAME"], row["OUTPUT_FORMAT"]) == (old, "pricing_summary", "CSV")
    assert json.loads(row["PARAMETERS"]) == {"delta": 30}
    assert (row["TRIGGER_TYPE"], row["SCHEDULE_CRON"], row["SOURCE"]) == ("ADHOC", None, "RERUN_REPORT")
    assert log == [(None, "PENDING", f"rerun of {old}")]

    assert call(f"RERUN_REPORT({old})") == new | {"new": False}
    end(system, new["config_id"], "FAILED")
    assert call(f"RERUN_REPORT({old})")["config_id"] > new["config_id"]


def test_a_report_under_way_cannot_be_made_again(call):
    config_id = call("REQUEST_REPORT('order_priority')")["config_id"]

    with pytest.raises(Refused, match=f"Report {config_id} is PENDING; only one that is COMPLETED, FAILED, CANCELLED"):
        call(f"RERUN_REPORT({config_id})")


def test_the_daily_reports_are_asked_for_once_a_day(system, call, report):
    first, again = call("GENERATE_DAILY_REPORTS()"), call("GENERATE_DAILY_REPORTS()")

    assert first["day"] == again["day"]
    assert set(first["requests"]) == {"sales_report", "order_priority"}
    for name, request in first["requests"].items():
        assert request["new"] is True
        assert again["requests"][name] == request | {"new": False}
        row, log = report(request["config_id"])
        assert (row["REPORT_NAME"], row["TRIGGER_TYPE"]) == (name, "SCHEDULED")
        assert row["IDEMPOTENCY_KEY"] == f"daily-{name}-{first['day']}"
        day = json.loads(row["PARAMETERS"])
        assert day["start_date"] == day["end_date"] == f"1996{first['day'][4:]}"
        assert len(log) == 1


def test_the_daily_task_rests_until_the_setting_says_otherwise(system):
    [task] = system.run(f"SHOW TASKS LIKE 'DAILY_REPORTS_TASK' IN SCHEMA {system.reporting}")

    assert (task["state"], task["schedule"]) == ("suspended", "USING CRON 0 6 * * * UTC")


def test_stop_and_start_reach_the_daily_task(system, call):
    daily = f"{system.reporting}.DAILY_REPORTS_TASK"
    system.run(f"ALTER TASK {daily} RESUME", role=system.names["owner_role"])
    assert daily not in call("STOP_ALL_TASKS()")["stopped"]  # the setting has not started it
    [task] = system.run(f"SHOW TASKS LIKE 'DAILY_REPORTS_TASK' IN SCHEMA {system.reporting}")
    assert task["state"] == "suspended"
