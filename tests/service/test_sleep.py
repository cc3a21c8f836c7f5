"""Going to sleep: the count follows the demand, and no wake-up is lost."""

import datetime
import itertools

import pytest

from report_service.formula import needed
from report_service.queue.rows import Demand
from report_service.sleep import Sleep

NOTHING = Demand(0, 0, None)


class Service:
    """ECS, the queue and the alarm clock, as one worker sees them; each look at the queue takes the next demand."""

    def __init__(self, count, *demands):
        self.count, self.demands = count, iter(demands)
        self.written, self.alarms = [], []

    def read(self):
        return self.count

    def write(self, count):
        self.written.append(count)
        self.count = count

    def set(self, at):
        self.alarms.append(at)

    def sleep(self, max_tasks=4):
        return Sleep(
            demand=lambda: next(self.demands),
            count=self,
            alarm_clock=self,
            reports_per_task=5,
            max_tasks=max_tasks,
            stay_awake_seconds=60,
        ).go()


@pytest.mark.parametrize(
    ("pending", "busy", "expected"),
    [(0, 0, 0), (1, 0, 1), (5, 0, 1), (6, 0, 2), (6, 1, 3), (100, 3, 4), (0, 9, 4), (-1, -1, 0)],
)
def test_the_formula_gives_the_tasks_that_are_needed(pending, busy, expected):
    assert needed(pending, busy, reports_per_task=5, max_tasks=4) == expected


def test_the_formula_stays_between_zero_and_the_maximum():
    for pending, busy, per_task, most in itertools.product(range(0, 40, 7), range(0, 9, 2), (1, 3, 10), (0, 1, 5)):
        assert 0 <= needed(pending, busy, reports_per_task=per_task, max_tasks=most) <= most


def test_an_idle_worker_with_an_empty_queue_lowers_the_count_to_zero():
    service = Service(1, NOTHING, NOTHING)
    assert service.sleep()
    assert (service.written, service.alarms) == ([0], [None])


def test_the_count_follows_the_workers_that_are_still_busy():
    service = Service(3, Demand(0, 2, None), Demand(0, 2, None))
    assert service.sleep()
    assert service.written == [2]


def test_the_count_is_never_raised_by_going_to_sleep():
    service = Service(1, Demand(0, 3, None))
    assert not service.sleep()
    assert service.written == []


def test_a_worker_with_rows_to_claim_does_not_sleep():
    service = Service(1, Demand(1, 0, None))
    assert not service.sleep()
    assert service.written == []


def test_a_row_that_arrives_in_between_takes_the_count_back():
    service = Service(1, NOTHING, Demand(6, 0, None))
    assert not service.sleep()
    assert service.written == [0, 2]


def test_what_is_taken_back_never_passes_the_maximum():
    service = Service(2, NOTHING, Demand(1000, 0, None))
    service.sleep(max_tasks=2)
    assert service.written == [0, 2]


def test_a_count_that_the_waker_raised_in_between_is_not_lowered_again():
    service = Service(1, NOTHING, Demand(1, 0, None))
    lower = service.write
    service.write = lambda count: (lower(count), setattr(service, "count", 3))
    assert not service.sleep()
    assert service.written == [0]


def test_the_alarm_clock_is_set_before_the_count_is_lowered():
    due = datetime.datetime.now(datetime.UTC).replace(tzinfo=None, microsecond=0) + datetime.timedelta(hours=2)
    service = Service(1, Demand(0, 0, due), Demand(0, 0, due))
    order = []
    service.set = lambda at: order.append(at.replace(microsecond=0))
    service.write = order.append
    assert service.sleep()
    assert order == [due, 0]


def test_a_due_time_that_came_in_between_sets_the_alarm_clock_anew():
    due = datetime.datetime.now(datetime.UTC).replace(tzinfo=None, microsecond=0) + datetime.timedelta(hours=2)
    service = Service(1, NOTHING, Demand(0, 0, due))
    assert service.sleep()
    assert [at and at.replace(microsecond=0) for at in service.alarms] == [None, due]


def test_a_report_that_is_due_soon_is_waited_for():
    soon = datetime.datetime.now(datetime.UTC).replace(tzinfo=None) + datetime.timedelta(seconds=30)
    service = Service(1, Demand(0, 0, soon))
    assert not service.sleep()
    assert service.written == []
