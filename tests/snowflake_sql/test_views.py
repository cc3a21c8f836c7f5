"""What the views make of rows, ordinary ones and nonsense."""

import pytest

PAST, FUTURE = "DATEADD('HOUR', -1, SYSDATE())", "DATEADD('HOUR', 1, SYSDATE())"


def insert(system, **columns):
    names = {"REPORT_NAME": "'sales_report'"} | columns
    system.run(f"INSERT INTO REPORT_CONFIG ({', '.join(names)}) SELECT {', '.join(names.values())}")


# Columns of one row, and what it counts as: (claimable now, busy, has a due time in the future).
CASES = {
    "a row with its name alone is due": ({}, (1, 0, False)),
    "a row is due when its time has come": ({"RUN_AT": PAST}, (1, 0, False)),
    "a row for later is not due": ({"RUN_AT": FUTURE}, (0, 0, True)),
    "a retry waits for its backoff": ({"NOT_BEFORE": FUTURE}, (0, 0, True)),
    "a retry is due after its backoff": ({"NOT_BEFORE": PAST}, (1, 0, False)),
    "the later of both times counts": ({"RUN_AT": PAST, "NOT_BEFORE": FUTURE}, (0, 0, True)),
    "a cron that is not planned yet is due": (
        {"TRIGGER_TYPE": "'SCHEDULED'", "SCHEDULE_CRON": "'0 6 * * *'"},
        (1, 0, False),
    ),
    "a cron that is not planned yet is due even with a backoff": (
        {"TRIGGER_TYPE": "'SCHEDULED'", "SCHEDULE_CRON": "'0 6 * * *'", "NOT_BEFORE": FUTURE},
        (1, 0, False),
    ),
    "a planned cron waits": (
        {"TRIGGER_TYPE": "'SCHEDULED'", "SCHEDULE_CRON": "'0 6 * * *'", "RUN_AT": FUTURE},
        (0, 0, True),
    ),
    "a leased row keeps its worker busy": (
        {"STATUS": "'PROCESSING'", "CLAIMED_BY": "'w1'", "LEASE_UNTIL": FUTURE},
        (0, 1, False),
    ),
    "a lease that ran out is claimable": (
        {"STATUS": "'PROCESSING'", "CLAIMED_BY": "'w1'", "LEASE_UNTIL": PAST},
        (1, 0, False),
    ),
    "a lease that no worker takes is claimable": (
        {"STATUS": "'PROCESSING'", "CLAIMED_BY": "'w1'", "LEASE_UNTIL": "DATEADD('YEAR', 900, SYSDATE())"},
        (1, 0, False),
    ),
    "a claim without a lease is claimable": ({"STATUS": "'PROCESSING'", "CLAIMED_BY": "'w1'"}, (1, 0, False)),
    "a completed row is done": ({"STATUS": "'COMPLETED'"}, (0, 0, False)),
    "a failed row is done": ({"STATUS": "'FAILED'"}, (0, 0, False)),
    "a cancelled row is done": ({"STATUS": "'CANCELLED'", "RUN_AT": FUTURE}, (0, 0, False)),
    "a status that nobody knows is claimable": ({"STATUS": "'pending!'"}, (1, 0, False)),
    "one among the finished ones is too": ({"STATUS": "'DONE'"}, (1, 0, False)),
    "no status is claimable": ({"STATUS": "NULL"}, (1, 0, False)),
    "a row without its times is due": ({"CREATED_AT": "NULL"}, (1, 0, False)),
}


def test_demand_of_an_empty_queue_is_one_row_of_nothing(system):
    nothing = {"PENDING": 0, "BUSY": 0, "LOST": 0, "DELIVERIES": 0, "OLDEST_DUE_AT": None, "NEXT_DUE_AT": None}
    assert system.run("SELECT * FROM V_QUEUE_DEMAND") == [nothing]


def test_demand_counts_each_kind_of_row_as_it_should(system):
    wrong = {}
    for case, (columns, (pending, busy, later)) in CASES.items():
        system.run("DELETE FROM REPORT_CONFIG")
        insert(system, **columns)
        (row,) = system.run("SELECT PENDING, BUSY, NEXT_DUE_AT IS NOT NULL AS LATER FROM V_QUEUE_DEMAND")
        if (row["PENDING"], row["BUSY"], row["LATER"]) != (pending, busy, later):
            wrong[case] = row
    assert wrong == {}


def test_demand_adds_up_and_counts_a_worker_once(system):
    for columns, _ in CASES.values():
        insert(system, **columns)
    insert(system, STATUS="'PROCESSING'", CLAIMED_BY="'w1'", LEASE_UNTIL=FUTURE)
    insert(system, STATUS="'PROCESSING'", CLAIMED_BY="'w2'", LEASE_UNTIL=FUTURE)
    insert(system, RUN_AT="DATEADD('MINUTE', 30, SYSDATE())")
    (row,) = system.run(
        "SELECT PENDING, BUSY, DATEDIFF('MINUTE', SYSDATE(), NEXT_DUE_AT) AS MINUTES FROM V_QUEUE_DEMAND"
    )
    assert row["PENDING"] == sum(pending for _, (pending, _, _) in CASES.values())
    assert row["BUSY"] == 2
    assert row["MINUTES"] in (29, 30)


def test_demand_tells_lost_rows_apart_and_counts_a_report_whose_recipients_wait_once(system):
    insert(system)
    insert(system, STATUS="'PROCESSING'", CLAIMED_BY="'w1'", LEASE_UNTIL=PAST)
    deliveries = [
        "1, 'PENDING', NULL, NULL",
        "1, 'PENDING', NULL, NULL",
        "2, 'SENT', NULL, NULL",
        f"3, 'PENDING', {FUTURE}, NULL",
        f"4, 'PENDING', NULL, {FUTURE}",
        f"5, 'SENDING', NULL, {FUTURE}",
        f"6, 'SENDING', NULL, {PAST}",
        "7, 'UNCERTAIN', NULL, NULL",
    ]
    for values in deliveries:
        system.run(f"INSERT INTO REPORT_DELIVERY (CONFIG_ID, STATUS, NOT_BEFORE, LEASE_UNTIL) SELECT {values}")
    (row,) = system.run(
        "SELECT PENDING, LOST, DELIVERIES, BUSY, DATEDIFF('MINUTE', SYSDATE(), NEXT_DUE_AT) AS MINUTES, "
        "OLDEST_DUE_AT IS NOT NULL AS WAITS FROM V_QUEUE_DEMAND"
    )
    system.run("DELETE FROM REPORT_DELIVERY")
    assert (row["PENDING"], row["LOST"], row["DELIVERIES"], row["BUSY"]) == (4, 1, 2, 0)
    assert row["MINUTES"] in (59, 60)
    assert row["WAITS"]


def test_the_status_view_tells_waiting_and_processing_times(system):
    insert(
        system,
        STATUS="'COMPLETED'",
        CREATED_AT="'2026-01-01 00:00:00'::TIMESTAMP_NTZ",
        STARTED_AT="'2026-01-01 00:00:02'::TIMESTAMP_NTZ",
        FINISHED_AT="'2026-01-01 00:00:03.500'::TIMESTAMP_NTZ",
    )
    (row,) = system.run("SELECT * FROM V_REPORT_STATUS")
    assert (float(row["WAITED_SECONDS"]), float(row["PROCESSING_SECONDS"])) == (2.0, 1.5)


def test_a_request_that_is_planned_for_later_has_not_waited_yet(system):
    insert(system, RUN_AT=FUTURE)
    (row,) = system.run("SELECT WAITED_SECONDS FROM V_REPORT_STATUS")
    assert row["WAITED_SECONDS"] == 0


def test_the_metrics_tell_rates_times_failures_and_backlog(system):
    for seconds in (1, 2, 3, 4):
        started = f"DATEADD('SECOND', -{seconds}, SYSDATE())"
        insert(system, STATUS="'COMPLETED'", STARTED_AT=started, FINISHED_AT="SYSDATE()")
    insert(system, STATUS="'FAILED'", ERROR_CODE="'QUERY_FAILED'", STARTED_AT="SYSDATE()", FINISHED_AT="SYSDATE()")
    insert(system, STATUS="'COMPLETED'", STARTED_AT="'2020-01-01'", FINISHED_AT="'2020-01-02'")  # long ago
    insert(system, CREATED_AT=PAST)
    rows = system.run("SELECT * FROM V_REPORT_METRICS")
    found = {(row["METRIC"], row["LABEL"]): row["VALUE"] for row in rows if row["HOUR_START"] is None}
    assert found["processing_seconds", "p50"] == pytest.approx(2.5, abs=0.1)
    assert found["processing_seconds", "p95"] == pytest.approx(3.85, abs=0.1)
    assert found["failures", "QUERY_FAILED"] == 1
    assert found["backlog", None] == 1
    assert found["oldest_pending_seconds", None] == pytest.approx(3600, abs=5)
    hourly = [row for row in rows if row["METRIC"] == "reports_per_hour"]
    assert sum(row["VALUE"] for row in hourly if row["LABEL"] == "COMPLETED") == 4


def test_a_row_needs_nothing_but_its_name(system):
    system.run("INSERT INTO REPORT_CONFIG (REPORT_NAME) VALUES ('sales_report')")
    (row,) = system.run("SELECT * FROM REPORT_CONFIG")
    expected = {"STATUS": "PENDING", "TRIGGER_TYPE": "ADHOC", "OUTPUT_FORMAT": "PDF", "SCHEDULE_TIMEZONE": "UTC"}
    expected |= {"PRIORITY": 100, "ATTEMPTS": 0, "MAX_ATTEMPTS": 3, "SOURCE": "SQL", "REQUESTED_BY": "ADMIN"}
    assert {key: row[key] for key in expected} == expected
    assert row["CONFIG_ID"] >= 1
    assert row["CREATED_AT"].tzinfo is None
