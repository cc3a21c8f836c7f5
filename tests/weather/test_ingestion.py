"""The ingestion as a process of its own over a real PostgreSQL."""

import os
import re
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import polars
import psycopg
import pytest
from weather_process import ROWS, entry, ingest

from weather_warehouse.schema import migrate

PHYSICAL = "SELECT ctid, xmin, xmax, * FROM observation ORDER BY station, date"
RUNS = "SELECT run_id, source, status, files, files_failed, records_read, records_written FROM ingestion_run"


def read_independently(folder):
    """The rows of all files, by another reader's rules."""
    columns = ["date", "max", "min", "rain"]
    found = []
    for path in sorted(folder.glob("*.txt")):
        text = path.read_text().replace(" ", "")
        frame = polars.read_csv(
            text.encode(), separator="\t", has_header=False, new_columns=columns, null_values="-9999"
        ).with_columns(polars.col("date").cast(polars.String).str.to_date("%Y%m%d"))
        found += [(path.stem, *row) for row in frame.rows()]
    return sorted(found)


def test_the_table_is_what_the_files_say_and_the_log_says_how_many(database, stations):
    code, log = ingest("--run-id", "first")
    rows = database.execute(ROWS).fetchall()
    assert (code, len(rows)) == (0, 2400)
    assert rows == read_independently(stations)
    counts = {"files": 3, "failures": 0, "records_read": 2400, "records_written": 2400, "records_unchanged": 0}
    assert entry(log, "ingest.finished").items() >= ({"run_id": "first"} | counts).items()
    assert database.execute(RUNS).fetchall() == [("first", str(stations), "COMPLETED", 3, 0, 2400, 2400)]


def test_the_same_files_again_touch_no_row(database, stations):
    ingest()
    before = database.execute(PHYSICAL).fetchall()
    code, log = ingest()
    assert database.execute(PHYSICAL).fetchall() == before
    assert code == 0
    assert (entry(log, "ingest.finished")["records_written"], entry(log, "metrics")["RecordsIngested"]) == (0, [0.0])


def test_a_value_that_was_corrected_and_a_day_that_is_new_are_written_and_nothing_else(database, stations):
    ingest()
    path = stations / "USC00116738.txt"
    lines = path.read_text().splitlines()
    lines[10] = f"{lines[10][:8]}\t-9999\t-9999\t    7"
    path.write_text("\n".join([*lines, "20150101\t    1\t   -1\t    0"]))
    _, log = ingest()
    assert entry(log, "ingest.finished")["records_written"] == 2
    assert database.execute(ROWS).fetchall() == read_independently(stations)


def test_a_file_with_a_wrong_line_leaves_nothing_and_keeps_no_other_out(database, stations):
    wrong = stations / "USC00126705.txt"
    lines = wrong.read_text().splitlines()
    lines[700] = "20140601\tsunny\t1\t2"
    wrong.write_text("\n".join(lines))
    code, log = ingest("--run-id", "half")
    assert code == 1
    refusal = entry(log, "file.refused")
    assert refusal["file"] == str(wrong)
    assert [line["line"] for line in refusal["lines"]] == [701]
    assert "the maximum is 'sunny'" in refusal["lines"][0]["reason"]
    wrong.unlink()
    assert database.execute(ROWS).fetchall() == read_independently(stations)
    assert database.execute(RUNS).fetchone()[2:5] == ("FAILED", 3, 1)
    metrics = entry(log, "metrics")
    assert (metrics["RecordsIngested"], metrics["IngestionErrors"]) == ([1600.0], [1.0])
    (declared,) = metrics["_aws"]["CloudWatchMetrics"]
    assert (declared["Namespace"], declared["Dimensions"]) == ("WeatherWarehouse", [["Environment"]])
    assert {metric["Name"] for metric in declared["Metrics"]} == {"RecordsIngested", "IngestionErrors"}


def test_a_name_that_makes_no_station_is_refused(database, stations):
    (stations / "a station.txt").write_text("20140601\t1\t1\t1\n")
    code, log = ingest()
    assert code == 1
    assert "'a station'; up to 64 letters" in entry(log, "file.failed")["message"]


@pytest.mark.parametrize(
    ("folder", "told"), [("empty", "There is no .txt file in"), ("nowhere", "cannot be listed: No such file")]
)
def test_a_source_without_files_is_an_error(database, tmp_path, folder, told):
    (tmp_path / "empty" / "below.txt").mkdir(parents=True)
    code, log = ingest(WEATHER_FOLDER=str(tmp_path / folder))
    assert code == 1
    assert told in entry(log, "ingest.source_failed")["message"]
    assert entry(log, "metrics")["IngestionErrors"] == [1.0]
    assert database.execute("SELECT status FROM ingestion_run").fetchall() == [("FAILED",)]


def test_a_database_that_is_not_there_is_told_without_its_password(stations, server):
    code, log = ingest(DATABASE_URL="postgresql://postgres:hunter2@127.0.0.1:1/postgres", DATABASE_SSLMODE="disable")
    assert code == 1
    assert "127.0.0.1" in entry(log, "ingest.failed")["message"]
    assert entry(log, "metrics")["IngestionErrors"] == [1.0]
    assert "hunter2" not in str(log)


def test_killed_in_the_middle_and_run_again_it_gives_the_same_table(database, real_files, monkeypatch):
    monkeypatch.setenv("WEATHER_FOLDER", str(real_files))
    lines = {path.stem: len(path.read_bytes().splitlines()) for path in real_files.glob("*.txt")}
    for delay in (0, 0.02, 0.05, 0.1):  # each time elsewhere in a file
        migrate(database)
        database.execute("TRUNCATE observation")
        command = [sys.executable, "-m", "weather_warehouse", "ingest", "--run-id", "killed"]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        while '"file.ingested"' not in process.stdout.readline():
            assert process.poll() is None
        time.sleep(delay)
        process.send_signal(signal.SIGKILL)
        process.communicate()
        _wait_until_it_is_alone(database)
        kept = dict(database.execute("SELECT station, count(*) FROM observation GROUP BY station").fetchall())
        assert 0 < len(kept) < 12
        assert kept.items() <= lines.items()
        assert database.execute("SELECT status FROM ingestion_run").fetchall() == [("RUNNING",)]
    assert ingest("--run-id", "killed")[0] == 0
    assert database.execute(ROWS).fetchall() == read_independently(real_files)
    assert database.execute("SELECT status, records_read FROM ingestion_run").fetchall() == [("COMPLETED", 118647)]


def _wait_until_it_is_alone(database):
    others = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'weather_warehouse'"
    until = time.monotonic() + 20
    while database.execute(others).fetchone()[0]:
        assert time.monotonic() < until
        time.sleep(0.02)


def test_many_at_once_on_an_empty_database_give_one_table(database, stations):
    with ThreadPoolExecutor(4) as pool:
        runs = [pool.submit(ingest, "--run-id", f"run-{number}") for number in range(4)]
        found = [run.result() for run in runs]
    assert [code for code, _ in found] == [0] * 4
    assert database.execute(ROWS).fetchall() == read_independently(stations)
    assert sum(entry(log, "ingest.finished")["records_written"] for _, log in found) == 2400


def test_tables_are_made_once_however_many_programs_begin_at_once(database, server):
    ready = threading.Barrier(8)

    def begin():
        with server.connect() as session:
            ready.wait()
            migrate(session)

    with ThreadPoolExecutor(8) as pool:
        for each in [pool.submit(begin) for _ in range(8)]:
            each.result()
    migrate(database)
    assert database.execute("SELECT count(*) FROM schema_step").fetchone() == (1,)


def test_the_default_run_id_says_when_it_was(database, stations):
    _, log = ingest()
    assert re.fullmatch(r"manual-\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", entry(log, "ingest.started")["run_id"])
    _, log = ingest(INGEST_RUN_ID="daily-2026-11-28T02:00:00Z")
    assert entry(log, "ingest.started")["run_id"] == "daily-2026-11-28T02:00:00Z"


def _peak(folder):
    """The largest memory of an ingestion's process, in MB."""
    program = (
        "import pathlib, re, sys; from weather_warehouse.__main__ import main; main(['ingest']);"
        "print(re.search(r'VmHWM:\\s+(\\d+)', pathlib.Path('/proc/self/status').read_text())[1], file=sys.stderr)"
    )
    environment = os.environ | {"WEATHER_FOLDER": str(folder)}
    run = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True)
    return int(run.stderr) / 1024


def test_memory_does_not_grow_with_the_files_or_a_file(database, stations, tmp_path):
    usual = _peak(stations)
    many, vast = tmp_path / "many", tmp_path / "vast"
    many.mkdir()
    vast.mkdir()
    for number in range(500):
        (many / f"S{number}.txt").write_bytes(b"20140101\t1\t1\t1\n")
    with (vast / "ZEROS.txt").open("wb") as file:
        file.truncate(1 << 30)
    line = b"20140101\t1\t1\t1" + b" " * 9 + b"\n"
    (vast / "AGAIN.txt").write_bytes(line * (1 << 21))
    assert _peak(many) < usual + 16
    assert _peak(vast) < usual + 16
    assert database.execute("SELECT count(*) FROM observation WHERE station LIKE 'S%'").fetchone() == (500,)


def test_a_session_that_is_ended_under_it_fails_the_run(database, stations, server):
    migrate(database)
    with server.connect() as other, other.transaction():
        other.execute("LOCK TABLE observation")
        with ThreadPoolExecutor(1) as pool:
            running = pool.submit(ingest)
            waiting = "SELECT pid FROM pg_stat_activity WHERE wait_event_type = 'Lock'"
            until = time.monotonic() + 20
            while (row := database.execute(waiting).fetchone()) is None and time.monotonic() < until:
                time.sleep(0.02)
            database.execute("SELECT pg_terminate_backend(%s)", row)
            code, log = running.result()
    assert code == 1
    assert entry(log, "ingest.failed")["error"] == psycopg.errors.AdminShutdown.__name__


def test_the_packages_of_the_image_are_enough_for_both_roles(database, stations, root):
    """With the import line of the Dockerfile, by the environment that its lock file makes."""
    (line,) = re.findall(r'^RUN \["python", "-c", "(import .*)"\]$', (root / "weather/Dockerfile").read_text(), re.M)
    python = [root / ".venv-weather" / "bin" / "python"]
    environment = os.environ | {"PYTHONPATH": str(root / "weather" / "src")}
    subprocess.run([*python, "-c", line], env=environment, check=True)
    subprocess.run([*python, "-m", "weather_warehouse", "ingest"], env=environment, check=True)
    assert database.execute(ROWS).fetchall() == read_independently(stations)
