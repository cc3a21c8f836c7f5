"""Lanes: the threads of a worker, each with one piece of work at a time, and what waits for them."""

from __future__ import annotations

import collections
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from report_service import log


@dataclass(frozen=True)
class Work:
    """Something to carry out, and how to give it back if no lane comes to it."""

    carry_out: Callable[[], None]
    give_back: Callable[[], None]
    since: float = field(default_factory=time.monotonic)


class Lanes:
    """`count` threads, begun when they are needed; first come, first served."""

    def __init__(self, count: int, *, on_done: Callable[[], None]) -> None:
        self.count = count
        self._on_done = on_done
        self._waiting: collections.deque[Work] = collections.deque()
        self._running = 0
        self._threads = 0
        self._changed = threading.Condition()

    def put(self, work: Work) -> None:
        """Have `work` carried out as soon as a lane is free."""
        with self._changed:
            self._waiting.append(work)
            if self._threads < min(self.count, self._running + len(self._waiting)):
                threading.Thread(target=self._run, name=f"lane-{self._threads + 1}", daemon=True).start()
                self._threads += 1  # only now: without memory for a thread there is none
            self._changed.notify_all()

    def in_hand(self) -> int:
        """Return how much is running or waits."""
        with self._changed:
            return self._running + len(self._waiting)

    def withdraw(self, waiting_seconds: float = 0) -> int:
        """Give back what has waited for so long and has not begun; returns how much that is."""
        with self._changed:
            before = time.monotonic() - waiting_seconds
            late = [work for work in self._waiting if work.since <= before]
            self._waiting = collections.deque(work for work in self._waiting if work.since > before)
            self._changed.notify_all()
        for work in late:
            try:
                work.give_back()
            except Exception as error:  # noqa: BLE001 - the others can still be given back
                log.error("lane.not_given_back", error)
        return len(late)

    def wait_until_empty(self, deadline: float) -> bool:
        """Wait until nothing runs or waits, at most until `deadline` (monotonic); returns whether that is so."""
        with self._changed:
            return self._changed.wait_for(
                lambda: not self._running and not self._waiting, timeout=max(deadline - time.monotonic(), 0)
            )

    def _run(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: bool(self._waiting))
                work = self._waiting.popleft()
                self._running += 1
            try:
                work.carry_out()
            except Exception as error:  # noqa: BLE001 - a lane's last stop: what it held comes back when its lease ends
                log.error("lane.internal_error", error)
            finally:
                with self._changed:
                    self._running -= 1
                    self._changed.notify_all()
                self._on_done()
