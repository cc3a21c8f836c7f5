"""A first deploy that is killed after any of its statements and run again ends like one that nobody disturbed.

Here the files are small, and every statement counts, those about lock and record too.
"""

import pytest
from killing import create_events, deployed_after_kill, end_state
from small_files import FIRST

PARTS = 4


def small(prepared):
    system = prepared()
    system.files, system.smoke = FIRST, f"CALL {system.config}.WAKE()"
    return system


@pytest.mark.parametrize("part", range(PARTS))
def test_killed_after_any_statement_it_loses_nothing(prepared, killer, part):
    undisturbed = small(prepared)
    count = killer.run(create_events(undisturbed))
    expected = end_state(undisturbed)
    assert count > 60
    wrong = []
    for after in range(1 + part, count + 1, PARTS):
        found = deployed_after_kill(small(prepared), killer, after)
        if found != expected:
            wrong.append((after, found))
    assert wrong == []
