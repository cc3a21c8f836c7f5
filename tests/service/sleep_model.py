"""The queue, ECS, Snowflake's trigger and the waker around workers that sleep by the service's own code.

Everything that reaches out of an actor (a look at the queue, a read or a write of the desired count, the alarm clock)
is one step, and between two steps anything else may happen.
"""

import datetime
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import Enum

from report_service.queue.rows import Demand
from report_service.sleep import Sleep
from snowgate.lambdas.waker import handler as waker

MAX_TASKS = 3
REPORTS_PER_TASK = 2
START = datetime.datetime(2026, 1, 1)


class Killed(BaseException):
    """The actor's process is gone."""


class Actor:
    """Code that runs in a thread of its own, one step at a time; it never runs while the model does."""

    def __init__(self, work: Callable[["Actor"], None]) -> None:
        self._work = work
        self._go, self._paused = threading.Semaphore(0), threading.Semaphore(0)
        self._killed = False
        self.error: BaseException | None = None
        self.done = False
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()
        self._paused.acquire()

    def gate(self) -> None:
        """Wait until it may take its next step."""
        self._paused.release()
        self._go.acquire()
        if self._killed:
            raise Killed

    def step(self) -> None:
        """Let it go on to its next gate or to its end."""
        self._go.release()
        self._paused.acquire()
        if self.error is not None:
            raise self.error

    def kill(self) -> None:
        """End it where it stands."""
        self._killed = True
        if not self.done:
            self._go.release()
            self._paused.acquire()

    def _run(self) -> None:
        try:
            self._work(self)
        except Killed:
            pass
        except BaseException as error:  # noqa: BLE001 - the model raises it
            self.error = error
        self.done = True
        self._paused.release()


class Status(Enum):
    """Where a request stands."""

    PENDING = 1
    PROCESSING = 2
    DONE = 3


@dataclass
class Request:
    """A row of REPORT_CONFIG."""

    due: datetime.datetime
    status: Status = Status.PENDING
    holder: "Worker | None" = None
    token: int = 0
    finished: int = 0


@dataclass(eq=False)
class Worker:
    """A task; `actor` is its sleep, or its call for others, while that runs."""

    sleep: Sleep | None = None
    actor: Actor | None = None
    stopping: bool = False
    protected: bool = False
    rows: list[tuple[Request, int]] = field(default_factory=list)


class Ecs:
    """As much of the client as the waker uses; each call is a step of the actor that calls."""

    def __init__(self, system: "System", actor: Actor) -> None:
        self._system, self._actor = system, actor

    def describe_services(self, cluster: str, services: list[str]) -> dict[str, object]:
        """Read the count."""
        self._actor.gate()
        return {"services": [{"status": "ACTIVE", "desiredCount": self._system.desired}]}

    def update_service(self, cluster: str, service: str, desiredCount: int) -> None:  # noqa: N803 - as boto3 has it
        """Set the count."""
        self._actor.gate()
        self._system.set_desired(desiredCount)


class System:
    """Everything together."""

    def __init__(self, sleep: type[Sleep] = Sleep, *, fenced: bool = True) -> None:
        self._sleep, self._fenced = sleep, fenced
        self.reached: set[str] = set()
        self.now = START
        self.requests: list[Request] = []
        self.unseen: list[Request] = []  # what the stream holds
        self.desired = 0
        self.workers: list[Worker] = []
        self.triggers: list[tuple[Actor, list[Request]]] = []
        self.wakers: list[Actor] = []
        self.alarm: datetime.datetime | None = None
        self._tokens = 0

    # --- what the queue says

    def demand(self) -> Demand:
        """V_QUEUE_DEMAND."""
        pending = [one for one in self.requests if one.status is Status.PENDING]
        lost = [one for one in self.requests if one.status is Status.PROCESSING and one.holder is None]
        busy = {id(one.holder) for one in self.requests if one.status is Status.PROCESSING and one.holder}
        later = [one.due for one in pending if one.due > self.now]
        return Demand(len(pending) - len(later) + len(lost), len(busy), min(later, default=None), self.now)

    def set_desired(self, count: int) -> None:
        """Set the desired count; nobody may set one that is out of bounds."""
        assert 0 <= count <= MAX_TASKS, f"the desired count was set to {count}"
        self.reached |= {"lowered"} if count < self.desired else {"raised"} if count > self.desired else set()
        self.desired = count

    # --- Snowflake's side

    def insert(self, minutes: int) -> None:
        """Somebody asks for a report, due in some minutes."""
        request = Request(self.now + datetime.timedelta(minutes=minutes))
        self.requests.append(request)
        self.unseen.append(request)

    def trigger(self) -> None:
        """The task finds rows in the stream and runs SEND_ECS_TRIGGER; the stream moves on once the call succeeded."""
        seen = list(self.unseen)
        demand = self.demand()
        pending = max(demand.pending, 1 if not demand.busy else 0)

        def call(actor: Actor) -> None:
            if pending:
                self._wake(actor, pending, demand.busy)
            self.unseen = [one for one in self.unseen if one not in seen]

        self.triggers.append((Actor(call), seen))

    def ring(self) -> None:
        """The alarm clock rings and wakes one."""
        self.reached.add("rung")
        self.alarm = None
        self.wakers.append(Actor(lambda actor: self._wake(actor, 1, 0)))

    def _wake(self, actor: Actor, pending: int, busy: int) -> None:
        count = waker.needed(pending, busy, reports_per_task=REPORTS_PER_TASK, max_tasks=MAX_TASKS)
        waker.raise_desired_count(Ecs(self, actor), "cluster", "service", count, lambda seconds: actor.gate())

    # --- ECS

    def start_task(self) -> None:
        """ECS brings the tasks up to the count."""
        worker = Worker()
        system = self

        class Count:
            def read(self) -> int:
                worker.actor.gate()
                return system.desired

            def write(self, count: int) -> None:
                worker.actor.gate()
                system.set_desired(count)

            def set(self, at: datetime.datetime | None) -> None:
                worker.actor.gate()
                system.alarm = at

        def look() -> Demand:
            worker.actor.gate()
            return system.demand()

        worker.sleep = self._sleep(
            demand=look,
            count=Count(),
            alarm_clock=Count(),
            reports_per_task=REPORTS_PER_TASK,
            max_tasks=MAX_TASKS,
            stay_awake_seconds=60,
        )
        self.workers.append(worker)

    def stoppable(self) -> list[Worker]:
        """The tasks that scale-in may choose."""
        return [one for one in self.workers if not one.protected and not one.stopping]

    @property
    def running(self) -> int:
        """The tasks that ECS counts."""
        return len([one for one in self.workers if not one.stopping])

    def stop_task(self, worker: Worker) -> None:
        """SIGTERM: it claims nothing more, hands back what it has, and calls for another if that was something."""
        worker.stopping = True

    def end_task(self, worker: Worker) -> None:
        """What a stopped worker does before its process ends."""
        held = [(row, token) for row, token in worker.rows if row.token == token and row.status is Status.PROCESSING]
        for row, _ in held:
            row.status, row.holder = Status.PENDING, None
        worker.rows = []
        self.reached |= {"handed back"} if held else set()
        if held and worker.actor is None:
            self._start(worker, worker.sleep.take_back)
        elif worker.actor is None:
            self.workers.remove(worker)

    def crash(self, worker: Worker) -> None:
        """kill -9; its rows wait for their leases to end."""
        if worker.actor is not None:
            worker.actor.kill()
        self.workers.remove(worker)
        self.reached.add("crashed")

    def expire(self) -> None:
        """The leases of dead workers run out."""
        for row in self.orphans():
            row.holder = None

    def orphans(self) -> list[Request]:
        """The rows whose worker is dead and whose lease still runs."""
        held = [one for one in self.requests if one.status is Status.PROCESSING and one.holder is not None]
        return [one for one in held if one.holder not in self.workers]

    def stall(self, worker: Worker) -> None:
        """Its heartbeats do not get through: the leases run out although it goes on working."""
        for row, token in worker.rows:
            if row.token == token and row.status is Status.PROCESSING:
                row.holder = None

    # --- the worker

    def claim(self, worker: Worker, count: int) -> None:
        """One round that finds something: claim, and if it was idle, see that the count is right for it."""
        idle = not worker.rows
        due = [
            one
            for one in self.requests
            if (one.status is Status.PENDING and one.due <= self.now)
            or (one.status is Status.PROCESSING and one.holder is None)
        ][:count]
        for row in due:
            self.reached |= {"taken over"} if row.status is Status.PROCESSING else set()
            self._tokens += 1
            row.status, row.holder, row.token = Status.PROCESSING, worker, self._tokens
            worker.rows.append((row, self._tokens))
        if due and idle:
            self._start(worker, worker.sleep.take_back)

    def finish(self, worker: Worker) -> None:
        """The fenced write that ends a report."""
        row, token = worker.rows.pop(0)
        held = row.token == token and row.status is Status.PROCESSING
        self.reached |= set() if held else {"fenced off"}
        if held or not self._fenced:
            row.status, row.holder = Status.DONE, None
            row.finished += 1

    def fall_asleep(self, worker: Worker) -> None:
        """An idle worker goes to sleep."""
        self._start(worker, worker.sleep.go)

    def _start(self, worker: Worker, work: Callable[[], object]) -> None:
        # The thread begins in the work at once, so its actor must be known before.
        def run(actor: Actor) -> None:
            worker.actor = actor
            work()

        worker.actor = Actor(run)

    # --- steps

    def actors(self) -> list[Actor]:
        """Everything that is under way."""
        return [
            *(one for one, _ in self.triggers),
            *self.wakers,
            *(one.actor for one in self.workers if one.actor is not None),
        ]

    def step(self, actor: Actor) -> None:
        """One step of an actor; what has ended is cleared away."""
        if not actor.done:  # one that had nothing to do ended when it began
            actor.step()
        if actor.done:
            self.triggers = [pair for pair in self.triggers if pair[0] is not actor]
            self.wakers = [one for one in self.wakers if one is not actor]
            for worker in self.workers:
                if worker.actor is actor:
                    worker.actor = None

    def finish_actor(self, actor: Actor) -> None:
        """All steps of an actor."""
        self.step(actor)
        while not actor.done:
            self.step(actor)

    def fail_trigger(self) -> None:
        """The call breaks off: the stream keeps its rows, and the task will run again."""
        actor, _ = self.triggers.pop(0)
        actor.kill()

    def settle(self) -> None:
        """Let everything go on, with nothing new coming in, until nothing changes any more."""
        for _ in range(400):
            before = self._state()
            self._go_on()
            for actor in self.actors():
                self.finish_actor(actor)
            if before != self._state():
                continue
            if self.alarm is not None:
                self.now = max(self.now, self.alarm)
                self.ring()
            elif self.workers:
                self.now += datetime.timedelta(seconds=30)  # a report that is due soon is waited for
            else:
                return
        raise AssertionError(f"It does not come to rest: {self._state()}")

    def _go_on(self) -> None:
        """One round of everybody."""
        for actor in self.actors():
            self.finish_actor(actor)
        if self.unseen and not self.triggers:
            self.trigger()
        self.expire()
        # Scale-in before the next claim: what it stops can make up for nothing.
        while self.running < self.desired:
            self.start_task()
        for worker in self.stoppable()[: max(self.running - self.desired, 0)]:
            self.stop_task(worker)
        for worker in list(self.workers):
            if worker.stopping:
                self.end_task(worker)
            elif worker.rows:
                worker.protected = True
                self.finish(worker)
            else:
                worker.protected = False
                self.claim(worker, 2)
                if not worker.rows and worker.actor is None:
                    self.fall_asleep(worker)

    def _state(self) -> object:
        rows = [one.status.name for one in self.requests]
        return rows, len(self.unseen), self.desired, len(self.workers), self.alarm

    def close(self) -> None:
        """End all threads."""
        for actor in self.actors():
            actor.kill()
