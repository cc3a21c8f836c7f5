"""A report's query.sql: one SELECT whose only variable parts are `:name` bind parameters."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

_SKIPPED = r"'(?:[^']|'')*'|\"(?:[^\"]|\"\")*\"|\$\$.*?\$\$|--[^\n]*|//[^\n]*|/\*.*?\*/"
# A name after a single colon; `a::DATE` is a cast and `column:field` a path into a VARIANT.
_TOKEN = re.compile(
    rf"(?P<skipped>{_SKIPPED})|(?<![:\w\"\])]):(?P<name>[A-Za-z_]\w*)|(?P<forbidden>\?|;|%\(|&\w|\{{\{{)", re.DOTALL
)


@dataclass(frozen=True)
class QueryText:
    """The statement with `?` in the place of each `:name`, and the names in the order of the question marks."""

    sql: str
    names: tuple[str, ...]

    def values(self, parameters: Mapping[str, Any]) -> tuple[Any, ...]:
        """Return the values to bind, in the statement's order."""
        return tuple(parameters[name] for name in self.names)


def qualified_names(sql: str) -> list[str]:
    """Return every name of three parts in a statement, like DB.SCHEMA.TABLE, outside of texts and comments.

    Quotes and blanks are left out of them. DB..TABLE is one too: its schema is PUBLIC. A path into a VARIANT is none.
    """
    part = r"(?:[A-Za-z_][\w$]*|\"(?:[^\"]|\"\")*\")"
    pattern = rf"(?<![\w.$:])(?P<name>{part}\s*\.(?:\s*{part})?\s*\.\s*{part})|{_SKIPPED}"
    found = (match["name"] for match in re.finditer(pattern, sql, re.DOTALL) if match["name"])
    return [re.sub(r"[\s\"]", "", name) for name in found]


def parse_query(text: str) -> QueryText:
    """Read a query.sql; raises ValueError unless it is one SELECT or WITH without text substitution."""
    stripped = text.strip().removesuffix(";").strip()
    names: list[str] = []

    def replace(match: re.Match[str]) -> str:
        if match["forbidden"]:
            line = stripped.count("\n", 0, match.start()) + 1
            raise ValueError(
                f"line {line} holds {match['forbidden']!r}; "
                "one statement is allowed, and its variable parts are written :name."
            )
        if match["skipped"]:
            return match["skipped"]
        names.append(match["name"].lower())
        return "?"

    sql = _TOKEN.sub(replace, stripped)
    first = re.match(rf"(?:\s|{_SKIPPED})*(\w+)", sql, re.DOTALL)
    word = first[1] if first else ""
    if word.upper() not in ("SELECT", "WITH"):
        raise ValueError(f"it begins with {word!r}; SELECT and WITH are allowed, for a report only reads.")
    return QueryText(sql, tuple(names))
