"""What dev costs a month while nobody asks for anything, beside the same worker built from aws-ecs-patterns."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

from bench.measure import ROOT, Measurement
from cost.bill import bill
from cost.price_table import read_prices
from cost.rival import rivals
from cost.templates import Stack
from stacks.environment import read_environment
from stacks.synthesis import synthesise


def measure() -> Iterator[Measurement]:
    """Both synthesised and priced now, at the list prices of cost/prices.toml."""
    environment, prices = read_environment(ROOT / "environments" / "dev.toml"), read_prices()
    with tempfile.TemporaryDirectory() as folder:
        stacks = [
            Stack(name.removeprefix("dev-"), template) for name, template in synthesise(environment, Path(folder))
        ]
    ours = bill(stacks, prices, environment.region, environment.load)
    rival = bill([rivals([environment])["dev"]], prices, environment.region, environment.load)
    yield Measurement("dev, idle, a month", ours.idle, "USD", "aws-ecs-patterns, the worker alone", rival.idle, 5)
