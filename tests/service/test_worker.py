"""The container's program as a process of its own, with both stand-ins and an ECS agent around it."""

import datetime
import json
import os
import signal
import subprocess
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from faulty_proxy import FaultyProxy, sql_of
from service_rows import insert, row

from local.cloud.accounts import OPERATOR
from report_service.queue import ReportQueue

BUCKET, CLUSTER, SERVICE = "worker-tests", "worker-tests", "worker"


class Agent:
    """The ECS agent of one task: its metadata, and what it was asked to protect."""

    def __init__(self):
        self.protection = []
        agent = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self):
                arn = f"arn:aws:ecs:eu-west-1:{OPERATOR.account_id}:task/{CLUSTER}/0123456789abcdef"
                limits = {"CPU": 0.5, "Memory": 1024}
                self.answer({"Cluster": CLUSTER, "ServiceName": SERVICE, "TaskARN": arn, "Limits": limits})

            def do_PUT(self):
                wanted = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                agent.protection.append(wanted["ProtectionEnabled"])
                self.answer({"protection": wanted})

            def answer(self, body):
                self.send_response(200)
                self.end_headers()
                self.wfile.write(json.dumps(body).encode())

            def log_message(self, *_):
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()


@pytest.fixture
def agent():
    found = Agent()
    yield found
    found.server.shutdown()
    found.server.server_close()


@pytest.fixture(scope="module")
def ecs(cloud):
    """A cluster with a service."""
    client = cloud.client("ecs")
    client.create_cluster(clusterName=CLUSTER)
    container = {"name": "worker", "image": "registry/worker:1", "essential": True}
    client.register_task_definition(family="worker", containerDefinitions=[container])
    client.create_service(cluster=CLUSTER, serviceName=SERVICE, taskDefinition="worker", desiredCount=1)
    cloud.client("s3").create_bucket(Bucket=BUCKET, CreateBucketConfiguration={"LocationConstraint": "eu-west-1"})
    return client


@pytest.fixture(scope="module")
def secret_arn(cloud, snowflake_account):
    """The login in Secrets Manager."""
    made = cloud.client("secretsmanager").create_secret(
        Name="worker-tests", SecretString=json.dumps(snowflake_account.secret())
    )
    return made["ARN"]


@pytest.fixture(scope="module")
def alarm_clock(cloud):
    """The waker as the alarm clock's target, and the role with which it is called."""
    action = {"Action": "lambda:InvokeFunction", "Resource": "*"}
    role = cloud.make_role("alarm-clock", {"Principal": {"Service": "scheduler.amazonaws.com"}}, action)
    own = cloud.make_role("waker", {"Principal": {"Service": "lambda.amazonaws.com"}})
    waker = cloud.make_function("waker", own, "def handler(event, context):\n    return {}\n")
    return {"ALARM_CLOCK_NAME": "worker-tests", "ALARM_CLOCK_TARGET_ARN": waker, "ALARM_CLOCK_ROLE_ARN": role}


@pytest.fixture
def environment(cloud, ecs, secret_arn, alarm_clock, agent, tmp_path):
    """What ECS gives to the container."""
    return {
        "PATH": os.environ["PATH"],
        "AWS_ENDPOINT_URL": cloud.endpoint,
        "AWS_CA_BUNDLE": str(cloud.bundle),
        "AWS_REGION": "eu-west-1",
        "AWS_DEFAULT_REGION": "eu-west-1",
        "AWS_ACCESS_KEY_ID": OPERATOR.access_key_id,
        "AWS_SECRET_ACCESS_KEY": OPERATOR.secret_access_key,
        "ENVIRONMENT": "test",
        "SNOWFLAKE_SECRET_ARN": secret_arn,
        "SNOWFLAKE_DATABASE": "REPORTING_DB",
        "SNOWFLAKE_SCHEMA": "CONFIG",
        "REPORT_BUCKET": BUCKET,
        "HEALTH_FILE": str(tmp_path / "alive"),
        "ECS_CONTAINER_METADATA_URI_V4": agent.url,
        "ECS_AGENT_URI": agent.url,
        "MAX_TASKS": "2",
        "REPORTS_PER_TASK": "5",
        "POLL_SECONDS": "0.1",
        "IDLE_SECONDS": "0.6",
        "LEASE_SECONDS": "30",
        "STOP_SECONDS": "6",
    } | alarm_clock


@pytest.fixture
def start(environment, tmp_path):
    """Start the program; what it wrote can be read from its file `log`."""
    processes = []

    def start_role(*arguments, **changes):
        log = tmp_path / f"log-{len(processes)}"
        with log.open("w") as output:
            command = [sys.executable, "-m", "report_service", *arguments]
            process = subprocess.Popen(command, env=environment | changes, stdout=output, stderr=subprocess.STDOUT)
        process.log = log
        processes.append(process)
        return process

    yield start_role
    for process in processes:
        process.kill()
        process.wait()


def until(condition, seconds=20):
    """Wait for a condition and return whether it came."""
    end = time.monotonic() + seconds
    while not (found := condition()) and time.monotonic() < end:
        time.sleep(0.1)
    return found


def desired(ecs):
    return ecs.describe_services(cluster=CLUSTER, services=[SERVICE])["services"][0]["desiredCount"]


def test_a_worker_makes_what_waits_sets_its_alarm_clock_and_goes_to_sleep(warehouse, start, agent, ecs, cloud):
    ecs.update_service(cluster=CLUSTER, service=SERVICE, desiredCount=1)
    due = datetime.datetime.now(datetime.UTC).replace(tzinfo=None, microsecond=0) + datetime.timedelta(hours=3)
    good = [insert(warehouse, REPORT_NAME="pricing_summary", OUTPUT_FORMAT=name) for name in ("PDF", "CSV", "EXCEL")]
    bad = insert(warehouse, REPORT_NAME="no_such_report")
    later = insert(warehouse, REPORT_NAME="pricing_summary", TRIGGER_TYPE="SCHEDULED", RUN_AT=due)
    worker = start("worker")
    assert until(lambda: desired(ecs) == 0), worker.log.read_text()
    assert [row(warehouse, config_id)["STATUS"] for config_id in good] == ["COMPLETED"] * 3
    assert row(warehouse, bad)["ERROR_CODE"] == "UNKNOWN_REPORT"
    assert row(warehouse, later)["STATUS"] == "PENDING"
    schedule = cloud.client("scheduler").get_schedule(Name="worker-tests")
    rings = datetime.datetime.fromisoformat(schedule["ScheduleExpression"][3:-1])
    assert due <= rings <= due + datetime.timedelta(seconds=1)
    assert agent.protection[0] is True
    assert agent.protection[-1] is False

    # Until SIGTERM it goes on claiming: a row that arrives now is made, and the count that was raised stays.
    last = insert(warehouse, REPORT_NAME="order_priority", OUTPUT_FORMAT="CSV")
    assert until(lambda: row(warehouse, last)["STATUS"] == "COMPLETED"), worker.log.read_text()
    worker.send_signal(signal.SIGTERM)
    assert worker.wait(10) == 0
    assert "Traceback" not in worker.log.read_text()


@pytest.mark.parametrize("service", ["ECS", "SCHEDULER"])
def test_a_worker_goes_to_sleep_when_what_it_needs_for_that_is_back(warehouse, start, ecs, cloud, service):
    ecs.update_service(cluster=CLUSTER, service=SERVICE, desiredCount=1)
    due = datetime.datetime.now(datetime.UTC).replace(tzinfo=None, microsecond=0) + datetime.timedelta(hours=2)
    insert(warehouse, REPORT_NAME="pricing_summary", TRIGGER_TYPE="SCHEDULED", RUN_AT=due)
    proxy = FaultyProxy(cloud.endpoint, str(cloud.bundle))
    proxy.fault = lambda request: ("status", 503)
    try:
        worker = start("worker", **{f"AWS_ENDPOINT_URL_{service}": proxy.url})
        assert until(lambda: "worker.round_failed" in worker.log.read_text()), worker.log.read_text()
        assert desired(ecs) == 1  # no alarm clock, no sleep
        made = insert(warehouse, REPORT_NAME="pricing_summary", OUTPUT_FORMAT="CSV")
        assert until(lambda: row(warehouse, made)["STATUS"] == "COMPLETED", 40), worker.log.read_text()
        proxy.fault = lambda request: None
        assert until(lambda: desired(ecs) == 0, 40), worker.log.read_text()
    finally:
        proxy.close()
    rings = cloud.client("scheduler").get_schedule(Name="worker-tests")["ScheduleExpression"][3:-1]
    assert due <= datetime.datetime.fromisoformat(rings) <= due + datetime.timedelta(seconds=1)
    assert worker.poll() is None
    assert "Traceback" not in worker.log.read_text()


def test_a_worker_without_tables_goes_to_sleep(warehouse, start, ecs):
    ecs.update_service(cluster=CLUSTER, service=SERVICE, desiredCount=1)
    worker = start("worker", SNOWFLAKE_SCHEMA="NOT_DEPLOYED_YET")
    assert until(lambda: desired(ecs) == 0), worker.log.read_text()
    assert worker.poll() is None
    assert "worker.no_queue" in worker.log.read_text()


def test_a_stopping_worker_leaves_no_row_in_processing(warehouse, start):
    rows = [
        insert(warehouse, REPORT_NAME="customer_balance", OUTPUT_FORMAT="EXCEL", PARAMETERS={"minimum_balance": -1000})
        for _ in range(8)
    ]
    worker = start("worker", IDLE_SECONDS="60")
    assert until(lambda: any(row(warehouse, config_id)["STATUS"] == "PROCESSING" for config_id in rows))
    worker.send_signal(signal.SIGTERM)
    assert worker.wait(10) == 0
    found = [row(warehouse, config_id) for config_id in rows]
    assert {entry["STATUS"] for entry in found} <= {"PENDING", "COMPLETED"}
    assert all(entry["ATTEMPTS"] == (entry["STATUS"] == "COMPLETED") for entry in found)


@pytest.mark.parametrize("sessions", ["those of its rounds", "all"])
def test_a_worker_stops_in_time_whatever_hangs(warehouse, start, snowflake_account, cloud, tmp_path, sessions):
    """A query is at work when Snowflake answers no more, to the looks at least: what can be handed back is."""
    folder = tmp_path / "reports" / "endless"
    folder.mkdir(parents=True)
    head = 'title = "x"\ndescription = "x"\nsource = "SNOWFLAKE_SAMPLE_DATA.TPCH_SF1"\n'
    (folder / "report.toml").write_text(head)
    (folder / "query.sql").write_text("SELECT SYSTEM$WAIT(100) AS A FROM SNOWFLAKE_SAMPLE_DATA.TPCH_SF1.REGION LIMIT 1")
    proxy = FaultyProxy(f"http://127.0.0.1:{snowflake_account.port}")
    login = json.dumps(snowflake_account.secret(port=proxy.port))
    secret = cloud.client("secretsmanager").create_secret(Name=f"x-{time.time_ns()}", SecretString=login)
    hang = []

    def fault(request):
        if hang and (sessions == "all" or "V_QUEUE_DEMAND" in sql_of(request[2])):
            hang.append(request)
            return ("slow", 60)
        return None

    proxy.fault = fault
    config_id = insert(warehouse, REPORT_NAME="endless", OUTPUT_FORMAT="CSV")
    environment = {"REPORTS_DIRECTORY": str(folder.parent), "SNOWFLAKE_SECRET_ARN": secret["ARN"]}
    try:
        worker = start("worker", IDLE_SECONDS="60", POLL_SECONDS="0.5", **environment)
        assert until(lambda: row(warehouse, config_id)["STATUS"] == "PROCESSING"), worker.log.read_text()
        time.sleep(1)
        hang.append(None)
        assert until(lambda: len(hang) > 1)
        worker.send_signal(signal.SIGTERM)
        stopped = time.monotonic()
        assert worker.wait(20) == 1
        assert time.monotonic() - stopped < 8  # of STOP_SECONDS = 6
    finally:
        proxy.close()
    found = row(warehouse, config_id)
    if sessions == "all":
        assert found["STATUS"] == "PROCESSING"  # nobody could enter anything: its lease runs out
    else:
        assert (found["STATUS"], found["ATTEMPTS"]) == ("PENDING", 0)
        assert "report.query_cancelled" in worker.log.read_text()
    assert "worker.stopped_late" in worker.log.read_text()
    assert "Traceback" not in worker.log.read_text()


def test_a_ledger_that_somebody_holds_keeps_no_report_waiting(warehouse, start, snowflake_account):
    """A lock that a killed worker has left, here for longer than the test lasts: LEASE_SECONDS is 240."""
    warehouse.change("INSERT INTO REPORT_DELIVERY (CONFIG_ID, CHANNEL, RECIPIENT) VALUES (1, 'email', 'a@example.com')")
    with snowflake_account.warehouse("dead") as dead:
        dead._run(lambda cursor: cursor.execute("UPDATE REPORT_DELIVERY SET ATTEMPTS = 1"))  # and no COMMIT
        first = insert(warehouse, REPORT_NAME="pricing_summary", OUTPUT_FORMAT="CSV")
        worker = start("worker", IDLE_SECONDS="60", LEASE_SECONDS="240")
        # It waits for the lock for 20 seconds, a twelfth of a lease, and then goes on with reports.
        assert until(lambda: row(warehouse, first)["STATUS"] == "COMPLETED", 80), worker.log.read_text()
        assert "worker.deliveries_left" in worker.log.read_text()
    # It has the lock now, or waits for it no more: killed, it would leave one itself.
    worker.terminate()
    assert worker.wait(40) == 0


def test_the_row_of_a_killed_worker_is_made_by_another_one(warehouse, start):
    config_id = insert(warehouse, REPORT_NAME="pricing_summary", OUTPUT_FORMAT="CSV")
    ReportQueue(warehouse, actor="killed", lease_seconds=1).claim(1)
    worker = start("worker", IDLE_SECONDS="60")
    assert until(lambda: row(warehouse, config_id)["STATUS"] == "COMPLETED"), worker.log.read_text()
    assert row(warehouse, config_id)["ATTEMPTS"] == 2


def test_a_worker_that_cannot_log_in_ends_with_1_and_says_why(start, cloud, snowflake_account):
    stranger = snowflake_account.secret(user="NOBODY")
    made = cloud.client("secretsmanager").create_secret(Name=f"x-{time.time_ns()}", SecretString=json.dumps(stranger))
    worker = start("worker", SNOWFLAKE_SECRET_ARN=made["ARN"])
    assert worker.wait(30) == 1
    assert "service.failed" in worker.log.read_text()


def test_the_connection_test_tells_for_each_hop_whether_it_works(start, warehouse):
    good = start("test-connections")
    assert good.wait(30) == 0, good.log.read_text()
    bad = start(ACTION="test_connections", REPORT_BUCKET="no-such-bucket")
    assert bad.wait(30) == 1
    lines = bad.log.read_text().splitlines()
    hops = {line.split(":")[0]: line for line in lines}
    assert "works" in hops["Snowflake login"]
    assert "works" in hops["Snowflake queue"]
    assert "DOES NOT WORK" in hops["S3"]


def test_the_configuration_test_tells_what_is_wrong(start, tmp_path):
    assert start("validate-config").wait(20) == 0
    (tmp_path / "reports" / "broken").mkdir(parents=True)
    broken = start(ACTION="validate_config", REPORTS_DIRECTORY=str(tmp_path / "reports"))
    assert broken.wait(20) == 1
    assert "report.toml is missing" in broken.log.read_text()


def test_a_wrong_environment_or_role_ends_with_1_and_no_traceback(start):
    for process in (start("worker", LEASE_SECONDS="soon"), start("dance"), start("web")):
        assert process.wait(20) == 1
        assert "Traceback" not in process.log.read_text()


def test_the_health_check_fits_both_roles(start, environment, warehouse):
    assert start("health").wait(20) == 1
    start("worker")
    assert until(lambda: os.path.exists(environment["HEALTH_FILE"]))
    assert start("health").wait(20) == 0
    os.utime(environment["HEALTH_FILE"], (1, 1))
    os.remove(environment["HEALTH_FILE"])


def test_the_web_role_answers_and_stops(start, warehouse):
    import socket
    import urllib.request

    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = str(probe.getsockname()[1])
    web = start("web", PORT=port, WEB_HOST="127.0.0.1", API_TOKEN="0123456789abcdef", HEALTH_FILE="/nonexistent/alive")

    def ready():
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/ready", timeout=5) as answer:
                return json.load(answer)
        except OSError:
            return None

    assert until(ready) == {"status": "ready"}, web.log.read_text()
    assert start("health", PORT=port, HEALTH_FILE="/nonexistent/alive").wait(20) == 0
    web.send_signal(signal.SIGTERM)
    assert web.wait(10) == 0
