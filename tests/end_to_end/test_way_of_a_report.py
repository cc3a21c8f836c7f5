"""The whole way of a report on a deployed platform: INSERT, stream, task, API, waker, worker, S3, and back to zero."""

from __future__ import annotations

import csv
import io
import json
import time
from decimal import Decimal
from typing import Any

import httpx
import openpyxl
import polars
import pypdfium2
import pytest

from local.demo import Demo
from local.platform import Platform
from report_service.catalogue import OutputFormat

# TPC-H specification 3.0.1, query 1, validation output for scale factor 1 (DELTA 90).
PRICING_SUMMARY = """\
A,F,37734107.00,56586554400.73,53758257134.87,55909065222.83,25.52,38273.13,0.05,1478493
N,F,991417.00,1487504710.38,1413082168.05,1469649223.19,25.52,38284.47,0.05,38854
N,O,74476040.00,111701729697.74,106118230307.61,110367043872.50,25.50,38249.12,0.05,2920374
R,F,37719753.00,56568041380.90,53741292684.60,55889619119.83,25.51,38250.85,0.05,1478870
"""


def body(platform: Platform, row: dict[str, Any]) -> bytes:
    bucket, key = row["S3_LOCATION"].removeprefix("s3://").split("/", 1)
    content = platform.client("s3").get_object(Bucket=bucket, Key=key)["Body"].read()
    assert len(content) == row["FILE_BYTES"]
    return bytes(content)


def test_pricing_summary_is_the_published_answer_to_the_cent(platform: Platform, requests: Any) -> None:
    row = requests.finished(requests.insert("pricing_summary", OUTPUT_FORMAT="'CSV'"))

    assert (row["STATUS"], row["ERROR_MESSAGE"]) == ("COMPLETED", None)
    lines = list(csv.reader(io.StringIO(body(platform, row).decode("utf-8-sig"))))[1:]
    published = list(csv.reader(io.StringIO(PRICING_SUMMARY)))
    cents = Decimal("0.01")
    for line, expected in zip(lines, published, strict=True):
        assert line[:2] == expected[:2]
        assert [Decimal(v).quantize(cents) for v in line[2:]] == [Decimal(v).quantize(cents) for v in expected[2:]]


def test_every_format_opens_in_an_independent_reader(platform: Platform, requests: Any) -> None:
    ids = {f: requests.insert("pricing_summary", OUTPUT_FORMAT=f"'{f}'") for f in OutputFormat}
    files = {f: body(platform, requests.finished(config_id)) for f, config_id in ids.items()}

    pdf = pypdfium2.PdfDocument(files["PDF"])
    text = "".join(page.get_textpage().get_text_bounded() for page in pdf)
    assert "37,734,107" in text
    sheet = openpyxl.load_workbook(io.BytesIO(files["EXCEL"])).active
    assert 37734107 in [cell.value for row in sheet.iter_rows() for cell in row]
    assert b"37734107.00" in files["CSV"]
    lines = [json.loads(line, parse_float=Decimal) for line in files["JSON"].splitlines()]
    assert Decimal("37734107.00") in [line["SUM_QTY"] for line in lines]
    assert Decimal("37734107.00") in polars.read_parquet(files["PARQUET"])["SUM_QTY"].to_list()


def test_a_scheduled_report_runs_when_due_and_leaves_its_successor(requests: Any, cursor: Any) -> None:
    config_id = requests.insert(
        "order_priority",
        TRIGGER_TYPE="'SCHEDULED'",
        OUTPUT_FORMAT="'CSV'",
        RUN_AT="DATEADD(second, 3, SYSDATE())",
        SCHEDULE_CRON="'0 6 * * *'",
        SCHEDULE_TIMEZONE="'Europe/Zurich'",
    )
    row = requests.finished(config_id)

    assert row["STATUS"] == "COMPLETED"
    assert row["STARTED_AT"] >= row["RUN_AT"]
    successors = cursor.execute("SELECT * FROM REPORT_CONFIG WHERE PARENT_ID = %s", (config_id,)).fetchall()
    assert [(s["STATUS"], s["TRIGGER_TYPE"], s["SCHEDULE_CRON"]) for s in successors] == [
        ("PENDING", "SCHEDULED", "0 6 * * *")
    ]
    assert successors[0]["RUN_AT"].hour in (4, 5)  # six in Zurich, in UTC
    cursor.execute("UPDATE REPORT_CONFIG SET STATUS = 'CANCELLED' WHERE PARENT_ID = %s", (config_id,))


def test_the_alarm_clock_wakes_the_sleeping_worker(platform: Platform, requests: Any) -> None:
    demo = Demo(platform, None)  # type: ignore[arg-type]  # only its waiting is used
    config_id = requests.insert(
        "order_priority", TRIGGER_TYPE="'SCHEDULED'", OUTPUT_FORMAT="'CSV'", RUN_AT="DATEADD(second, 20, SYSDATE())"
    )
    time.sleep(2)
    demo.wait_for_sleep(18)
    assert requests.row(config_id)["STATUS"] == "PENDING"

    assert requests.finished(config_id)["STATUS"] == "COMPLETED"


BAD_REQUESTS: dict[str, tuple[str, dict[str, str], str, str]] = {
    "unknown report": ("no_such_report", {}, "UNKNOWN_REPORT", "no_such_report"),
    "missing parameter": (
        "sales_report",
        {"PARAMETERS": 'PARSE_JSON(\'{"end_date": "1995-12-31"}\')'},
        "INVALID_PARAMETER",
        "start_date",
    ),
    "out of range": (
        "pricing_summary",
        {"PARAMETERS": "PARSE_JSON('{\"delta\": 100000}')"},
        "INVALID_PARAMETER",
        "100000",
    ),
    "unknown parameter": (
        "pricing_summary",
        {"PARAMETERS": "PARSE_JSON('{\"deltah\": 1}')"},
        "INVALID_PARAMETER",
        "deltah",
    ),
    "unknown format": ("pricing_summary", {"OUTPUT_FORMAT": "'DOCX'"}, "UNKNOWN_FORMAT", "DOCX"),
    "no address": (
        "pricing_summary",
        {"RECIPIENTS": """PARSE_JSON('[{"channel": "email", "to": "nobody"}]')"""},
        "INVALID_RECIPIENT",
        "nobody",
    ),
    "SQL in a parameter": (
        "sales_report",
        {"PARAMETERS": 'PARSE_JSON(\'{"start_date": "1995-01-01; DROP TABLE REPORT_CONFIG"}\')'},
        "INVALID_PARAMETER",
        "DROP TABLE",
    ),
    "wrong cron": (
        "pricing_summary",
        {"TRIGGER_TYPE": "'SCHEDULED'", "SCHEDULE_CRON": "'every morning'"},
        "INVALID_SCHEDULE",
        "every morning",
    ),
    "unknown trigger type": ("pricing_summary", {"TRIGGER_TYPE": "'WHENEVER'"}, "INVALID_TRIGGER_TYPE", "WHENEVER"),
    "nonsense": (
        "pricing_summary",
        {"STATUS": "'PERHAPS'", "PARAMETERS": "TO_VARIANT(7)", "RECIPIENTS": "TO_VARIANT('x')", "ATTEMPTS": "NULL"},
        "INVALID_",
        "",
    ),
}


def test_bad_requests_say_why_in_their_rows_and_stop_nobody(requests: Any) -> None:
    bad = {
        what: (requests.insert(name, **columns), code, said)
        for what, (name, columns, code, said) in BAD_REQUESTS.items()
    }
    good = requests.insert("order_priority", OUTPUT_FORMAT="'CSV'")

    assert requests.finished(good)["STATUS"] == "COMPLETED"
    for what, (config_id, code, said) in bad.items():
        row = requests.row(config_id)
        until = time.monotonic() + 30
        while row["STATUS"] != "FAILED" and time.monotonic() < until:
            time.sleep(0.2)
            row = requests.row(config_id)
        assert row["STATUS"] == "FAILED", what
        assert row["ERROR_CODE"].startswith(code), what
        assert said in row["ERROR_MESSAGE"], what


@pytest.fixture
def web(platform: Platform) -> httpx.Client:
    secret = platform.outputs("Secrets")["ApiTokenSecretArn"]
    token = platform.client("secretsmanager").get_secret_value(SecretId=secret)["SecretString"]
    url = platform.web_url()
    assert url, "no web task runs"
    return httpx.Client(base_url=url, headers={"Authorization": f"Bearer {token}"}, timeout=20)


def test_the_web_role_writes_the_same_row_once(web: httpx.Client, requests: Any, cursor: Any) -> None:
    job = {
        "job_id": f"job-{time.time_ns()}",
        "job_type": "SALES_REPORT",
        "input_data": {"start_date": "1994-01-01", "end_date": "1994-03-31", "format": "CSV"},
        "timestamp": "2026-11-21T06:00:00Z",
        "source": "test",
    }
    answers = [web.post("/process-job", json=job) for _ in range(2)]

    assert [answer.status_code for answer in answers] == [202, 202]
    assert answers[0].json()["tracking_id"] == answers[1].json()["tracking_id"]
    rows = cursor.execute("SELECT * FROM REPORT_CONFIG WHERE IDEMPOTENCY_KEY = %s", (job["job_id"],)).fetchall()
    assert len(rows) == 1
    requests.finished(int(rows[0]["CONFIG_ID"]))
    assert web.get(f"/job/{job['job_id']}/status").json()["status"] == "COMPLETED"


def test_the_web_role_refuses_callers_without_the_token(web: httpx.Client) -> None:
    assert web.get("/health", headers={"Authorization": ""}).status_code == 200
    assert web.get("/jobs", headers={"Authorization": "Bearer wrong"}).status_code == 401
    assert web.get("/jobs").status_code == 200


def test_a_recipient_gets_an_e_mail_with_the_file(mail_sender: str, requests: Any) -> None:
    to = """PARSE_JSON('[{"channel": "email", "to": "analyst@example.com"}]')"""
    row = requests.finished(requests.insert("order_priority", OUTPUT_FORMAT="'CSV'", RECIPIENTS=to))
    found = requests.delivered(row["CONFIG_ID"])
    assert (found["STATUS"], found["ATTEMPTS"]) == ("SENT", 1), found


def test_the_number_of_tasks_follows_the_backlog_up_and_down_and_kills_no_work(
    platform: Platform, requests: Any, cursor: Any
) -> None:
    demo = Demo(platform, None)  # type: ignore[arg-type]  # only its counts are used
    demo.wait_for_sleep(60)
    cursor.execute(
        "INSERT INTO REPORT_CONFIG (REPORT_NAME, OUTPUT_FORMAT, IDEMPOTENCY_KEY) "
        "SELECT 'pricing_summary', 'PDF', 'backlog-' || ROW_NUMBER() OVER (ORDER BY 1) "
        "FROM TABLE(GENERATOR(ROWCOUNT => 24))"
    )
    rows = "SELECT STATUS, ATTEMPTS, CLAIMED_BY FROM REPORT_CONFIG WHERE IDEMPOTENCY_KEY LIKE 'backlog-%'"
    counts, until = [], time.monotonic() + 90
    while time.monotonic() < until:
        counts.append(demo.worker_tasks())
        if counts[-1] == (0, 0) and len(counts) > 50:
            break
        time.sleep(0.1)
    found = cursor.execute(rows).fetchall()
    assert {(row["STATUS"], row["ATTEMPTS"]) for row in found} == {("COMPLETED", 1)}
    assert len({row["CLAIMED_BY"] for row in found}) == 2
    assert max(desired for desired, _ in counts) == 2  # the environment's max_tasks; 24 rows call for 12
    assert counts[-1] == (0, 0)


def test_the_worker_goes_back_to_sleep(platform: Platform) -> None:
    demo = Demo(platform, None)  # type: ignore[arg-type]  # only its waiting is used
    demo.wait_for_sleep(60)
    assert demo.worker_tasks() == (0, 0)
