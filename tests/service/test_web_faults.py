"""Snowflake fails, hangs or answers nonsense while requests run: each has its 503 in time, and goes on afterwards.

The web role's own process over the Snowflake stand-in, with a proxy in between.
"""

import threading
import time
from concurrent.futures import ThreadPoolExecutor

import fuzzing
import httpx
import pytest
from faulty_proxy import FaultyProxy, sql_of

ANSWER_SECONDS = 3
GIVE_UP_SECONDS = 10  # the caller's own, shorter than what hangs
JOB = {"job_id": "job-1", "job_type": "pricing_summary", "input_data": {"format": "CSV"}}
HEADERS = {"Authorization": f"Bearer {fuzzing.TOKEN}"}
KINDS = {
    "500": ("status", 500),
    "503": ("status", 503),
    "nonsense": ("nonsense", "<html>Welcome</html>"),
    "cut": "cut",
    "cut after": "cut after",
    "slow": ("slow", 2 * GIVE_UP_SECONDS),
}
STEPS = {"login": None, "insert": "MERGE INTO REPORT_CONFIG", "read": "WHERE IDEMPOTENCY_KEY = ?", "commit": "COMMIT"}
SHORT = {("login", "503"), ("insert", "slow"), ("read", "nonsense"), ("commit", "cut after")}

pytestmark = [pytest.mark.soak, pytest.mark.timeout(180)]


@pytest.fixture
def proxy(snowflake_account):
    made = FaultyProxy(f"http://127.0.0.1:{snowflake_account.port}")
    yield made
    made.close()


@pytest.fixture
def door(cloud, snowflake_account, proxy, tmp_path):
    """A client of the web role's process."""
    snowflake_account.empty_tables()

    class Through:
        def secret(self):
            return snowflake_account.secret(port=proxy.port)

    limits = {"WEB_ANSWER_SECONDS": str(ANSWER_SECONDS), "SNOWFLAKE_LOGIN_SECONDS": "5", "LOG_LEVEL": "INFO"}
    with fuzzing.web_role(cloud, Through(), tmp_path, fuzzing.process, **limits) as port:
        base = f"http://127.0.0.1:{port}"
        options = {"limits": httpx.Limits(max_connections=None), "trust_env": False, "timeout": GIVE_UP_SECONDS}
        with httpx.Client(base_url=base, headers=HEADERS, **options) as client:
            yield client
    assert "Traceback" not in (tmp_path / "web.log").read_text()


def is_unavailable(answer):
    assert (answer.status_code, answer.headers["content-type"]) == (503, "application/problem+json"), answer.text
    assert int(answer.headers["retry-after"]) >= 1
    return True


def assert_it_goes_on(door):
    end = time.monotonic() + 60
    while (answer := door.post("/process-job", json=JOB)).status_code == 503 and time.monotonic() < end:
        time.sleep(1)
    assert answer.status_code == 202, answer.text


@pytest.mark.parametrize(
    ("step", "kind"), [(step, kind) for step in STEPS for kind in KINDS if fuzzing.SOAK or (step, kind) in SHORT]
)
def test_a_request_during_a_fault_is_a_503_in_time(door, proxy, queue, step, kind):
    if step != "login":
        assert door.get("/jobs").status_code == 200
    struck = threading.Event()

    def fault(request):
        if STEPS[step] is None or STEPS[step] in sql_of(request[2]):
            struck.set()
            return KINDS[kind]
        return None

    proxy.fault = fault
    with ThreadPoolExecutor(1) as pool:
        asked = pool.submit(door.post, "/process-job", json=JOB)
        assert struck.wait(10)
        assert door.get("/health").status_code == 200
        assert is_unavailable(asked.result())
    proxy.fault = lambda request: None
    assert_it_goes_on(door)
    assert queue.counts() == {"PENDING": 1}


def test_while_snowflake_hangs_every_caller_has_an_answer_in_time(door, proxy):
    assert door.get("/ready").status_code == 200
    let_go = threading.Event()
    proxy.fault = lambda request: let_go.wait(30) and None
    try:
        with ThreadPoolExecutor(120) as pool:  # more than the server has threads
            asked = [pool.submit(door.post, "/process-job", json=JOB | {"job_id": f"job-{n}"}) for n in range(110)]
            assert [door.get("/health").status_code for _ in range(20)] == [200] * 20
            assert not any(each.done() for each in asked)
            assert all(is_unavailable(each.result()) for each in asked)
    finally:
        let_go.set()
    proxy.fault = lambda request: None
    assert_it_goes_on(door)


def test_a_process_that_snowflake_keeps_waiting_stops_all_the_same(cloud, snowflake_account, proxy, tmp_path):
    class Through:
        def secret(self):
            return snowflake_account.secret(port=proxy.port)

    asked, let_go = threading.Event(), threading.Event()

    def hang(request):
        asked.set()
        let_go.wait(120)

    proxy.fault = hang
    limits = {"WEB_ANSWER_SECONDS": "100", "SNOWFLAKE_LOGIN_SECONDS": "100", "STOP_SECONDS": "1", "LOG_LEVEL": "INFO"}
    try:
        with ThreadPoolExecutor(1) as pool:
            with fuzzing.web_role(cloud, Through(), tmp_path, fuzzing.process, **limits) as port:
                answer = pool.submit(httpx.get, f"http://127.0.0.1:{port}/jobs", headers=HEADERS, trust_env=False)
                assert asked.wait(20)
            assert answer.exception() or answer.result().status_code >= 500
    finally:
        let_go.set()
    # With web.stopped_late where closing the sessions waits for Snowflake too.
    assert "web.stopped" in (tmp_path / "web.log").read_text()
