"""docs/operations.md: a row for every alarm, and the commands that it names exist."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from stacks.alarms import RUNBOOK

Templates = dict[tuple[str, str], dict[str, Any]]

COMPARISONS = {
    "GreaterThanOrEqualToThreshold": "≥",
    "GreaterThanThreshold": ">",
    "LessThanThreshold": "<",
}
GIB = 1024**3
PAGES = ("operations.md", "guide-commands.md")


def alarms(templates: Templates) -> Iterator[tuple[str, dict[str, Any]]]:
    """Every alarm of every environment, by the part of its name that is the same in all of them."""
    for (environment, stack), template in templates.items():
        for name, resource in template["Resources"].items():
            if resource["Type"] == "AWS::CloudWatch::Alarm":
                properties = resource["Properties"]
                named = properties.get("AlarmName", re.sub(r"[0-9A-F]{8}$", "", name))
                yield named.removeprefix(f"{environment}-{stack}-"), properties


def rule(alarm: dict[str, Any]) -> str:
    """When it goes off, in the runbook's words."""
    periods = [alarm.get("Period")] + [one.get("MetricStat", {}).get("Period") for one in alarm.get("Metrics", [])]
    minutes = max(period for period in periods if period) // 60
    count, needed = alarm["EvaluationPeriods"], alarm.get("DatapointsToAlarm", alarm["EvaluationPeriods"])
    threshold = alarm["Threshold"]
    value = f"{threshold / GIB:g} GiB" if threshold >= GIB else f"{threshold:g}"
    silence = ", silence counts" if alarm["TreatMissingData"] == "breaching" else ""
    of = f"{needed} of {count}" if needed != count else str(count)
    return f"{COMPARISONS[alarm['ComparisonOperator']]} {value}, {of} × {minutes} min{silence}"


def description(alarm: dict[str, Any]) -> str:
    """Its words without the runbook's address, with … for whatever is each environment's."""
    said = alarm["AlarmDescription"]
    if isinstance(said, dict):
        said = "".join(part if isinstance(part, str) else "…" for part in said["Fn::Join"][1])
    said = " ".join(said.split()).removesuffix(f". Runbook: {RUNBOOK}")
    said = re.sub(r"^Starts the job \S+:", "…", said)
    said = re.sub(r"^The job \S+", "The job …", said)
    return said.partition("; the events in queue")[0]


@pytest.fixture(scope="module")
def page(root: Path) -> str:
    return (root / "docs" / "operations.md").read_text()


@pytest.fixture(scope="module")
def rows(page: str) -> dict[str, list[str]]:
    """The cells of each row of the alarms' tables, by each alarm that its first cell names."""
    section = page.partition("## When an alarm goes off")[2].partition("### Alarms that only some settings make")[0]
    table = [line.strip("| ").split(" | ") for line in section.splitlines() if line.startswith("| `")]
    return {name: cells for cells in table for name in re.findall(r"`([^`]+)`", cells[0])}


def test_every_alarm_has_a_row_and_every_row_an_alarm(templates: Templates, rows: dict[str, list[str]]) -> None:
    assert set(rows) == {name for name, _ in alarms(templates)}


def test_a_row_has_the_alarms_own_words_its_threshold_and_all_that_an_operator_asks(
    templates: Templates, rows: dict[str, list[str]]
) -> None:
    for name, alarm in alarms(templates):
        what, when, look, do = rows[name]
        assert description(alarm) in what, name
        assert when.startswith(rule(alarm)), (name, rule(alarm))
        assert re.search(r"\*\*(now|today|this week)\*\*", when), name
        assert len(look) > 20, name
        assert "Over: " in do, name


def test_every_alarm_says_where_its_row_is(templates: Templates, root: Path) -> None:
    for name, alarm in alarms(templates):
        assert f"Runbook: {RUNBOOK}" in str(alarm["AlarmDescription"]), name
    page, _, anchor = RUNBOOK.partition("#")
    assert f"## {anchor.replace('-', ' ').capitalize()}\n" in (root / page).read_text()


def test_alarms_of_other_settings_are_in_the_library(page: str, root: Path) -> None:
    section = page.partition("### Alarms that only some settings make")[2].partition("\n## ")[0]
    said = [line.strip("| ").split(" | ")[0] for line in section.splitlines() if line.startswith("| ")][1:]
    source = "".join(file.read_text() for file in (root / "constructs" / "src" / "snowgate").glob("*.py"))
    unknown = [words for words in said if not words.startswith("A mail of AWS Budgets") and words not in source]
    assert len(said) > 3
    assert unknown == []


@pytest.mark.parametrize("name", PAGES)
def test_every_command_of_the_page_exists(name: str, root: Path, templates: Templates) -> None:
    text = (root / "docs" / name).read_text()
    rules = re.findall(r"^([a-z][a-z -]*):", (root / "Makefile").read_text(), re.MULTILINE)
    targets = {target for rule in rules for target in rule.split()}
    assert set(re.findall(r"`(?:[A-Z_]+=\S+ )*make ([a-z-]+)", text)) <= targets

    for module in re.findall(r"python -m (stacks\.\w+)", text):
        assert (root / f"{module.replace('.', '/')}.py").exists(), module

    sql = "".join(file.read_text() for file in (root / "snowflake_sql").glob("*.sql"))
    for called in re.findall(r"CALL (?:REPORTING\.)?(\w+)\(", text):
        assert re.search(rf"PROCEDURE {called}\(", sql), called

    outputs = set().union(*(template.get("Outputs", {}) for template in templates.values()))
    named = set(re.findall(r"output `(\w+)`|`(\w+(?:Arn|Name|Url|Uri|Addresses))`", text))
    assert {one for pair in named for one in pair if one} <= outputs


@pytest.mark.parametrize("name", [*PAGES, "architecture.md", "security.md"])
def test_links_within_the_pages_lead_somewhere(name: str, root: Path) -> None:
    folder = root / "docs"
    for target in re.findall(r"\]\(([^)]+)\)", (folder / name).read_text()):
        file, _, anchor = target.partition("#")
        if "://" in target:
            continue
        page = folder / (file or name)
        assert page.exists(), target
        if anchor:
            headings = re.findall(r"^#+ (.+)$", page.read_text(), re.MULTILINE)
            assert anchor in [re.sub(r"[^\w\- ]", "", one).lower().replace(" ", "-") for one in headings], target
