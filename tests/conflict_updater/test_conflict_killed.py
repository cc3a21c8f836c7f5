"""kill -9 of a run after any exchange with PostgreSQL: what is there is right by itself, and a run again ends it.

Short in `make test`: every eighth exchange. With SNOWGATE_SOAK=1: every one.
"""

import dataclasses
import os
import subprocess
import sys

import pytest
from visit_world import ROOT, Visit, at

STEP = 1 if os.environ.get("SNOWGATE_SOAK") == "1" else 8
BEFORE = [Visit(f"{n}{side}", "111", at(5 * n), at(5 * n + 2)) for n in range(6) for side in "ab"]
BEFORE += [Visit(f"x{side}", "222", at(1), at(2)) for side in "ab"]
AFTER = [
    *(dataclasses.replace(visit, status="CANCELLED") for visit in BEFORE[0:6]),  # 0, 1 and 2 are resolved
    *(dataclasses.replace(visit, patient="other") for visit in BEFORE[6:10]),  # 3 and 4 have another patient
    *BEFORE[10:],  # 5 stays, x is excluded
    *(Visit(f"{n}{side}", "333", at(5 * n), at(5 * n + 2)) for n in (7, 8) for side in "ab"),  # 7 and 8 are new
]


@pytest.fixture(scope="module")
def killer(both):
    """Does runs that are killed: given a number of exchanges, tells how many there were, or 0 if it was killed."""
    with subprocess.Popen(
        [sys.executable, ROOT / "tests" / "conflict_updater" / "killed_update.py"],
        env=both.process_environment(BATCH_SIZE="2"),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:

        def run(kill_after):
            process.stdin.write(f"{kill_after}\n")
            process.stdin.flush()
            return int(process.stdout.readline())

        yield run
        process.stdin.close()


@pytest.mark.soak
@pytest.mark.long
@pytest.mark.timeout(600)
@pytest.mark.parametrize("first", [True, False], ids=["the first run", "a run over what is on record"])
def test_killed_anywhere_and_run_again_the_rows_are_those_of_one_run(world, killer, first):
    def set_out():
        world.empty()
        if not first:
            world.show(BEFORE)
            world.update()
            world.change("""UPDATE conflict_dev.conflictvisitmaps SET "StatusFlag" = 'R' WHERE "VisitID" = '5a'""")
        world.show(*(([*BEFORE], []) if first else (AFTER, ["222"])))
        return world.rows()

    before = set_out()
    exchanges = killer(0)
    after = world.rows()
    assert exchanges > 30
    assert after != before
    halves = 0
    for kill_after in range(1 + exchanges % STEP, exchanges + 1, STEP):
        set_out()
        assert killer(kill_after) == 0
        left = world.rows()
        halves += left not in (before, after)
        for pair, row in left.items():
            assert row in (before.get(pair), after.get(pair)), f"killed after exchange {kill_after}"
        world.update(batch_size="2")
        assert world.rows() == after, f"killed after exchange {kill_after}"
    print(f"{exchanges} exchanges, {halves} kills in the middle")
    assert halves > 0, "no kill came in the middle"
