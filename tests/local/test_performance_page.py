"""docs/performance.md says what the last run of the benches measured."""

import json

from bench import page
from bench.measure import ROOT


def test_the_page_is_in_step_with_the_results() -> None:
    results = json.loads((ROOT / "bench" / "results.json").read_text())
    assert page.PAGE.read_text() == page.text(results)
