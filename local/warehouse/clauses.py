"""Which clauses each kind of object has, and which values each clause takes. Pure Python.

Source: the pages CREATE … and ALTER … of Snowflake's SQL reference. A clause that is not here is refused.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from local.warehouse import lexer
from local.warehouse.errors import invalid_property, invalid_value, missing_option
from local.warehouse.lexer import Reader

Read = Callable[[Reader], Any]


@dataclass(frozen=True)
class Clause:
    """How a clause's value is read, and whether CREATE needs it.

    `equals` is False for `LANGUAGE PYTHON` and its like.
    """

    read: Read
    required: bool = False
    equals: bool = True


def text(reader: Reader) -> str:
    """A string."""
    return reader.string()


def number(reader: Reader) -> int:
    """A whole number."""
    return reader.number()


def flag(reader: Reader) -> bool:
    """TRUE or FALSE."""
    if reader.words("TRUE"):
        return True
    if reader.words("FALSE"):
        return False
    raise reader.unexpected("TRUE or FALSE")


def name(reader: Reader) -> tuple[str, ...]:
    """An object's name."""
    return reader.name()


def identifier_or_text(reader: Reader) -> str:
    """A name of one part, bare or as a string; kept as Snowflake would resolve it, in upper case unless quoted."""
    return reader.string().upper() if reader.peek().kind == lexer.STRING else reader.identifier()


def number_or_null(reader: Reader) -> int | None:
    """A whole number or NULL."""
    return None if reader.words("NULL") else reader.number()


def choice(*allowed: str) -> Read:
    """One of these words, bare or as a string, in any case; the value is the spelling given here."""

    def read(reader: Reader) -> str:
        given = reader.string() if reader.peek().kind == lexer.STRING else reader.identifier()
        for word in allowed:
            if word.upper() == given.upper():
                return word
        raise invalid_value(given, "value", ", ".join(allowed))

    return read


def listed(item: Read) -> Read:
    """A list in parentheses, perhaps empty."""

    def read(reader: Reader) -> list[Any]:
        reader.expect_sign("(")
        values: list[Any] = []
        while not reader.sign(")"):
            if values:
                reader.expect_sign(",")
            values.append(item(reader))
        return values

    return read


def pair(value: Read) -> Read:
    """`'key' = value`."""

    def read(reader: Reader) -> tuple[str, Any]:
        key = reader.string()
        reader.expect_sign("=")
        return key, value(reader)

    return read


def workload_identity(reader: Reader) -> dict[str, str]:
    """`( TYPE = AWS ARN = '…' )`."""
    reader.expect_sign("(")
    got = read_clauses(reader, {"TYPE": Clause(choice("AWS"), required=True), "ARN": Clause(text, required=True)}, "x")
    reader.expect_sign(")")
    return got


def names_or_all(reader: Reader) -> list[tuple[str, ...]] | str:
    """A list of names, or ALL, or NONE."""
    if reader.words("ALL"):
        return "ALL"
    if reader.words("NONE"):
        return []
    return list(listed(name)(reader))


def read_clause(reader: Reader, clauses: Mapping[str, Clause], kind: str) -> tuple[str, Any] | None:
    """The next clause and its value, or None if none of these comes next.

    Raises for a word with `=` it does not know.
    """
    for key, clause in clauses.items():
        if not reader.words(*key.split()):
            continue
        if clause.equals:
            reader.expect_sign("=")
        return key, clause.read(reader)
    if reader.peek().kind == lexer.WORD and reader.peek(1).is_sign("="):
        raise invalid_property(reader.peek().value, kind)
    return None


def read_clauses(
    reader: Reader, clauses: Mapping[str, Clause], kind: str, *, commas: bool = False, complete: bool = True
) -> dict[str, Any]:
    """Clauses in any order, each once, between commas where `commas` allows them.

    `complete`: required ones must be there.
    """
    found: dict[str, Any] = {}
    while (got := read_clause(reader, clauses, kind)) is not None:
        if got[0] in found:
            raise invalid_property(f"{got[0]} (given twice)", kind)
        found[got[0]] = got[1]
        if commas and reader.peek().is_sign(","):
            reader.next()
    if complete:
        for key, clause in clauses.items():
            if clause.required and key not in found:
                raise missing_option(key)
    return found
