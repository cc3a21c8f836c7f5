"""From a row to a file in S3, over the real protocols of both stand-ins."""

import csv
import ctypes
import dataclasses
import datetime
import hashlib
import io
import threading
import time
from contextlib import contextmanager
from decimal import Decimal
from types import SimpleNamespace

import openpyxl
import polars
import pyarrow as pa
import pypdfium2
import pytest
from service_rows import insert, row
from snowflake.connector._internal.arrow_context import ArrowConverterContext
from snowflake.connector._internal.arrow_stream_utils import create_table_iterator

from report_service.attempt import Attempt
from report_service.catalogue import OutputFormat, load_catalogue
from report_service.errors import ErrorCode, ReportError
from report_service.heartbeat import Heartbeat
from report_service.queue import ReportQueue
from report_service.requests import Request
from report_service.results import _cast, _check_years, _cut, open_result
from report_service.storage import Storage
from report_service.warehouse import _tables
from report_service.workshop import Workshop

BUCKET = "service-tests"


@pytest.fixture(scope="module")
def s3(cloud):
    client = cloud.client("s3")
    client.create_bucket(Bucket=BUCKET, CreateBucketConfiguration={"LocationConstraint": "eu-west-1"})
    return client


@pytest.fixture(scope="module")
def workshop(catalogue, s3):
    return Workshop(catalogue, Storage(s3, BUCKET), retry_seconds=3600)


def carry_out(workshop, claim, warehouse, queue):
    """Make a report and enter how that ended."""
    queue.settle([workshop.carry_out(Attempt(claim), warehouse)])


@pytest.fixture
def make(warehouse, queue, workshop, s3):
    """Insert a row, carry it out, return it with its file."""

    def make_one(**columns):
        config_id = insert(warehouse, **columns)
        claim = next(claim for claim in queue.claim(50) if claim.config_id == config_id)
        carry_out(workshop, claim, warehouse, queue)
        found = row(warehouse, config_id)
        location = found["S3_LOCATION"]
        if location is None:
            return found, None
        key = location.removeprefix(f"s3://{BUCKET}/")
        return found, s3.get_object(Bucket=BUCKET, Key=key)["Body"].read()

    return make_one


def test_the_row_says_exactly_which_file_was_made(make):
    found, file = make(REPORT_NAME="Pricing_Summary", OUTPUT_FORMAT="csv")
    assert found["STATUS"] == "COMPLETED", found["ERROR_MESSAGE"]
    assert found["FILE_BYTES"] == len(file)
    assert found["FILE_SHA256"] == hashlib.sha256(file).hexdigest()
    assert found["ROW_COUNT"] == 4
    day = found["STARTED_AT"]
    start = f"s3://{BUCKET}/reports/pricing_summary/{day:%Y/%m/%d}/{found['CONFIG_ID']}/1/"
    assert found["S3_LOCATION"] == f"{start}pricing_summary.csv"


def test_the_pricing_summary_adds_up_to_the_cent(make, sample_data):
    import pyarrow.compute as pc
    import pyarrow.parquet as pq

    lines = pq.read_table(sample_data / "lineitem.parquet")
    flags = pc.and_(pc.equal(lines["l_returnflag"], "R"), pc.equal(lines["l_linestatus"], "F"))
    expected = pc.sum(lines.filter(flags)["l_extendedprice"]).as_py()
    _, file = make(REPORT_NAME="pricing_summary", OUTPUT_FORMAT="CSV", PARAMETERS={"DELTA": 90})
    rows = {(line["L_RETURNFLAG"], line["L_LINESTATUS"]): line for line in csv.DictReader(io.StringIO(file.decode()))}
    assert list(rows) == [("A", "F"), ("N", "F"), ("N", "O"), ("R", "F")]
    assert Decimal(rows["R", "F"]["SUM_BASE_PRICE"]) == expected


def test_a_recurring_report_is_planned_by_snowflakes_clock(warehouse, queue, workshop):
    columns = {"TRIGGER_TYPE": "SCHEDULED", "SCHEDULE_CRON": "0 6 * * *", "SCHEDULE_TIMEZONE": "Europe/Berlin"}
    config_id = insert(warehouse, REPORT_NAME="pricing_summary", **columns)
    (claim,) = queue.claim(1)
    claim = dataclasses.replace(claim, claimed_at=datetime.datetime(2031, 5, 1, 12))
    carry_out(workshop, claim, warehouse, queue)
    assert row(warehouse, config_id)["RUN_AT"] == datetime.datetime(2031, 5, 2, 4)


NEEDED = {"sales_report": {"start_date": "1997-01-01", "end_date": "1997-12-31"}}


@pytest.mark.parametrize("report", ["sales_report", "customer_balance", "order_priority", "pricing_summary"])
def test_every_report_is_made_in_every_format(make, catalogue, report):
    counts = set()
    for output in ("CSV", "EXCEL", "PDF"):
        found, file = make(REPORT_NAME=report.upper(), OUTPUT_FORMAT=output, PARAMETERS=NEEDED.get(report, {}))
        assert found["STATUS"] == "COMPLETED", found["ERROR_MESSAGE"]
        counts.add(found["ROW_COUNT"])
        if output == "CSV":
            assert len(list(csv.reader(io.StringIO(file.decode())))) == found["ROW_COUNT"] + 1
        elif output == "EXCEL":
            sheet = openpyxl.load_workbook(io.BytesIO(file)).worksheets[0]
            assert sheet.max_row == found["ROW_COUNT"] + 2  # with the header and the totals
        else:
            text = pypdfium2.PdfDocument(file)[0].get_textpage().get_text_range()
            assert catalogue[report].definition.title in text
            assert f"{found['ROW_COUNT']:,}" in text
    assert len(counts) == 1
    assert counts != {0}


def test_parameters_decide_what_is_in_the_file(make):
    wanted = {"segment": "BUILDING", "minimum_balance": 9000}
    _, file = make(REPORT_NAME="customer_balance", OUTPUT_FORMAT="CSV", PARAMETERS=wanted)
    rows = list(csv.DictReader(io.StringIO(file.decode())))
    assert rows
    assert {line["SEGMENT"] for line in rows} == {"BUILDING"}
    assert min(Decimal(line["BALANCE"]) for line in rows) >= 9000


def test_a_file_names_its_parameters_with_all_their_digits(make):
    _, file = make(REPORT_NAME="customer_balance", OUTPUT_FORMAT="PDF", PARAMETERS={"minimum_balance": 9998.765})
    assert "9998.765" in pypdfium2.PdfDocument(file)[0].get_textpage().get_text_range()
    _, file = make(REPORT_NAME="customer_balance", OUTPUT_FORMAT="PDF", PARAMETERS={"minimum_balance": 9998.0})
    assert "9998\r\n" in pypdfium2.PdfDocument(file)[0].get_textpage().get_text_range()


BAD_ROWS = [
    ("UNKNOWN_REPORT", "sales_report", {"REPORT_NAME": "sales_reprot"}),
    ("UNKNOWN_REPORT", "pricing_summary", {"REPORT_NAME": "'; DROP TABLE REPORT_CONFIG; --"}),
    ("INVALID_PARAMETER", "delta", {"PARAMETERS": {"delta": 99999}}),
    ("INVALID_PARAMETER", "whole number", {"PARAMETERS": {"delta": "90; DROP TABLE REPORT_CONFIG"}}),
    ("INVALID_PARAMETER", "delta", {"PARAMETERS": {"days": 90}}),
    ("INVALID_PARAMETER", "object", {"PARAMETERS": [1, 2, 3]}),
    (
        "INVALID_PARAMETER",
        "must not be later",
        {
            "REPORT_NAME": "sales_report",
            "PARAMETERS": {"start_date": "1997-05-01", "end_date": "1997-04-01"},
        },
    ),
    (
        "INVALID_PARAMETER",
        "sales_report needs start_date (a date as yyyy-mm-dd from 1992-01-01 to 1998-12-31) and end_date",
        {"REPORT_NAME": "sales_report"},
    ),
    (
        "INVALID_PARAMETER",
        "end_date (a date",
        {"REPORT_NAME": "sales_report", "PARAMETERS": {"START_DATE": "1997-01-01", "end_date": None}},
    ),
    ("INVALID_PARAMETER", "start_date", {"REPORT_NAME": "sales_report", "PARAMETERS": {"start_date": "yesterday"}}),
    (
        "INVALID_PARAMETER",
        "one of ALL",
        {
            "REPORT_NAME": "customer_balance",
            "PARAMETERS": {"segment": "' OR 1=1 --"},
        },
    ),
    ("UNKNOWN_FORMAT", "PDF, EXCEL, CSV", {"OUTPUT_FORMAT": "DOCX"}),
    ("UNKNOWN_FORMAT", "PDF, EXCEL, CSV", {"OUTPUT_FORMAT": ""}),
    ("INVALID_RECIPIENT", "no-address", {"RECIPIENTS": [{"channel": "email", "to": "no-address"}]}),
    ("INVALID_RECIPIENT", "email", {"RECIPIENTS": [{"channel": "pigeon", "to": "a@example.com"}]}),
    ("INVALID_RECIPIENT", "channel and to", {"RECIPIENTS": ["a@example.com"]}),
    ("INVALID_RECIPIENT", "list", {"RECIPIENTS": {"to": "a@example.com"}}),
    ("INVALID_SCHEDULE", "SCHEDULE_CRON", {"TRIGGER_TYPE": "SCHEDULED", "SCHEDULE_CRON": "every day"}),
    ("INVALID_SCHEDULE", "30 2", {"TRIGGER_TYPE": "SCHEDULED", "SCHEDULE_CRON": "0 0 30 2 *"}),
    (
        "INVALID_SCHEDULE",
        "Mars",
        {
            "TRIGGER_TYPE": "SCHEDULED",
            "SCHEDULE_CRON": "0 6 * * *",
            "SCHEDULE_TIMEZONE": "Mars/Olympus",
        },
    ),
    ("INVALID_TRIGGER_TYPE", "ADHOC (the default) and SCHEDULED", {"TRIGGER_TYPE": "SOMETIMES"}),
    ("INVALID_STATUS", "PENDING", {"STATUS": "whatever"}),
    ("INVALID_ROW", "MAX_ATTEMPTS", {"MAX_ATTEMPTS": 0}),
    (
        "UNKNOWN_REPORT",
        "there are",
        {
            "REPORT_NAME": "\x00\n🤷",
            "TRIGGER_TYPE": "SCHEDULED",
            "PARAMETERS": ["nonsense"],
            "OUTPUT_FORMAT": "?",
            "SCHEDULE_TIMEZONE": "?",
            "PRIORITY": -5,
            "IDEMPOTENCY_KEY": "'",
        },
    ),
]


@pytest.fixture(scope="module")
def bad_rows(snowflake_account, session, workshop):
    """BAD_ROWS as they stand in the table after one round of a worker, which a row that is due later outlives."""
    snowflake_account.empty_tables()
    queue = ReportQueue(session, actor="one", lease_seconds=60)
    numbers = [insert(session, **({"REPORT_NAME": "pricing_summary"} | columns)) for _, _, columns in BAD_ROWS]
    later = insert(session, REPORT_NAME="pricing_summary", RUN_AT="2050-01-01")
    for claim in queue.claim(100):
        carry_out(workshop, claim, session, queue)
    assert row(session, later)["STATUS"] == "PENDING"
    return [row(session, number) for number in numbers]


@pytest.mark.parametrize("number", range(len(BAD_ROWS)), ids=[f"{code}-{word}" for code, word, _ in BAD_ROWS])
def test_bad_input_fails_at_once_with_a_clear_error(bad_rows, number):
    (code, word, _), found = BAD_ROWS[number], bad_rows[number]
    assert (found["STATUS"], found["ERROR_CODE"], found["ATTEMPTS"]) == ("FAILED", code, 1)
    assert word in found["ERROR_MESSAGE"]
    assert found["S3_LOCATION"] is None


def test_a_recurring_row_is_planned_first_and_costs_no_attempt(make):
    found, _ = make(REPORT_NAME="pricing_summary", TRIGGER_TYPE="SCHEDULED", SCHEDULE_CRON="0 6 * * *")
    assert (found["STATUS"], found["ATTEMPTS"], found["RUN_AT"].hour) == ("PENDING", 0, 6)


def test_a_recurring_row_that_is_due_is_made_and_followed(warehouse, make, queue):
    found, file = make(
        REPORT_NAME="pricing_summary",
        TRIGGER_TYPE="SCHEDULED",
        SCHEDULE_CRON="*/5 * * * *",
        RUN_AT="2026-01-01 00:00:00",
    )
    assert found["STATUS"] == "COMPLETED"
    assert file
    (successor,) = [job for job in queue.jobs(5) if job.config_id != found["CONFIG_ID"]]
    assert successor.status == "PENDING"
    assert successor.run_at > found["FINISHED_AT"]


def test_a_file_that_cannot_be_stored_is_tried_again_and_then_fails(warehouse, queue, catalogue, s3):
    workshop = Workshop(catalogue, Storage(s3, "no-such-bucket"), retry_seconds=0.001)
    config_id = insert(warehouse, REPORT_NAME="pricing_summary", MAX_ATTEMPTS=2)
    states = []
    for _ in range(2):
        warehouse.change("UPDATE REPORT_CONFIG SET NOT_BEFORE = NULL")
        (claim,) = queue.claim(1)
        carry_out(workshop, claim, warehouse, queue)
        found = row(warehouse, config_id)
        states.append((found["STATUS"], found["ERROR_CODE"]))
    assert states == [("PENDING", "UPLOAD_FAILED"), ("FAILED", "UPLOAD_FAILED")]


def test_a_row_that_was_tried_for_years_waits_no_longer_than_others(warehouse, queue, catalogue, s3):
    workshop = Workshop(catalogue, Storage(s3, "no-such-bucket"))
    config_id = insert(warehouse, REPORT_NAME="pricing_summary", OUTPUT_FORMAT="CSV", ATTEMPTS=5000, MAX_ATTEMPTS=10000)
    (claim,) = queue.claim(1)
    carry_out(workshop, claim, warehouse, queue)
    assert (row(warehouse, config_id)["STATUS"], row(warehouse, config_id)["ERROR_CODE"]) == (
        "PENDING",
        "UPLOAD_FAILED",
    )


def test_a_row_whose_workers_all_died_fails_with_the_reason(warehouse, queue, workshop):
    config_id = insert(warehouse, REPORT_NAME="pricing_summary", MAX_ATTEMPTS=1)
    queue.claim(1)
    warehouse.change("UPDATE REPORT_CONFIG SET LEASE_UNTIL = DATEADD('SECOND', -1, SYSDATE())")
    (claim,) = queue.claim_lost()
    carry_out(workshop, claim, warehouse, queue)
    found = row(warehouse, config_id)
    assert (found["STATUS"], found["ERROR_CODE"]) == ("FAILED", "LEASE_LOST")
    assert "attempt 1 of 1" in found["ERROR_MESSAGE"]


def test_an_attempt_whose_lease_was_lost_comes_to_nothing(warehouse, queue, workshop):
    insert(warehouse, REPORT_NAME="pricing_summary")
    attempt = Attempt(queue.claim(1)[0])
    attempt.lose()
    assert workshop.carry_out(attempt, warehouse) is None


def test_a_stopping_worker_hands_its_row_back(warehouse, queue, workshop):
    config_id = insert(warehouse, REPORT_NAME="pricing_summary")
    attempt = Attempt(queue.claim(1)[0])
    attempt.stop()
    queue.settle([workshop.carry_out(attempt, warehouse)])
    assert (row(warehouse, config_id)["STATUS"], row(warehouse, config_id)["ATTEMPTS"]) == ("PENDING", 0)


@pytest.fixture
def endless(tmp_path, s3):
    """A workshop whose report runs for hours."""
    folder = tmp_path / "endless"
    folder.mkdir()
    (folder / "report.toml").write_text('title = "x"\ndescription = "x"\nsource = "SNOWFLAKE_SAMPLE_DATA.TPCH_SF1"\n')
    nation = "SNOWFLAKE_SAMPLE_DATA.TPCH_SF1.NATION"
    crossed = ", ".join(f"{nation} N{number}" for number in range(9))
    (folder / "query.sql").write_text(f"SELECT COUNT(*) AS N FROM {crossed}")
    return Workshop(load_catalogue(tmp_path), Storage(s3, BUCKET))


@pytest.mark.parametrize("end", ["lose", "stop"])
def test_a_query_that_runs_is_ended_when_its_report_is_cancelled_or_its_worker_stops(
    snowflake_account, warehouse, queue, endless, end
):
    insert(warehouse, REPORT_NAME="endless")
    attempt = Attempt(queue.claim(1)[0])
    outcomes = []
    with snowflake_account.warehouse("lane") as lane:
        thread = threading.Thread(target=lambda: outcomes.append(endless.carry_out(attempt, lane)))
        thread.start()
        time.sleep(1.5)
        assert thread.is_alive()
        getattr(attempt, end)()
        attempt.end_query(queue.cancel_queries)
        thread.join(10)
        assert lane.rows("SELECT 1") == [(1,)]
    (outcome,) = outcomes
    assert (outcome and outcome.detail) == (None if end == "lose" else "handed back: the worker is stopping")


def limited(tmp_path, s3, limits, query="SELECT N_NAME FROM SNOWFLAKE_SAMPLE_DATA.TPCH_SF1.NATION"):
    """A workshop of one report, `limited`."""
    folder = tmp_path / "limited"
    folder.mkdir()
    head = 'title = "x"\ndescription = "x"\nsource = "SNOWFLAKE_SAMPLE_DATA.TPCH_SF1"\n'
    (folder / "report.toml").write_text(f"{head}limits = {limits}\n")
    (folder / "query.sql").write_text(query)
    return Workshop(load_catalogue(tmp_path), Storage(s3, BUCKET))


@pytest.mark.parametrize("output", list(OutputFormat))
def test_a_file_beyond_its_bytes_fails_and_leaves_nothing(warehouse, queue, tmp_path, s3, output):
    config_id = insert(warehouse, REPORT_NAME="limited", OUTPUT_FORMAT=output)
    (claim,) = queue.claim(1)
    carry_out(limited(tmp_path, s3, "{ bytes = 100 }"), claim, warehouse, queue)
    found = row(warehouse, config_id)
    assert (found["STATUS"], found["ERROR_CODE"], found["S3_LOCATION"]) == ("FAILED", "FILE_TOO_LARGE", None)
    assert "more than 100 bytes" in found["ERROR_MESSAGE"]
    assert "Contents" not in s3.list_objects_v2(Bucket=BUCKET, Prefix="reports/limited/")


def test_a_report_beyond_its_seconds_is_ended_with_its_query(snowflake_account, warehouse, queue, tmp_path, s3):
    nation = "SNOWFLAKE_SAMPLE_DATA.TPCH_SF1.NATION"
    crossed = ", ".join(f"{nation} N{number}" for number in range(9))
    workshop = limited(tmp_path, s3, "{ seconds = 1.0 }", f"SELECT COUNT(*) AS N FROM {crossed}")
    insert(warehouse, REPORT_NAME="limited")
    heartbeat = Heartbeat(queue, lease_seconds=60)
    attempt = heartbeat.add(queue.claim(1)[0])
    outcomes = []
    with snowflake_account.warehouse("lane") as lane:
        thread = threading.Thread(target=lambda: outcomes.append(workshop.carry_out(attempt, lane)))
        thread.start()
        heartbeat.beat()
        time.sleep(1.5)
        assert thread.is_alive()
        heartbeat.beat()
        thread.join(10)
    assert (outcomes[0].status, outcomes[0].error_code) == ("FAILED", "TOO_SLOW")
    assert "more than 1 s" in outcomes[0].error_message


def test_a_date_beyond_the_calendar_is_refused_by_the_name_of_its_column():
    year_10_000 = pa.table({"GOOD": [None, datetime.date.max], "DAY": pa.array([0, 3_000_000], pa.date32())})
    with pytest.raises(ReportError, match="Column DAY of a holds a date outside of the years 1 to 9999"):
        _check_years(year_10_000, "a")
    _check_years(pa.table({"DAY": [datetime.date.min, None, datetime.date.max]}), "a")
    _check_years(pa.table({"DAY": pa.array([None], pa.date32())}), "a")


@pytest.mark.parametrize(("unit", "ticks"), [("s", 1), ("ms", 10**3), ("us", 10**6)])
def test_a_time_beyond_the_calendar_is_refused_by_the_name_of_its_column(unit, ticks):
    first, after = -62_135_596_800 * ticks, 253_402_300_800 * ticks
    _check_years(pa.table({"AT": pa.array([first, None, after - 1], pa.timestamp(unit))}), "a")
    for wrong in (first - 1, after):
        with pytest.raises(ReportError, match="Column AT of a holds a date outside of the years 1 to 9999"):
            _check_years(pa.table({"AT": pa.array([wrong], pa.timestamp(unit, "UTC"))}), "a")


NANOSECOND = pa.array([1], pa.timestamp("ns"))
YEAR_9999 = pa.array([253_370_764_800 * 10**6], pa.timestamp("us"))


@pytest.mark.parametrize(
    ("first", "later"),
    [(NANOSECOND, YEAR_9999), (YEAR_9999, NANOSECOND), (pa.array([1]), pa.array([Decimal(10**37)]))],
)
def test_values_that_do_not_fit_the_type_of_the_first_are_refused_by_the_name_of_their_column(first, later):
    schema = pa.schema([("GOOD", pa.int64()), ("BAD", first.type)])
    with pytest.raises(ReportError, match="Column BAD of a begins as") as refused:
        _cast(pa.table({"GOOD": [1], "BAD": later}), schema, "a")
    assert (refused.value.code, refused.value.retry) == (ErrorCode.QUERY_FAILED, False)
    assert _cast(pa.table({"GOOD": [1], "BAD": first}), schema, "a").schema == schema


class FineTimes:
    """A session with one row of a TIMESTAMP_NTZ(9), as Snowflake sends it, through the connector's own conversion."""

    def __init__(self, seconds, fraction):
        kind = pa.struct([("epoch", pa.int64()), ("fraction", pa.int32())])
        meaning = {
            "logicalType": "TIMESTAMP_NTZ",
            "scale": "9",
            "precision": "0",
            "charLength": "0",
            "nullable": "true",
        }
        schema = pa.schema([pa.field("AT", kind, metadata=meaning)])
        row = pa.array([{"epoch": seconds, "fraction": fraction}], kind)
        self._reader = pa.RecordBatchReader.from_batches(schema, [pa.RecordBatch.from_arrays([row], schema=schema)])
        self.description = [
            SimpleNamespace(name="N", type_code=0, scale=8),
            SimpleNamespace(name="AT", type_code=8, scale=9),
        ]

    @contextmanager
    def batches(self, sql, values, query_tag):
        yield _tables(self)

    def fetch_arrow_batches(self):
        stream = ctypes.create_string_buffer(1024)
        self._reader._export_to_c(ctypes.addressof(stream))
        for batch in create_table_iterator(ctypes.addressof(stream), context=ArrowConverterContext()):
            yield pa.Table.from_batches([batch])


def test_a_nanosecond_beyond_the_year_2262_is_refused_by_the_name_of_its_column(catalogue):
    request = Request(catalogue.find("pricing_summary"), OutputFormat.CSV, {"delta": 90}, ())

    def read(*time):
        with open_result(FineTimes(*time), request, query_tag="t", still_wanted=lambda: None) as result:
            return pa.Table.from_batches(result.batches).column("AT").type

    assert read(1_700_000_000, 123_456_789) == pa.timestamp("ns")
    assert read(10_413_792_000, 123_456_000) == pa.timestamp("us")
    with pytest.raises(
        ReportError, match=r"'2262-04-11.*query\.sql must cast AT, like ::TIMESTAMP_NTZ\(6\)"
    ) as refused:
        read(10_413_792_000, 123_456_789)
    assert (refused.value.code, refused.value.retry) == (ErrorCode.QUERY_FAILED, False)


@pytest.mark.parametrize("output", list(OutputFormat))
def test_a_report_of_no_rows_is_made_in_every_format(warehouse, queue, tmp_path, s3, output):
    config_id = insert(warehouse, REPORT_NAME="limited", OUTPUT_FORMAT=output)
    query = "SELECT N_NAME, N_NATIONKEY FROM SNOWFLAKE_SAMPLE_DATA.TPCH_SF1.NATION WHERE N_NATIONKEY < 0"
    carry_out(limited(tmp_path, s3, "{}", query), queue.claim(1)[0], warehouse, queue)
    found = row(warehouse, config_id)
    assert (found["STATUS"], found["ROW_COUNT"], found["ERROR_MESSAGE"]) == ("COMPLETED", 0, None)
    if output == OutputFormat.PARQUET:
        key = found["S3_LOCATION"].removeprefix(f"s3://{BUCKET}/")
        made = polars.read_parquet(io.BytesIO(s3.get_object(Bucket=BUCKET, Key=key)["Body"].read()))
        assert (made.columns, made.height) == (["N_NAME", "N_NATIONKEY"], 0)


def test_long_rows_come_in_smaller_batches():
    short, long = pa.table({"A": range(25_000)}), pa.table({"A": ["x" * 32_000] * 2000})
    assert [batch.num_rows for batch in _cut(short)] == [10_000, 10_000, 5000]
    batches = _cut(long)
    assert max(batch.nbytes for batch in batches) <= 16 * 1024**2
    assert pa.Table.from_batches(batches) == long
    assert [batch.num_rows for batch in _cut(pa.table({"A": ["x" * 20_000_000] * 2}))] == [1, 1]


def test_two_columns_of_one_name_are_refused_by_it(warehouse, queue, tmp_path, s3):
    config_id = insert(warehouse, REPORT_NAME="limited", OUTPUT_FORMAT="JSON")
    query = "SELECT N_NAME AS A, N_COMMENT AS A FROM SNOWFLAKE_SAMPLE_DATA.TPCH_SF1.NATION"
    carry_out(limited(tmp_path, s3, "{}", query), queue.claim(1)[0], warehouse, queue)
    found = row(warehouse, config_id)
    assert (found["STATUS"], found["ERROR_CODE"]) == ("FAILED", "QUERY_FAILED")
    assert "two columns A" in found["ERROR_MESSAGE"]


@pytest.mark.parametrize(
    ("missed_runs", "hours", "made"),
    [("RUN_ONCE", 30, True), (None, 30, True), ("skip", 30, False), ("SKIP", 2, False), ("SKIP", 0.5, True)],
)
def test_a_time_that_passed_while_nothing_ran_is_made_once_or_skipped(warehouse, make, queue, missed_runs, hours, made):
    run_at = datetime.datetime.now(datetime.UTC).replace(tzinfo=None) - datetime.timedelta(hours=hours)
    found, _ = make(
        REPORT_NAME="pricing_summary",
        OUTPUT_FORMAT="CSV",
        TRIGGER_TYPE="SCHEDULED",
        SCHEDULE_CRON=f"{run_at.minute} {run_at.hour} * * *",
        MISSED_RUNS=missed_runs,
        RUN_AT=run_at,
    )
    after = found["FINISHED_AT"] or datetime.datetime.now(datetime.UTC).replace(tzinfo=None)
    if made:
        assert (found["STATUS"], found["ATTEMPTS"]) == ("COMPLETED", 1)
        (successor,) = [job for job in queue.jobs(5) if job.config_id != found["CONFIG_ID"]]
        assert after < successor.run_at <= after + datetime.timedelta(days=1)
        assert row(warehouse, successor.config_id)["MISSED_RUNS"] == missed_runs
    else:
        assert (found["STATUS"], found["ATTEMPTS"]) == ("PENDING", 0)
        assert after < found["RUN_AT"] <= after + datetime.timedelta(days=1)


def test_a_second_attempt_is_never_skipped_for_being_late(warehouse, make):
    found, _ = make(
        REPORT_NAME="pricing_summary",
        OUTPUT_FORMAT="CSV",
        TRIGGER_TYPE="SCHEDULED",
        SCHEDULE_CRON="0 6 * * *",
        MISSED_RUNS="SKIP",
        RUN_AT="2026-01-01 06:00:00",
        ATTEMPTS=1,
    )
    assert (found["STATUS"], found["ATTEMPTS"]) == ("COMPLETED", 2)


def test_a_failing_query_is_told_with_snowflakes_own_words(warehouse, queue, catalogue, s3, tmp_path):
    folder = tmp_path / "broken"
    folder.mkdir()
    (folder / "report.toml").write_text('title = "x"\ndescription = "x"\nsource = "SNOWFLAKE_SAMPLE_DATA.TPCH_SF1"\n')
    (folder / "query.sql").write_text("SELECT NO_SUCH_COLUMN FROM SNOWFLAKE_SAMPLE_DATA.TPCH_SF1.REGION")
    workshop = Workshop(load_catalogue(tmp_path), Storage(s3, BUCKET))
    config_id = insert(warehouse, REPORT_NAME="broken", MAX_ATTEMPTS=1)
    (claim,) = queue.claim(1)
    carry_out(workshop, claim, warehouse, queue)
    found = row(warehouse, config_id)
    assert (found["STATUS"], found["ERROR_CODE"]) == ("FAILED", "QUERY_FAILED")
    assert "NO_SUCH_COLUMN" in found["ERROR_MESSAGE"].upper()


def test_more_rows_than_the_limit_fail_instead_of_being_cut(warehouse, queue, s3, tmp_path):
    folder = tmp_path / "large"
    folder.mkdir()
    head = 'title = "x"\ndescription = "x"\nsource = "SNOWFLAKE_SAMPLE_DATA.TPCH_SF1"\nlimits = { rows = 24 }\n'
    (folder / "report.toml").write_text(head)
    (folder / "query.sql").write_text("SELECT N_NAME FROM SNOWFLAKE_SAMPLE_DATA.TPCH_SF1.NATION")
    workshop = Workshop(load_catalogue(tmp_path), Storage(s3, BUCKET))
    config_id = insert(warehouse, REPORT_NAME="large", OUTPUT_FORMAT="CSV")
    (claim,) = queue.claim(1)
    carry_out(workshop, claim, warehouse, queue)
    found = row(warehouse, config_id)
    assert (found["STATUS"], found["ERROR_CODE"]) == ("FAILED", "TOO_MANY_ROWS")
    assert "24" in found["ERROR_MESSAGE"]
