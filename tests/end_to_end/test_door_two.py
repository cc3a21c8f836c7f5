"""Door two on a deployed platform: from a function call in plain SQL over HTTPS to a finished file, and back."""

from __future__ import annotations

import hashlib
import json
import ssl
from typing import Any

import httpx
import pytest
import snowflake.connector
from analyst import Requests

from local.platform import Platform

PERIOD = """OBJECT_CONSTRUCT('start_date', '1995-01-01', 'end_date', '1995-03-31', 'format', 'CSV')"""


@pytest.fixture
def call(cursor: Any) -> Any:
    """Run one SELECT or CALL and give its one JSON value."""
    cursor.execute("USE WAREHOUSE REPORTING_WH")

    def call(text: str) -> Any:
        [value] = cursor.execute(text).fetchone().values()
        return json.loads(value)

    return call


def key_of(cursor: Any, key: str) -> int:
    found = cursor.execute("SELECT CONFIG_ID FROM REPORT_CONFIG WHERE IDEMPOTENCY_KEY = %s", (key,)).fetchall()
    assert len(found) == 1
    return int(found[0]["CONFIG_ID"])


def ask(platform: Platform, url: str, token: str | None, **options: Any) -> httpx.Response:
    """Call the HTTP API by its public URL; only the socket goes to this machine."""
    public = httpx.URL(url)
    headers = {"Host": public.host} | ({"Authorization": f"Bearer {token}"} if token else {})
    trust = ssl.create_default_context(cafile=str(platform.certificate_bundle))
    here = f"{platform.aws_endpoint}{public.raw_path.decode()}"
    return httpx.request(options.pop("method", "GET"), here, headers=headers, verify=trust, timeout=30, **options)


def token_of(platform: Platform) -> str:
    secret = platform.outputs("Secrets")["ApiTokenSecretArn"]
    return str(platform.client("secretsmanager").get_secret_value(SecretId=secret)["SecretString"])


def test_a_function_call_becomes_a_finished_file(
    platform: Platform, cursor: Any, requests: Requests, call: Any
) -> None:
    statement = f"SELECT REPORTING.GENERATE_REPORT_VIA_ECS('door-two', 'SALES_REPORT', {PERIOD})"
    answer = call(statement)
    assert (answer["status"], answer["job_id"]) == ("accepted", "door-two")
    assert answer["tracking_id"].startswith("ECS_TRACK_door-two_")

    row = requests.finished(key_of(cursor, "door-two"))
    assert (row["STATUS"], row["SOURCE"], row["OUTPUT_FORMAT"]) == ("COMPLETED", "SNOWFLAKE", "CSV")
    bucket, key = row["S3_LOCATION"].removeprefix("s3://").split("/", 1)
    content = platform.client("s3").get_object(Bucket=bucket, Key=key)["Body"].read()
    assert hashlib.sha256(content).hexdigest() == row["FILE_SHA256"]

    again = call(statement)
    assert again["tracking_id"] == answer["tracking_id"]
    assert again["message"] == "This job was there before; it is COMPLETED."

    status = ask(platform, answer["status_url"], token_of(platform)).json()
    assert (status["status"], status["config_id"]) == ("COMPLETED", row["CONFIG_ID"])


def test_a_job_id_of_another_request_is_refused_in_the_services_words(call: Any) -> None:
    call(f"SELECT REPORTING.GENERATE_REPORT_VIA_ECS('door-two-taken', 'SALES_REPORT', {PERIOD})")

    with pytest.raises(snowflake.connector.errors.ProgrammingError, match="409 .*differs in job_type"):
        call("SELECT REPORTING.GENERATE_REPORT_VIA_ECS('door-two-taken', 'order_priority', NULL)")
    with pytest.raises(snowflake.connector.errors.ProgrammingError, match="422 .*'nonsense'"):
        call("SELECT REPORTING.GENERATE_REPORT_VIA_ECS(NULL, 'nonsense', NULL)")


def test_a_sales_report_without_a_job_id_is_one_job(requests: Requests, cursor: Any, call: Any) -> None:
    statement = "SELECT REPORTING.GENERATE_SALES_REPORT_ECS('1996-02-01', '1996-02-29')"
    first, again = call(statement), call(statement)

    assert first["job_id"] == again["job_id"]
    assert requests.finished(key_of(cursor, first["job_id"]))["STATUS"] == "COMPLETED"


def test_the_public_door_asks_for_the_token(platform: Platform) -> None:
    url = platform.outputs("ReportService")["WebApiUrl"]

    assert ask(platform, f"{url}/health", None).json()["status"] == "healthy"
    assert ask(platform, f"{url}/jobs", None).status_code == 401
    assert ask(platform, f"{url}/jobs", "x" * 48).status_code == 401
    assert ask(platform, f"{url}/jobs?limit=1", token_of(platform)).status_code == 200


def test_the_token_is_in_no_file_of_the_platform_but_its_stores(platform: Platform, cursor: Any) -> None:
    token = token_of(platform)
    cursor.execute("SELECT * FROM REPORTING_DB.DEPLOYMENT.DEPLOYMENT_HISTORY")

    assert token not in json.dumps(cursor.fetchall(), default=str)
    files = [file for file in platform.logs.rglob("*") if file.is_file()] + list(platform.assembly.rglob("*.json"))
    assert [file for file in files if token in file.read_text(errors="replace")] == []


def test_a_request_is_made_made_again_and_cancelled(requests: Requests, call: Any) -> None:
    first = call("CALL REPORTING.REQUEST_REPORT('order_priority', output_format => 'CSV')")
    assert requests.finished(first["config_id"])["STATUS"] == "COMPLETED"

    rerun = call(f"CALL REPORTING.RERUN_REPORT({first['config_id']})")
    row = requests.finished(rerun["config_id"])
    assert (row["STATUS"], row["PARENT_ID"]) == ("COMPLETED", first["config_id"])

    later = call("CALL REPORTING.REQUEST_REPORT('order_priority', run_at => '2040-01-01 00:00:00')")
    assert call(f"CALL REPORTING.CANCEL_REPORT({later['config_id']})")["cancelled"] is True
    assert requests.row(later["config_id"])["STATUS"] == "CANCELLED"


def test_the_daily_reports_come_to_an_end(requests: Requests, call: Any) -> None:
    asked = call("CALL REPORTING.GENERATE_DAILY_REPORTS()")["requests"]

    assert {requests.finished(request["config_id"])["STATUS"] for request in asked.values()} == {"COMPLETED"}
