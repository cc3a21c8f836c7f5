"""A deploy of the project's own files, killed after each statement that changes something, loses nothing."""

import pytest
from killing import create_events, deployed_after_kill, end_state

PARTS = 4


@pytest.mark.parametrize("part", range(PARTS))
def test_killed_after_any_change_it_loses_nothing(prepared, killer, part):
    undisturbed = prepared()
    count = killer.run(create_events(undisturbed), changing=True)
    expected = end_state(undisturbed)
    assert count > 40
    wrong = []
    for after in range(1 + part, count + 1, PARTS):
        found = deployed_after_kill(prepared(), killer, after, changing=True)
        if found != expected:
            wrong.append((after, found))
    assert wrong == []
