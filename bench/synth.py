"""How long `python app.py` takes for all environments, beside a CDK app with one empty stack."""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from bench.measure import ROOT, Measurement, median, seconds

ROUNDS = 5
EMPTY_APP = "import aws_cdk as cdk; app = cdk.App(); cdk.Stack(app, 'Empty'); app.synth()"


def measure() -> Iterator[Measurement]:
    """All four environments in one process, built-in validation off, both apps in turn."""
    with tempfile.TemporaryDirectory() as folder:
        environment = {
            "CDK_VALIDATION": "false",
            "CDK_OUTDIR": str(Path(folder) / "cdk.out"),
            "PATH": f"{Path(sys.executable).parent}:/usr/bin:/bin",
        }
        rounds = [
            (
                seconds([sys.executable, "app.py"], environment),
                seconds([sys.executable, "-c", EMPTY_APP], environment, Path(folder)),
            )
            for _ in range(ROUNDS)
        ]
    ours, rival = (median(values) for values in zip(*rounds, strict=True))
    count = len(list((ROOT / "environments").glob("*.toml")))
    yield Measurement(f"synth of {count} environments", ours, "s", "a CDK app with one empty stack", rival, 6)
