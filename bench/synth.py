"""How long a synth of all environments takes beside the same systems in plain L2 constructs, and what one more adds."""

from __future__ import annotations

import json
import random
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from bench.measure import ROOT, Measurement, median, seconds

ROUNDS = 7
FURTHER = 4  # environments more, so that what one adds stands out from what two runs differ by
# As app.py, with copies of the environment that is named.
AND_FURTHER = """
import sys, app
read = app.read_environments
def and_further(folder):
    found = list(read(folder))
    copied = next(one for one in found if one.name == sys.argv[1])
    return [*found, *(copied.model_copy(update={"name": name}) for name in sys.argv[2:])]
app.read_environments = and_further
app.main()
"""


class _Synth(NamedTuple):
    seconds: float
    resources: int


def measure() -> Iterator[Measurement]:
    """All environments in one process, validation off, in turn with the plain app and with further environments."""
    names = sorted(file.stem for file in (ROOT / "environments").glob("*.toml"))
    further = [f"further{number}" for number in range(1, FURTHER + 1)]
    apps = {
        "ours": [sys.executable, "app.py"],
        "plain": [sys.executable, "bench/plain_app.py", *names],
        "and dev": [sys.executable, "-c", AND_FURTHER, "dev", *further],
        "and prod": [sys.executable, "-c", AND_FURTHER, "prod", *further],
        "plain and prod": [sys.executable, "bench/plain_app.py", *names, *further],
    }
    _synth(apps["ours"])
    # In an order that changes: the machine's speed drifts, and what always comes after the same one gets its share.
    orders = [random.sample(list(apps), len(apps)) for _ in range(ROUNDS)]
    rounds = [{name: _synth(apps[name]) for name in order} for order in orders]
    resources = {name: synth.resources for name, synth in rounds[0].items()}
    if abs(resources["plain"] / resources["ours"] - 1) > 0.02:
        sys.exit(
            f"bench/plain_app.py makes {resources['plain']} resources, app.py {resources['ours']}: make them alike."
        )

    def took(name: str) -> float:
        return median([one[name].seconds for one in rounds])

    def adds(name: str, to: str = "ours") -> float:
        return median([one[name].seconds - one[to].seconds for one in rounds]) / FURTHER

    rival = f"{resources['plain']} in plain L2 constructs"
    title = f"synth of {len(names)} environments, {resources['ours']} resources"
    yield Measurement(title, took("ours"), "s", rival, took("plain"), 1.5 * took("plain"))
    rival = "one of all systems in plain L2 constructs"
    for name in ("dev", "prod"):
        more = (resources[f"and {name}"] - resources["ours"]) // FURTHER
        title = f"synth, what each of {FURTHER} more like {name} adds ({more} resources)"
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
