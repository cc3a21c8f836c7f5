"""What outlives the process: rows, objects, positions of streams; and a crash."""

from __future__ import annotations

import json
import time
from pathlib import Path

from warehouse_server import warehouse

SETUP = (
    "CREATE WAREHOUSE WH",
    "CREATE ROLE READER COMMENT = 'reads'",
    "CREATE DATABASE D",
    "CREATE TABLE D.PUBLIC.T (ID NUMBER AUTOINCREMENT, NAME VARCHAR(20), AT_TIME TIMESTAMP_NTZ DEFAULT SYSDATE())",
    "CREATE VIEW D.PUBLIC.V AS SELECT COUNT(*) AS N, CURRENT_USER() AS WHO FROM D.PUBLIC.T",
    "CREATE STREAM D.PUBLIC.S ON TABLE D.PUBLIC.T APPEND_ONLY = TRUE",
    "CREATE TABLE D.PUBLIC.SEEN (NAME VARCHAR)",
    "INSERT INTO D.PUBLIC.T (NAME) VALUES ('seen')",
    "INSERT INTO D.PUBLIC.SEEN SELECT NAME FROM D.PUBLIC.S",
    "DELETE FROM D.PUBLIC.T",
    "INSERT INTO D.PUBLIC.T (NAME) VALUES ('unseen')",
    "GRANT SELECT ON TABLE D.PUBLIC.T TO ROLE READER",
    "CREATE TASK D.PUBLIC.K WAREHOUSE = WH SCHEDULE = '60 MINUTES' AS SELECT 1",
    "ALTER TASK D.PUBLIC.K RESUME",
    "CREATE FUNCTION D.PUBLIC.TWICE(N NUMBER) RETURNS NUMBER LANGUAGE PYTHON RUNTIME_VERSION = '3.12' HANDLER = 'f' "
    "AS 'def f(n): return n * 2'",
    "CREATE VIEW D.PUBLIC.W AS SELECT D.PUBLIC.TWICE(ID) AS D FROM D.PUBLIC.T",
)


def test_everything_is_there_after_a_restart(tmp_path: Path) -> None:
    with warehouse(tmp_path, task_interval=60) as first:
        for sql in SETUP:
            first.rows(sql)
    with warehouse(tmp_path, task_interval=60) as second:
        assert second.rows("SELECT ID, NAME FROM D.PUBLIC.T") == [(2, "unseen")]
        assert second.rows("SELECT * FROM D.PUBLIC.V") == [(1, "ADMIN")]
        assert second.rows("SELECT NAME FROM D.PUBLIC.S") == [("unseen",)]
        second.rows("INSERT INTO D.PUBLIC.T (NAME) VALUES ('after')")
        assert second.rows("SELECT NAME FROM D.PUBLIC.S ORDER BY NAME") == [("after",), ("unseen",)]
        assert second.rows("SELECT ID FROM D.PUBLIC.T WHERE NAME = 'after'") == [(3,)]
        assert second.rows("SELECT D FROM D.PUBLIC.W ORDER BY D") == [(4,), (6,)]
        assert [row[1] for row in second.rows("DESC TABLE D.PUBLIC.T")][1] == "VARCHAR(20)"
        assert [(row[1], row[3]) for row in second.rows("SHOW GRANTS TO ROLE READER")] == [("SELECT", "D.PUBLIC.T")]
        assert [row[10] for row in second.rows("SHOW TASKS IN DATABASE D")] == ["started"]


def test_committed_rows_outlive_a_crash(tmp_path: Path) -> None:
    with warehouse(tmp_path, task_interval=60) as first:
        for sql in SETUP[:7]:
            first.rows(sql)
        first.rows("INSERT INTO D.PUBLIC.T (NAME) VALUES ('kept')")
        with first.connect() as connection:
            connection.cursor().execute("BEGIN")
            connection.cursor().execute("INSERT INTO D.PUBLIC.T (NAME) VALUES ('open')")
            first.kill()
    with warehouse(tmp_path, task_interval=60) as second:
        assert second.rows("SELECT NAME FROM D.PUBLIC.T") == [("kept",)]
        assert second.rows("SELECT NAME FROM D.PUBLIC.S") == [("kept",)]


def test_a_killed_one_leaves_nothing_in_the_machines_folder_for_temporary_files(tmp_path: Path) -> None:
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    with warehouse(tmp_path, task_interval=60, environment={"TMPDIR": str(temporary)}) as running:
        running.rows("CREATE DATABASE D")
        running.kill()
    assert list(temporary.iterdir()) == []


def test_a_dropped_database_can_be_made_again(tmp_path: Path) -> None:
    with warehouse(tmp_path, task_interval=60) as running:
        for sql in ("CREATE DATABASE D", "CREATE TABLE D.PUBLIC.T (N NUMBER)", "DROP DATABASE D", "CREATE DATABASE D"):
            running.rows(sql)
        assert running.rows("SHOW TABLES IN DATABASE D") == []


def test_what_a_crash_cut_off_is_mended(tmp_path: Path) -> None:
    with warehouse(tmp_path, task_interval=60) as first:
        for sql in (
            "CREATE DATABASE D",
            "CREATE TABLE D.PUBLIC.KEPT (N NUMBER)",
            "CREATE TABLE D.PUBLIC.HALF (N NUMBER)",
        ):
            first.rows(sql)
    catalog = tmp_path / "data" / "catalog.json"
    objects = json.loads(catalog.read_text())
    del objects["TABLE"]["D.PUBLIC.HALF"]
    objects["TABLE"]["D.PUBLIC.GONE"] = objects["TABLE"]["D.PUBLIC.KEPT"] | {"name": ["D", "PUBLIC", "GONE"]}
    catalog.write_text(json.dumps(objects))
    with warehouse(tmp_path, task_interval=60) as second:
        assert [row[1] for row in second.rows("SHOW TABLES IN SCHEMA D.PUBLIC")] == ["KEPT"]
        second.rows("CREATE TABLE D.PUBLIC.HALF (OTHER VARCHAR)")
        second.rows("CREATE TABLE D.PUBLIC.GONE (OTHER VARCHAR)")


def test_a_running_procedure_does_not_hold_up_the_stop(tmp_path: Path) -> None:
    with warehouse(tmp_path, task_interval=60) as running:
        running.rows("CREATE DATABASE D")
        running.rows(
            "CREATE PROCEDURE D.PUBLIC.SLEEP() RETURNS VARCHAR LANGUAGE PYTHON RUNTIME_VERSION = '3.12' "
            "HANDLER = 'run' PACKAGES = ('snowflake-snowpark-python') "
            "AS $$\nimport time\ndef run(session):\n    time.sleep(60)\n$$"
        )
        running.rows("CREATE WAREHOUSE WH")
        running.rows("CREATE TASK D.PUBLIC.T WAREHOUSE = WH SCHEDULE = '60 MINUTES' AS CALL D.PUBLIC.SLEEP()")
        running.rows("EXECUTE TASK D.PUBLIC.T")
        time.sleep(0.3)
        started = time.monotonic()
        running.process.terminate()
        running.process.wait(timeout=5)
        assert time.monotonic() - started < 3
