"""Object names: from the parts of a statement to full names, and to text that quotes only what needs it.

Pure Python.
"""

from __future__ import annotations

import re
from typing import Protocol

from local.warehouse.errors import no_database, no_schema
from local.warehouse.statements import Name

_PLAIN = re.compile(r"[A-Z_][A-Z0-9_$]*")
ACCOUNT_KINDS = frozenset(
    {
        "WAREHOUSE",
        "ROLE",
        "USER",
        "DATABASE",
        "INTEGRATION",
        "API INTEGRATION",
        "EXTERNAL ACCESS INTEGRATION",
        "ACCOUNT",
    }
)


class Place(Protocol):
    """Where unqualified names are looked up: a session, or the schema that holds a program."""

    @property
    def database(self) -> str | None:
        """The current database."""

    @property
    def schema(self) -> str | None:
        """The current schema."""


def quoted(part: str) -> str:
    """The part as SQL needs it."""
    return part if _PLAIN.fullmatch(part) else '"' + part.replace('"', '""') + '"'


def dotted(name: Name) -> str:
    """The full name as text, the key of the catalogue."""
    return ".".join(quoted(part) for part in name)


def full_name(kind: str, name: Name, place: Place) -> Name:
    """All parts of a name. Raises 090105 or 090106 if the session has no database or schema to complete it with."""
    if kind in ACCOUNT_KINDS:
        return (name[-1],)
    wanted = 2 if kind == "SCHEMA" else 3
    if len(name) >= wanted:
        return name
    if place.database is None:
        raise no_database(f"statement on {kind} {dotted(name)}")
    if len(name) == wanted - 1:
        return (place.database, *name)
    if place.schema is None:
        raise no_schema(f"statement on {kind} {dotted(name)}")
    return (place.database, place.schema, *name)
