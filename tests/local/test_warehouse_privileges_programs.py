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


def runner(name: str, rights: str) -> str:
    """A procedure that runs the statements it is given."""
    return (
        f"CREATE PROCEDURE {name}(Q VARCHAR) RETURNS VARCHAR LANGUAGE PYTHON RUNTIME_VERSION = '3.11' HANDLER = 'run' "
        f"PACKAGES = ('snowflake-snowpark-python') EXECUTE AS {rights} AS $$\n"
        "def run(session, q):\n    return [str(session.sql(s).collect()[0][0]) for s in q.split(';')][-1]\n$$"
    )


def test_an_owners_procedure_does_not_touch_its_callers_session(someone: Someone, run: Run) -> None:
    run(runner("OWNERS", "OWNER"))
    run(runner("CALLERS", "CALLER"))
    for name in ("OWNERS", "CALLERS"):
        someone.may(f"USAGE ON PROCEDURE {name}(VARCHAR)")
    nested = "CALL CALLERS('USE ROLE PUBLIC')".replace("'", "''")
    for sql in ("USE ROLE PUBLIC", "USE WAREHOUSE WH", "ALTER SESSION SET QUERY_TAG = ''x''", nested):
        someone.is_refused(f"CALL OWNERS('{sql}')", (100357,), "Unsupported statement type '(USE|ALTER_SESSION)'")
    history = "SELECT QUERY_TEXT FROM TABLE(INFORMATION_SCHEMA.QUERY_HISTORY())"
    someone.is_refused(f"CALL OWNERS('{history}')", (100357,), "may not read the query history")
    someone.run("CALL CALLERS('USE ROLE PUBLIC')")
    assert someone.run("SELECT CURRENT_ROLE()") == [("PUBLIC",)]


def test_a_procedure_does_not_end_the_transaction_of_its_caller(run: Run) -> None:
    run("CREATE TABLE T (N NUMBER)")
    run(runner("P", "OWNER"))
    run("BEGIN")
    run("INSERT INTO T VALUES (1)")
    for sql in ("BEGIN", "COMMIT", "ROLLBACK"):
        with pytest.raises(Exception, match=f"{sql} in a procedure that was called in an open transaction"):
            run(f"CALL P('{sql}')")
    run("CALL P('INSERT INTO T VALUES (2)')")
    assert run("SELECT COUNT(*) FROM T") == [(2,)]
    run("ROLLBACK")
    assert run("SELECT COUNT(*) FROM T") == [(0,)]
    assert run("CALL P('BEGIN;INSERT INTO T VALUES (3);COMMIT')") is not None
    assert run("SELECT N FROM T") == [(3,)]


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
