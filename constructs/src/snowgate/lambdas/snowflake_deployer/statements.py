"""Read a SQL file as its header and its statements; pure Python, because synth reads the files with it too."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from typing import NamedTuple

# What may stand between two statements or inside one without ending it, longest form first. An opening without its
# end falls through to the single-character form and is reported there.
_TOKEN = re.compile(
    r"""(?P<string>'(?:[^'\\]|''|\\.)*')
      | (?P<name>"(?:[^"]|"")*")
      | (?P<body>\$\$.*?\$\$)
      | (?P<comment>--[^\n]*|//[^\n]*|/\*.*?\*/)
      | (?P<open>'|"|\$\$|/\*)
      | (?P<end>;)
      | (?P<space>\s+)
      | (?P<other>.)""",
    re.DOTALL | re.VERBOSE,
)
_OPENINGS = {"'": "string", '"': "quoted name", "$$": "$$ body", "/*": "comment"}
_MARKER = re.compile(r"\$\{(\w+)\}")
_HEADER = re.compile(r"--\s*(Makes|On delete):\s*(.*\S)\s*")
# Enough for URLs, ARNs and names; a quote, a backslash or a line break could end the string that a value is put in.
_PLAIN_VALUE = re.compile(r"[A-Za-z0-9_.:/@+=,?&%~*()\[\] -]*")


class Statement(NamedTuple):
    """One statement of a file, as it is sent to Snowflake."""

    number: int
    line: int
    text: str

    @property
    def first_line(self) -> str:
        """The line by which a reader finds the statement again."""
        return self.text.partition("\n")[0]

    @property
    def digest(self) -> str:
        """SHA-256 of the text, in hex."""
        return digest(self.text)


class Script(NamedTuple):
    """One file: what its header says and its statements in order."""

    name: str
    makes: tuple[str, ...]
    drops: tuple[str, ...]
    keeps: tuple[str, ...]
    statements: tuple[Statement, ...]


class ScriptError(ValueError):
    """A SQL file that cannot be read; the message names file and line."""


def parse(name: str, text: str) -> Script:
    """Read one file.

    Raises:
        ScriptError: a string, name, body or comment is not closed, or the header lacks a ``-- Makes:`` or an
            ``-- On delete:`` line, or one of the latter neither drops nor keeps.
    """
    header = _header(text)
    makes = tuple(said for kind, said in header if kind == "Makes")
    on_delete = tuple(said.rstrip(";") for kind, said in header if kind == "On delete")
    for kind, found in (("Makes", makes), ("On delete", on_delete)):
        if not found:
            raise ScriptError(f"{name}: a line '-- {kind}: …' is missing before the first statement.")
    drops = tuple(line for line in on_delete if not line.lower().startswith("keep "))
    for line in drops:
        if not line.upper().startswith(("DROP ", "ALTER ", "REVOKE ")):
            raise ScriptError(
                f"{name}: 'On delete: {line}' must be a DROP, ALTER or REVOKE statement, or begin with 'keep'."
            )
    keeps = tuple(line for line in on_delete if line not in drops)
    return Script(name, makes, drops, keeps, tuple(split(name, text)))


def split(name: str, text: str) -> list[Statement]:
    """Cut a script at its semicolons; those in strings, quoted names, ``$$`` bodies and comments do not count.

    Comments before a statement and after the last one are left out, comments inside a statement stay.

    Raises:
        ScriptError: something is opened and not closed.
    """
    statements: list[Statement] = []
    start: int | None = None
    end = 0
    for token in _TOKEN.finditer(text):
        kind = token.lastgroup
        if kind == "open":
            line = text.count("\n", 0, token.start()) + 1
            raise ScriptError(f"{name} line {line}: this {_OPENINGS[token[0]]} is not closed.")
        if kind == "end":
            if start is not None:
                statements.append(_statement(text, start, end, len(statements) + 1))
            start = None
        elif kind not in ("space", "comment"):
            start = token.start() if start is None else start
            end = token.end()
    if start is not None:
        statements.append(_statement(text, start, end, len(statements) + 1))
    return statements


def fill(name: str, text: str, values: Mapping[str, str]) -> str:
    """Put the deploy's values in place of the ``${name}`` markers.

    Raises:
        ScriptError: a marker has no value, or a value has characters that could change the statement.
    """

    def value(marker: re.Match[str]) -> str:
        line = text.count("\n", 0, marker.start()) + 1
        if marker[1] not in values:
            known = ", ".join(sorted(values)) or "none"
            raise ScriptError(f"{name} line {line}: ${{{marker[1]}}} has no value; given are: {known}.")
        if not _PLAIN_VALUE.fullmatch(values[marker[1]]):
            raise ScriptError(
                f"{name} line {line}: the value of ${{{marker[1]}}} has a quote, a backslash, a line break or another "
                "character that no URL, ARN or name has; SQL cannot take it."
            )
        return values[marker[1]]

    return _MARKER.sub(value, text)


def digest(*texts: str) -> str:
    """SHA-256 over texts, in hex; where one text ends and the next begins counts."""
    found = hashlib.sha256()
    for text in texts:
        encoded = text.encode()
        found.update(len(encoded).to_bytes(8, "big") + encoded)
    return found.hexdigest()


def _statement(text: str, start: int, end: int, number: int) -> Statement:
    return Statement(number, text.count("\n", 0, start) + 1, text[start:end])


def _header(text: str) -> list[tuple[str, str]]:
    found = []
    for line in text.splitlines():
        if line.strip() and not line.lstrip().startswith("--"):
            break
        if match := _HEADER.fullmatch(line.strip()):
            found.append((match[1], match[2]))
    return found
