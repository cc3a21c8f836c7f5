"""DuckDB's errors in Snowflake's numbers and words."""

from __future__ import annotations

import re

import duckdb
import snowflake.connector.errors

from local.warehouse.errors import SnowflakeError, compilation_error, unsupported

_Rule = tuple[str, int, str, str]
_IDENTIFIER = "invalid identifier '{0}'"
_ABSENT = "{kind} '{{0}}' does not exist or not authorized."
_UNGROUPED = "'{0}' in select clause is neither an aggregate nor in the group by clause."
# Found while DuckDB binds a statement: (its words, number, SQL state, Snowflake's words).
_RULES: list[_Rule] = [
    (r"Referenced column \"?([^\"]+)\"? (?:was )?not found", 904, "42000", _IDENTIFIER),
    (r"\"[^\"]*\" does not have a column (?:named|with name) \"([^\"]+)\"", 904, "42000", _IDENTIFIER),
    (r"Referenced table \"([^\"]+)\" not found", 904, "42000", _IDENTIFIER),
    (r"Referenced update column (\S+) not found", 904, "42000", _IDENTIFIER),
    (r"column \"?(\w+)\"? (?:not present|does not exist|which does not exist)", 904, "42000", _IDENTIFIER),
    (r"Ambiguous reference to column name \"([^\"]+)\"", 1104, "42601", "ambiguous column name '{0}'"),
    (r"(?:Table|View) with name \"?([\w.$]+)\"? does not exist", 2003, "42S02", _ABSENT.format(kind="Object")),
    (r"Sequence with name \"?([\w.$]+)\"? does not exist", 2003, "02000", _ABSENT.format(kind="Sequence")),
    (r"Schema with name \"?([\w.$]+)\"? does not exist", 2003, "02000", _ABSENT.format(kind="Schema")),
    (r"Catalog \"?([\w.$]+)\"? does not exist", 2003, "02000", _ABSENT.format(kind="Database")),
    (r"(?:Table|View) with name \"?([\w.$]+)\"? already exists", 2002, "42710", "Object '{0}' already exists."),
    (r"column \"([^\"]+)\" must appear in the GROUP BY clause", 979, "42601", _UNGROUPED),
    (r"has \d+ columns but \d+ values were supplied", 1002, "21S01", "Insert value list does not match column list"),
]
_NUMERIC = "Numeric value '{0}' is not recognized"
# Found while a statement runs.
_RUNTIME: list[_Rule] = [
    (r"Division by zero", 100051, "22012", "Division by zero"),
    (r"NOT NULL constraint failed", 100072, "22000", "NULL result in a non-nullable column"),
    (r"CHECK constraint failed", 100078, "22000", "String is too long and would be truncated"),
    (r"Could not convert string '(.*)' to (?:INT|DECIMAL|DOUBLE|BIGINT)", 100038, "22018", _NUMERIC),
    (r"invalid (?:date|timestamp) field format", 100040, "22007", "Date or timestamp is not recognized"),
    (r"Malformed JSON", 100069, "22P02", "Error parsing JSON"),
    (r"out of range|Overflow", 100132, "22003", "Numeric value out of range"),
]


def _first_line(error: BaseException) -> str:
    return str(error).split("\n")[0]


def translate(error: Exception) -> SnowflakeError:
    """The Snowflake error for what DuckDB or fakesnow raised; DuckDB's own words follow where they say more."""
    if isinstance(error, SnowflakeError):
        return error
    if isinstance(error, snowflake.connector.errors.Error):
        cause = error.__cause__
        if isinstance(cause, duckdb.Error):
            return translate(cause)
        message = str(error.raw_msg or error.msg)
        return SnowflakeError(error.errno if error.errno and error.errno > 0 else 2, error.sqlstate or "42000", message)
    text = str(error)
    for pattern, number, state, message in _RULES:
        if match := re.search(pattern, text):
            return compilation_error(number, state, message.format(*(part.upper() for part in match.groups())))
    for pattern, number, state, message in _RUNTIME:
        if match := re.search(pattern, text):
            return SnowflakeError(number, state, f"{message.format(*match.groups())} ({_first_line(error)})")
    if isinstance(error, NotImplementedError):
        return unsupported(_first_line(error))
    if match := re.search(r"Function with name (\S+) does not exist", text):
        return unsupported(f"function {match[1].upper()}")
    if isinstance(error, duckdb.InterruptException):
        return SnowflakeError(604, "57014", "SQL execution canceled")
    if isinstance(error, duckdb.Error):
        number = 1003 if isinstance(error, duckdb.ParserException) else 2
        return SnowflakeError(number, "0A000", f"The stand-in's engine refuses this: {_first_line(error)}")
    raise error
