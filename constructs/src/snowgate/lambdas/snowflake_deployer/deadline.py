"""The time a Lambda invocation has left, so that it can stop between two statements and still answer."""

from __future__ import annotations

import threading
from typing import Protocol

ANSWER_SECONDS = 10.0
STATEMENT_SECONDS = 20.0


class LambdaContext(Protocol):
    """The part of the Lambda context that is used."""

    def get_remaining_time_in_millis(self) -> int:
        """Milliseconds until Lambda ends the invocation."""


class OutOfTime(RuntimeError):
    """There is no time for another statement."""


class Deadline:
    """Says before each step whether there is time for it, and remembers the last one and whether any made a change."""

    def __init__(self, context: LambdaContext) -> None:
        self._context = context
        self._cancelled = threading.Event()
        self._tidying = False
        self.step = "starting"
        self.changed = False

    def seconds_left(self) -> float:
        """Seconds for work: what Lambda leaves, less the time that the answer takes."""
        return self._context.get_remaining_time_in_millis() / 1000 - ANSWER_SECONDS

    def seconds_of_invocation(self) -> float:
        """Seconds until Lambda ends the invocation: no lock of it and no statement may last longer."""
        return self._context.get_remaining_time_in_millis() / 1000

    def tidy(self) -> None:
        """From now on let steps begin that clean up, in the time that is kept for a statement's end."""
        self._tidying = True

    def begin(self, step: str, *, changes: bool = False) -> None:
        """Note the next step, and whether it changes something: there is nothing to undo before one does.

        Raises:
            OutOfTime: the step could not be finished any more, or the invocation has already been answered.
        """
        needed = 0.0 if self._tidying else STATEMENT_SECONDS - ANSWER_SECONDS
        if self._cancelled.is_set() or self.seconds_left() < needed:
            raise OutOfTime(
                f"Stopped before {step}: the function's time is nearly over. Every statement can be run again: "
                "deploy once more, or give the function a longer timeout."
            )
        self.step = step
        self.changed = self.changed or changes

    def pause(self, seconds: float) -> None:
        """Wait, but not longer than there is time."""
        self._cancelled.wait(max(0.0, min(seconds, self.seconds_left())))

    def cancel(self) -> None:
        """Let no further step begin: Lambda may thaw this thread in a later invocation."""
        self._cancelled.set()
