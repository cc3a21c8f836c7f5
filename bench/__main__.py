"""`make bench`: print a table of all measurements, write bench/results.json and the table of docs/performance.md."""

from __future__ import annotations

import json
import sys

from rich.console import Console
from rich.table import Table

from bench import (
    claim_cost,
    demo,
    http_door,
    page,
    report_files,
    report_way,
    snowflake_deploy,
    synth,
    throughput,
    wake_up,
    weather,
)
from bench.measure import ROOT


def main() -> int:
    """Measure everything; exit code 1 if a target is missed."""
    suites = (
        synth,
        wake_up,
        claim_cost,
        throughput,
        http_door,
        report_files,
        report_way,
        snowflake_deploy,
        weather,
        demo,
    )
    results = [measurement.record() for suite in suites for measurement in suite.measure()]
    (ROOT / "bench" / "results.json").write_text(json.dumps(results, indent=2) + "\n")
    page.PAGE.write_text(page.text(results))
    table = Table(title="Measured in one run; the target is the largest value allowed")
    for heading in results[0]:
        table.add_column(heading)
    for result in results:
        table.add_row(*(str(value) for value in result.values()))
    Console(width=None if sys.stdout.isatty() else 140).print(table)
    return 0 if all(result["holds"] for result in results) else 1


if __name__ == "__main__":
    sys.exit(main())
