"""Read a SQL file as its header and its statements; pure Python, because synth reads the files with it too."""

from __future__ import annotations

import functools
import hashlib
import re
from collections.abc import Mapping
from typing import NamedTuple

from .creations import unnamed
from .objects import HeaderError, Made, read_made

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
_SECRET = re.compile(r"\$\{secret:(\w+)\}")
_HEADER = re.compile(r"--\s*Makes and (drops|keeps):\s*(.*\S)\s*")
_ALMOST = re.compile(r"\s*--\s*(Makes|On delete)\b")
# DDL commits what is open ("Transactions"), so a transaction around it would only pretend; and one that a file leaves
# open would hold its locks until Snowflake notices that nobody uses it any more.
_TRANSACTION = re.compile(
    r"(BEGIN|START\s+TRANSACTION|COMMIT|ROLLBACK|ALTER\s+SESSION\s+SET\s+AUTOCOMMIT)\b", re.IGNORECASE
)
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
    """One file: the objects that its header names, in the order in which they are made, and its statements in order."""

    name: str
    makes: tuple[Made, ...]
    statements: tuple[Statement, ...]

    @property
    def secrets(self) -> set[str]:
        """The names in its ``${secret:name}`` markers."""
        return {name for statement in self.statements for name in _SECRET.findall(statement.text)}

    @property
    def digest(self) -> str:
        """SHA-256 of what the file makes and does, in hex; comments between its statements do not count."""
        header = [f"{made} {'kept' if made.kept else 'dropped'}" for made in self.makes]
        return digest(*header, *(statement.text for statement in self.statements))


class ScriptError(ValueError):
    """A SQL file that cannot be read; the message names file and line."""


# Kept, for a folder's files are read one by one to be checked, and then together.
@functools.lru_cache(maxsize=256)
def parse(name: str, text: str) -> Script:
    """Read one file; one that holds nothing but blanks and plain comments makes nothing and has no statements.

    Raises:
        ScriptError: a string, name, body or comment is not closed; the header lacks a ``-- Makes and drops:`` or a
            ``-- Makes and keeps:`` line, or one of these names no object; a statement opens or ends a transaction, or
            creates an object that the header does not name.
    """
    makes = tuple(_made(name, text))
    statements = tuple(split(name, text))
    if bool(makes) != bool(statements):
        wanted = (
            "a statement is missing: the header says that the file makes something."
            if makes
            else "a line '-- Makes and drops: KIND NAME' or '-- Makes and keeps: KIND NAME' is missing before the "
            "first statement, one for each object."
        )
        raise ScriptError(f"{name}: {wanted}")
    for statement in statements:
        if _TRANSACTION.match(statement.text):
            raise ScriptError(
                f"{name} line {statement.line}: {statement.first_line!r} is refused, because DDL commits what is open: "
                "take the transaction into a procedure and CALL it."
            )
    for index, created in unnamed([statement.text for statement in statements], makes):
        raise ScriptError(
            f"{name} line {statements[index].line}: no line of the header names what this statement makes, so that it "
            f"would be neither watched nor dropped: add '-- Makes and drops: {created}', or '-- Makes and keeps: …' if "
            "it outlives the stack."
        )
    return Script(name, makes, statements)


def read_all(texts: Mapping[str, str]) -> list[Script]:
    """Read files in the order of their names, without those that make nothing.

    Raises:
        ScriptError: a file cannot be read, or two files make the same object.
    """
    scripts = [script for script in (parse(name, texts[name]) for name in sorted(texts)) if script.statements]
    makers: dict[str, str] = {}
    for script in scripts:
        for made in script.makes:
            # Several files may grant something to one role; each is asked only for what it saw there.
            if str(made) in makers and made.kind != "GRANTS TO ROLE":
                raise ScriptError(f"{script.name}: {made} is made by {makers[str(made)]} already; one header names it.")
            makers[str(made)] = script.name
    return scripts


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


def fill_secrets(text: str, values: Mapping[str, str]) -> str:
    """Put secret values in place of the ``${secret:name}`` markers; every name must be among ``values``.

    Raises:
        ScriptError: a value has characters that could change the statement; the message does not quote it.
    """

    def value(marker: re.Match[str]) -> str:
        if not _PLAIN_VALUE.fullmatch(values[marker[1]]):
            raise ScriptError(
                f"The value of {marker[0]} has a quote, a backslash, a line break or another character that SQL cannot "
                "take: make the secret from letters, digits and _.:/@+=,-."
            )
        return values[marker[1]]

    return _SECRET.sub(value, text)


def digest(*texts: str) -> str:
    """SHA-256 over texts, in hex; where one text ends and the next begins counts."""
    found = hashlib.sha256()
    for text in texts:
        encoded = text.encode()
        found.update(len(encoded).to_bytes(8, "big") + encoded)
    return found.hexdigest()


def _statement(text: str, start: int, end: int, number: int) -> Statement:
    return Statement(number, text.count("\n", 0, start) + 1, text[start:end])


def _made(name: str, text: str) -> list[Made]:
    found = []
    for number, line in enumerate(text.splitlines(), 1):
        if line.strip() and not line.lstrip().startswith("--"):
            break
        match = _HEADER.fullmatch(line.strip())
        if not match and _ALMOST.match(line):
            raise ScriptError(
                f"{name} line {number}: {line.strip()!r} must read '-- Makes and drops: KIND NAME' or "
                "'-- Makes and keeps: KIND NAME'."
            )
        if match:
            try:
                found.append(read_made(match[2], match[1] == "keeps"))
            except HeaderError as error:
                raise ScriptError(f"{name} line {number}: {error}") from error
    return found
