"""The columns of a CREATE TABLE text, in the terms of DESC TABLE; pure Python."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

_TOKEN = re.compile(
    r"""(?P<string>'(?:[^'\\]|''|\\.)*')
      | (?P<name>"(?:[^"]|"")*")
      | (?P<comment>--[^\n]*|//[^\n]*|/\*.*?\*/)
      | (?P<word>[A-Za-z_][\w$]*)
      | (?P<number>\d+(?:\.\d*)?(?:[eE][+-]?\d+)?)
      | (?P<space>\s+)
      | (?P<mark>.)""",
    re.DOTALL | re.VERBOSE,
)
_CREATE = re.compile(
    r"CREATE\s+(?:OR\s+(?:REPLACE|ALTER)\s+)?(?:TRANSIENT\s+)?TABLE\s+(?:IF\s+NOT\s+EXISTS\s+)?([\w.$\"]+)\s*\(", re.I
)
_CONSTRAINTS = ("CONSTRAINT", "PRIMARY", "UNIQUE", "FOREIGN", "CHECK")
# What may follow an expression after DEFAULT.
_AFTER_DEFAULT = ("NOT", "NULL", "COMMENT", "COLLATE", "WITH", "MASKING", "PROJECTION", "TAG", *_CONSTRAINTS)
_SYNONYMS = {
    **dict.fromkeys(("INT", "INTEGER", "BIGINT", "SMALLINT", "TINYINT", "BYTEINT"), "NUMBER(38,0)"),
    **dict.fromkeys(("NUMBER", "DECIMAL", "DEC", "NUMERIC"), "NUMBER(38,0)"),
    **dict.fromkeys(("FLOAT", "FLOAT4", "FLOAT8", "DOUBLE", "REAL"), "FLOAT"),
    **dict.fromkeys(("VARCHAR", "STRING", "TEXT", "NVARCHAR"), "VARCHAR(16777216)"),
    **dict.fromkeys(("CHAR", "CHARACTER", "NCHAR"), "VARCHAR(1)"),
    **dict.fromkeys(("BINARY", "VARBINARY"), "BINARY(8388608)"),
    **dict.fromkeys(("TIMESTAMP", "TIMESTAMP_NTZ", "TIMESTAMPNTZ", "DATETIME"), "TIMESTAMP_NTZ(9)"),
    **dict.fromkeys(("TIMESTAMP_LTZ", "TIMESTAMPLTZ"), "TIMESTAMP_LTZ(9)"),
    **dict.fromkeys(("TIMESTAMP_TZ", "TIMESTAMPTZ"), "TIMESTAMP_TZ(9)"),
    "TIME": "TIME(9)",
}  # fmt: skip


class Column(NamedTuple):
    """A column as a file defines it; ``type`` as DESC TABLE shows it, ``default`` and ``comment`` as SQL."""

    name: str
    type: str
    null: bool
    default: str | None
    numbered: bool
    comment: str | None


class _Token(NamedTuple):
    kind: str
    text: str
    start: int
    end: int

    def says(self, *words: str) -> bool:
        return self.kind == "word" and self.text.upper() in words


def table_name(statement: str) -> str | None:
    """The name after CREATE TABLE in upper case, qualified as the statement has it; None for any other statement."""
    found = _CREATE.match(statement)
    return found[1].replace('"', "").upper() if found else None


def read_columns(statement: str) -> list[Column]:
    """The columns of a CREATE TABLE, in order; none for any other statement and for CREATE TABLE … AS SELECT."""
    found = _CREATE.match(statement)
    if not found:
        return []
    definitions = _parts(_tokens(statement, found.end()))
    return [_column(statement, part) for part in definitions if part and not part[0].says(*_CONSTRAINTS)]


def _tokens(text: str, start: int) -> Iterator[_Token]:
    for match in _TOKEN.finditer(text, start):
        if match.lastgroup not in ("space", "comment"):
            yield _Token(str(match.lastgroup), match[0], match.start(), match.end())


def _parts(tokens: Iterator[_Token]) -> list[list[_Token]]:
    """Cut at the commas that stand in no parentheses of their own, until the parenthesis around all of it closes."""
    parts: list[list[_Token]] = [[]]
    depth = 0
    for token in tokens:
        if token.text == ")" and not depth:
            break
        depth += {"(": 1, ")": -1}.get(token.text, 0)
        if token.text == "," and not depth:
            parts.append([])
        else:
            parts[-1].append(token)
    return parts


def _column(text: str, tokens: list[_Token]) -> Column:
    name = tokens[0].text.strip('"') if tokens[0].kind == "name" else tokens[0].text.upper()
    end = _closing(tokens, 2) if len(tokens) > 2 and tokens[2].text == "(" else 2
    kind = "".join(token.text for token in tokens[1:end]).upper()
    rest = tokens[end:]
    default = _after(text, rest, "DEFAULT")
    if default is not None and default.upper() == "NULL":
        default = None
    numbered = any(token.says("AUTOINCREMENT", "IDENTITY") for token in rest)
    required = any(one.says("NOT") and two.says("NULL") for one, two in zip(rest, rest[1:], strict=False))
    key = any(one.says("PRIMARY") and two.says("KEY") for one, two in zip(rest, rest[1:], strict=False))
    return Column(
        name, described_type(kind), not required and not key, default, numbered, _after(text, rest, "COMMENT")
    )


def described_type(kind: str) -> str:
    """A type as DESC TABLE shows it, with its default size.

    A TIMESTAMP without its kind is one without time zone: that is the default of TIMESTAMP_TYPE_MAPPING.
    """
    base, _, size = kind.replace(" ", "").partition("(")
    full = _SYNONYMS.get(base, base)
    if not size:
        return full
    family = full.partition("(")[0]
    return f"{family}({size[:-1]},0)" if family == "NUMBER" and "," not in size else f"{family}({size}"


def _after(text: str, tokens: list[_Token], word: str) -> str | None:
    """The expression after a keyword, as it is written."""
    at = next((index for index, token in enumerate(tokens) if token.says(word)), None)
    if at is None or at + 1 == len(tokens):
        return None
    last = at + 1
    while last + 1 < len(tokens) and not tokens[last + 1].says(*_AFTER_DEFAULT):
        last = _closing(tokens, last + 1) - 1 if tokens[last + 1].text == "(" else last + 1
    return text[tokens[at + 1].start : tokens[last].end]


def _closing(tokens: list[_Token], opening: int) -> int:
    """The index after the parenthesis that closes the one at ``opening``."""
    depth = 0
    for index in range(opening, len(tokens)):
        depth += {"(": 1, ")": -1}.get(tokens[index].text, 0)
        if not depth:
            return index + 1
    return len(tokens)
