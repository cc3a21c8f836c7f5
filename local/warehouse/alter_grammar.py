"""ALTER of everything but tables, and ALTER SESSION. Pure Python."""

from __future__ import annotations

from typing import Any

from local.warehouse import clauses, kinds, tasks_grammar
from local.warehouse.errors import invalid_property, unsupported
from local.warehouse.lexer import WORD, Reader
from local.warehouse.statements import Alter, AlterSession, Name

PARAMETERS = {
    "AUTOCOMMIT": clauses.flag,
    "TIMEZONE": clauses.text,
    "QUERY_TAG": clauses.text,
    "LOCK_TIMEOUT": clauses.number,
    "STATEMENT_TIMEOUT_IN_SECONDS": clauses.number,
    "ABORT_DETACHED_QUERY": clauses.flag,
}


def read(reader: Reader, kind: str, name: Name, here: bool, types: tuple[str, ...] | None = None) -> Alter:
    """What follows the name in ALTER; `types` are the argument types of a program."""
    if kind == "EXTERNAL FUNCTION":
        raise reader.unexpected("ALTER FUNCTION, for an external one too")
    if kind == "TASK":
        action, values, extra = tasks_grammar.read_alter(reader)
        return Alter(reader.sql, kind, name, action, here, values, extra)
    if kind == "WAREHOUSE" and (reader.words("RESUME") or reader.words("SUSPEND")):
        action = reader.peek(-1).value
        if action == "RESUME":
            reader.words("IF", "SUSPENDED")
        return Alter(reader.sql, kind, name, action, here)
    if reader.words("SET"):
        values = clauses.read_clauses(reader, _settable(kind), kind, commas=True, complete=False)
        if not values:
            raise reader.unexpected("a property")
        return Alter(reader.sql, kind, name, "SET", here, values, types=types)
    if reader.words("UNSET"):
        return Alter(reader.sql, kind, name, "UNSET", here, dict.fromkeys(_unset(reader, kind)), types=types)
    if reader.peek().is_word("RENAME", "SWAP", "ADD", "DROP", "ENABLE", "MODIFY"):
        raise unsupported(f"ALTER {kind} … {reader.peek().value}")
    raise reader.unexpected("SET or UNSET")


def _settable(kind: str) -> dict[str, clauses.Clause]:
    if kind in ("FUNCTION", "PROCEDURE"):
        known = {**kinds.EXTERNAL_FUNCTION, **kinds.KINDS[kind]}
        return {key: clause for key, clause in known.items() if key in kinds.PROGRAM_SETTINGS}
    return {key: clause for key, clause in kinds.KINDS[kind].items() if key not in kinds.FIXED.get(kind, ())}


def _unset(reader: Reader, kind: str) -> list[str]:
    allowed = {key for key, clause in _settable(kind).items() if not clause.required}
    keys: list[str] = []
    while not keys or reader.sign(","):
        if reader.peek().value not in allowed:
            raise reader.unexpected("one of " + ", ".join(sorted(allowed)))
        keys.append(reader.identifier())
    return keys


def session(reader: Reader) -> AlterSession:
    """What follows ALTER SESSION."""
    values: dict[str, Any] = {}
    if reader.words("UNSET"):
        while not values or reader.sign(","):
            values[_parameter(reader)] = None
        return AlterSession(reader.sql, values)
    reader.expect_words("SET")
    while reader.peek().kind == WORD:
        key = _parameter(reader)
        reader.expect_sign("=")
        values[key] = PARAMETERS[key](reader)
        reader.sign(",")
    if not values:
        raise reader.unexpected("a parameter")
    return AlterSession(reader.sql, values)


def _parameter(reader: Reader) -> str:
    key = reader.identifier()
    if key not in PARAMETERS:
        raise invalid_property(key, "SESSION")
    return key
