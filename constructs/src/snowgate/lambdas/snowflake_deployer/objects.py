"""The objects that a SQL file's header names; pure Python, because synth reads the headers with it too."""

from __future__ import annotations

import re
from typing import NamedTuple

# How many parts a fully qualified name of the kind has.
KINDS = {
    "SCHEMA": 2,
    "TABLE": 3,
    "VIEW": 3,
    "STREAM": 3,
    "TASK": 3,
    "PROCEDURE": 3,
    "FUNCTION": 3,
    "NETWORK RULE": 3,
    "SECRET": 3,
    "EXTERNAL ACCESS INTEGRATION": 1,
    "GRANTS TO ROLE": 1,
}
PROGRAMS = ("PROCEDURE", "FUNCTION")

_PART = re.compile(r"[A-Z_][A-Z0-9_$]{0,254}")
_TYPE = re.compile(r"[A-Z][A-Z0-9_]*( [A-Z]+)*(\(\d+(, ?\d+)?\))?")
_KIND = re.compile(rf"({'|'.join(KINDS)})\s+(.*)")
_PROGRAM = re.compile(r"([^()\s]+)\s*\((.*)\)")


class HeaderError(ValueError):
    """A header line does not name an object."""


class Made(NamedTuple):
    """An object that a file makes, under its fully qualified name in upper case.

    ``types`` are the argument types of a procedure or function, which tell overloads apart, and None for all else;
    ``kept`` says that it outlives the resource.
    """

    kind: str
    name: str
    types: tuple[str, ...] | None
    kept: bool

    @property
    def parts(self) -> tuple[str, ...]:
        """The name, cut at its dots."""
        return tuple(self.name.split("."))

    @property
    def reference(self) -> str:
        """The name as statements want it: with the argument types of a program."""
        return self.name if self.types is None else f"{self.name}({', '.join(self.types)})"

    @property
    def drop(self) -> str:
        """The statement that takes the object away, whether it is there or not.

        Raises:
            HeaderError: grants cannot be dropped; a REVOKE in a file takes them back.
        """
        if self.kind == "GRANTS TO ROLE":
            raise HeaderError(
                f"{self} cannot be dropped: say 'Makes and keeps:'; a REVOKE in a file takes grants back."
            )
        return f"DROP {self.kind} IF EXISTS {self.reference}"

    def __str__(self) -> str:
        return f"{self.kind} {self.reference}"


def read_made(text: str, kept: bool) -> Made:
    """Read what follows ``Makes and drops:`` or ``Makes and keeps:``, such as ``PROCEDURE DB.S.P(VARCHAR, DATE)``.

    Raises:
        HeaderError: the kind is unknown, the name is not fully qualified or quoted, a program lacks its argument types,
            or grants are said to be dropped.
    """
    found = _KIND.fullmatch(" ".join(text.upper().split()))
    if not found:
        raise HeaderError(f"{text!r} must begin with one of {', '.join(KINDS)}, followed by a name.")
    kind, name = found.groups()
    types = None
    if kind in PROGRAMS:
        program = _PROGRAM.fullmatch(name)
        if not program:
            raise HeaderError(f"{text!r} needs its argument types in parentheses, such as P(VARCHAR, DATE) or P().")
        name, types = program[1], _types(text, program[2])
    parts = name.split(".")
    if len(parts) != KINDS[kind] or not all(map(_PART.fullmatch, parts)):
        raise HeaderError(
            f"{text!r} must name one {kind} by {KINDS[kind]} unquoted part{'s' * (KINDS[kind] > 1)}"
            f"{' joined by dots' * (KINDS[kind] > 1)}; given was {name!r}."
        )
    if kind == "GRANTS TO ROLE" and not kept:
        raise HeaderError(f"{text!r} cannot be dropped: say 'Makes and keeps:'; a REVOKE in a file takes grants back.")
    return Made(kind, name, types, kept)


def _types(text: str, listed: str) -> tuple[str, ...]:
    # A comma inside NUMBER(38, 0) does not part two types.
    types = tuple(part.strip() for part in re.split(r",(?![^(]*\))", listed)) if listed.strip() else ()
    for name in types:
        if not _TYPE.fullmatch(name):
            raise HeaderError(
                f"{text!r}: {name!r} is no argument type; types stand alone, without the arguments' names."
            )
    return types
