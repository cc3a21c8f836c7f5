"""The audit: every finding of every rule pack of a synth, with the reason for which it was accepted."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple


class Finding(NamedTuple):
    """What a rule found at a resource. ``reason`` is empty where nobody has accepted it.

    ``reason_at`` is the construct that the reason was recorded at: empty for a reason that holds everywhere.
    """

    environment: str
    pack: str
    rule: str
    resource: str
    resource_type: str
    reason: str
    reason_at: str


def findings(assembly: Path) -> list[Finding]:
    """All findings that the CDK wrote down in an assembly (``cdk.out``), in the order of environments and packs.

    Raises:
        FileNotFoundError: nothing was validated there.
    """
    report = json.loads((assembly / "validation-report.json").read_text())
    return sorted(finding for pack in report["pluginReports"] for finding in _of_pack(pack))


def write(rows: Iterable[Finding], file: Path) -> None:
    """Write the findings as CSV, a heading first."""
    file.parent.mkdir(parents=True, exist_ok=True)
    with file.open("w", newline="", encoding="utf-8") as out:
        writer = csv.writer(out, lineterminator="\n")
        writer.writerow(Finding._fields)
        writer.writerows(rows)


def _of_pack(pack: dict[str, Any]) -> Iterator[Finding]:
    for found in [*pack["violations"], *pack.get("suppressedViolations", ())]:
        for resource in found["violatingConstructs"]:
            environment, _, path = resource["constructPath"].partition("/")
            yield Finding(
                environment=environment,
                pack=pack["pluginName"],
                rule=found["ruleName"],
                resource=path,
                resource_type=resource["constructFqn"],
                reason=found.get("reason", ""),
                reason_at=found.get("acknowledgedAt", ""),
            )
