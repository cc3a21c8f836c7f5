"""What an analyst does: requests reports with plain SQL and waits for them."""

from __future__ import annotations

import time
from typing import Any


class Requests:
    """Requests reports as an analyst does, and follows them."""

    def __init__(self, cursor: Any) -> None:
        self.cursor = cursor

    def insert(self, name: str, **columns: str) -> int:
        """Insert one row, columns given as SQL expressions, and return its CONFIG_ID."""
        key = f"test-{time.monotonic_ns()}"
        expressions = {"REPORT_NAME": f"'{name}'", "IDEMPOTENCY_KEY": f"'{key}'"} | columns
        names, values = ", ".join(expressions), ", ".join(expressions.values())
        self.cursor.execute(f"INSERT INTO REPORT_CONFIG ({names}) SELECT {values}")
        found = self.cursor.execute("SELECT CONFIG_ID FROM REPORT_CONFIG WHERE IDEMPOTENCY_KEY = %s", (key,))
        return int(found.fetchone()["CONFIG_ID"])

    def row(self, config_id: int) -> dict[str, Any]:
        """The row as it is now."""
        found = self.cursor.execute("SELECT * FROM REPORT_CONFIG WHERE CONFIG_ID = %s", (config_id,)).fetchone()
        return dict(found)

    def finished(self, config_id: int, seconds: float = 45) -> dict[str, Any]:
        """Wait until the row is neither pending nor processing, and return it."""
        until = time.monotonic() + seconds
        while (row := self.row(config_id))["STATUS"] in ("PENDING", "PROCESSING"):
            assert time.monotonic() < until, f"still {row} after {seconds} s"
            time.sleep(0.1)
        return row

    def delivered(self, config_id: int, seconds: float = 20) -> dict[str, Any]:
        """Wait until the report's one recipient is told, or will not be, and return the ledger's row."""
        entry = "SELECT STATUS, ATTEMPTS, ERROR_MESSAGE FROM REPORT_DELIVERY WHERE CONFIG_ID = %s"
        until = time.monotonic() + seconds
        while (found := self.cursor.execute(entry, (config_id,)).fetchone())["STATUS"] in ("PENDING", "SENDING"):
            assert time.monotonic() < until, found
            time.sleep(0.2)
        return dict(found)
