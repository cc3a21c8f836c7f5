"""The HTTP door over the Snowflake stand-in."""

import datetime
import itertools
import json
import re
import socket
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import contextmanager
from decimal import Decimal

import pytest
import uvicorn
from botocore.exceptions import ReadTimeoutError
from fastapi.testclient import TestClient
from service_rows import insert, row
from snowflake.connector.errors import OperationalError

from report_service.login import LoginError
from report_service.queue import Produced, ReportQueue
from report_service.queue.outcome import completed
from report_service.queue.rows import Demand
from report_service.recipients import RecipientRules
from report_service.warehouse import BusyError, TransactionTooLongError
from report_service.web import prometheus
from report_service.web.app import make_app
from report_service.web.guard import TokenGuard
from report_service.web.readiness import LOOK_SECONDS, Readiness
from report_service.web.tokens import FixedToken

TOKEN = "a-token-for-tests-0123456789"
JOB = {
    "job_id": "job-1",
    "job_type": "SALES_REPORT",
    "input_data": {"start_date": "1997-01-01", "end_date": "1997-03-31", "format": "csv"},
    "timestamp": "2026-11-21T10:00:00Z",
    "source": "SNOWFLAKE",
}


@contextmanager
def away():
    raise OperationalError("Snowflake is away; password=hunter2")
    yield


def hanging():
    """A queue that hangs, and the event that lets it go."""
    let_go = threading.Event()

    @contextmanager
    def hang():
        let_go.wait(20)
        raise OperationalError("Snowflake is away")
        yield

    return hang, let_go


@pytest.fixture
def make(catalogue, warehouse):
    @contextmanager
    def lend():
        yield ReportQueue(warehouse, actor="web")

    def make_client(open_queue=lend, headers=None, tokens=None, per_second=1000, burst=1000, **limits):
        app = make_app(
            rules=RecipientRules(),
            catalogue=catalogue,
            open_queue=open_queue,
            environment="test",
            bucket="bucket",
            guard=TokenGuard(tokens or FixedToken(TOKEN), per_second=per_second, burst=burst),
            body_bytes=4096,
            **limits,
        )
        headers = {"Authorization": f"Bearer {TOKEN}"} if headers is None else headers
        return TestClient(app, headers=headers, raise_server_exceptions=False)

    return make_client


@pytest.fixture
def client(make):
    with make() as opened:
        yield opened


def test_health_says_what_the_guide_says(make):
    answer = make(away, {}).get("/health")
    assert answer.status_code == 200
    assert set(answer.json()) == {"status", "service", "environment", "timestamp"}
    assert answer.json()["environment"] == "test"


def test_ready_includes_snowflake(client, make):
    assert client.get("/ready").json() == {"status": "ready"}
    answer = make(away).get("/ready")
    assert answer.status_code == 503
    assert "hunter2" not in answer.text


def test_callers_without_a_token_cost_one_look_at_snowflake_for_a_while(warehouse):
    looks, now = [], [100.0]

    @contextmanager
    def lend():
        looks.append(1)
        yield ReportQueue(warehouse, actor="web")

    readiness = Readiness(lend, clock=lambda: now[0])
    for _ in range(50):
        readiness.check()
    assert len(looks) == 1
    now[0] += LOOK_SECONDS
    readiness.check()
    assert len(looks) == 2


def test_nobody_waits_for_a_look_that_hangs(make):
    hang, let_go = hanging()
    client = make(hang)
    with client, ThreadPoolExecutor(60) as pool:  # more than the server has threads
        try:
            asked = [pool.submit(client.get, "/ready") for _ in range(5)]
            answers = [each.result().status_code for each in itertools.islice(as_completed(asked, 5), 4)]
            assert answers == [503] * 4
            for _ in range(50):
                pool.submit(client.get, "/jobs")
            assert pool.submit(client.get, "/health").result(5).status_code == 200
        finally:
            let_go.set()


def test_a_job_becomes_a_row_and_the_answer_says_how_to_follow_it(client, warehouse, queue):
    answer = client.post("/process-job", json=JOB)
    assert answer.status_code == 202, answer.text
    body = answer.json()
    job = queue.job("job-1")
    epoch = int(job.created_at.replace(tzinfo=__import__("datetime").UTC).timestamp())
    assert body["status"] == "accepted"
    assert body["tracking_id"] == f"ECS_TRACK_job-1_{epoch}"
    assert body["status_url"] == "/job/job-1/status"
    assert body["s3_output_location"] == "s3://bucket/reports/sales_report/"
    found = row(warehouse, job.config_id)
    assert (found["REPORT_NAME"], found["OUTPUT_FORMAT"], found["SOURCE"]) == ("sales_report", "CSV", "SNOWFLAKE")
    assert "format" not in found["PARAMETERS"]
    assert client.get(body["status_url"]).json()["status"] == "PENDING"


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"job_type": "order_priority"}, "job_type"),
        ({"input_data": JOB["input_data"] | {"format": "PDF"}}, "input_data.format"),
        ({"input_data": JOB["input_data"] | {"end_date": "1997-04-30"}}, "input_data"),
        (
            {"input_data": JOB["input_data"] | {"recipients": [{"channel": "email", "to": "a@example.com"}]}},
            "input_data.recipients",
        ),
    ],
)
def test_the_job_id_of_another_request_is_refused(client, queue, change, says):
    first = client.post("/process-job", json=JOB).json()
    answer = client.post("/process-job", json=JOB | change)

    assert answer.status_code == 409
    assert answer.json()["detail"] == f"Job job-1 is there already and differs in {says}; take a new job_id."
    again = client.post("/process-job", json=JOB | {"timestamp": "2026-11-22T10:00:00Z", "source": "elsewhere"})
    assert (again.status_code, again.json()["tracking_id"]) == (202, first["tracking_id"])


def test_the_same_job_id_again_is_the_same_job(client, queue):
    first = client.post("/process-job", json=JOB).json()
    again = client.post("/process-job", json=JOB | {"timestamp": "2026-11-22T10:00:00Z", "job_type": "sales_report"})
    again = again.json()
    assert first["tracking_id"] == again["tracking_id"]
    assert queue.counts() == {"PENDING": 1}
    assert "before" in again["message"]


def test_a_finished_job_says_where_its_file_is(client, queue):
    client.post("/process-job", json=JOB)
    queue.settle([completed(queue.claim(1)[0], Produced("s3://bucket/file.csv", 15, 900, "ab"))])
    body = client.get("/job/job-1/status").json()
    assert (body["status"], body["s3_output_location"], body["row_count"]) == ("COMPLETED", "s3://bucket/file.csv", 15)
    assert client.post("/process-job", json=JOB).json()["s3_output_location"] == "s3://bucket/file.csv"


def test_a_row_inserted_in_snowflake_goes_by_its_config_id(client, warehouse):
    config_id = insert(warehouse, REPORT_NAME="pricing_summary")
    assert client.get(f"/job/{config_id}/status").json()["job_id"] == str(config_id)


@pytest.mark.parametrize(
    ("change", "field", "code"),
    [
        ({"job_id": "a b"}, "job_id", None),
        ({"job_id": "x" * 200}, "job_id", None),
        ({"extra": 1}, "extra", None),
        ({"timestamp": "yesterday"}, "timestamp", None),
        ({"input_data": [1]}, "input_data", None),
        ({"job_type": "unknown"}, "job_type", "UNKNOWN_REPORT"),
        ({"input_data": {"start_date": "x"}}, "input_data.start_date", "INVALID_PARAMETER"),
        ({"input_data": {"start_date": "' OR 1=1 --"}}, "input_data.start_date", "INVALID_PARAMETER"),
        ({"input_data": {"nonsense": 1}}, "input_data.nonsense", "INVALID_PARAMETER"),
        ({"input_data": {"format": "DOCX"}}, "input_data.format", "UNKNOWN_FORMAT"),
        (
            {"input_data": {"recipients": [{"channel": "email", "to": "x"}]}},
            "input_data.recipients",
            "INVALID_RECIPIENT",
        ),
        ({"input_data": {"recipients": 7}}, "input_data.recipients", "INVALID_RECIPIENT"),
        ({"input_data": {}}, "input_data.start_date", "INVALID_PARAMETER"),
    ],
)
def test_wrong_input_is_a_problem_that_names_the_field_and_writes_nothing(client, queue, change, field, code):
    answer = client.post("/process-job", json=JOB | change)
    assert answer.status_code == 422
    assert answer.headers["content-type"] == "application/problem+json"
    body = answer.json()
    assert (body["field"], body.get("code"), body["status"]) == (field, code, 422)
    assert not re.search("REPORT_NAME|OUTPUT_FORMAT|PARAMETERS|RECIPIENTS", body["detail"])  # the words of SQL
    assert queue.counts() == {}


@pytest.mark.parametrize("body", ["", "{", "[]", "null", '"x"', "\x00"])
def test_a_body_that_is_no_request_is_a_problem(client, body):
    answer = client.post("/process-job", content=body, headers={"Content-Type": "application/json"})
    assert answer.status_code == 422
    assert answer.headers["content-type"] == "application/problem+json"


def test_a_body_that_is_no_json_is_told_where_it_breaks(client):
    answer = client.post("/process-job", content='{"job_id": "a"', headers={"Content-Type": "application/json"})
    assert answer.json()["field"] == "body"
    assert answer.json()["detail"] == "The body is no valid JSON: Expecting ',' delimiter at character 14."


@pytest.mark.parametrize(
    "change",
    [
        {"job_type": "\ud800"},
        {"source": "\ud800"},
        {"input_data": {"\ud800": 1}},
        {"input_data": {"format": "\ud800"}},
        {"input_data": {"start_date": "\ud800"}},
        {"input_data": {"recipients": "\ud800"}},
        {"input_data": {"recipients": [{"channel": "\ud800", "to": "a@example.com"}]}},
        {"input_data": {"recipients": [{"channel": "email", "to": "\ud800"}]}},
        {"input_data": {"recipients": [{"channel": "email", "to": float("nan")}]}},
    ],
)
def test_text_that_no_answer_could_hold_is_a_problem_too(client, queue, change):
    headers = {"Content-Type": "application/json"}
    answer = client.post("/process-job", content=json.dumps(JOB | change), headers=headers)
    assert answer.status_code == 422, answer.text
    assert answer.json()["field"] != "body"
    assert queue.counts() == {}


@pytest.mark.parametrize("headers", [{}, {"Authorization": "Bearer wrong"}, {"Authorization": f"Basic {TOKEN}"}])
@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/process-job"),
        ("GET", "/job/1/status"),
        ("GET", "/jobs"),
        ("POST", "/job/1/cancel"),
        ("GET", "/metrics"),
    ],
)
def test_all_but_health_ready_and_docs_need_the_token(make, headers, method, path):
    answer = make(headers=headers).request(method, path, json=JOB)
    assert answer.status_code == 401
    assert answer.headers["www-authenticate"] == "Bearer"
    assert answer.headers["content-type"] == "application/problem+json"


@pytest.mark.parametrize("body", ["{", "", json.dumps(JOB)])
def test_without_the_token_nobody_hears_what_is_wrong_with_a_body(make, body):
    answer = make(headers={}).post("/process-job", content=body, headers={"Content-Type": "application/json"})
    assert answer.status_code == 401


def test_a_token_that_comes_too_often_is_told_when_to_come_again(make, queue):
    with make(per_second=1, burst=3) as client:
        answers = [client.post("/process-job", json=JOB | {"job_id": f"job-{number}"}) for number in range(4)]
        again = [
            client.post("/process-job", content="{", headers={"Content-Type": "application/json"}),
            client.get("/jobs?limit=0"),
            client.get("/metrics"),
        ]
        open_to_all = [client.get(path).status_code for path in ("/health", "/ready", "/docs", "/openapi.json")]
    assert [answer.status_code for answer in answers] == [202, 202, 202, 429]
    assert answers[3].headers["content-type"] == "application/problem+json"
    assert int(answers[3].headers["retry-after"]) >= 1
    assert [answer.status_code for answer in again] == [429] * 3
    assert open_to_all == [200] * 4
    assert queue.counts() == {"PENDING": 3}


def test_a_token_has_its_rate_again_after_the_time_that_it_was_told_to_wait(make):
    with make(per_second=2, burst=1) as client:
        assert client.get("/jobs").status_code == 200
        refused = client.get("/jobs")
        assert refused.status_code == 429
        time.sleep(int(refused.headers["retry-after"]))
        assert client.get("/jobs").status_code == 200


def test_neither_wrong_tokens_nor_another_right_one_use_up_a_tokens_rate(make):
    class Two:
        async def accepts(self, token):
            return token in ("old", "new")

    def ask(client, header):
        return client.get("/jobs", headers={"Authorization": header} if header else {}).status_code

    with make(headers={}, tokens=Two(), per_second=1, burst=2) as client:
        assert {ask(client, header) for header in (None, "Bearer wrong", "Bearer ", "Basic old") * 10} == {401}
        assert [ask(client, "Bearer old") for _ in range(3)] == [200, 200, 429]
        assert [ask(client, "Bearer new") for _ in range(3)] == [200, 200, 429]
        assert ask(client, "Bearer wrong") == 401


@pytest.mark.parametrize(("method", "path", "allowed"), [("DELETE", "/jobs", "GET"), ("GET", "/process-job", "POST")])
def test_a_method_that_a_route_has_not_is_told_which_it_has(client, method, path, allowed):
    answer = client.request(method, path)
    assert (answer.status_code, answer.headers["allow"]) == (405, allowed)
    assert answer.headers["content-type"] == "application/problem+json"


@pytest.mark.parametrize("timestamp", [0, 1.5, "0", "1795255200", True, "10:00"])
def test_a_timestamp_is_a_text_with_a_date(client, timestamp):
    answer = client.post("/process-job", json=JOB | {"timestamp": timestamp})
    assert (answer.status_code, answer.json()["field"]) == (422, "timestamp")
    assert answer.json()["detail"] == "timestamp: a time as in 2026-11-21T06:00:00Z is allowed"


def test_no_answer_sends_a_caller_and_its_token_to_plain_http(client):
    """Behind a load balancer the scheme of a request is http."""
    assert client.get("/jobs/", follow_redirects=False).status_code == 404


def test_docs_and_the_openapi_document_are_open(make):
    """Behind a load balancer the scheme of a request is http: the page names its parts by their paths alone."""
    client = make(headers={})
    page = client.get("/docs")
    assert page.status_code == 200
    scripts = re.findall(r'(?:src|href)="([^"]+)"', page.text)
    assert scripts
    assert all(script.startswith("/") for script in scripts)
    assert [client.get(script).status_code for script in scripts] == [200] * len(scripts)
    paths = client.get("/openapi.json").json()["paths"]
    assert set(paths) == {
        "/health",
        "/ready",
        "/process-job",
        "/job/{job_id}/status",
        "/jobs",
        "/job/{job_id}/cancel",
        "/metrics",
    }


def test_a_body_beyond_the_limit_is_refused(client):
    answer = client.post("/process-job", json=JOB | {"source": "x" * 5000})
    assert answer.status_code == 413


def test_a_body_that_does_not_come_is_waited_for_no_longer_than_an_answer(make):
    listening = socket.create_server(("127.0.0.1", 0))
    server = uvicorn.Server(uvicorn.Config(make(answer_seconds=0.5).app, log_level="critical"))
    thread = threading.Thread(target=server.run, args=([listening],))
    thread.start()
    try:
        with socket.create_connection(listening.getsockname(), timeout=10) as caller:
            caller.sendall(b"POST /process-job HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n{")
            told = b"".join(iter(lambda: caller.recv(4096), b""))  # until the server closes
    finally:
        server.should_exit = True
        thread.join()
    assert told.startswith(b"HTTP/1.1 408 Request Timeout")
    assert b"application/problem+json" in told


def test_jobs_are_listed_newest_first_and_by_status(client, warehouse, queue):
    first = insert(warehouse, REPORT_NAME="pricing_summary")
    second = insert(warehouse, REPORT_NAME="order_priority")
    queue.cancel(queue.job(str(first)))
    assert [job["config_id"] for job in client.get("/jobs").json()["jobs"]] == [second, first]
    assert [job["config_id"] for job in client.get("/jobs?status=CANCELLED").json()["jobs"]] == [first]
    assert len(client.get("/jobs?limit=1").json()["jobs"]) == 1
    assert client.get("/jobs?limit=0").status_code == 422
    assert client.get("/jobs?status=maybe").status_code == 422


def test_a_job_is_cancelled_once_and_a_finished_one_never(client, queue):
    client.post("/process-job", json=JOB)
    assert client.post("/job/job-1/cancel").json()["status"] == "CANCELLED"
    assert client.post("/job/job-1/cancel").status_code == 200
    client.post("/process-job", json=JOB | {"job_id": "job-2"})
    queue.settle([completed(queue.claim(1)[0], Produced("s3://b/k", 1, 1, "ab"))])
    answer = client.post("/job/job-2/cancel")
    assert (answer.status_code, answer.headers["content-type"]) == (409, "application/problem+json")


def test_an_unknown_job_and_an_unknown_path_are_not_found(client):
    for path in ("/job/nothing/status", "/job/99999999999999999999/status", "/nothing"):
        answer = client.get(path)
        assert (answer.status_code, answer.headers["content-type"]) == (404, "application/problem+json")


def test_metrics_are_prometheus_text(client, warehouse):
    insert(warehouse, REPORT_NAME="pricing_summary")
    text = client.get("/metrics").text
    assert 'snowgate_reports{status="PENDING"} 1' in text
    assert "snowgate_queue_pending 1" in text
    assert "# TYPE snowgate_reports gauge" in text


def test_metrics_have_all_their_digits():
    demand = Demand(12_345_678, 1, None, datetime.datetime(2026, 1, 1))
    text = prometheus.text({"COMPLETED": 1_234_567}, demand, [("processing_seconds", "p50", None, Decimal("0.1"))])
    assert 'snowgate_reports{status="COMPLETED"} 1234567\n' in text
    assert "snowgate_queue_pending 12345678\n" in text
    assert 'snowgate_report_processing_seconds{quantile="0.5"} 0.1\n' in text


@pytest.mark.parametrize(
    "error",
    [
        OperationalError("Snowflake is away; password=hunter2"),
        TransactionTooLongError("hunter2"),
        LoginError("hunter2"),
        BusyError("hunter2"),
        ReadTimeoutError(endpoint_url="https://hunter2"),
    ],
)
@pytest.mark.parametrize(("method", "path"), [("POST", "/process-job"), ("GET", "/jobs"), ("GET", "/ready")])
def test_what_fails_in_snowflake_is_a_503_without_its_words(make, error, method, path):
    @contextmanager
    def fail():
        raise error
        yield

    answer = make(fail).request(method, path, json=JOB)
    assert (answer.status_code, answer.headers["content-type"]) == (503, "application/problem+json")
    assert int(answer.headers["retry-after"]) >= 1
    assert "hunter2" not in answer.text


def test_a_request_that_hangs_is_a_503_when_its_time_is_up(make):
    hang, let_go = hanging()
    with make(hang, answer_seconds=0.5) as client, ThreadPoolExecutor(60) as pool:  # more than the server has threads
        try:
            asked = [pool.submit(client.post, "/process-job", json=JOB) for _ in range(60)]
            answers = [each.result(10) for each in asked]
            assert {(answer.status_code, answer.headers["retry-after"]) for answer in answers} == {(503, "5")}
            assert client.get("/health").status_code == 200
        finally:
            let_go.set()


def test_when_more_come_than_can_be_served_nothing_is_done_for_those_that_are_refused(make, warehouse):
    lent = []

    @contextmanager
    def slow():
        lent.append(1)
        time.sleep(0.1)
        yield ReportQueue(warehouse, actor="web")

    with make(slow, connections=1, answer_seconds=2) as client, ThreadPoolExecutor(40) as pool:
        answers = list(pool.map(lambda _: client.get("/jobs").status_code, range(40)))
    assert set(answers) == {200, 503}
    assert answers.count(200) == len(lent)


def test_what_many_callers_ask_at_once_is_entered_once_each(make, queue, warehouse):
    """Some ask twice, one asks for something else with a key that is taken: each has the answer of its own request."""
    client = make()
    asked = [JOB | {"job_id": f"many-{number % 30}"} for number in range(40)]
    asked.append(JOB | {"job_id": "many-0", "input_data": JOB["input_data"] | {"format": "pdf"}})
    changed = []
    change = warehouse.change
    warehouse.change = lambda statement, values=(): changed.append(statement) or change(statement, values)
    with ThreadPoolExecutor(len(asked)) as pool:
        answers = list(pool.map(lambda job: client.post("/process-job", json=job), asked))
    del warehouse.change
    statuses = Counter(answer.status_code for answer in answers)
    assert statuses in ({202: 40, 409: 1}, {202: 39, 409: 2})  # whichever of them came first
    assert {answer.json()["job_id"] for answer in answers if answer.status_code == 202} == {
        f"many-{number}" for number in range(30)
    }
    assert queue.counts() == {"PENDING": 30}
    assert len(changed) < 4 * len(asked)
