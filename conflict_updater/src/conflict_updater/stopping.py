"""SIGTERM, which Fargate sends before it kills: what is not committed is rolled back, and the program ends."""

from __future__ import annotations

import signal
from typing import Any

EXIT_CODE = 128 + signal.SIGTERM


class Stopped(KeyboardInterrupt):
    """The task is to stop. Of this kind, because both databases' clients then end the statement on the server too."""


class Stop:
    """Raises Stopped at once where it can, and in any case at the next `check`."""

    def __init__(self) -> None:
        self._asked = False

    def listen(self) -> None:
        """Wait for SIGTERM and Ctrl-C from here on."""
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._handle)

    def check(self) -> None:
        """Raise Stopped if it was asked for: a callback of a library may have swallowed the first one."""
        if self._asked:
            raise Stopped

    def _handle(self, *_: Any) -> None:
        if not self._asked:  # a second one must not break the rollback
            self._asked = True
            raise Stopped
