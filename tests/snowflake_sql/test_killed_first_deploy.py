"""A first deploy of the project's own files that is killed after any statement and run again loses nothing.

Every statement counts that does more than look, those about the deploy's lock and record too. `make test` takes one
index of 32, and the last steps of a deploy; `make soak` takes every one.
"""

import pytest
from killing import create_events, deployed_after_kill, end_state, sampled

PARTS = 4
pytestmark = [pytest.mark.soak, pytest.mark.long, pytest.mark.timeout(900)]


@pytest.mark.parametrize("part", range(PARTS))
def test_killed_after_any_statement_it_ends_like_an_undisturbed_one(prepared, killer, part):
    undisturbed = prepared()
    count = killer.run(create_events(undisturbed))
    expected = end_state(undisturbed)
    assert count > 80
    wrong = []
    for after in sampled(count, every=32)[part::PARTS]:
        system = prepared()
        found = deployed_after_kill(system, killer, after)
        if found != expected:
            wrong.append((after, found))
    assert wrong == []
