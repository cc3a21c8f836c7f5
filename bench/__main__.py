"""`make bench`: measure, print a table, write bench/results.json and the table of docs/performance.md."""

from __future__ import annotations

import argparse
import importlib
import json
import sys

from rich.console import Console
from rich.table import Table

from bench import page
from bench.measure import ROOT

# Modules of this folder, in the order of the table; each measures a figure and its rival in one run.
SUITES = (
    "synth",
    "cost",
    "wake_up",
    "claim_cost",
    "throughput",
    "http_door",
    "report_files",
    "report_way",
    "snowflake_deploy",
    "weather",
    "conflict_updater",
    "demo",
)
RESULTS = ROOT / "bench" / "results.json"


def main() -> int:
    """Measure the suites that are named, all of them by default; exit code 1 if a target is missed."""
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("suites", nargs="*", metavar="SUITE", help=", ".join(SUITES))
    named = parser.parse_args().suites or SUITES
    if unknown := set(named) - set(SUITES):
        parser.error(f"there is no {', '.join(sorted(unknown))}; there are {', '.join(SUITES)}")
    measured = {name: _measure(name) for name in SUITES if name in named}

    kept = json.loads(RESULTS.read_text()) if RESULTS.exists() else []
    results = [
        result
        for name in SUITES
        for result in measured.get(name, [result for result in kept if result["suite"] == name])
    ]
    RESULTS.write_text(json.dumps(results, indent=2) + "\n")
    page.PAGE.write_text(page.text(results))
    shown = [result for found in measured.values() for result in found]
    table = Table(title="The target is the largest value allowed")
    for heading in shown[0]:
        table.add_column(heading)
    for result in shown:
        table.add_row(*(str(value) for value in result.values()))
    Console(width=None if sys.stdout.isatty() else 140).print(table)
    return 0 if all(result["holds"] for result in shown) else 1


def _measure(name: str) -> list[dict[str, object]]:
    suite = importlib.import_module(f"bench.{name}")
    return [{"suite": name, **measurement.record()} for measurement in suite.measure()]


if __name__ == "__main__":
    sys.exit(main())
