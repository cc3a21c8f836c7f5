"""What the CREATE statements of a file make; pure Python, because synth reads the files with it too."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import NamedTuple

from .objects import KINDS, PROGRAMS, Made

_CREATE = re.compile(
    r"CREATE\s+(?P<replace>OR\s+REPLACE\s+|OR\s+ALTER\s+)?"
    r"(?:(?:SECURE|RECURSIVE|TRANSIENT|HYBRID|AGGREGATE|EXTERNAL(?=\s+(?:FUNCTION|TABLE)))\s+)*"
    r"(?P<kind>NETWORK\s+RULE|EXTERNAL\s+ACCESS\s+INTEGRATION|\w+)\s+(?P<absent>IF\s+NOT\s+EXISTS\s+)?"
    r'(?P<name>[\w.$"{}]+)',
    re.IGNORECASE,
)
_USE = re.compile(r'USE\s+(?:(?P<kind>DATABASE|SCHEMA)\s+)?(?P<name>[\w.$"{}]+)$', re.IGNORECASE)
_COMMENT = re.compile(r"--[^\n]*|//[^\n]*|/\*.*?\*/", re.DOTALL)


class Creation(NamedTuple):
    """What a CREATE statement makes, if the header names it; whether it replaces, and whether only if absent."""

    made: Made | None
    replaces: bool
    if_absent: bool


def creation(statement: str, makes: tuple[Made, ...]) -> Creation | None:
    """Read a CREATE statement; None for all others."""
    found = _CREATE.match(statement)
    if not found:
        return None
    kind, ending = _kind(found), f".{_plain(found['name'])}"
    made = next((one for one in makes if one.kind == kind and f".{one.name}".endswith(ending)), None)
    return Creation(made, bool(found["replace"]), bool(found["absent"]))


def unnamed(statements: Sequence[str], makes: Sequence[Made]) -> list[tuple[int, str]]:
    """The statements, by their index, that create an object that no line of the header names, and the object.

    Names are completed as a session does it: by the last USE before. Overloads of a program count as one.
    """
    place: list[str] = []
    missing = []
    for index, statement in enumerate(statements):
        text = _COMMENT.sub(" ", statement).strip()
        if used := _USE.match(text):
            place = _used(place, used)
        found = _CREATE.match(text)
        if not found or _kind(found) not in KINDS:
            continue
        kind, name = _kind(found), _qualified(_plain(found["name"]), place, KINDS[_kind(found)])
        if not any(one.kind == kind and f".{one.name}".endswith(f".{name}") for one in makes):
            missing.append((index, f"{kind} {name}{'(argument types)' if kind in PROGRAMS else ''}"))
        if kind == "SCHEMA":
            place = name.split(".")  # a new schema is the session's current one
    return missing


def plain_creation(statement: str, made: Made) -> str:
    """The same CREATE for the fully qualified name, as one that fails where the object exists."""
    found = _CREATE.match(statement)
    assert found
    head = re.sub(r"\bOR\s+(REPLACE|ALTER)\b|\bIF\s+NOT\s+EXISTS\b", "", statement[: found.start("name")], flags=re.I)
    rest = re.sub(r"\bCOPY\s+GRANTS\b", "", statement[found.end("name") :], count=1, flags=re.I)
    return f"{' '.join(head.split())} {made.name}{rest}"


def _kind(found: re.Match[str]) -> str:
    return " ".join(found["kind"].upper().split())


def _plain(name: str) -> str:
    return name.upper().replace('"', "")


def _used(place: list[str], used: re.Match[str]) -> list[str]:
    parts, kind = _plain(used["name"]).split("."), (used["kind"] or "").upper()
    if len(parts) == 2:
        return parts
    if kind == "SCHEMA":
        return [*place[:1], *parts]
    return [*parts, "PUBLIC"]


def _qualified(name: str, place: list[str], size: int) -> str:
    parts = name.split(".")
    lacking = size - len(parts)
    before = place[: size - 1] if len(place[: size - 1]) == size - 1 else []
    return ".".join([*before[:lacking], *parts]) if lacking > 0 else name
