"""kill -9 of workers at random moments: nothing is lost, nothing done twice.

Short in `make test`: 60 reports, 2 workers, 5 kills. With SNOWGATE_SOAK=1: 1,000 reports, 3 workers, killed to the end.
"""

import hashlib
import json
import os
import random
import time
from collections import Counter

import pytest
from fleet import Fleet
from ses_mailbox import Mailbox

from tests import sql_lint

SOAK = os.environ.get("SNOWGATE_SOAK") == "1"
REPORTS, WORKERS, KILLS = (1000, 3, 10**6) if SOAK else (60, 2, 5)
LANES = 5  # of a worker: what Fleet sets
SECONDS = 1500 if SOAK else 100
BUCKET = "killed-workers"
PLACE = f"{sql_lint.NAMES['database']}.{sql_lint.NAMES['config_schema']}"
# Of ten rows: seven plain ones, one wrong one, one that recurs, one for two recipients.
INSERT = """
INSERT INTO REPORT_CONFIG (REPORT_NAME, OUTPUT_FORMAT, TRIGGER_TYPE, SCHEDULE_CRON, RUN_AT, RECIPIENTS)
SELECT CASE WHEN MOD(N, 10) = 7 THEN 'no_such_report' ELSE 'pricing_summary' END, 'CSV',
    CASE WHEN MOD(N, 10) = 8 THEN 'SCHEDULED' ELSE 'ADHOC' END,
    CASE WHEN MOD(N, 10) = 8 THEN '0 6 1 1 *' END,
    CASE WHEN MOD(N, 10) = 8 THEN SYSDATE() END,
    PARSE_JSON('[{"channel": "email", "to": "first-' || N || '@example.com"}' ||
        CASE WHEN MOD(N, 10) = 9 THEN ', {"channel": "email", "to": "second-' || N || '@example.com"}]' ELSE ']' END)
FROM (SELECT ROW_NUMBER() OVER (ORDER BY 1) AS N FROM TABLE(GENERATOR(ROWCOUNT => %d)))"""
OPEN = """
SELECT (SELECT COUNT(*) FROM REPORT_CONFIG WHERE STATUS IN ('PENDING', 'PROCESSING') AND PARENT_ID IS NULL)
     + (SELECT COUNT(*) FROM REPORT_DELIVERY WHERE STATUS IN ('PENDING', 'SENDING'))"""


@pytest.fixture
def mailbox():
    made = Mailbox()
    yield made
    made.close()


@pytest.fixture
def fleet(cloud, snowflake_account, mailbox, tmp_path):
    made = Fleet(cloud, snowflake_account, BUCKET, tmp_path, AWS_ENDPOINT_URL_SESV2=mailbox.url)
    yield made
    made.end()


@pytest.mark.soak
@pytest.mark.timeout(SECONDS + 60)
def test_whatever_is_killed_every_report_ends_once_and_no_recipient_is_told_twice(
    snowflake_account, warehouse, cloud, fleet, mailbox
):
    seed = random.randrange(10**6) if SOAK else 4711
    chance = random.Random(seed)
    print(f"seed {seed}")
    warehouse.change(INSERT % REPORTS)
    for _ in range(WORKERS):
        fleet.start()
    began, kills, next_kill = time.monotonic(), 0, time.monotonic() + 2.5
    while ((left := int(warehouse.rows(OPEN)[0][0])) or kills < 2) and time.monotonic() < began + SECONDS:
        started = [process for process in fleet.processes if "worker.started" in process.log.read_text()]
        # One that still starts holds nothing, and on a busy machine no other would ever come to work.
        if time.monotonic() >= next_kill and left and kills < KILLS and started:
            fleet.kill(chance.choice(started))
            fleet.start()
            kills += 1
            next_kill = time.monotonic() + chance.uniform(0.5, 6)
        time.sleep(0.2)
    seconds = time.monotonic() - began
    assert left == 0, f"{left} are open after {seconds:.0f} s and {kills} kills"
    while any("worker.started" not in process.log.read_text() for process in fleet.processes):
        time.sleep(0.1)  # before that nobody hears SIGTERM
    assert fleet.stop() == [0] * WORKERS

    rows = snowflake_rows(snowflake_account, "SELECT * FROM REPORT_CONFIG WHERE PARENT_ID IS NULL")
    assert len(rows) == REPORTS
    statuses = Counter(row["STATUS"] for row in rows)
    assert set(statuses) <= {"COMPLETED", "FAILED"}
    failed = Counter(row["ERROR_CODE"] for row in rows if row["STATUS"] == "FAILED")
    assert set(failed) <= {"UNKNOWN_REPORT", "LEASE_LOST"}
    ends = "SELECT CONFIG_ID FROM REPORT_AUDIT_LOG WHERE TO_STATUS IN ('COMPLETED', 'FAILED')"
    ended = Counter(entry["CONFIG_ID"] for entry in snowflake_rows(snowflake_account, ends))
    assert ended == dict.fromkeys((row["CONFIG_ID"] for row in rows), 1)
    s3 = cloud.client("s3")
    for row in rows:
        if row["STATUS"] == "COMPLETED":
            key = row["S3_LOCATION"].removeprefix(f"s3://{BUCKET}/")
            file = s3.get_object(Bucket=BUCKET, Key=key)["Body"].read()
            assert (len(file), hashlib.sha256(file).hexdigest()) == (row["FILE_BYTES"], row["FILE_SHA256"])
        else:
            assert row["S3_LOCATION"] is None

    recurring = {row["CONFIG_ID"] for row in rows if row["SCHEDULE_CRON"]}
    successors = snowflake_rows(snowflake_account, "SELECT PARENT_ID FROM REPORT_CONFIG WHERE PARENT_ID IS NOT NULL")
    assert Counter(row["PARENT_ID"] for row in successors) == dict.fromkeys(recurring, 1)

    expected = {to["to"] for row in rows if row["STATUS"] == "COMPLETED" for to in json.loads(row["RECIPIENTS"])}
    ledger = snowflake_rows(snowflake_account, "SELECT * FROM REPORT_DELIVERY")
    assert Counter(entry["RECIPIENT"] for entry in ledger) == dict.fromkeys(expected, 1)
    told = Counter(recipient for recipient, _ in mailbox.sent)
    assert set(told.values()) == {1}
    assert set(told) <= expected
    by_status = Counter(entry["STATUS"] for entry in ledger)
    assert set(by_status) <= {"SENT", "UNCERTAIN"}
    assert by_status["UNCERTAIN"] <= kills * LANES  # what was leaving when its worker died
    assert {entry["RECIPIENT"] for entry in ledger if entry["STATUS"] == "SENT"} <= set(told)
    attempts = Counter(row["ATTEMPTS"] for row in rows)
    print(
        f"{REPORTS} reports, {WORKERS} workers, {kills} kills, {seconds:.0f} s; {dict(statuses)}, "
        f"failed {dict(failed)}, attempts {dict(attempts)}; {len(expected)} recipients, ledger {dict(by_status)}, "
        f"e-mails {len(mailbox.sent)}"
    )
    assert fleet.tracebacks() == []


def snowflake_rows(account, query):
    """Rows as dicts, as an administrator reads them: the containers' role may not read the audit log."""
    with account.administrator.cursor() as cursor:
        cursor.execute(f"USE SCHEMA {PLACE}")
        cursor.execute(query)
        names = [column.name for column in cursor.description]
        return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]
