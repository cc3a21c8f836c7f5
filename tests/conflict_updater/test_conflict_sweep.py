"""The sweep line alone, which is quick: many more generated visits than a run over both databases can take."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from conflict_updater.sweep import OutOfOrderError, Pair, Sweep, Visit

TIMES = st.integers(-2, 12)


@st.composite
def visits(draw):
    found = []
    for number in range(draw(st.integers(0, 25))):
        start = draw(TIMES)
        ends = start + draw(st.integers(1, 8))
        found.append(Visit(draw(st.sampled_from("xyz")), start, f"{number}", ends, None, None, draw(st.booleans())))
    return found


def brute_force(found, asymmetric):
    return {
        Pair(one, other)
        for one, other in itertools.permutations(found, 2)
        if one.visit_id < other.visit_id
        and one.ssn == other.ssn
        and max(one.start, other.start) < min(one.end, other.end)
        and one.changed + other.changed >= (1 if asymmetric else 2)
    }


@given(found=visits(), asymmetric=st.booleans(), size=st.integers(1, 9))
def test_it_finds_each_pair_once_however_the_visits_are_cut_into_batches(found, asymmetric, size):
    ordered = sorted(found)
    sweep = Sweep(asymmetric=asymmetric)
    pairs = [pair for first in range(0, len(ordered), size) for pair in sweep.pairs(ordered[first : first + size])]
    assert len(set(pairs)) == len(pairs)
    assert set(pairs) == brute_force(found, asymmetric)


@pytest.mark.parametrize(
    "places", [[("x", 2, "a"), ("x", 1, "b")], [("y", 1, "a"), ("x", 1, "b")], [("x", 1, "a")] * 2]
)
def test_visits_out_of_order_are_refused_for_pairs_would_be_missed(places):
    found = [Visit(ssn, start, name, start + 1, None, None, True) for ssn, start, name in places]
    with pytest.raises(OutOfOrderError, match="VISIT_ID is not unique, or"):
        list(Sweep(asymmetric=True).pairs(found))
