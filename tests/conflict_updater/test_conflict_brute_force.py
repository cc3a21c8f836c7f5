"""Generated visits, and every pair of them looked at one by one: the table holds the same.

Short in `make test`; with SNOWGATE_SOAK=1 a thousand cases.
"""

import dataclasses
import itertools
import os

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from visit_world import Row, Visit, at

EXAMPLES = 1000 if os.environ.get("SNOWGATE_SOAK") == "1" else 12
HOURS, YEARS, DAYS = 36, 2, 45  # the settings' defaults
check = settings(
    max_examples=EXAMPLES,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)

# Ids and names that CSV, COPY and sorting could trip over.
IDS = st.sampled_from(["1", "2", "10", "a", "B", "é", "z\U0001f600", 'q"u', "c,d", "n\nl", "\\.", "\\N", " s", "NULL"])
TEXTS = st.sampled_from([None, "", "A", "B", 'a "b", c\n', "\\N", "NULL"])
SSNS = st.sampled_from(["111", "111", "222", "0222"])
LENGTHS = st.sampled_from([0.5, 1, 2, 25, 0, -1])
# Few different times, so that they meet: equal starts and ends, and midnights.
NEAR = st.sampled_from([-24, -1, -0.5, 0, 0.5, 1, 23, 23.5, 24, 25])
FAR = st.one_of(NEAR, NEAR.map(lambda hours: hours + 60 * 24), NEAR.map(lambda hours: hours - 800 * 24))
STATUSES = st.sampled_from(["SCHEDULED", "SCHEDULED", None, "", "DELETED", "Cancelled"])
RECENT = st.just(1)
AGES = st.sampled_from([1, 35.5, 36.5, 100])


@st.composite
def visit(draw, ids, starts=NEAR, ages=RECENT, ssns=SSNS):
    start = draw(starts)
    end = at(start + draw(LENGTHS))
    times = draw(st.sampled_from([(at(start), end)] * 8 + [(None, end), (at(start), None)]))
    return Visit(draw(ids), draw(ssns), *times, draw(STATUSES), draw(ages), draw(TEXTS), draw(TEXTS))


def visits(**parts):
    return st.lists(visit(IDS, **parts), max_size=10, unique_by=lambda made: made.id)


def live(visit, excluded):
    return (
        bool(visit.ssn)
        and visit.ssn not in excluded
        and None not in (visit.start, visit.end)
        and visit.start < visit.end
        and (visit.status or "").upper() not in ("CANCELLED", "DELETED")
    )


def pairs_of(found):
    """Every two of the visits, the one with the smaller id first."""
    return itertools.combinations(sorted(found, key=lambda visit: visit.id.encode()), 2)


def overlap(one, other):
    return one.ssn == other.ssn and one.start < other.end and other.start < one.end


def row(one, other, flag="U"):
    times = (one.start, one.end, other.start, other.end)
    return Row(one.ssn, (one.agency, other.agency), (one.patient, other.patient), times, flag)


@pytest.mark.soak
@pytest.mark.long
@pytest.mark.timeout(240 + 10 * EXAMPLES)
@check
@given(data=st.data())
def test_when_each_change_is_seen_the_open_rows_are_all_overlapping_pairs_there_are(world, data):
    world.empty()
    before, excluded = data.draw(visits()), data.draw(st.sets(SSNS, max_size=1))
    size = data.draw(st.sampled_from(["1", "2", "5000"]))
    check_truth(world, before, excluded, size)
    after = []
    for made in before:
        if data.draw(st.booleans()):
            after.append(data.draw(visit(st.just(made.id))))
        else:
            after.append(dataclasses.replace(made, age=100))
    after += [made for made in data.draw(visits()) if made.id not in {other.id for other in before}]
    check_truth(world, after, excluded | data.draw(st.sets(SSNS, max_size=1)), size)


def check_truth(world, shown, excluded, size):
    world.show(shown, excluded)
    known = world.rows(), world.moments()
    world.update(batch_size=size)
    living = [visit for visit in shown if live(visit, excluded)]
    expected = {(one.id, other.id): row(one, other) for one, other in pairs_of(living) if overlap(one, other)}
    rows, moments = world.rows(), world.moments()
    assert {pair: row for pair, row in rows.items() if row.flag != "R"} == expected
    assert set(rows) == set(known[0]) | set(expected)
    for pair, old in known[0].items():
        assert (moments[pair] == known[1][pair]) == (rows[pair] == old), "UpdatedDate moves when the row does"
    world.update(batch_size=size)
    assert (world.rows(), world.moments()) == (rows, moments)


@pytest.mark.soak
@pytest.mark.long
@pytest.mark.timeout(240 + 10 * EXAMPLES)
@check
@given(data=st.data(), asymmetric=st.booleans(), cleanup=st.booleans())
def test_a_run_does_to_any_record_what_its_settings_say(world, data, asymmetric, cleanup):
    """Visits may be old, far away or gone, and the record may be of others."""
    world.empty()
    everything = {"starts": FAR, "ages": AGES, "ssns": st.one_of(SSNS, st.sampled_from([None, ""]))}
    world.show(data.draw(visits(starts=FAR)))
    world.update()
    before = world.rows()
    shown, excluded = data.draw(visits(**everything)), data.draw(st.sets(SSNS, max_size=1))
    assume(before or shown)
    world.show(shown, excluded)
    world.update(enable_asymmetric_join=str(asymmetric), enable_stale_cleanup=str(cleanup))
    rows = world.rows()
    assert rows == expected_rows(before, shown, excluded, asymmetric, cleanup)
    moments = world.moments()
    world.update(enable_asymmetric_join=str(asymmetric), enable_stale_cleanup=str(cleanup))
    assert (world.rows(), world.moments()) == (rows, moments)


def expected_rows(before, shown, excluded, asymmetric, cleanup):
    changed = {visit.id for visit in shown if visit.age < HOURS}
    caregivers = {visit.ssn for visit in shown if visit.id in changed and visit.ssn} - excluded
    looked_at = {
        visit.id: visit for visit in shown if visit.id in changed or visit.ssn in caregivers and related(visit)
    }
    expected = dict(before)
    for one, other in pairs_of(visit for visit in looked_at.values() if live(visit, excluded)):
        sides = len({one.id, other.id} & changed)
        if overlap(one, other) and sides >= (1 if asymmetric else 2):
            expected[one.id, other.id] = row(one, other)
    for (first, second), old in before.items():
        if not cleanup or expected[first, second].flag == "R":
            continue
        one, other = looked_at.get(first), looked_at.get(second)
        if old.ssn in excluded and expected[first, second].ssn in excluded:
            expected[first, second] = expected[first, second]._replace(flag="R")
        elif one or other:
            one = one or Visit(first, old.ssn, *old.times[:2])
            other = other or Visit(second, old.ssn, *old.times[2:])
            if not (live(one, excluded) and live(other, excluded) and overlap(one, other)):
                expected[first, second] = expected[first, second]._replace(flag="R")
    return expected


def related(visit):
    return visit.start is not None and at(-YEARS * 366 * 24) < visit.start < at((DAYS + 1) * 24)
