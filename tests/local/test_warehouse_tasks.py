"""Tasks: triggered, scheduled, in graphs; suspended after failures."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import pytest
import snowflake.connector

Run = Callable[..., list[tuple[Any, ...]]]


@pytest.fixture(autouse=True)
def queue(run: Run) -> None:
    run("CREATE TABLE REQUESTS (NAME VARCHAR)")
    run("CREATE TABLE SEEN (N NUMBER)")
    run("CREATE STREAM INSERTS ON TABLE REQUESTS APPEND_ONLY = TRUE")


TRIGGERED = "CREATE TASK T WAREHOUSE = WH {} WHEN SYSTEM$STREAM_HAS_DATA('INSERTS') AS {}"
CONSUME = "INSERT INTO SEEN SELECT COUNT(*) FROM INSERTS"


def _until(condition: Callable[[], bool], seconds: float = 8.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.05)


def _task(run: Run, name: str = "T") -> dict[str, Any]:
    columns = [
        "created_on",
        "name",
        "id",
        "database_name",
        "schema_name",
        "owner",
        "comment",
        "warehouse",
        "schedule",
        "predecessors",
        "state",
        "definition",
        "condition",
    ]
    return next(dict(zip(columns, row, strict=False)) for row in run("SHOW TASKS") if row[1] == name)


def test_a_triggered_task_runs_when_rows_come_and_not_before(run: Run) -> None:
    run(TRIGGERED.format("", CONSUME))
    run("INSERT INTO REQUESTS VALUES ('while suspended')")
    time.sleep(0.6)
    assert run("SELECT * FROM SEEN") == []
    run("ALTER TASK T RESUME")
    _until(lambda: run("SELECT N FROM SEEN") == [(1,)])
    time.sleep(0.6)
    assert run("SELECT COUNT(*) FROM SEEN") == [(1,)]
    run("INSERT INTO REQUESTS VALUES ('a'), ('b')")
    _until(lambda: run("SELECT N FROM SEEN ORDER BY N") == [(1,), (2,)])


def test_a_new_task_is_suspended_and_shows_what_it_was_made_of(run: Run) -> None:
    run(TRIGGERED.format("COMMENT = 'wakes'", CONSUME))
    task = _task(run)
    assert (task["state"], task["comment"], task["warehouse"], task["schedule"]) == ("suspended", "wakes", "WH", None)
    assert (task["definition"], task["condition"]) == (CONSUME, "SYSTEM$STREAM_HAS_DATA('INSERTS')")


def test_a_task_is_suspended_after_as_many_failures_as_it_may_have(run: Run) -> None:
    failing = TRIGGERED.replace("TASK T", "TASK FAILING").format(
        "SUSPEND_TASK_AFTER_NUM_FAILURES = 2", "INSERT INTO SEEN SELECT 1 / 0 FROM INSERTS"
    )
    run(failing)
    run("ALTER TASK FAILING RESUME")
    run("INSERT INTO REQUESTS VALUES ('a')")
    _until(lambda: _task(run, "FAILING")["state"] == "suspended")
    history = run("SELECT STATE, ERROR_MESSAGE FROM TABLE(INFORMATION_SCHEMA.TASK_HISTORY(TASK_NAME => 'FAILING'))")
    assert len(history) == 2
    assert all(state == "FAILED" and "Division by zero" in message for state, message in history)
    run("ALTER TASK FAILING RESUME")
    _until(lambda: _task(run, "FAILING")["state"] == "suspended")


def test_execute_task_runs_it_at_once(run: Run) -> None:
    run("CREATE TASK T WAREHOUSE = WH SCHEDULE = '60 MINUTES' AS INSERT INTO SEEN VALUES (7)")
    run("EXECUTE TASK T")
    _until(lambda: run("SELECT N FROM SEEN") == [(7,)])


def test_children_run_after_their_root(run: Run) -> None:
    run("CREATE TASK ROOT WAREHOUSE = WH SCHEDULE = '60 MINUTES' AS INSERT INTO SEEN VALUES (1)")
    run("CREATE TASK CHILD WAREHOUSE = WH AFTER ROOT AS INSERT INTO SEEN SELECT MAX(N) + 1 FROM SEEN")
    run("ALTER TASK CHILD RESUME")
    run("EXECUTE TASK ROOT")
    _until(lambda: run("SELECT N FROM SEEN ORDER BY N") == [(1,), (2,)])


def test_a_graph_changes_only_while_its_root_is_suspended(run: Run) -> None:
    run("CREATE TASK ROOT WAREHOUSE = WH SCHEDULE = '60 MINUTES' AS SELECT 1")
    run("CREATE TASK CHILD WAREHOUSE = WH AFTER ROOT AS SELECT 2")
    run("ALTER TASK ROOT RESUME")
    for sql in ("ALTER TASK CHILD RESUME", "CREATE TASK OTHER WAREHOUSE = WH AFTER ROOT AS SELECT 3"):
        with pytest.raises(snowflake.connector.ProgrammingError, match="not suspended"):
            run(sql)
    run("ALTER TASK ROOT SUSPEND")
    run("ALTER TASK CHILD RESUME")


def test_a_task_can_be_changed_in_every_part(run: Run) -> None:
    run(TRIGGERED.format("", CONSUME))
    run("ALTER TASK T SET USER_TASK_MINIMUM_TRIGGER_INTERVAL_IN_SECONDS = 30")
    run("ALTER TASK T MODIFY AS SELECT 1")
    run("ALTER TASK T MODIFY WHEN NOT SYSTEM$STREAM_HAS_DATA('INSERTS')")
    assert (_task(run)["definition"], _task(run)["condition"]) == ("SELECT 1", "NOT SYSTEM$STREAM_HAS_DATA('INSERTS')")


def test_a_cron_schedule_is_checked_and_shown(run: Run) -> None:
    run("CREATE TASK T WAREHOUSE = WH SCHEDULE = 'USING CRON 0 6 * * * UTC' AS SELECT 1")
    assert _task(run)["schedule"] == "USING CRON 0 6 * * * UTC"
    for schedule in ("USING CRON 99 6 * * * UTC", "USING CRON 0 6 * * * Mars/Base", "now and then", "0 MINUTES"):
        with pytest.raises(snowflake.connector.ProgrammingError, match="SCHEDULE"):
            run(f"CREATE TASK WRONG WAREHOUSE = WH SCHEDULE = '{schedule}' AS SELECT 1")


def test_a_task_runs_as_its_owner(run: Run, connection: Any) -> None:
    run("CREATE TABLE WHO (U VARCHAR, R VARCHAR, W VARCHAR)")
    run("CREATE ROLE IF NOT EXISTS TASK_OWNER")
    run("GRANT ROLE TASK_OWNER TO USER ADMIN")
    run("GRANT EXECUTE TASK ON ACCOUNT TO ROLE TASK_OWNER")
    run("GRANT USAGE ON WAREHOUSE WH TO ROLE TASK_OWNER")
    run("GRANT USAGE ON DATABASE TESTS TO ROLE TASK_OWNER")
    run(f"GRANT USAGE, CREATE TASK ON SCHEMA {connection.schema} TO ROLE TASK_OWNER")
    run("GRANT INSERT ON TABLE WHO TO ROLE TASK_OWNER")
    run("USE ROLE TASK_OWNER")
    run(
        "CREATE TASK T WAREHOUSE = WH SCHEDULE = '60 MINUTES' AS INSERT INTO WHO "
        "SELECT CURRENT_USER(), CURRENT_ROLE(), CURRENT_WAREHOUSE()"
    )
    run("EXECUTE TASK T")
    _until(lambda: run("SELECT * FROM WHO") == [("SYSTEM", "TASK_OWNER", "WH")])
