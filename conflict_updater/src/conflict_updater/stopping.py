"""SIGTERM, which Fargate sends some time before it kills: the run ends between two batches, or is left."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable

EXIT_CODE = 128 + signal.SIGTERM
_SIGNALS = (signal.SIGTERM, signal.SIGINT)


class Stopped(Exception):
    """The task is to stop."""


class Stop:
    """Granted at the next `check`; where none comes for `seconds`, the process ends with `last_words`, wherever it is.

    A thread waits for the signal: a handler would not run while a client waits for its database. The end of the process
    ends its sessions, and PostgreSQL takes back what was not committed.
    """

    def __init__(self, seconds: float = 20) -> None:
        self.seconds = seconds
        self.last_words: Callable[[], None] = lambda: None
        self._asked = threading.Event()

    def listen(self) -> None:
        """Wait for SIGTERM and Ctrl-C from here on; threads that are started later leave them to this."""
        signal.pthread_sigmask(signal.SIG_BLOCK, _SIGNALS)
        threading.Thread(target=self._wait, daemon=True).start()

    def check(self) -> None:
        """Raise Stopped if it was asked for."""
        if self._asked.is_set():
            raise Stopped

    def _wait(self) -> None:
        signal.sigwait(_SIGNALS)
        self._asked.set()
        time.sleep(self.seconds)
        self.last_words()
        os._exit(EXIT_CODE)
