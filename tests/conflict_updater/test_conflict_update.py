"""What a run does to the table, by examples."""

import dataclasses

import pytest
from visit_world import Visit, at

from conflict_updater.conflict_maps import VisitTwiceError

MORNING = Visit("a", "111", at(8), at(10))
LATER = Visit("b", "111", at(9), at(11), agency="B", patient="Q")
OLD = 100  # hours: not within LOOKBACK_HOURS


def changed(visit, **changes):
    return dataclasses.replace(visit, age=1, **changes)


def aged(visit):
    return dataclasses.replace(visit, age=OLD)


def test_two_overlapping_visits_of_a_caregiver_are_a_conflict_whose_row_names_both(world):
    world.show([LATER, MORNING])
    assert world.update() == (1, 1, 0)
    row = world.rows()["a", "b"]
    assert row == ("111", ("A", "B"), ("P", "Q"), (at(8), at(10), at(9), at(11)), "U")


@pytest.mark.parametrize(
    "other",
    [
        Visit("b", "111", at(10), at(11)),  # begins when the other ends
        Visit("b", "222", at(9), at(11)),
        Visit("b", None, at(9), at(11)),
        Visit("b", "", at(9), at(11)),
        Visit("b", "111", at(9), at(9)),  # of no length
        Visit("b", "111", at(9), at(8)),
        Visit("b", "111", at(9), None),
        Visit("b", "111", None, at(11)),
        Visit("b", "111", at(9), at(11), status="CANCELLED"),
        Visit("b", "111", at(9), at(11), status="deleted"),
    ],
)
def test_what_is_no_conflict(world, other):
    world.show([MORNING, other])
    assert world.update() == (0, 0, 0)


def test_two_visits_without_caregiver_are_no_conflict(world):
    world.show([dataclasses.replace(visit, ssn="") for visit in (MORNING, LATER)])
    assert world.update() == (0, 0, 0)


def test_a_visit_over_midnight_conflicts_with_one_of_the_next_day(world):
    world.show([Visit("a", "111", at(22), at(26)), Visit("b", "111", at(24), at(25))])
    world.update()
    assert world.open_pairs() == {("a", "b")}


def test_a_second_run_changes_nothing(world):
    world.show([MORNING, LATER, Visit("c", "111", at(9), at(12))])
    assert world.update() == (3, 3, 0)
    before = world.rows(), world.moments()
    assert world.update() == (3, 0, 0)
    assert (world.rows(), world.moments()) == before


def test_a_conflict_that_is_gone_is_resolved_and_one_that_comes_back_is_open_again(world):
    world.show([MORNING, LATER])
    world.update()
    first = world.moments()["a", "b"]
    world.show([aged(MORNING), changed(LATER, start=at(20), end=at(21))])
    assert world.update() == (0, 0, 1)
    assert world.rows()["a", "b"].flag == "R"
    resolved = world.moments()["a", "b"]
    assert (resolved[0], resolved[1] > first[1]) == (first[0], True)
    world.show([aged(MORNING), changed(LATER)])
    assert world.update() == (1, 1, 0)
    assert world.rows()["a", "b"].flag == "U"


@pytest.mark.parametrize(
    "change",
    [
        {"status": "CANCELLED"},
        {"ssn": "222"},
        {"ssn": None},
        {"start": None},
        {"start": at(24 * 400), "end": at(24 * 400 + 1)},
    ],
    ids=str,
)
def test_whatever_ends_a_conflict_resolves_it(world, change):
    world.show([MORNING, LATER])
    world.update()
    world.show([aged(MORNING), changed(LATER, **change)])
    assert world.update() == (0, 0, 1)


def test_a_caregiver_who_is_excluded_later_has_the_conflicts_resolved_though_no_visit_changed(world):
    world.show([MORNING, LATER])
    world.update()
    world.show([aged(MORNING), aged(LATER)], excluded=["111", "111", "333"])
    assert world.update() == (0, 0, 1)
    assert world.rows()["a", "b"].flag == "R"
    world.show([changed(MORNING), changed(LATER)], excluded=["111"])
    assert world.update() == (0, 0, 0)


def test_two_visits_that_move_to_an_excluded_caregiver_are_no_conflict_any_more(world):
    world.show([MORNING, LATER])
    world.update()
    world.show([changed(MORNING, ssn="333"), changed(LATER, ssn="333")], excluded=["333"])
    assert world.update() == (0, 0, 1)


def test_without_stale_cleanup_nothing_is_resolved(world):
    world.show([MORNING, LATER])
    world.update()
    world.show([aged(MORNING), changed(LATER, status="CANCELLED")], excluded=["111"])
    assert world.update(enable_stale_cleanup="false") == (0, 0, 0)
    assert world.open_pairs() == {("a", "b")}


def test_a_flag_that_somebody_set_by_hand_stays_until_the_conflict_is_gone(world):
    world.show([MORNING, LATER])
    world.update()
    world.change("""UPDATE conflict_dev.conflictvisitmaps SET "StatusFlag" = 'W'""")
    world.show([MORNING, changed(LATER, end=at(12))])
    assert world.update() == (1, 1, 0)
    assert world.rows()["a", "b"].flag == "W"
    assert world.rows()["a", "b"].times[-1] == at(12)
    world.show([changed(MORNING, status="CANCELLED"), LATER])
    world.update()
    assert world.rows()["a", "b"].flag == "R"


def test_one_changed_side_is_enough_and_both_are_needed_without_the_asymmetric_join(world):
    world.show([aged(MORNING), LATER])
    assert world.update(enable_asymmetric_join="false") == (0, 0, 0)
    assert world.update() == (1, 1, 0)


def test_two_visits_that_have_not_changed_are_not_looked_for(world):
    world.show([aged(MORNING), aged(LATER), Visit("c", "111", at(20), at(21))])
    assert world.update() == (0, 0, 0)
    assert world.update(lookback_hours="120") == (1, 1, 0)


@pytest.mark.parametrize(("days", "variable", "wider"), [(60, "lookforward_days", "90"), (-800, "lookback_years", "3")])
def test_a_related_visit_counts_within_the_days_and_years_that_are_set(world, days, variable, wider):
    hours = days * 24
    world.show([Visit("a", "111", at(hours), at(hours + 2), age=OLD), Visit("b", "111", at(hours + 1), at(hours + 3))])
    assert world.update() == (0, 0, 0)
    assert world.update(**{variable: wider}) == (1, 1, 0)


def test_a_pair_beyond_the_days_that_is_on_record_stays_open_while_it_conflicts(world):
    far = 24 * 60
    pair = [Visit("a", "111", at(far), at(far + 2)), Visit("b", "111", at(far + 1), at(far + 3))]
    world.show(pair)
    world.update()
    world.show([aged(pair[0]), changed(pair[1], patient="other")])
    assert world.update() == (0, 0, 0)
    assert world.open_pairs() == {("a", "b")}


def test_a_wrong_row_of_two_looked_at_visits_that_did_not_change_is_put_right(world):
    quiet = Visit("c", "111", at(20), at(21), age=OLD)
    world.show([MORNING, LATER])
    world.update()
    world.change("""INSERT INTO conflict_dev.conflictvisitmaps SELECT "VisitID", 'c', "SSN", "AgencyID", "ConAgencyID",
        "PatientID", "ConPatientID", "VisitStartTime", "VisitEndTime", "ConVisitStartTime", "ConVisitEndTime"
        FROM conflict_dev.conflictvisitmaps""")
    world.show([aged(MORNING), quiet, changed(LATER)])
    assert world.update() == (1, 0, 1)
    assert world.open_pairs() == {("a", "b")}


def test_a_visit_that_is_there_twice_stops_the_run_by_its_id(world):
    world.show([MORNING, dataclasses.replace(MORNING, start=at(9))])
    with pytest.raises(VisitTwiceError, match=r"\(visit_id\)=\(a\)"):
        world.update()


def test_many_pairs_in_small_batches_are_the_same_as_in_one(world):
    visits = [Visit(f"v{n}", str(n % 5 + 1), at(n % 7), at(n % 7 + 3)) for n in range(60)]
    world.show(visits)
    assert world.update(batch_size="7").entered > 150
    rows = world.rows()
    world.empty()
    world.show(visits)
    world.update()
    assert world.rows() == rows
    world.show([dataclasses.replace(visit, status="CANCELLED") for visit in visits])
    assert world.update(batch_size="7") == (0, 0, len(rows))
    assert world.open_pairs() == set()


def test_the_table_that_is_there_needs_no_right_to_create(world):
    world.show([MORNING, LATER])
    world.update()
    world.change("CREATE ROLE updater LOGIN PASSWORD 'for-tests'")
    world.change("GRANT USAGE ON SCHEMA conflict_dev TO updater")
    world.change("GRANT SELECT, INSERT, UPDATE ON conflict_dev.conflictvisitmaps TO updater")
    world.show([MORNING, changed(LATER, end=at(12))])
    assert world.update(postgres_user="updater", postgres_password="for-tests") == (1, 1, 0)
