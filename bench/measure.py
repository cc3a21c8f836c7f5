"""What a measurement is, and how whole commands are timed."""

from __future__ import annotations

import math
import os
import statistics
import subprocess
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


@dataclass(frozen=True)
class Measurement:
    """One figure beside its rival and against its target: the largest value allowed, in `unit`, or None if none is."""

    name: str
    value: float
    unit: str
    rival: str
    rival_value: float
    target: float | None

    def record(self) -> dict[str, object]:
        """The object that bench/results.json holds for it."""
        return {
            "name": self.name,
            "value": round(self.value, 3),
            "unit": self.unit,
            "rival": f"{self.rival}: {self.rival_value:.3g} {self.unit}",
            "ratio": round(self.value / self.rival_value, 2),
            "target": self.target,
            "holds": self.target is None or self.value <= self.target,
        }


def seconds(command: Sequence[str | Path], environment: dict[str, str], folder: Path = ROOT) -> float:
    """The wall time of a whole command. Raises CalledProcessError when it fails."""
    started = time.perf_counter()
    subprocess.run(
        [str(word) for word in command], check=True, cwd=folder, env=os.environ | environment, capture_output=True
    )
    return time.perf_counter() - started


def median(values: Sequence[float]) -> float:
    """The median, which a neighbour's short burst of work does not move."""
    return statistics.median(values)


def percentile(values: Sequence[float], share: float) -> float:
    """The smallest value that at least this share (0 to 1) of all values does not exceed: always one of them."""
    return sorted(values)[max(0, math.ceil(share * len(values)) - 1)]
