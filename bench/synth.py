"""How long a synth of all environments takes beside the same systems in plain L2 constructs, and what one more adds."""

from __future__ import annotations

import json
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from bench.measure import ROOT, Measurement, median, seconds

ROUNDS = 7
# As app.py, with one environment more: a copy of the one that is named.
ONE_MORE = """
import sys, app
read = app.read_environments
def and_one(folder):
    found = list(read(folder))
    return [*found, next(one for one in found if one.name == sys.argv[1]).model_copy(update={"name": "further"})]
app.read_environments = and_one
app.main()
"""


class _Synth(NamedTuple):
    seconds: float
    resources: int


def measure() -> Iterator[Measurement]:
    """All environments in one process, validation off, in turn with the plain app and with one environment more."""
    names = sorted(file.stem for file in (ROOT / "environments").glob("*.toml"))
    apps = {
        "ours": [sys.executable, "app.py"],
        "plain": [sys.executable, "bench/plain_app.py", *names],
        "and dev": [sys.executable, "-c", ONE_MORE, "dev"],
        "and prod": [sys.executable, "-c", ONE_MORE, "prod"],
        "plain and prod": [sys.executable, "bench/plain_app.py", *names, "further"],
    }
    _synth(apps["ours"])
    rounds = [{name: _synth(command) for name, command in apps.items()} for _ in range(ROUNDS)]
    resources = {name: synth.resources for name, synth in rounds[0].items()}
    if abs(resources["plain"] / resources["ours"] - 1) > 0.02:
        sys.exit(
            f"bench/plain_app.py makes {resources['plain']} resources, app.py {resources['ours']}: make them alike."
        )

    def took(name: str) -> float:
        return median([one[name].seconds for one in rounds])

    def adds(name: str, to: str = "ours") -> float:
        return median([one[name].seconds - one[to].seconds for one in rounds])

    rival = f"{resources['plain']} in plain L2 constructs"
    title = f"synth of {len(names)} environments, {resources['ours']} resources"
    yield Measurement(title, took("ours"), "s", rival, took("plain"), 1.5 * took("plain"))
    rival = "one of all systems in plain L2 constructs"
    for name in ("dev", "prod"):
        title = f"synth, what one more like {name} adds ({resources[f'and {name}'] - resources['ours']} resources)"
        yield Measurement(title, adds(f"and {name}"), "s", rival, adds("plain and prod", "plain"), 0.6)


def _synth(command: list[str]) -> _Synth:
    with tempfile.TemporaryDirectory() as folder:
        environment = {
            "CDK_VALIDATION": "false",
            "PYTHONDONTWRITEBYTECODE": "",  # kept after the first run, as anywhere else
            # The feature flags, as the CDK CLI hands them over.
            "CDK_CONTEXT_JSON": json.dumps(json.loads((ROOT / "cdk.json").read_text())["context"]),
            "CDK_OUTDIR": str(Path(folder) / "cdk.out"),
            "PATH": f"{Path(sys.executable).parent}:/usr/bin:/bin",
        }
        took = seconds(command, environment)
        templates = Path(folder).glob("cdk.out/assembly-*/*.template.json")
        return _Synth(took, sum(len(json.loads(template.read_text()).get("Resources", {})) for template in templates))
