"""An update that is killed after any of its statements and run again loses no row, no offset and no grant."""

import pytest
from killing import answers, create_events, end_state, update_event
from small_files import FIRST, SECOND

PARTS = 4
pytestmark = [pytest.mark.long, pytest.mark.timeout(900)]


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
    for after in range(1 + part, count + 1, PARTS):
        system, update = small(prepared, killer)
        killer.run([update], after)
        killer.run([update])
        assert answers(system, [update]) == ["SUCCESS"], (after, system.aws.answers)
        if (state := found(system)) != expected:
            wrong.append((after, state))
        system.remove()
    assert wrong == []
