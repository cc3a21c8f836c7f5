"""STATEMENT_TIMEOUT_IN_SECONDS, enforced: a statement that runs longer is interrupted and ends with 000630.

Source: the page "Parameters". The lesser of the session's and the warehouse's value counts; 0 means the longest, seven
days.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from local.warehouse.errors import SnowflakeError

if TYPE_CHECKING:
    from local.warehouse.account import Account
    from local.warehouse.session import Session

PARAMETER = "STATEMENT_TIMEOUT_IN_SECONDS"
LONGEST = 604_800
UNWATCHED = 86_400  # nobody waits a day for the stand-in, so nothing watches for it
CAUSED = (604, 625, 100357)  # what an interrupted query, wait for a lock and procedure end with


def seconds(account: Account, session: Session) -> int:
    """How long a statement of the session may run."""
    warehouse = account.catalog.get("WAREHOUSE", (session.warehouse,)) if session.warehouse else None
    values = [int(session.parameter(PARAMETER)), int((warehouse or {}).get(PARAMETER) or 0)]
    return min([value for value in values if value] or [LONGEST])


@contextmanager
def limited(account: Account, session: Session) -> Iterator[None]:
    """Interrupt what runs inside when its time is over. Raises 000630 in place of the interruption."""
    limit = seconds(account, session)
    if limit >= UNWATCHED or session.deadline is not None:  # a statement of a procedure has its caller's time
        yield
        return
    session.deadline = time.monotonic() + limit
    watch = _Watch(session, limit)
    try:
        yield
    except SnowflakeError as error:
        if error.number in CAUSED and watch.near():
            raise timed_out(limit) from error
        raise
    finally:
        watch.end()
        session.deadline = None
    if watch.over():
        raise timed_out(limit)


def timed_out(limit: float) -> SnowflakeError:
    """000630."""
    return SnowflakeError(
        630, "57014", f"Statement reached its statement or warehouse timeout of {limit:g} second(s) and was canceled."
    )


class _Watch:
    """Interrupts a session's DuckDB when the time is over, and never after the statement has ended."""

    def __init__(self, session: Session, limit: float) -> None:
        self._session = session
        self._lock = threading.Lock()
        self._ended = self._fired = False
        self._until = time.monotonic() + limit
        self._timer = threading.Timer(limit, self._fire)
        self._timer.daemon = True
        self._timer.start()

    def _fire(self) -> None:
        with self._lock:
            if not self._ended:
                self._fired = True
                self._session.interrupt()

    def near(self) -> bool:
        """Is the time over, or as good as? Who looks at the clock himself may see it a moment before the timer."""
        return self._fired or time.monotonic() > self._until - 0.1

    def over(self) -> bool:
        """Did it fire?"""
        return self._fired

    def end(self) -> None:
        """Watch no more."""
        self._timer.cancel()
        with self._lock:
            self._ended = True
