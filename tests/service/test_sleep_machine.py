"""Insert, trigger, claim, finish, crash, lease expiry, sleep, wake and scale-in in every order: no wake-up is lost."""

import datetime

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)
from sleep_model import Status, System

from report_service.sleep import Sleep

COMMON = settings(deadline=None, suppress_health_check=list(HealthCheck), database=None)
# A wake-up that is lost is made up for by the next insert: short orders find it, long ones find the rest. Without the
# second look one in about 700 short orders loses one.
SHORT = settings(COMMON, stateful_step_count=12, max_examples=800)
LONG = settings(COMMON, stateful_step_count=40, max_examples=200)
# To show that a fault is found takes no shortest example, and the same orders each time.
SEARCH = {"max_examples": 5000, "phases": [Phase.generate], "derandomize": True}
EVERYTHING = {"raised", "lowered", "handed back", "taken over", "fenced off", "crashed", "rung"}


class SleepMachine(RuleBasedStateMachine):
    """One system in one order of events; the sleep is the service's own."""

    sleep: type[Sleep] = Sleep
    fenced = True
    reached: set[str] = set()

    def __init__(self):
        super().__init__()
        self.system = System(self.sleep, fenced=self.fenced)

    def teardown(self):
        try:
            self.system.settle()
            assert all(one.status is Status.DONE for one in self.system.requests), "a wake-up was lost"
            self.nothing_is_finished_twice()
            assert (self.system.desired, self.system.workers) == (0, []), "it does not go to sleep"
        finally:
            self.reached.update(self.system.reached)
            self.system.close()

    @invariant()
    def nothing_is_finished_twice(self):  # that the count stays in its bounds is asked at each write
        assert all(one.finished <= 1 for one in self.system.requests), "a report was finished twice"

    @initialize()
    def a_new_service_has_one_task(self):
        self.system.desired = 1
        self.system.start_task()

    @rule(minutes=st.sampled_from([0, 0, 0, 10, 60]))
    def insert(self, minutes):
        self.system.insert(minutes)

    @precondition(lambda self: not self.system.triggers)
    @rule()
    def insert_and_trigger(self):
        """As it mostly is: the call is through before anything else happens."""
        self.system.insert(0)
        self.system.trigger()
        self.system.finish_actor(self.system.triggers[0][0])

    @precondition(lambda self: self.system.unseen and not self.system.triggers)
    @rule()
    def trigger(self):
        self.system.trigger()

    @precondition(lambda self: self.system.triggers)
    @rule()
    def trigger_fails(self):
        self.system.fail_trigger()

    @precondition(lambda self: self.system.actors())
    @rule(data=st.data(), steps=st.integers(1, 5))
    def go_on(self, data, steps):
        actor = data.draw(st.sampled_from(self.system.actors()))
        for _ in range(steps):
            self.system.step(actor)

    @precondition(lambda self: self.system.running < self.system.desired)
    @rule()
    def scale_out(self):
        self.system.start_task()

    @precondition(lambda self: self.system.running > self.system.desired and self.system.stoppable())
    @rule(data=st.data())
    def scale_in(self, data):
        self.system.stop_task(data.draw(st.sampled_from(self.system.stoppable())))

    @precondition(lambda self: any(one.stopping for one in self.system.workers))
    @rule()
    def end(self):
        self.system.end_task(next(one for one in self.system.workers if one.stopping))

    @precondition(lambda self: self.free())
    @rule(data=st.data(), count=st.integers(1, 3))
    def claim(self, data, count):
        self.system.claim(data.draw(st.sampled_from(self.free())), count)

    @precondition(lambda self: any(one.rows for one in self.free()))
    @rule(data=st.data())
    def protect(self, data):
        worker = data.draw(st.sampled_from([one for one in self.free() if one.rows]))
        worker.protected = True

    @precondition(lambda self: any(one.rows for one in self.system.workers))
    @rule(data=st.data())
    def finish(self, data):
        worker = data.draw(st.sampled_from([one for one in self.system.workers if one.rows]))
        self.system.finish(worker)
        worker.protected = worker.protected and bool(worker.rows)

    @precondition(lambda self: any(not one.rows for one in self.free()))
    @rule(data=st.data())
    def fall_asleep(self, data):
        self.system.fall_asleep(data.draw(st.sampled_from([one for one in self.free() if not one.rows])))

    @precondition(lambda self: self.system.workers)
    @rule(data=st.data())
    def crash(self, data):
        self.system.crash(data.draw(st.sampled_from(self.system.workers)))

    @precondition(lambda self: any(one.rows for one in self.system.workers))
    @rule(data=st.data())
    def stall(self, data):
        self.system.stall(data.draw(st.sampled_from([one for one in self.system.workers if one.rows])))

    @precondition(lambda self: self.system.orphans())
    @rule()
    def leases_run_out(self):
        self.system.expire()

    @precondition(lambda self: self.system.alarm is not None)
    @rule()
    def ring(self):
        self.system.now = max(self.system.now, self.system.alarm)
        self.system.ring()

    @precondition(lambda self: self.system.demand().next_due_at)
    @rule()
    def time_goes_on(self):
        self.system.now += datetime.timedelta(minutes=7)

    def free(self):
        """Workers whose loop is not held up and goes on."""
        return [one for one in self.system.workers if one.actor is None and not one.stopping]


class Careless(Sleep):
    """A sleep without its second look."""

    def _taken_back(self, before, lowered):
        return False


class CarelessMachine(SleepMachine):
    """The same model around it."""

    sleep = Careless


class UnfencedMachine(SleepMachine):
    """The same model with workers that finish whatever they once claimed."""

    fenced = False


def test_no_wake_up_is_lost_and_nothing_is_finished_twice_in_any_order():
    SleepMachine.reached.clear()
    run_state_machine_as_test(SleepMachine, settings=SHORT)
    run_state_machine_as_test(SleepMachine, settings=LONG)
    assert SleepMachine.reached == EVERYTHING  # else the orders would prove little


@pytest.mark.parametrize(
    ("machine", "order", "said"),
    [(CarelessMachine, SHORT, "a wake-up was lost"), (UnfencedMachine, LONG, "a report was finished twice")],
)
def test_the_model_catches_a_missing_second_look_and_a_missing_fence(machine, order, said):
    with pytest.raises(AssertionError, match=said):
        run_state_machine_as_test(machine, settings=settings(order, **SEARCH))
