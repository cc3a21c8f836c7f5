"""Who may call procedures and run tasks in the stand-in, and whose rights these have."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import pytest
from warehouse_roles import FORBIDDEN, UNSEEN, Someone

Run = Callable[..., list[tuple[Any, ...]]]

PROCEDURE = (
    "PROCEDURE P() RETURNS VARCHAR LANGUAGE PYTHON RUNTIME_VERSION = '3.11' HANDLER = 'run' "
    "PACKAGES = ('snowflake-snowpark-python') EXECUTE AS {} AS $$\n"
    "def run(session):\n    return str(session.sql('SELECT COUNT(*) AS C FROM T').collect()[0]['C'])\n$$"
)
TASK = "TASK X WAREHOUSE = WH SCHEDULE = '60 MINUTES' AS SELECT 1"


def _until(condition: Callable[[], bool], seconds: float = 8.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.05)


def test_a_procedure_without_usage_is_unknown(someone: Someone, run: Run) -> None:
    run("CREATE TABLE T (N NUMBER)")
    run(f"CREATE {PROCEDURE.format('OWNER')}")
    someone.is_refused("CALL P()", (2140, 2141), "Unknown")
    someone.may("USAGE ON PROCEDURE P()")
    assert someone.run("CALL P()") == [("0",)]


def test_an_owners_procedure_reads_what_its_caller_may_not_and_a_callers_does_not(someone: Someone, run: Run) -> None:
    run("CREATE TABLE T (N NUMBER)")
    run(f"CREATE {PROCEDURE.format('CALLER')}")
    someone.may("USAGE ON PROCEDURE P()")
    someone.is_refused("CALL P()", (100357,), "T' does not exist or not authorized")
    someone.may("SELECT ON TABLE T")
    assert someone.run("CALL P()") == [("0",)]


def test_an_owners_procedure_has_only_its_owners_privileges(someone: Someone, run: Run, connection: Any) -> None:
    run("CREATE TABLE T (N NUMBER)")
    someone.may(f"CREATE PROCEDURE ON SCHEMA {connection.schema}")
    someone.run(f"CREATE {PROCEDURE.format('OWNER')}")
    run(f"GRANT ROLE {someone.role} TO ROLE SYSADMIN")
    with pytest.raises(Exception, match="T' does not exist or not authorized"):
        run("CALL P()")


def test_a_task_is_resumed_by_operate_and_runs_only_if_its_owner_may_execute_tasks(
    someone: Someone, run: Run, connection: Any
) -> None:
    someone.may(f"CREATE TASK ON SCHEMA {connection.schema}")
    someone.run(f"CREATE {TASK}")
    for sql in ("ALTER TASK X RESUME", "EXECUTE TASK X"):
        someone.is_refused(sql, (91089,), "EXECUTE TASK privilege must be granted to owner role")
    someone.may("EXECUTE TASK ON ACCOUNT")
    someone.run("ALTER TASK X RESUME")
    someone.run("ALTER TASK X SUSPEND")
    someone.run("EXECUTE TASK X")


def test_a_task_of_another_is_operated_but_not_changed_with_operate(someone: Someone, run: Run) -> None:
    run(f"CREATE {TASK}")
    for sql in ("ALTER TASK X RESUME", "EXECUTE TASK X", "DROP TASK X"):
        someone.is_refused(sql, UNSEEN)
    someone.may("OPERATE ON TASK X")
    someone.run("ALTER TASK X RESUME")
    someone.run("ALTER TASK X SUSPEND")
    someone.is_refused("ALTER TASK X MODIFY AS SELECT 2", FORBIDDEN)
    someone.is_refused("DROP TASK X", FORBIDDEN)


def test_a_task_runs_with_its_owners_privileges_alone(someone: Someone, run: Run, connection: Any) -> None:
    run("CREATE TABLE T (N NUMBER)")
    someone.may(f"CREATE TASK ON SCHEMA {connection.schema}", "EXECUTE TASK ON ACCOUNT")
    someone.run("CREATE TASK X WAREHOUSE = WH SCHEDULE = '60 MINUTES' AS INSERT INTO T VALUES (1)")
    history = "SELECT STATE, ERROR_MESSAGE FROM TABLE(INFORMATION_SCHEMA.TASK_HISTORY(TASK_NAME => 'X'))"
    someone.run("EXECUTE TASK X")
    _until(lambda: run(history) != [])
    state, message = run(history)[0]
    assert (state, "T' does not exist or not authorized" in message) == ("FAILED", True)
    someone.may("INSERT ON TABLE T")
    someone.run("EXECUTE TASK X")
    _until(lambda: run("SELECT N FROM T") == [(1,)])


def test_the_history_of_a_task_is_seen_with_monitor(someone: Someone, run: Run) -> None:
    run(f"CREATE {TASK}")
    run("EXECUTE TASK X")
    history = "SELECT STATE FROM TABLE(INFORMATION_SCHEMA.TASK_HISTORY(TASK_NAME => 'X')) WHERE SCHEMA_NAME = ?"
    schema = run("SELECT CURRENT_SCHEMA()")[0][0]
    _until(lambda: run(history, schema) == [("SUCCEEDED",)])
    assert someone.run(history, schema) == []
    someone.may("MONITOR ON TASK X")
    assert someone.run(history, schema) == [("SUCCEEDED",)]


def test_a_stream_that_may_not_be_read_tells_nobody_whether_it_has_rows(someone: Someone, run: Run) -> None:
    run("CREATE TABLE T (N NUMBER)")
    run("CREATE STREAM S ON TABLE T APPEND_ONLY = TRUE")
    someone.is_refused("SELECT SYSTEM$STREAM_HAS_DATA('S')", UNSEEN)
    someone.may("SELECT ON STREAM S")
    assert someone.run("SELECT SYSTEM$STREAM_HAS_DATA('S')") == [(False,)]


@pytest.mark.parametrize("lost", ["EXECUTE TASK ON ACCOUNT", "SELECT ON STREAM S"])
def test_a_resumed_task_fails_once_its_owner_has_lost_what_it_needs(
    someone: Someone, run: Run, connection: Any, lost: str
) -> None:
    run("CREATE TABLE T (N NUMBER)")
    run("CREATE STREAM S ON TABLE T APPEND_ONLY = TRUE")
    someone.may(f"CREATE TASK ON SCHEMA {connection.schema}", "EXECUTE TASK ON ACCOUNT", "SELECT ON STREAM S")
    someone.run("CREATE TASK X WAREHOUSE = WH WHEN SYSTEM$STREAM_HAS_DATA('S') AS SELECT 1")
    someone.run("ALTER TASK X RESUME")
    someone.may_no_longer(lost)
    run("INSERT INTO T VALUES (1)")
    history = "SELECT STATE FROM TABLE(INFORMATION_SCHEMA.TASK_HISTORY(TASK_NAME => 'X')) WHERE SCHEMA_NAME = ?"
    _until(lambda: ("FAILED",) in run(history, connection.schema))
    someone.run("ALTER TASK X SUSPEND")
    assert ("SUCCEEDED",) not in run(history, connection.schema)
