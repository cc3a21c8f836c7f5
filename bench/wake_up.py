"""How long it is from INSERT to claim with the worker asleep, beside the bare start of the worker's interpreter.

The rival is the floor: no wake-up can be faster than its process with all that it imports.
"""

from __future__ import annotations

import io
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from rich.console import Console

from bench.measure import ROOT, Measurement, median, seconds
from local.demo import Demo
from local.platform import Platform

WAKE_UPS = 10
INSERT = "INSERT INTO REPORT_CONFIG (REPORT_NAME, OUTPUT_FORMAT) VALUES ('order_priority', 'CSV')"
LAST = """SELECT STATUS, TIMESTAMPDIFF(millisecond, CREATED_AT, STARTED_AT) / 1000
          FROM REPORT_CONFIG ORDER BY CONFIG_ID DESC LIMIT 1"""


def measure() -> Iterator[Measurement]:
    """The median and the slowest of some wake-ups on a platform of its own."""
    with tempfile.TemporaryDirectory() as folder:
        platform = Platform(Path(folder) / "platform")
        try:
            demo = Demo(platform, Console(file=io.StringIO()))
            demo.deploy()
            waits = [_wake_up(demo) for _ in range(WAKE_UPS)]
        finally:
            platform.stop()
        rival = median([_import() for _ in range(5)])
    name = "the import of the worker's modules"
    yield Measurement("INSERT to claim, worker asleep, median", median(waits), "s", name, rival, 4)
    yield Measurement(f"INSERT to claim, worker asleep, slowest of {WAKE_UPS}", max(waits), "s", name, rival, 4)


def _wake_up(demo: Demo) -> float:
    demo.wait_for_sleep(60)
    with demo.platform.connect() as connection:
        cursor: Any = connection.cursor()
        cursor.execute(INSERT)
        while (row := cursor.execute(LAST).fetchone())[0] in ("PENDING", "PROCESSING"):
            time.sleep(0.2)
    if row[0] != "COMPLETED":
        raise RuntimeError(f"the report of a wake-up ended {row[0]}")
    return float(row[1])


def _import() -> float:
    python = ROOT / ".venv-service" / "bin" / "python"
    return seconds([python, "-c", "import report_service.worker_role"], {"PYTHONPATH": str(ROOT / "service" / "src")})
