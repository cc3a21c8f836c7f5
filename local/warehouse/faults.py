"""Errors on demand: a test that needs one which only happens by chance asks for it at `/_warehouse/faults`.

Snowflake answers 091423, say, when two sessions change one graph of tasks in the same moment. Nothing fails by itself.
"""

from __future__ import annotations

import re
import threading
from dataclasses import dataclass
from typing import Any

from local.warehouse.errors import SnowflakeError


@dataclass
class Fault:
    """The next `times` statements whose text `matching` finds (any case) fail with `number`."""

    matching: str
    number: int
    times: int = 1
    sqlstate: str = "XX000"
    message: str = "A fault that a test asked for."


class Faults:
    """What is still to fail. Safe to use from several threads."""

    def __init__(self) -> None:
        self._faults: list[Fault] = []
        self._lock = threading.Lock()

    def add(self, wanted: dict[str, Any]) -> None:
        """Ask for a fault. Raises TypeError or re.error for what is none."""
        fault = Fault(**wanted)
        re.compile(fault.matching)
        with self._lock:
            self._faults.append(fault)

    def clear(self) -> None:
        """Let nothing fail any more."""
        with self._lock:
            self._faults.clear()

    def strike(self, sql: str) -> None:
        """Raise the fault that was asked for this statement, if one was."""
        with self._lock:
            for fault in self._faults:
                if fault.times > 0 and re.search(fault.matching, sql, re.IGNORECASE | re.DOTALL):
                    fault.times -= 1
                    raise SnowflakeError(fault.number, fault.sqlstate, fault.message)
