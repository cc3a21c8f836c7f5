"""How long the demo takes when everything is set up, beside the `cdk deploy` inside it."""

from __future__ import annotations

import io
import re
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from rich.console import Console

from bench.measure import Measurement
from local.demo import Demo
from local.platform import Platform


def measure() -> Iterator[Measurement]:
    """One whole demo, from nothing running to everything stopped."""
    with tempfile.TemporaryDirectory() as folder:
        platform, said = Platform(Path(folder) / "platform"), io.StringIO()
        started = time.perf_counter()
        try:
            Demo(platform, Console(file=said, width=110)).run()
        finally:
            platform.stop()
        whole = time.perf_counter() - started
    deploy = re.search(r"cdk deploy .* (\d+\.\d) s", said.getvalue())
    if not deploy:
        raise RuntimeError(f"the demo did not say how long its deploy took:\n{said.getvalue()}")
    yield Measurement("make demo, set up", whole, "s", "the cdk deploy inside it", float(deploy[1]), 90)
