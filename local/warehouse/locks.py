"""Table locks as Snowflake has them: a statement that changes a table waits for the transaction that changed it
before.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from local.warehouse.errors import SnowflakeError


class TableLocks:
    """Who holds which table until its transaction ends.

    A holder may take a lock again; a circle of waiters is refused.
    """

    def __init__(self, abandoned: Callable[[str], bool] = lambda _: False) -> None:
        """`abandoned` rolls a holder back if nobody uses it any more, and says whether it did."""
        self._abandoned = abandoned
        self._changed = threading.Condition(threading.RLock())
        self._holders: dict[str, str] = {}
        self._waits: dict[str, str] = {}

    def take(self, name: str, holder: str, timeout: float) -> None:
        """Wait until `name` is free or `holder`'s own.

        Raises 000625 after `timeout` seconds and 000635 for a deadlock.
        """
        deadline = time.monotonic() + timeout
        with self._changed:
            while self._holders.get(name, holder) != holder:
                self._waits[holder] = name
                try:
                    self._refuse_deadlock(name, holder)
                    left = deadline - time.monotonic()
                    if left > 0:
                        self._changed.wait(min(left, 1.0))
                        self._abandoned(self._holders.get(name, holder))
                    else:
                        raise SnowflakeError(
                            625, "57014", f"Statement waited {timeout:g} seconds for the lock of table '{name}'."
                        )
                finally:
                    self._waits.pop(holder, None)
            self._holders[name] = holder

    def _refuse_deadlock(self, name: str, holder: str) -> None:
        other: str | None = self._holders[name]
        while other is not None and other != holder:
            waits_for = self._waits.get(other)
            other = None if waits_for is None else self._holders.get(waits_for)
        if other == holder:
            raise SnowflakeError(635, "57014", f"Your statement was aborted to break a deadlock on table '{name}'.")

    def release(self, holder: str) -> None:
        """Free everything that `holder` has."""
        with self._changed:
            for name in [name for name, owner in self._holders.items() if owner == holder]:
                del self._holders[name]
            self._changed.notify_all()

    @contextmanager
    def creating(self, name: str, session_id: str, timeout: float) -> Iterator[None]:
        """One CREATE of a name at a time: of two with IF NOT EXISTS, the second finds what the first made."""
        holder = f"{session_id} CREATE"
        self.take(f"CREATE {name}", holder, timeout)
        try:
            yield
        finally:
            self.release(holder)

    def held(self) -> dict[str, str]:
        """Holder by name, for SHOW LOCKS and tests."""
        with self._changed:
            return dict(self._holders)
