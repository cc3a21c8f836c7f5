"""A table that is there already gets the columns that its CREATE TABLE names; no row is touched and none is lost."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, NamedTuple

from .column_definitions import Column, read_columns
from .connection import Session
from .objects import Made

_STRING = re.compile(r"'(?:[^'\\]|''|\\.)*'", re.DOTALL)
_NUMBER = re.compile(r"[+-]?\d+(\.\d*)?")
_PLAIN = re.compile(r"[A-Z_][A-Z0-9_$]*")


class Step(NamedTuple):
    """What to do about one column's difference, and the sentence that tells it; without a statement nothing can be
    done.
    """

    column: str
    statement: str | None
    sentence: str


def bring_columns(session: Session, made: Made, statement: str) -> list[str]:
    """Add and widen what the table lacks of the CREATE TABLE ``statement``; one sentence for each difference.

    Columns that only the table has stay and are named.

    Raises:
        StatementFailed: Snowflake refused a change.
    """
    found = session.run(f"DESC TABLE {made.name}", f"columns of {made}", changes=False)
    sentences = []
    for step in steps(session, made, read_columns(statement), found):
        if step.statement:
            session.run(step.statement, step.sentence)
        sentences.append(step.sentence)
    return sentences


def steps(session: Session, made: Made, wanted: list[Column], found: list[dict[str, Any]]) -> Iterator[Step]:
    """The differences between a file's columns and DESC TABLE's rows, in the file's order."""
    there = {str(row["name"]): row for row in found}
    for column in wanted:
        if column.name not in there:
            yield _addition(session, made, column)
        else:
            yield from _changes(session, made, column, there[column.name])
    for name in there.keys() - {column.name for column in wanted}:
        if wanted:
            yield Step(name, None, f"{made}: column {name} is not in the file; it stays")


def _addition(session: Session, made: Made, column: Column) -> Step:
    """ADD COLUMN, as far as a table with rows takes it ("ALTER TABLE": a default must be a literal of the type)."""
    said = f"{made}: column {column.name} was missing"
    rows = (column.numbered or not column.null) and _has(session, made, "")
    if column.numbered and rows:
        return Step(column.name, None, f"{said} and cannot be added: AUTOINCREMENT needs a table without rows")
    definition = f"{quoted(column.name)} {column.type}"
    lost = []
    if column.numbered:
        definition += " AUTOINCREMENT"
    elif column.default is not None and _literal_of(column):
        definition += f" DEFAULT {column.default}"
    elif column.default is not None:
        lost.append(f"without DEFAULT {column.default}, because a column that is added takes literals only")
    if not column.null and (not rows or "DEFAULT" in definition):
        definition += " NOT NULL"
    elif not column.null:
        lost.append("without NOT NULL, because the table has rows")
    comment = f" COMMENT {column.comment}" if column.comment else ""
    # IF NOT EXISTS is not allowed together with a default.
    safely = "" if "DEFAULT" in definition or column.numbered else "IF NOT EXISTS "
    how = f" ({' and '.join(lost)})" if lost else ""
    statement = f"ALTER TABLE {made.name} ADD COLUMN {safely}{definition}{comment}"
    return Step(column.name, statement, f"{said}, was added{how}")


def _changes(session: Session, made: Made, column: Column, row: dict[str, Any]) -> Iterator[Step]:
    place = f"{made}: column {column.name}"
    alter = f"ALTER TABLE {made.name} ALTER COLUMN {quoted(column.name)}"
    has = str(row["type"])
    if has != column.type:
        if widens(has, column.type):
            statement = f"{alter} SET DATA TYPE {column.type}"
            yield Step(column.name, statement, f"{place} was {has}, is {column.type} now")
        else:
            said = f"{place} is {has}, the file says {column.type}: Snowflake cannot change that, a new column can"
            yield Step(column.name, None, said)
    null = str(row["null?"]) == "Y"
    if null and not column.null:
        if _has(session, made, f" WHERE {quoted(column.name)} IS NULL"):
            said = f"{place} cannot be NOT NULL: it holds NULL; fill these rows, then deploy again"
            yield Step(column.name, None, said)
        else:
            yield Step(column.name, f"{alter} SET NOT NULL", f"{place} was nullable, is NOT NULL now")
    elif not null and column.null and str(row.get("primary key")) != "Y":
        yield Step(column.name, f"{alter} DROP NOT NULL", f"{place} was NOT NULL, is nullable now")
    yield from _default(place, alter, column, row["default"])


def _default(place: str, alter: str, column: Column, has: str | None) -> Iterator[Step]:
    if column.numbered or (has or "").upper().startswith("IDENTITY"):
        if column.numbered != (has or "").upper().startswith("IDENTITY"):
            said = f"{place}: numbering can be neither added nor taken away; a new column can have it"
            yield Step(column.name, None, said)
    elif column.default is None and has is not None:
        yield Step(column.name, f"{alter} DROP DEFAULT", f"{place} had the default {has}, has none now")
    elif column.default is not None and (has is None or _differ(column.default, has)):
        said = f"{place} has the default {has or 'NULL'}, the file says {column.default}: Snowflake cannot change that"
        yield Step(column.name, None, said)


def widens(has: str, wanted: str) -> bool:
    """May ALTER COLUMN change the type so: a longer text, or more digits before the same number behind the point."""
    family, _, size = has.partition("(")
    other, _, wider = wanted.partition("(")
    if family != other or not size or not wider:
        return False
    mine, its = ([int(number) for number in part.rstrip(")").split(",")] for part in (size, wider))
    return family in ("VARCHAR", "NUMBER") and mine[1:] == its[1:] and mine[0] < its[0]


def quoted(name: str) -> str:
    """A column's name as SQL wants it."""
    return name if _PLAIN.fullmatch(name) else '"' + name.replace('"', '""') + '"'


def _literal_of(column: Column) -> bool:
    """Is the default a literal of the column's own type?"""
    default, family = column.default or "", column.type.partition("(")[0]
    if family == "VARCHAR":
        return bool(_STRING.fullmatch(default))
    if family in ("NUMBER", "FLOAT"):
        return bool(_NUMBER.fullmatch(default))
    return family == "BOOLEAN" and default.upper() in ("TRUE", "FALSE")


def _differ(wanted: str, has: str) -> bool:
    """Only literals are compared: how Snowflake shows an expression is its own affair."""
    literals = all(_STRING.fullmatch(text) or _NUMBER.fullmatch(text) for text in (wanted, has))
    return literals and _value(wanted) != _value(has)


def _value(text: str) -> str:
    """A literal without the way in which its quotes are escaped."""
    return re.sub(r"\\(.)|'(')", r"\1\2", text[1:-1]) if text.startswith("'") else text


def _has(session: Session, made: Made, condition: str) -> bool:
    return bool(session.run(f"SELECT 1 FROM {made.name}{condition} LIMIT 1", f"rows of {made}", changes=False))
