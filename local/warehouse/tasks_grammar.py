"""CREATE STREAM, CREATE TASK and ALTER TASK. Pure Python."""

from __future__ import annotations

from typing import Any

from local.warehouse import clauses, kinds
from local.warehouse.errors import invalid_property, unsupported
from local.warehouse.lexer import END, WORD, Reader

Condition = tuple[Any, ...]


def read_stream(reader: Reader) -> tuple[dict[str, Any], dict[str, Any]]:
    """After the name: (clauses, {table}). Only streams on tables that are APPEND_ONLY."""
    copy_grants = reader.words("COPY", "GRANTS")
    reader.expect_words("ON")
    if not reader.words("TABLE"):
        raise unsupported("CREATE STREAM ON " + reader.peek().value)
    table = reader.name()
    if reader.peek().is_word("AT", "BEFORE"):
        raise unsupported("CREATE STREAM … " + reader.peek().value)
    values = clauses.read_clauses(reader, kinds.STREAM, "STREAM")
    if not values.get("APPEND_ONLY"):
        raise unsupported("CREATE STREAM without APPEND_ONLY = TRUE")
    if values.get("SHOW_INITIAL_ROWS"):
        raise unsupported("CREATE STREAM … SHOW_INITIAL_ROWS = TRUE")
    return values, {"table": table, "copy_grants": copy_grants}


def _names(reader: Reader) -> list[tuple[str, ...]]:
    names = [reader.name()]
    while reader.sign(","):
        names.append(reader.name())
    return names


def read_task(reader: Reader) -> tuple[dict[str, Any], dict[str, Any]]:
    """After the name: (clauses, {after, when, when_text, definition})."""
    values = clauses.read_clauses(reader, kinds.TASK, "TASK", commas=True)
    extra: dict[str, Any] = {"after": [], "when": None, "when_text": None}
    if reader.words("AFTER"):
        extra["after"] = _names(reader)
        values |= clauses.read_clauses(reader, kinds.TASK, "TASK", commas=True)
    if reader.words("WHEN"):
        extra["when_text"], extra["when"] = _when(reader)
    reader.expect_words("AS")
    extra["definition"] = _definition(reader)
    return values, extra


def _definition(reader: Reader) -> str:
    if reader.peek().kind == END:
        raise reader.unexpected("a statement")
    if reader.peek().is_word("BEGIN", "DECLARE"):
        raise unsupported("Snowflake Scripting block")
    return reader.rest()


def _when(reader: Reader) -> tuple[str, Condition]:
    start = reader.peek().start
    condition = _either(reader)
    return reader.sql[start : reader.peek(-1).end], condition


def _either(reader: Reader) -> Condition:
    found = [_both(reader)]
    while reader.words("OR"):
        found.append(_both(reader))
    return found[0] if len(found) == 1 else ("OR", *found)


def _both(reader: Reader) -> Condition:
    found = [_single(reader)]
    while reader.words("AND"):
        found.append(_single(reader))
    return found[0] if len(found) == 1 else ("AND", *found)


def _single(reader: Reader) -> Condition:
    """WHEN takes SYSTEM$STREAM_HAS_DATA and boolean operators; of the other functions the stand-in has none."""
    if reader.words("NOT"):
        return "NOT", _single(reader)
    if reader.sign("("):
        inner = _either(reader)
        reader.expect_sign(")")
        return inner
    if not reader.words("SYSTEM$STREAM_HAS_DATA"):
        if reader.peek().value.startswith("SYSTEM$"):
            raise unsupported("WHEN " + reader.peek().value)
        raise reader.unexpected("SYSTEM$STREAM_HAS_DATA")
    reader.expect_sign("(")
    stream = Reader(reader.string()).name()
    reader.expect_sign(")")
    return "STREAM", stream


def read_alter(reader: Reader) -> tuple[str, dict[str, Any], Any]:
    """After the name: (action, clauses, what the action needs)."""
    for action in ("RESUME", "SUSPEND"):
        if reader.words(action):
            return action, {}, None
    for action in ("ADD AFTER", "REMOVE AFTER"):
        if reader.words(*action.split()):
            return action, {}, _names(reader)
    if reader.words("MODIFY", "AS"):
        return "MODIFY AS", {}, _definition(reader)
    if reader.words("MODIFY", "WHEN"):
        return "MODIFY WHEN", {}, _when(reader)
    if reader.words("REMOVE", "WHEN"):
        return "REMOVE WHEN", {}, None
    if reader.words("SET"):
        values = clauses.read_clauses(reader, kinds.TASK, "TASK", commas=True)
        if not values:
            raise reader.unexpected("a property")
        return "SET", values, None
    if reader.words("UNSET"):
        return "UNSET", dict.fromkeys(_unset(reader)), None
    raise reader.unexpected("RESUME, SUSPEND, SET, UNSET, MODIFY, ADD AFTER, REMOVE AFTER or REMOVE WHEN")


def _unset(reader: Reader) -> list[str]:
    keys: list[str] = []
    while not keys or reader.sign(","):
        key = reader.identifier() if reader.peek().kind == WORD else ""
        if key not in kinds.TASK:
            raise invalid_property(key, "TASK")
        keys.append(key)
    return keys
