"""What is around the worker fails, is slow or answers nonsense: the row says why, and it goes on when that is over.

Real worker processes over both stand-ins, with a proxy in between. `make test` takes some cases, `make soak` all.
"""

import collections
import json
import os
import resource
import time

import pytest
from faulty_proxy import FaultyProxy, sql_of
from fleet import Fleet
from service_rows import insert, row

from tests import sql_lint

SOAK = os.environ.get("SNOWGATE_SOAK") == "1"
BUCKET = "faults"
PLACE = f"{sql_lint.NAMES['database']}.{sql_lint.NAMES['config_schema']}"
pytestmark = [pytest.mark.soak, pytest.mark.timeout(180)]


@pytest.fixture
def proxied():
    """Make proxies that end with the test."""
    made = []

    def make(upstream, ca_file=None):
        made.append(FaultyProxy(upstream, ca_file))
        return made[-1]

    yield make
    for proxy in made:
        proxy.close()


@pytest.fixture
def fleet(cloud, snowflake_account, tmp_path):
    """Make a fleet that ends with the test; its mail sender is known to SES."""
    made = []
    ses = cloud.client("sesv2")
    if not ses.list_email_identities().get("EmailIdentities"):
        ses.create_email_identity(EmailIdentity="reports@example.com")

    def make(account=snowflake_account, **changes):
        made.append(Fleet(cloud, account, BUCKET, tmp_path, **({"RETRY_SECONDS": "0.5"} | changes)))
        return made[-1]

    yield make
    for each in made:
        each.end()


@pytest.fixture
def catalogue_of(tmp_path):
    """Make a catalogue in which order_priority is another query; for None it is the one that is shipped."""

    def make(query):
        if query is None:
            return {}
        folder = tmp_path / "reports" / "order_priority"
        folder.mkdir(parents=True)
        head = 'title = "x"\ndescription = "x"\nsource = "SNOWFLAKE_SAMPLE_DATA.TPCH_SF1"\n'
        (folder / "report.toml").write_text(head)
        (folder / "query.sql").write_text(f"{query} FROM SNOWFLAKE_SAMPLE_DATA.TPCH_SF1.REGION LIMIT 1")
        return {"REPORTS_DIRECTORY": str(folder.parent)}

    return make


def until(condition, seconds=40):
    end = time.monotonic() + seconds
    while not (found := condition()) and time.monotonic() < end:
        time.sleep(0.1)
    return found


def reports(warehouse, count, **columns):
    return [insert(warehouse, REPORT_NAME="order_priority", OUTPUT_FORMAT="CSV", **columns) for _ in range(count)]


def statuses(warehouse):
    return collections.Counter(status for (status,) in warehouse.rows("SELECT STATUS FROM REPORT_CONFIG"))


def assert_each_ended_once(account, warehouse, rows):
    """All COMPLETED, one end each in the audit log."""
    assert statuses(warehouse) == {"COMPLETED": len(rows)}
    with account.administrator.cursor() as cursor:
        cursor.execute(f"SELECT CONFIG_ID FROM {PLACE}.REPORT_AUDIT_LOG WHERE TO_STATUS = 'COMPLETED'")
        ended = collections.Counter(int(config_id) for (config_id,) in cursor.fetchall())
    assert ended == dict.fromkeys(rows, 1)


KINDS = {
    "500": ("status", 500),
    "503": ("status", 503),
    "nonsense": ("nonsense", "<html>Welcome</html>"),
    "cut": "cut",
    "cut after": "cut after",
    "slow": ("slow", 4),
}


@pytest.mark.parametrize("kind", ["500", "503", "nonsense", "cut", "cut after"] if SOAK else ["503", "nonsense"])
def test_s3_fails_and_the_report_is_made_when_it_is_back(warehouse, cloud, proxied, fleet, kind):
    s3 = proxied(cloud.endpoint, str(cloud.bundle))
    s3.fault = lambda request: KINDS[kind] if request[0] == "PUT" else None
    worker = fleet(AWS_ENDPOINT_URL_S3=s3.url, RETRY_SECONDS="2").start()
    (config_id,) = reports(warehouse, 1, MAX_ATTEMPTS=50)
    (last,) = reports(warehouse, 1, MAX_ATTEMPTS=1)
    assert until(lambda: row(warehouse, config_id)["ERROR_CODE"]), worker.log.read_text()
    found = row(warehouse, config_id)
    assert (found["STATUS"], found["ERROR_CODE"]) in {("PENDING", "UPLOAD_FAILED"), ("PROCESSING", "UPLOAD_FAILED")}
    assert f"s3://{BUCKET}/reports/order_priority/" in found["ERROR_MESSAGE"]
    assert until(lambda: row(warehouse, last)["STATUS"] == "FAILED")
    assert row(warehouse, last)["ERROR_CODE"] == "UPLOAD_FAILED"
    s3.fault = lambda request: None
    assert until(lambda: row(warehouse, config_id)["STATUS"] == "COMPLETED"), row(warehouse, config_id)
    found = row(warehouse, config_id)
    key = found["S3_LOCATION"].removeprefix(f"s3://{BUCKET}/")
    assert f"/{found['ATTEMPTS']}/" in key
    assert cloud.client("s3").head_object(Bucket=BUCKET, Key=key)["ContentLength"] == found["FILE_BYTES"]
    assert worker.poll() is None
    assert "Traceback" not in worker.log.read_text()


@pytest.mark.parametrize(
    ("kind", "status"), [("503", "PENDING"), ("cut after", "UNCERTAIN"), ("nonsense", "UNCERTAIN")]
)
def test_ses_fails_and_nobody_is_told_twice(warehouse, cloud, proxied, fleet, kind, status):
    ses = proxied(cloud.endpoint, str(cloud.bundle))
    calls = []
    ses.fault = lambda request: calls.append(request) or KINDS[kind]
    worker = fleet(AWS_ENDPOINT_URL_SESV2=ses.url).start()
    (config_id,) = reports(warehouse, 1, RECIPIENTS=[{"channel": "email", "to": "a@example.com"}])
    ledger = "SELECT STATUS, ERROR_CODE, ERROR_MESSAGE FROM REPORT_DELIVERY WHERE ATTEMPTS > 0 AND STATUS <> 'SENDING'"
    assert until(lambda: warehouse.rows(ledger)), worker.log.read_text()
    ((found, code, message),) = warehouse.rows(ledger)
    assert found == status
    assert code
    assert message
    ses.fault = lambda request: None
    if status == "PENDING":
        warehouse.change("UPDATE REPORT_DELIVERY SET NOT_BEFORE = NULL")
        sent = "SELECT COUNT(*) FROM REPORT_DELIVERY WHERE STATUS = 'SENT'"
        assert until(lambda: warehouse.rows(sent)[0][0] == 1), worker.log.read_text()
    else:
        time.sleep(3)
        assert warehouse.rows(ledger)[0][0] == "UNCERTAIN"
        assert len(calls) == 1
    assert len(ses.seen) <= 1
    assert row(warehouse, config_id)["STATUS"] == "COMPLETED"
    assert "Traceback" not in worker.log.read_text()


STEPS = {
    "look": "FROM V_QUEUE_DEMAND",
    "claim": "SET STATUS = 'PROCESSING'",
    "what was claimed": "SELECT CONFIG_ID, CLAIM_TOKEN, ATTEMPTS",
    "query": "Orders by priority",
    "settling": "SET STATUS = OUTCOMES.STATUS",
    "audit": "SELECT CONFIG_ID, ATTEMPT, 'PROCESSING'",
    "ledger": "SET STATUS = 'SENDING'",
    "commit": "COMMIT",
    "heartbeat": "SET LEASE_UNTIL = DATEADD('SECOND', ?, SYSDATE())\nWHERE CONFIG_ID IN",
}
SHORT = {("look", "503"), ("claim", "cut"), ("commit", "cut after"), ("settling", "nonsense"), ("heartbeat", "503")}


@pytest.mark.parametrize(
    ("step", "kind"),
    [(step, kind) for step in STEPS for kind in KINDS if SOAK or (step, kind) in SHORT],
)
def test_snowflake_fails_at_a_step_and_every_report_ends_once(
    snowflake_account, warehouse, cloud, proxied, fleet, catalogue_of, step, kind
):
    proxy = proxied(f"http://127.0.0.1:{snowflake_account.port}")
    struck = []

    def fault(request):
        if len(struck) < 3 and STEPS[step] in sql_of(request[2]):
            struck.append(step)
            return KINDS[kind]
        return None

    proxy.fault = fault

    class Through:
        def secret(self):
            return snowflake_account.secret(port=proxy.port)

    rows = reports(warehouse, 4, MAX_ATTEMPTS=20, RECIPIENTS=[{"channel": "email", "to": "a@example.com"}])
    # Of a heartbeat it takes a report that lasts for more than two seconds to see one.
    query = "-- Orders by priority\nSELECT SYSTEM$WAIT(5) AS WAITED" if step == "heartbeat" else None
    worker = fleet(Through(), **catalogue_of(query)).start()
    done = until(lambda: statuses(warehouse) == {"COMPLETED": 4}, 90)
    assert done, (statuses(warehouse), struck, worker.log.read_text()[-3000:])
    assert_each_ended_once(snowflake_account, warehouse, rows)
    sent = "SELECT COUNT(*) FROM REPORT_DELIVERY WHERE STATUS = 'SENT' AND ATTEMPTS = 1"
    assert until(lambda: warehouse.rows(sent)[0][0] == 4, 60), warehouse.rows("SELECT * FROM REPORT_DELIVERY")
    assert struck
    assert worker.poll() is None
    assert "Traceback" not in worker.log.read_text()


def test_a_full_disk_is_told_in_the_row_and_other_reports_go_on(warehouse, fleet, tmp_path):
    def small_files():
        resource.setrlimit(resource.RLIMIT_FSIZE, (30_000, 30_000))

    # Python ignores SIGXFSZ, so a write beyond the limit fails with EFBIG, as one on a full disk does with ENOSPC.
    fleet_ = fleet()
    worker = fleet_.start(preexec_fn=small_files, LOG_LEVEL="ERROR")
    large = insert(
        warehouse,
        REPORT_NAME="customer_balance",
        OUTPUT_FORMAT="EXCEL",
        PARAMETERS={"minimum_balance": -1000},
        MAX_ATTEMPTS=2,
    )
    small = reports(warehouse, 3)
    assert until(lambda: row(warehouse, large)["STATUS"] == "FAILED"), worker.log.read_text()
    assert row(warehouse, large)["ERROR_CODE"] == "OUT_OF_DISK"
    assert "no space left" in row(warehouse, large)["ERROR_MESSAGE"]
    assert until(lambda: all(row(warehouse, config_id)["STATUS"] == "COMPLETED" for config_id in small))
    assert worker.poll() is None
    assert list(tmp_path.glob("excel-*")) == []


def test_a_report_that_kills_its_worker_fails_alone(snowflake_account, warehouse, fleet):
    good = reports(warehouse, 4)
    poison = insert(warehouse, REPORT_NAME="order_priority", OUTPUT_FORMAT="EXCEL")
    good += reports(warehouse, 4)
    workers = fleet()
    process = workers.start()
    killed = 0
    end = time.monotonic() + 100
    while time.monotonic() < end and row(warehouse, poison)["STATUS"] not in ("COMPLETED", "FAILED"):
        if row(warehouse, poison)["STATUS"] == "PROCESSING" and row(warehouse, poison)["ATTEMPTS"] > killed:
            if row(warehouse, poison)["ATTEMPTS"] <= 3:
                workers.kill(process)  # as the kernel does when memory is out: exit code 137
                process = workers.start()
            killed += 1
        time.sleep(0.05)
    found = row(warehouse, poison)
    assert (found["STATUS"], found["ERROR_CODE"]) == ("FAILED", "LEASE_LOST"), workers.logs[-1].read_text()
    assert "stopped before the report was made" in found["ERROR_MESSAGE"]
    assert until(lambda: all(row(warehouse, config_id)["STATUS"] == "COMPLETED" for config_id in good))
    assert max(row(warehouse, config_id)["ATTEMPTS"] for config_id in good) <= 2


# Goes before all else in the worker's process: its clock is that of the machine, shifted by the seconds in a file.
SHIFTED = """
import datetime, os, time
machine, Real = time.time, datetime.datetime

def shift():
    try:
        return float(open(os.environ["CLOCK_SHIFT"]).read())
    except (OSError, ValueError):
        return 0.0

class Shifted(Real):
    @classmethod
    def now(cls, tz=None):
        return Real.now(tz) + datetime.timedelta(seconds=shift())

    @classmethod
    def utcnow(cls):
        return Real.utcnow() + datetime.timedelta(seconds=shift())

time.time = lambda: machine() + shift()
datetime.datetime = Shifted
"""


@pytest.mark.parametrize("hours", [1, -1])
def test_a_clock_that_jumps_by_an_hour_loses_no_lease_and_no_time(
    snowflake_account, warehouse, fleet, catalogue_of, tmp_path, hours
):
    """AWS takes no signature of another hour: rows wait with that reason, and are made when the clock is right."""
    shim, clock = tmp_path / "shim", tmp_path / "clock"
    shim.mkdir()
    (shim / "sitecustomize.py").write_text(SHIFTED)
    query = catalogue_of("SELECT SYSTEM$WAIT(3) AS WAITED")
    worker = fleet(PYTHONPATH=str(shim), CLOCK_SHIFT=str(clock), **query).start()
    rows = reports(warehouse, 2, MAX_ATTEMPTS=50)
    cron = {"TRIGGER_TYPE": "SCHEDULED", "SCHEDULE_CRON": "* * * * *", "RUN_AT": "2026-01-01 00:00:00"}
    rows += reports(warehouse, 1, MAX_ATTEMPTS=50, **cron)
    assert until(lambda: statuses(warehouse)["PROCESSING"] == 3), worker.log.read_text()
    clock.write_text(str(hours * 3600))
    assert until(lambda: all(row(warehouse, config_id)["ERROR_CODE"] for config_id in rows)), worker.log.read_text()
    assert {row(warehouse, config_id)["ERROR_CODE"] for config_id in rows} == {"UPLOAD_FAILED"}
    assert "TimeTooSkewed" in row(warehouse, rows[0])["ERROR_MESSAGE"]
    clock.write_text("0")
    made = "SELECT COUNT(*) FROM REPORT_CONFIG WHERE STATUS = 'COMPLETED' AND PARENT_ID IS NULL"
    assert until(lambda: warehouse.rows(made)[0][0] == 3), worker.log.read_text()
    with snowflake_account.administrator.cursor() as cursor:
        cursor.execute(f"SELECT COUNT(*) FROM {PLACE}.REPORT_AUDIT_LOG WHERE DETAIL LIKE '%stopped before%'")
        assert cursor.fetchone() == (0,)
    ((seconds,),) = warehouse.rows(
        "SELECT DATEDIFF('SECOND', P.FINISHED_AT, S.RUN_AT) FROM REPORT_CONFIG P JOIN REPORT_CONFIG S "
        "ON S.PARENT_ID = P.CONFIG_ID WHERE P.CONFIG_ID = ?",
        (rows[2],),
    )
    assert -2 <= seconds <= 61
    logged = [json.loads(line)["time"][:13] for line in worker.log.read_text().splitlines() if line.startswith("{")]
    assert len(set(logged)) >= 2  # its own clock did jump
    assert "Traceback" not in worker.log.read_text()
