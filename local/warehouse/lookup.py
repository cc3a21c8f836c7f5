"""Finding objects in the catalogue by what a statement calls them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from local.warehouse.catalog import Record
from local.warehouse.errors import missing
from local.warehouse.names import dotted, full_name
from local.warehouse.statements import Name

if TYPE_CHECKING:
    from local.warehouse.account import Account
    from local.warehouse.session import Session

# Kinds that share one namespace.
_STORED = {
    "EXTERNAL FUNCTION": "FUNCTION",
    "API INTEGRATION": "INTEGRATION",
    "EXTERNAL ACCESS INTEGRATION": "INTEGRATION",
}
EXECUTED = "Statement executed successfully."


def signature(name: Name, types: tuple[str, ...] | list[str]) -> str:
    """A program's key: its full name and the types of its arguments."""
    return f"{dotted(name)}({', '.join(types)})"


def stored_kind(kind: str) -> str:
    """The kind under which the catalogue has an object."""
    return _STORED.get(kind, kind)


def key_of(kind: str, name: Name, types: tuple[str, ...] | None) -> str:
    """The object's key: its full name, for programs with the types of their arguments."""
    return dotted(name) if types is None else signature(name, types)


def look(
    account: Account, session: Session, kind: str, name: Name, types: tuple[str, ...] | None = None
) -> Record | None:
    """The object, database or schema, or None. `API INTEGRATION` finds only integrations of that type."""
    full = full_name(kind, name, session)
    record = account.catalog.get(stored_kind(kind), key_of(kind, full, types))
    wanted = {"API INTEGRATION": "API", "EXTERNAL ACCESS INTEGRATION": "EXTERNAL_ACCESS"}.get(kind)
    return None if record is None or (wanted is not None and record["type"] != wanted) else record


def find(account: Account, session: Session, kind: str, name: Name, types: tuple[str, ...] | None = None) -> Record:
    """The object, or 002003. `API INTEGRATION` finds only integrations of that type."""
    record = look(account, session, kind, name, types)
    if record is None:
        raise missing(title(kind), key_of(kind, full_name(kind, name, session), types))
    return record


def title(kind: str) -> str:
    """What a message calls an object of this kind."""
    return "INTEGRATION" if kind.endswith("INTEGRATION") else kind
