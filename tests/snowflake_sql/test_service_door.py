"""080_service_door.sql: the functions post jobs to the service under its own name, with the token of the secret."""

import json
import os
import ssl
import threading
import urllib.error
import urllib.request
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
import snowflake.connector

from local.cloud import certificates
from local.processes import Server, free_port
from tests import sql_lint

HOST = "abc123.execute-api.us-east-1.amazonaws.com"
TOKEN = "the-token-of-the-tests"
FILE = "080_service_door.sql"
NAMES = sql_lint.NAMES | {"web_host": HOST, "external_access": "DOOR_TWO", "database": "DOORS"}
Refused = snowflake.connector.errors.ProgrammingError


class Service(BaseHTTPRequestHandler):
    """Answers as the service does; `answers` are given first, one a request."""

    jobs, answers, tokens = [], [], []

    def do_POST(self):  # noqa: N802 - the base class's name
        job = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.jobs.append(job | {"path": self.path})
        self.tokens.append(self.headers["Authorization"])
        status, body = self.answers.pop(0) if self.answers else (202, accepted(job))
        text = body if isinstance(body, bytes) else json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def log_message(self, *_):
        """Say nothing."""


def accepted(job):
    return {
        "status": "accepted",
        "job_id": job["job_id"],
        "message": f"{job['job_type'].lower()} is queued.",
        "tracking_id": f"ECS_TRACK_{job['job_id']}_1",
        "estimated_completion": "2026-11-21T06:05:00Z",
        "s3_output_location": "s3://reports/",
        "status_url": f"/job/{job['job_id']}/status",
    }


class Account:
    """A running Snowflake stand-in of the module's own."""

    def __init__(self, port):
        self.port = port

    def answers(self):
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/_warehouse/health", timeout=1):
                return True
        except (urllib.error.URLError, ConnectionError, TimeoutError):
            return False

    def run(self, *statements, **options):
        """Run statements as the administrator and give the rows of the last one as dicts."""
        login = {"user": "ADMIN", "password": "of-the-tests-only", "role": "ACCOUNTADMIN"} | options
        place = {"account": "LOCAL", "host": "127.0.0.1", "port": self.port, "protocol": "http", "login_timeout": 10}
        place |= {"enable_server_session_keep_alive_auto_detection": False}
        with (
            snowflake.connector.connect(**place, **login) as connection,
            connection.cursor(snowflake.connector.DictCursor) as cursor,
        ):
            for statement in statements:
                cursor.execute(statement)
            return cursor.fetchall()


@contextmanager
def stand_in(folder, variables):
    account = Account(free_port())
    server = Server("warehouse", folder / "run", folder / "warehouse.log")
    kept = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
    python = sql_lint.ROOT / ".venv-warehouse" / "bin" / "python"
    command = [python, "-m", "local.warehouse", "--port", str(account.port), "--data", folder / "data"]
    server.start(command, kept | {"WAREHOUSE_ADMIN_PASSWORD": "of-the-tests-only"} | variables)
    try:
        server.wait_until(account.answers, 30)
        yield account
    finally:
        server.stop(5)


@pytest.fixture(scope="module")
def account(tmp_path_factory):
    """A stand-in with the file's objects, beside a double of the service that speaks TLS."""
    folder = tmp_path_factory.mktemp("door")
    certificates.make(folder / "tls")
    server = ThreadingHTTPServer(("127.0.0.1", 0), Service)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "tls" / "tls.crt", folder / "tls" / "tls.key")
    server.socket = context.wrap_socket(server.socket, server_side=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    variables = {
        "AWS_ENDPOINT_URL": f"https://127.0.0.1:{server.server_port}",
        "AWS_CA_BUNDLE": str(folder / "tls" / "ca.pem"),
    }
    with stand_in(folder, variables) as warehouse:
        warehouse.run(*prepare())
        warehouse.run(*statements(NAMES))
        yield warehouse
    server.shutdown()
    server.server_close()


def prepare():
    """What bootstrap.sql and the files before 080 leave: roles, warehouse, database and schemas."""
    yield f"CREATE ROLE {NAMES['owner_role']}"
    yield f"CREATE ROLE {NAMES['deployer_role']}"
    yield f"GRANT ROLE {NAMES['owner_role']} TO ROLE {NAMES['deployer_role']}"
    yield f"GRANT ROLE {NAMES['deployer_role']} TO ROLE ACCOUNTADMIN"
    yield f"GRANT CREATE INTEGRATION ON ACCOUNT TO ROLE {NAMES['deployer_role']}"
    yield f"CREATE WAREHOUSE {NAMES['warehouse']}"
    yield f"CREATE DATABASE {NAMES['database']}"
    for role in (NAMES["owner_role"], NAMES["deployer_role"]):
        yield f"GRANT USAGE ON WAREHOUSE {NAMES['warehouse']} TO ROLE {role}"
        yield f"GRANT USAGE, CREATE SCHEMA ON DATABASE {NAMES['database']} TO ROLE {role}"
    yield f"USE ROLE {NAMES['owner_role']}"
    yield f"CREATE SCHEMA {NAMES['database']}.{NAMES['config_schema']}"
    yield f"CREATE SCHEMA {NAMES['database']}.{NAMES['reporting_schema']}"


def statements(names):
    """The file's statements as the deployer runs them, with the token filled in."""
    text = sql_lint.render((sql_lint.SQL_FILES / FILE).read_text(), names)
    return [s.text.replace("${secret:api_token}", TOKEN) for s in sql_lint.split(FILE, text)]


@pytest.fixture
def call(account):
    """Run one SELECT as the owner and give its one value."""
    Service.jobs.clear()
    Service.tokens.clear()
    Service.answers.clear()
    place = {"database": NAMES["database"], "schema": NAMES["reporting_schema"]}

    def call(expression):
        rows = account.run(f"SELECT {expression} AS A", role=NAMES["owner_role"], warehouse=NAMES["warehouse"], **place)
        return json.loads(rows[0]["A"])

    return call


def test_without_a_web_role_the_file_is_empty():
    text = sql_lint.render((sql_lint.SQL_FILES / FILE).read_text(), NAMES | {"web_host": None})

    assert text.strip() == ""


def test_a_job_is_posted_with_the_token_and_its_answer_comes_back(call):
    answer = call(
        "GENERATE_REPORT_VIA_ECS('J-1', 'SALES_REPORT', "
        """PARSE_JSON('{"start_date": "1997-01-01", "end_date": "1997-01-31", "format": "CSV"}'))"""
    )

    [job] = Service.jobs
    assert job | {"timestamp": ""} == {
        "path": "/process-job",
        "job_id": "J-1",
        "job_type": "SALES_REPORT",
        "input_data": {"start_date": "1997-01-01", "end_date": "1997-01-31", "format": "CSV"},
        "timestamp": "",
        "source": "SNOWFLAKE",
    }
    assert job["timestamp"].endswith("+00:00")
    assert Service.tokens == [f"Bearer {TOKEN}"]
    assert answer["status"] == "accepted"
    assert answer["job_id"] == "J-1"
    assert answer["tracking_id"] == "ECS_TRACK_J-1_1"
    assert answer["message"] == "sales_report is queued."
    assert answer["status_url"] == f"https://{HOST}/job/J-1/status"


def test_a_sales_report_takes_dates(call):
    call("GENERATE_SALES_REPORT_ECS('1997-01-01', '1997-01-31')")
    call("GENERATE_SALES_REPORT_ECS('1997-01-01', '1997-01-31', 'mine')")
    call("GENERATE_SALES_REPORT_ECS(end_date => '1997-01-31', start_date => '1997-01-01', job_id => 'mine')")

    period = {"start_date": "1997-01-01", "end_date": "1997-01-31"}
    assert [job["input_data"] for job in Service.jobs] == [period] * 3
    assert {job["job_type"] for job in Service.jobs} == {"SALES_REPORT"}
    assert [job["job_id"] for job in Service.jobs][1:] == ["mine", "mine"]


def test_without_a_job_id_the_same_request_is_the_same_job_and_another_one_another(call):
    same = [call("GENERATE_REPORT_VIA_ECS(NULL, 'pricing_summary', OBJECT_CONSTRUCT('delta', 60))") for _ in range(2)]
    other = call("GENERATE_REPORT_VIA_ECS(NULL, 'pricing_summary', OBJECT_CONSTRUCT('delta', 61))")
    nothing = call("GENERATE_REPORT_VIA_ECS(NULL, 'pricing_summary', NULL)")

    ids = [answer["job_id"] for answer in (*same, other, nothing)]
    assert ids[0] == ids[1]
    assert len(set(ids)) == 3
    assert all(job_id.startswith("pricing_summary-20") and len(job_id) <= 128 for job_id in ids)
    assert Service.jobs[-1]["input_data"] == {}


def test_rows_of_one_statement_are_a_job_each(account, call):
    rows = account.run(
        "SELECT GENERATE_REPORT_VIA_ECS('J-' || COLUMN1, 'order_priority', OBJECT_CONSTRUCT()) AS A "
        "FROM VALUES (1), (2), (3)",
        role=NAMES["owner_role"],
        warehouse=NAMES["warehouse"],
        database=NAMES["database"],
        schema=NAMES["reporting_schema"],
    )

    assert sorted(json.loads(row["A"])["job_id"] for row in rows) == ["J-1", "J-2", "J-3"]
    assert len(Service.jobs) == 3


def test_what_the_service_refuses_is_told_in_its_own_words(call):
    detail = "start_date is 1890-01-01; allowed is 1992-01-01 to 1998-12-31."
    Service.answers.append((422, {"title": "Unprocessable Content", "status": 422, "detail": detail}))

    with pytest.raises(Refused, match=f"did not accept job J-2: 422.*{detail}"):
        call("GENERATE_REPORT_VIA_ECS('J-2', 'SALES_REPORT', NULL)")
    assert len(Service.jobs) == 1


def test_a_service_that_is_away_for_a_moment_is_asked_again_with_the_same_id(call):
    Service.answers += [(503, {"message": "Service Unavailable"}), (502, b"<html>")]

    assert call("GENERATE_REPORT_VIA_ECS(NULL, 'order_priority', NULL)")["status"] == "accepted"
    assert len(Service.jobs) == 3
    assert len({job["job_id"] for job in Service.jobs}) == 1


def test_a_service_that_stays_away_is_named_and_no_token_is_shown(call):
    Service.answers += [(503, {"message": "Service Unavailable"})] * 3

    with pytest.raises(Refused, match="503 .*Service Unavailable") as refused:
        call("GENERATE_REPORT_VIA_ECS('J-3', 'order_priority', NULL)")
    assert TOKEN not in str(refused.value)


@pytest.mark.parametrize(
    ("expression", "says"),
    [
        ("GENERATE_REPORT_VIA_ECS('J', NULL, NULL)", "job_type is NULL"),
        ("GENERATE_REPORT_VIA_ECS('J', 'x', TO_VARIANT('text'))", "give an object, by OBJECT_CONSTRUCT"),
        ("GENERATE_SALES_REPORT_ECS(NULL, '1997-01-31')", "START_DATE is None.*both dates are needed"),
    ],
)
def test_wrong_arguments_are_told_before_anything_is_sent(call, expression, says):
    with pytest.raises(Refused, match=says):
        call(expression)
    assert Service.jobs == []


def test_the_private_rule_has_a_name_of_its_own():
    text = sql_lint.render((sql_lint.SQL_FILES / FILE).read_text(), NAMES | {"private": True})

    assert "NETWORK RULE DOORS.CONFIG.SERVICE_PRIVATE_EGRESS\n  TYPE = PRIVATE_HOST_PORT" in text
    assert "ALLOWED_NETWORK_RULES = (DOORS.CONFIG.SERVICE_PRIVATE_EGRESS)" in text
