"""docs/performance.md says what the last run of the benches measured."""

import json

from bench import page
from bench.measure import ROOT


def test_a_target_has_the_unit_of_what_it_allows() -> None:
    result = {"name": "a", "value": 2.5, "unit": "s", "rival": "b: 1 s", "ratio": 2.5, "target": 3, "holds": True}
    assert page.text([result]).endswith("| a | 2.5 s | b: 1 s | 2.5 | 3 s | yes |\n")
    without = page.text([result | {"unit": "", "target": None}])
    assert without.endswith("| a | 2.5 | b: 1 s | 2.5 |  |  |\n")


def test_the_page_is_in_step_with_the_results() -> None:
    results = json.loads((ROOT / "bench" / "results.json").read_text())
    assert page.PAGE.read_text() == page.text(results)
