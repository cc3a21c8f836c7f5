"""docs/performance.md out of the results of the last `make bench`; `python -m bench.page` writes it anew."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from bench.measure import ROOT

PAGE = ROOT / "docs" / "performance.md"
HEAD = """# Performance

Written by `make bench` (`make bench SUITES="report_way"` for some of it); do not edit. One machine of 2 cores, with
everything on it: the workers, the stand-in of AWS and the stand-in of Snowflake, which is one process with one
interpreter. A ratio compares two figures of one run; the seconds are this machine's, not Snowflake's or Fargate's. A
target is the largest value allowed.

- **Finished rows** are neither archived nor clustered: looks and claims leave them out by STATUS. `NOT IN` is no range,
  so in the stand-in's engine minimum and maximum rule out no block of rows with several final states: the column is
  read. On Snowflake this is not measured. The stand-in's own work on each statement is most of both figures, so that
  the ratio hides some milliseconds.
- **Several workers** are compared with a linear gain. Where the stand-in is busy for all of a core it is what limits
  them, not the queue: it needs most of that for the reports' own queries.
- **The HTTP door** is asked at a steady rate, whether or not it has answered before, and each time counts from when the
  request was due. What comes while a transaction is entered goes into the next one together, so the door takes
  more than sessions that submit one request after the other.
- **A wake-up** is cut into hops: *stream* until the task starts (the stand-in looks once a second), *task* until API
  Gateway has the call, *API* until the Lambda runs, *Lambda* until the count is raised, *start* until the task's
  process is there, *claim* until it has the row (imports, login, first look). Fargate's own start, half a minute or so,
  is not in it.
- **Synth** is that of all environments with all systems, validation off, beside an app of plain L2 constructs with as
  many resources, of the same types (bench/plain_app.py). A construct of ours takes four messages between Python and
  the CDK's Node for each resource, plain ones take one and a half; each is two to four tenths of a millisecond. It
  holds by little: the five runs of this suite with this code or nearly this gave 1.44, 1.47, 1.47, 1.49 and, in the
  table, 1.42; one comparison by hand in a noisy half hour gave 1.54, which misses. What a further environment adds
  is in seconds, so it drifts with the machine, whose speed changed by half meanwhile. One that has the report service
  alone took 0.26, 0.45 and, in the table, 0.59 s; its rival is larger, so the ratio says nothing. One that has every
  system, with alarms, dashboards and outputs, takes some 1,200 messages and **misses its target**: 0.8 to 1.2 s.
- **Files** have ten columns: numbers, two of them in decimal, dates, times, texts, truth values. The rival writes bare
  cells; EXCEL has formats, filters, totals and the sheet About too. The peak memory is a worker's with all its imports.
- **From claim to file** misses its target. Over loopback the rows come in half a second, as fast as nothing comes from
  Snowflake, and the stand-in of S3, which shares the two cores, takes a second and more for a file of that size that is
  there already: the second line compares with both, one after the other.

| measured | value | rival | ratio | target | holds |
|---|---|---|---|---|---|
"""


def text(results: Sequence[Mapping[str, Any]]) -> str:
    """Return the whole page."""
    return HEAD + "".join(_row(result) for result in results)


def _row(result: Mapping[str, Any]) -> str:
    value = f"{result['value']:g} {result['unit']}".strip()
    target = "" if result["target"] is None else f"{round(result['target'], 3):g} {result['unit']}".strip()
    holds = "" if result["target"] is None else "yes" if result["holds"] else "**no**"
    return f"| {result['name']} | {value} | {result['rival']} | {result['ratio']} | {target} | {holds} |\n"


if __name__ == "__main__":
    PAGE.write_text(text(json.loads((ROOT / "bench" / "results.json").read_text())))
