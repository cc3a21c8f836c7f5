"""Graphs of tasks: what may change while the root runs, and what happens to the rest."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import pytest
import snowflake.connector

Run = Callable[..., list[tuple[Any, ...]]]


@pytest.fixture
def graph(run: Run) -> None:
    """A -> B -> C, all suspended."""
    run("CREATE TASK A WAREHOUSE = WH SCHEDULE = '60 MINUTES' AS SELECT 1")
    run("CREATE TASK B WAREHOUSE = WH AFTER A AS SELECT 2")
    run("CREATE TASK C WAREHOUSE = WH AFTER B AS SELECT 3")


def _tasks(run: Run, column: str) -> dict[str, Any]:
    at = {"predecessors": 9, "state": 10, "definition": 11, "reason": 21}[column]
    return {row[1]: row[at] for row in run("SHOW TASKS")}


@pytest.mark.usefixtures("graph")
def test_dependents_are_enabled_from_the_root(run: Run) -> None:
    run("SELECT SYSTEM$TASK_DEPENDENTS_ENABLE('A')")
    assert _tasks(run, "state") == dict.fromkeys("ABC", "started")
    with pytest.raises(snowflake.connector.ProgrammingError, match="no root"):
        run("SELECT SYSTEM$TASK_DEPENDENTS_ENABLE('B')")


@pytest.mark.parametrize(
    "sql",
    [
        "ALTER TASK C SUSPEND",
        "ALTER TASK B RESUME",
        "ALTER TASK A SET SCHEDULE = '30 MINUTES'",
        "ALTER TASK B MODIFY AS SELECT 5",
        "ALTER TASK C REMOVE AFTER B",
        "DROP TASK B",
        "CREATE OR REPLACE TASK B WAREHOUSE = WH AFTER A AS SELECT 5",
        "CREATE OR ALTER TASK A WAREHOUSE = WH SCHEDULE = '30 MINUTES' AS SELECT 1",
        "CREATE TASK D WAREHOUSE = WH AFTER C AS SELECT 5",
    ],
)
@pytest.mark.usefixtures("graph")
def test_nothing_of_a_graph_changes_while_its_root_runs(run: Run, sql: str) -> None:
    run("SELECT SYSTEM$TASK_DEPENDENTS_ENABLE('A')")
    with pytest.raises(snowflake.connector.ProgrammingError, match="root task .* is not suspended") as caught:
        run(sql)
    assert (caught.value.errno, caught.value.sqlstate) == (91421, "22000")
    run("ALTER TASK A SUSPEND")
    run(sql)


@pytest.mark.usefixtures("graph")
def test_a_child_of_a_dropped_task_is_a_suspended_root(run: Run) -> None:
    run("ALTER TASK C RESUME")
    run("DROP TASK B")
    assert (_tasks(run, "predecessors")["C"], _tasks(run, "state")["C"]) == ("[]", "suspended")
    assert _tasks(run, "reason")["C"] == "CHILD_BECAME_ROOT"


@pytest.mark.usefixtures("graph")
def test_a_circle_of_tasks_is_refused(run: Run) -> None:
    run("ALTER TASK A UNSET SCHEDULE")
    for predecessor in ("C", "A"):
        with pytest.raises(snowflake.connector.ProgrammingError, match="cycle"):
            run(f"ALTER TASK A ADD AFTER {predecessor}")


@pytest.mark.usefixtures("graph")
def test_create_or_alter_keeps_state_identity_and_grants(run: Run) -> None:
    run("ALTER TASK C RESUME")
    run("GRANT MONITOR ON TASK C TO ROLE PUBLIC")
    before = next(row[2] for row in run("SHOW TASKS") if row[1] == "C")
    run("CREATE OR ALTER TASK C WAREHOUSE = WH AFTER A AS SELECT 33")
    after = next(row for row in run("SHOW TASKS") if row[1] == "C")
    assert (after[2], after[10], after[11]) == (before, "started", "SELECT 33")
    assert "MONITOR" in {row[1] for row in run("SHOW GRANTS ON TASK C")}


def test_a_task_without_a_start_waits_for_execute_task(run: Run) -> None:
    run("CREATE TASK A WAREHOUSE = WH AS SELECT 1")
    run("ALTER TASK A RESUME")
    run("EXECUTE TASK A")
    with pytest.raises(snowflake.connector.ProgrammingError, match="exclude each other"):
        run("ALTER TASK A SUSPEND") and run("ALTER TASK A SET TARGET_COMPLETION_INTERVAL = '5 MINUTES'")


def test_a_task_that_stands_alone_may_be_replaced_while_it_runs(run: Run) -> None:
    run("CREATE TASK A WAREHOUSE = WH SCHEDULE = '60 MINUTES' AS SELECT 1")
    run("ALTER TASK A RESUME")
    run("CREATE OR REPLACE TASK A WAREHOUSE = WH SCHEDULE = '60 MINUTES' AS SELECT 2")
    assert (_tasks(run, "state"), _tasks(run, "definition")) == ({"A": "suspended"}, {"A": "SELECT 2"})


def _until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 8
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.05)


def _runs(run: Run) -> dict[str, str]:
    found = run("SELECT NAME, STATE, SCHEMA_NAME FROM TABLE(INFORMATION_SCHEMA.TASK_HISTORY())")
    schema = run("SELECT CURRENT_SCHEMA()")[0][0]
    return {name: state for name, state, place in found if place == schema}


def test_a_task_with_two_predecessors_runs_once_after_both(run: Run) -> None:
    run("CREATE TABLE SEEN (N VARCHAR)")
    run("CREATE TASK A WAREHOUSE = WH SCHEDULE = '60 MINUTES' AS INSERT INTO SEEN VALUES ('A')")
    for name, after in (("B", "A"), ("C", "A"), ("D", "B, C")):
        run(f"CREATE TASK {name} WAREHOUSE = WH AFTER {after} AS INSERT INTO SEEN VALUES ('{name}')")
        run(f"ALTER TASK {name} RESUME")
    run("ALTER TASK B SUSPEND")
    run("EXECUTE TASK A")
    _until(lambda: len(_runs(run)) == 3)
    assert sorted(row[0] for row in run("SELECT N FROM SEEN")) == ["A", "C", "D"]


def test_nothing_runs_after_a_failure_and_the_root_is_suspended_when_it_repeats(run: Run) -> None:
    run("CREATE TASK A WAREHOUSE = WH SCHEDULE = '60 MINUTES' SUSPEND_TASK_AFTER_NUM_FAILURES = 2 AS SELECT 1")
    run("CREATE TASK B WAREHOUSE = WH AFTER A AS SELECT 1 / 0")
    run("CREATE TASK C WAREHOUSE = WH AFTER B AS SELECT 1")
    run("SELECT SYSTEM$TASK_DEPENDENTS_ENABLE('A')")
    for _ in range(2):
        run("EXECUTE TASK A")
        time.sleep(0.3)
    _until(lambda: _tasks(run, "state")["A"] == "suspended")
    assert _tasks(run, "reason")["A"] == "SUSPENDED_DUE_TO_ERRORS"
    assert _runs(run) == {"A": "SUCCEEDED", "B": "FAILED"}
