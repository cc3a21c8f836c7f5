"""docs/security.md: every role of the templates with the services that it may use, and tests that exist."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from assemblies import ENVIRONMENTS

from pictures.templates import Resource, Templates

Roles = dict[str, set[str]]
NO_SERVICE = {"none"}


def name(role: Resource, environment: str) -> str:
    given = role.properties.get("RoleName", re.sub(r"[0-9A-F]{8}$", "", role.name))
    return str(given).replace(f"-{environment}-", "-<env>-")


def services(document: dict[str, Any]) -> Iterator[str]:
    for statement in document["Statement"]:
        actions = statement["Action"]
        for action in [actions] if isinstance(actions, str) else actions:
            yield action.partition(":")[0]


@pytest.fixture(scope="module")
def made(assembly: Path) -> Roles:
    """What the roles of all environments may use, by their policies."""
    found: Roles = defaultdict(set)
    for environment in ENVIRONMENTS:
        templates = Templates(assembly, environment)
        for role in templates.all("AWS::IAM::Role"):
            held = found[name(role, environment)]
            if role.properties.get("ManagedPolicyArns"):
                held.add("managed")
            for policy in role.properties.get("Policies", []):
                held.update(services(policy["PolicyDocument"]))
        for policy in templates.all("AWS::IAM::Policy"):
            for role in templates.references(policy.properties["Roles"], policy.stack):
                found[name(role, environment)].update(services(policy.properties["PolicyDocument"]))
    return found


@pytest.fixture(scope="module")
def page(root: Path) -> str:
    return (root / "docs" / "security.md").read_text()


@pytest.fixture(scope="module")
def written(page: str) -> Roles:
    table = page.partition("## Roles in AWS")[2].partition("\n##")[0]
    rows = [line.removesuffix(" |").split(" | ") for line in table.splitlines() if re.match(r"\|.*?`.*?\|", line)]
    return {
        role: set(cells[-1].split(", ")) - NO_SERVICE for cells in rows for role in re.findall(r"`([^`]+)`", cells[0])
    }


def test_the_page_names_every_role_and_no_other(made: Roles, written: Roles) -> None:
    assert set(written) == set(made)


def test_a_role_may_use_the_services_of_its_row_and_no_other(made: Roles, written: Roles) -> None:
    assert {role: written[role] ^ used for role, used in made.items() if written[role] != used} == {}


def test_what_proves_a_check_is_a_test(page: str, root: Path) -> None:
    model = page.partition("## Threat model")[2].partition("\n## ")[0]
    proofs = re.findall(r"`(test_\w+\.py)::(\w+)`", model)
    assert len(proofs) > 20
    sources = {file.name: file.read_text() for file in (root / "tests").rglob("test_*.py")}
    missing = [f"{file}::{test}" for file, test in proofs if f"def {test}(" not in sources.get(file, "")]
    assert missing == []


def test_every_threat_says_what_checks_it(page: str) -> None:
    model = page.partition("## Threat model")[2].partition("\n## ")[0]
    rows = [line.strip("|").split("|") for line in model.splitlines() if re.match(r"\| (?:[A-I]|all) \|", line)]
    doors = {row[0].strip() for row in rows}
    assert doors == {*"ABCDEFGHI", "all"}
    letters = {letter for row in rows for letter in row[1].strip().split(", ")}
    assert letters == set("STRIDE")
    for row in rows:
        assert len(row) == 6, row
        assert all(cell.strip() for cell in row[2:5]), row
