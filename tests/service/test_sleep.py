"""Going to sleep: the count follows the demand, and no wake-up is lost."""

import datetime
import itertools
import threading

import pytest

from report_service.ecs import TaskProtection
from report_service.formula import needed
from report_service.heartbeat import Heartbeat
from report_service.metrics import Metrics
from report_service.queue.rows import Claim, Demand
from report_service.sleep import Sleep
from report_service.warehouse import Warehouses
from report_service.worker import Worker

# Snowflake's clock: nothing here may depend on the machine's.
NOW = datetime.datetime(2031, 5, 1, 12)
# The alarm clock knows whole seconds, and must not ring before the report is due.
WHOLE_SECOND = datetime.timedelta(milliseconds=999)


def demand(pending, busy, due=None):
    """What the queue holds at NOW."""
    return Demand(pending, busy, due, NOW)


NOTHING = demand(0, 0)


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

    def worker(self, max_tasks=4):
        return Sleep(
            demand=lambda: next(self.demands),
            count=self,
            alarm_clock=self,
            reports_per_task=5,
            max_tasks=max_tasks,
            stay_awake_seconds=60,
        )

    def sleep(self, max_tasks=4):
        return self.worker(max_tasks).go()


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
    service = Service(3, demand(0, 2), demand(0, 2))
    assert service.sleep()
    assert service.written == [2]


def test_the_count_is_never_raised_by_going_to_sleep():
    service = Service(1, demand(0, 3))
    assert not service.sleep()
    assert service.written == []


def test_a_worker_with_rows_to_claim_does_not_sleep():
    service = Service(1, demand(1, 0))
    assert not service.sleep()
    assert service.written == []


def test_a_row_that_arrives_in_between_takes_the_count_back():
    service = Service(1, NOTHING, demand(6, 0))
    assert not service.sleep()
    assert service.written == [0, 2]


def test_a_row_that_another_worker_claimed_in_between_takes_the_count_back():
    service = Service(2, NOTHING, demand(0, 1))
    assert not service.sleep()
    assert service.written == [0, 1]


@pytest.mark.parametrize(("count", "written"), [(0, [1]), (1, []), (3, [])])
def test_a_worker_that_begins_after_the_count_was_lowered_raises_it_and_never_lowers_it(count, written):
    service = Service(count, demand(0, 1))
    service.worker().take_back()
    assert service.written == written


def test_what_is_taken_back_never_passes_the_maximum():
    service = Service(2, NOTHING, demand(1000, 0))
    service.sleep(max_tasks=2)
    assert service.written == [0, 2]


def test_a_count_that_the_waker_raised_in_between_is_not_lowered_again():
    service = Service(1, NOTHING, demand(1, 0))
    lower = service.write
    service.write = lambda count: (lower(count), setattr(service, "count", 3))
    assert not service.sleep()
    assert service.written == [0]


def test_the_alarm_clock_is_set_before_the_count_is_lowered():
    due = NOW + datetime.timedelta(hours=2)
    service = Service(1, demand(0, 0, due), demand(0, 0, due))
    order = []
    service.set = order.append
    service.write = order.append
    assert service.sleep()
    assert order == [due + WHOLE_SECOND, 0]


def test_a_due_time_that_came_in_between_sets_the_alarm_clock_anew():
    due = NOW + datetime.timedelta(hours=2)
    service = Service(1, NOTHING, demand(0, 0, due))
    assert service.sleep()
    assert service.alarms == [None, due + WHOLE_SECOND]


def test_a_report_that_is_due_soon_is_waited_for():
    soon = NOW + datetime.timedelta(seconds=30)
    service = Service(1, demand(0, 0, soon))
    assert not service.sleep()
    assert service.written == []


class Claimable:
    """A queue with one row, a workshop that waits for `done`, and all else that a worker needs of its surroundings."""

    def __init__(self, health_file):
        self.rows = [Claim(1, "token", 1, 3, *[None] * 13)]
        self.done = threading.Event()
        self.settled = []
        self.taken_back = 0
        self.worker = Worker(
            queue=self,
            settling_queue=self,
            ledger=self,
            open_ledger=lambda warehouse: self,
            warehouses=Warehouses(lambda: None),
            workshop=self,
            delivery=self,
            heartbeat=Heartbeat(self, lease_seconds=60),
            metrics=Metrics("test"),
            protection=TaskProtection(None),
            lanes=2,
            poll_seconds=1,
            idle_seconds=60,
            stop_seconds=0.3,
            health_file=health_file,
        )
        self.worker.sleep = self

    def demand(self):
        return demand(len(self.rows), 0)

    def claim(self, limit):
        return [self.rows.pop()]

    def carry_out(self, *_):
        self.done.wait(5)

    def settle(self, outcomes):
        self.settled += outcomes
        return True

    def cancel_queries(self, session_id):
        raise AssertionError(f"no query runs in session {session_id}")

    def close(self):
        pass

    def take_back(self):
        self.taken_back += 1


def test_a_worker_sees_to_its_count_when_it_begins_to_work_and_when_it_hands_work_back(tmp_path):
    scene = Claimable(tmp_path / "alive")
    scene.worker.round()
    scene.worker.round()
    assert scene.taken_back == 1
    scene.worker.stop()
    scene.worker.run()
    assert [outcome.handed_back for outcome in scene.settled] == [True]
    assert scene.taken_back == 2
    scene.done.set()
