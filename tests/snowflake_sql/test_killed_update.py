"""An update that is killed after any of its statements and run again loses no row, no offset and no grant.

`make test` takes every sixteenth statement, and the last steps of an update; `make soak` takes every one.
"""

import time

import pytest
from killing import SOAK, answers, create_events, end_state, sampled, update_event
from small_files import FIRST, HEADER, SECOND, S

PARTS = 4
pytestmark = [pytest.mark.soak, pytest.mark.long, pytest.mark.timeout(900)]


def small(prepared, killer):
    """A deployed system with rows in its table and grants that an administrator has added; and its update."""
    system = prepared()
    system.files, system.smoke = FIRST, ""
    events = create_events(system)
    killer.run(events)
    assert answers(system, events) == ["SUCCESS"] * 3, system.aws.answers
    reader = f"READER_{system.suffix}"
    system.warehouse.run(
        f"CREATE ROLE {reader}",
        f"GRANT SELECT ON VIEW {system.config}.V_REQUEST TO ROLE {reader}",
        f"GRANT USAGE ON PROCEDURE {system.config}.WAKE() TO ROLE {reader}",
    )
    system.run("INSERT INTO REQUEST (ID) VALUES (1), (2)")
    update = update_event(system, events[-1]["ResourceProperties"], system.scripts_properties(SECOND))
    return system, update


def found(system):
    rows = system.run("SELECT ID, STATUS, NOTE FROM REQUEST ORDER BY ID")
    waiting = system.run("SELECT ID FROM NEW_REQUEST ORDER BY ID")
    reader = [
        (row["privilege"], row["name"].replace(system.suffix, "X"))
        for row in system.warehouse.run(f"SHOW GRANTS TO ROLE READER_{system.suffix}")
    ]
    return end_state(system), rows, waiting, sorted(reader)


@pytest.mark.parametrize("part", range(PARTS))
def test_killed_after_any_statement_it_loses_nothing(prepared, killer, part):
    undisturbed, update = small(prepared, killer)
    count = killer.run([update])
    expected = found(undisturbed)
    assert [row["ID"] for row in expected[2]] == [1, 2]
    assert len(expected[3]) == 2
    wrong = []
    for after in sampled(count, every=16)[part::PARTS]:
        system, update = small(prepared, killer)
        killer.run([update], after)
        killer.run([update])
        assert answers(system, [update]) == ["SUCCESS"], (after, system.aws.answers)
        if (state := found(system)) != expected:
            wrong.append((after, state))
        system.remove()
    assert wrong == []


@pytest.mark.parametrize("after", [3, 9, 15])
def test_the_rollback_of_a_killed_update_waits_for_its_lock_and_brings_the_old_version_back(prepared, killer, after):
    system, update = small(prepared, killer)
    before = facts(system)
    assert killer.run([update], after) is None
    system.run("UPDATE DEPLOYMENT.DEPLOYMENT_LOCK SET EXPIRES_AT = DATEADD('SECOND', 4, SYSDATE())")
    back = update_event(system, update["ResourceProperties"], update["OldResourceProperties"])
    started = time.monotonic()
    killer.run([back])
    assert answers(system, [back]) == ["SUCCESS"], system.aws.answers
    assert time.monotonic() - started > 3
    assert [row["ID"] for row in system.run("SELECT ID FROM NEW_REQUEST ORDER BY ID")] == [1, 2]
    assert facts(system) == before


def facts(system):
    """The record without what a rollback leaves: a column that was added."""
    rows = system.run("SELECT KIND, NAME, FACTS FROM DEPLOYMENT.DEPLOYMENT_OBJECT ORDER BY FILE_NAME, POSITION")
    return [row for row in rows if row["KIND"] != "TABLE"]


TWO_TASKS = FIRST | {
    "050_task.sql": f"""
-- Makes and drops: TASK {S}.UPPER_TASK
-- Makes and drops: TASK {S}.LOWER_TASK
{HEADER}
USE WAREHOUSE {{{{ warehouse }}}};
ALTER TASK IF EXISTS UPPER_TASK SUSPEND;
CREATE OR ALTER TASK UPPER_TASK WAREHOUSE = {{{{ warehouse }}}} SCHEDULE = '60 MINUTE' AS SELECT 1;
CREATE OR REPLACE TASK LOWER_TASK WAREHOUSE = {{{{ warehouse }}}} AFTER {S}.UPPER_TASK AS SELECT 1;
ALTER TASK LOWER_TASK RESUME;
ALTER TASK UPPER_TASK RESUME;
"""
}


def test_killed_after_any_statement_it_lets_the_tasks_of_others_run_again(prepared, killer):
    """Somebody's root precedes our task and somebody's child follows it."""
    after, ended = 0, None
    while ended is None:
        after += 1 if SOAK else 3
        system = prepared()
        system.files, system.smoke = TWO_TASKS, ""
        events = create_events(system)
        killer.run(events)
        place, of = system.config, f"WAREHOUSE = {system.names['warehouse']}"
        system.run(
            f"ALTER TASK {place}.UPPER_TASK SUSPEND",
            f"CREATE TASK {place}.ABOVE {of} SCHEDULE = '60 MINUTE' AS SELECT 1",
            f"CREATE TASK {place}.BELOW {of} AFTER {place}.LOWER_TASK AS SELECT 1",
            f"ALTER TASK {place}.LOWER_TASK ADD AFTER {place}.ABOVE",
            *(f"ALTER TASK {place}.{name} RESUME" for name in ("BELOW", "UPPER_TASK", "ABOVE")),
            role=system.names["owner_role"],
        )
        changed = {"050_task.sql": TWO_TASKS["050_task.sql"].replace("TASK AS SELECT 1", "TASK AS SELECT 2")}
        update = update_event(system, events[-1]["ResourceProperties"], system.scripts_properties(changed))
        ended = killer.run([update], after)
        if ended is None:
            killer.run([update])
        assert answers(system, [update]) == ["SUCCESS"], (after, system.aws.answers)
        tasks = {row["name"]: row for row in system.run(f"SHOW TASKS IN SCHEMA {place}")}
        assert {row["state"] for row in tasks.values()} == {"started"}, (after, tasks)
        assert "LOWER_TASK" in tasks["BELOW"]["predecessors"], after
        assert system.run("SELECT SUSPENDED FROM DEPLOYMENT.DEPLOYMENT_LOCK") == [{"SUSPENDED": None}], after
        system.remove()
    assert after > 15
