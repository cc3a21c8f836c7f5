"""The figures of V_REPORT_METRICS as CloudWatch metrics: lines of the log in embedded metric format.

CloudWatch takes them out of the log by itself. Reports an hour are the sum of ReportsCompleted and ReportsFailed over
an hour; p50 and p95 are statistics of ProcessingSeconds; failures have the dimension ErrorCode. Source of the format:
Amazon CloudWatch User Guide, "Specification: Embedded metric format".
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterable, Sequence

from report_service import log
from report_service.queue.outcome import Outcome
from report_service.queue.rows import Demand

_NAMESPACE = "Snowgate"
_LOOK_SECONDS = 60.0  # between two entries of the backlog, the finest that CloudWatch shows
_MOST_VALUES = 90  # the format allows 100 of one metric in a line

Metric = tuple[str, str, Iterable[float]]


class Metrics:
    """What one worker sees, with the dimension Environment."""

    def __init__(self, environment: str) -> None:
        self._environment = environment
        self._next_look = 0.0

    def settled(self, outcomes: Sequence[Outcome]) -> None:
        """Enter reports that ended; those that go on do not count."""
        made = [outcome for outcome in outcomes if outcome.status == "COMPLETED"]
        codes = Counter(str(outcome.error_code) for outcome in outcomes if outcome.status == "FAILED")
        ended = [("ReportsCompleted", "Count", [len(made)]), ("ReportsFailed", "Count", [codes.total()])]
        if made or codes:
            seconds = [(outcome.claim.now() - outcome.claim.claimed_at).total_seconds() for outcome in made]
            self._enter([*ended, ("ProcessingSeconds", "Seconds", seconds[:_MOST_VALUES])])
            if rest := seconds[_MOST_VALUES:]:
                self._enter([("ProcessingSeconds", "Seconds", rest)])
        for code, count in codes.items():
            self._enter([("Failures", "Count", [count])], ErrorCode=code)

    def looked(self, demand: Demand) -> None:
        """Enter the backlog and the age of the oldest row in it, once a minute."""
        if time.monotonic() < self._next_look:
            return
        self._next_look = time.monotonic() + _LOOK_SECONDS
        oldest = ("OldestPendingSeconds", "Seconds", [demand.oldest_pending_seconds])
        self._enter([("Backlog", "Count", [demand.pending]), oldest])

    def _enter(self, metrics: Sequence[Metric], **dimensions: str) -> None:
        # Only now: a worker that wakes claims first.
        from aws_lambda_powertools.metrics.provider.cloudwatch_emf.cloudwatch import AmazonCloudWatchEMFProvider

        line = AmazonCloudWatchEMFProvider(namespace=_NAMESPACE, metric_set={}, dimension_set={}, metadata_set={})
        for dimension, given in {"Environment": self._environment, **dimensions}.items():
            line.add_dimension(dimension, given)
        for name, unit, values in metrics:
            for value in values:
                line.add_metric(name, unit, value)
        log.info("metrics", **line.serialize_metric_set())
