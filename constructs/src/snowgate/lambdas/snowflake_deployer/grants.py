"""Grants that a CREATE OR REPLACE takes away, and how they come back."""

from __future__ import annotations

import re
from typing import Any

from .connection import GONE, Session, StatementFailed
from .objects import Made

# One grant: privilege, kind of grantee, grantee, and "true" where the grantee may pass it on. Goes through JSON.
Grant = dict[str, str]

_PLAIN = re.compile(r"[A-Z_][A-Z0-9_$]*")


def held(session: Session, made: Made) -> list[Grant] | None:
    """The grants on an object, without its OWNERSHIP; None if it does not exist or the role may not see it."""
    if made.kind == "GRANTS TO ROLE":
        return []
    try:
        rows = session.run(f"SHOW GRANTS ON {_named(made)}", f"grants on {made}", changes=False)
    except StatementFailed as error:
        if error.errno in GONE:
            return None
        raise
    return sorted((_grant(row) for row in rows if row["privilege"] != "OWNERSHIP"), key=lambda grant: [*grant.values()])


def give_back(session: Session, made: Made, before: list[Grant]) -> list[str]:
    """Grant again what was held before and is not any more, and say so in one sentence for each grant.

    Raises:
        StatementFailed: a grant was refused for another reason than that its grantee is gone; the message names it.
    """
    now = held(session, made) or [] if before else []
    return [_give_back(session, made, grant) for grant in before if grant not in now]


def _give_back(session: Session, made: Made, grant: Grant) -> str:
    option = " WITH GRANT OPTION" if grant["option"] == "true" else ""
    given = f"{grant['privilege']} ON {_named(made)} TO {grant['to']} {_quoted(grant['grantee'])}{option}"
    lost = f"{made} had lost {grant['privilege']} for {grant['to']} {grant['grantee']}"
    try:
        session.run(f"GRANT {given}", f"give back {given}")
    except StatementFailed as error:
        if error.errno not in GONE:
            raise
        return f"{lost}, not repaired: the grantee is gone"
    return f"{lost}, repaired"


def _named(made: Made) -> str:
    # GRANT and SHOW GRANTS know integrations of every type by one word.
    kind = "INTEGRATION" if made.kind.endswith("INTEGRATION") else made.kind
    return f"{kind} {made.reference}"


def _grant(row: dict[str, Any]) -> Grant:
    return {
        "privilege": str(row["privilege"]),
        "to": str(row["granted_to"]).replace("_", " "),
        "grantee": str(row["grantee_name"]),
        "option": str(row["grant_option"]).lower(),
    }


def _quoted(name: str) -> str:
    """A grantee as SQL wants it: SHOW gives ``lower case`` names bare."""
    parts = [part if part.startswith('"') or _PLAIN.fullmatch(part) else f'"{part}"' for part in name.split(".")]
    return ".".join(parts)
