"""docs/local-platform.md keeps up with the stand-in: a line for every kind of statement, a verdict in every line."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from local.warehouse import grammar, kinds

PAGE = "docs/local-platform.md"
VERDICTS = ("faithful", "approximated", "refused")
VERBS = (*grammar._VERBS, "SELECT", "INSERT", "UPDATE", "DELETE", "MERGE", "TRUNCATE")  # noqa: SLF001
SAME = {"DESCRIBE": "DESC", "START": "BEGIN", "EXECUTE": "EXECUTE TASK", "COMMENT": "COMMENT ON"}


@pytest.fixture(scope="module")
def lines(root: Path) -> list[list[str]]:
    """The cells of the rows below the heading of the stand-in."""
    text = (root / PAGE).read_text().partition("statement by statement")[2]
    rows = [re.split(r"(?<!\\)\|", line)[1:-1] for line in text.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in row] for row in rows if not set(row[0]) <= set("- ")]


def test_every_line_has_two_cells_and_a_verdict(lines: list[list[str]]) -> None:
    heads = [row for row in lines if row[0] in ("statement", "behaviour")]
    assert len(heads) == 3
    for row in lines:
        assert len(row) == 2, row
        assert row in heads or re.search("|".join(VERDICTS), row[1]) or "asked for" in row[1], row


@pytest.mark.parametrize("kind", [*kinds.KINDS, *grammar.TABLE_KINDS])
def test_every_kind_of_object_has_a_line_for_its_create(lines: list[list[str]], kind: str) -> None:
    assert [row for row in lines if row[0].startswith("CREATE") and re.search(rf"\b{kind}\b", row[0])]


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_that_is_read_has_a_line(lines: list[list[str]], verb: str) -> None:
    assert [row for row in lines if re.search(rf"\b{SAME.get(verb, verb)}\b", row[0])]


@pytest.mark.parametrize("kind", sorted(kinds.OR_ALTER))
def test_every_create_or_alter_is_in_the_line_of_its_kind(lines: list[list[str]], kind: str) -> None:
    rows = [" ".join(row) for row in lines if row[0].startswith("CREATE") and re.search(rf"\b{kind}\b", row[0])]
    assert any("OR ALTER" in row for row in rows)


def test_every_file_that_the_page_links_is_there(root: Path) -> None:
    for link in re.findall(r"\]\(([^)#]+)", (root / PAGE).read_text()):
        assert link.startswith("http") or (root / "docs" / link).exists(), link
