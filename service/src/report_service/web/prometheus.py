"""The queue's figures in Prometheus' text format."""

from __future__ import annotations

import datetime
from collections.abc import Mapping, Sequence

from report_service.queue.rows import Demand

Figures = Sequence[tuple[str, str | None, datetime.datetime | None, float | None]]

# Figure of V_REPORT_METRICS: metric, the label's name, help. All are of the last 24 hours.
_VIEW = {
    "processing_seconds": ("snowgate_report_processing_seconds", "quantile", "Seconds from start to end of a report"),
    "failures": ("snowgate_report_failures", "code", "Reports that failed, by ERROR_CODE"),
    "oldest_pending_seconds": ("snowgate_oldest_pending_seconds", None, "Age of the oldest report that is due"),
}
_LABELS = {"p50": "0.5", "p95": "0.95"}


def text(counts: Mapping[str, int], demand: Demand, figures: Figures) -> str:
    """Return all metrics, each with its help and type."""
    lines: list[str] = []
    statuses = [(f'{{status="{_escaped(status)}"}}', float(count)) for status, count in sorted(counts.items())]
    _add(lines, "snowgate_reports", "Report requests in the table, by status", statuses)
    _add(lines, "snowgate_queue_pending", "Reports to be claimed now", [("", float(demand.pending))])
    _add(lines, "snowgate_queue_busy_workers", "Workers that hold a lease", [("", float(demand.busy))])
    for figure, (name, label, help_text) in _VIEW.items():
        samples = [
            (f'{{{label}="{_escaped(_LABELS.get(given or "", given or ""))}"}}' if label else "", value)
            for metric, given, _, value in figures
            if metric == figure and value is not None
        ]
        _add(lines, name, help_text, samples)
    return "\n".join(lines) + "\n"


def _add(lines: list[str], name: str, help_text: str, samples: Sequence[tuple[str, float]]) -> None:
    if samples:
        lines.extend([f"# HELP {name} {help_text}", f"# TYPE {name} gauge"])
        lines.extend(f"{name}{labels} {_number(value)}" for labels, value in samples)


def _number(value: float) -> str:
    """All digits, which :g has not from a million on."""
    return str(float(value)).removesuffix(".0")


def _escaped(value: str) -> str:
    return value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
