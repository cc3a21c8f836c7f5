"""Objects that another role owns than the one that made them: no file can be run over them."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence

from .connection import Session, StatementFailed
from .creations import creation, plain_creation
from .ledger import Recorded, State
from .ledger_tables import EXISTS
from .objects import Made
from .observe import Observer
from .statements import Script


class OwnerChanged(RuntimeError):
    """A file that is to run touches an object that another role owns; nothing was changed."""


def foreign(state: State, observer: Observer) -> dict[Made, str]:
    """The recorded objects whose owner is another one now, each with the sentence that says how it comes back."""
    found = {}
    for one in state.objects:
        owner = (one.facts or {}).get("owner")
        now = (observer.observe(one.made) or {}).get("owner", owner) if owner else owner
        if owner and now != owner:
            found[one.made] = sentence(one, f"belongs to {now or 'another role'}")
    return found


def hidden(session: Session, scripts: Sequence[Script], state: State, observer: Observer) -> dict[Made, str]:
    """Recorded objects that exist and that the deployer cannot see, because another role replaced them.

    Snowflake tells these apart from dropped ones only where something of their name is to be made: so each object that
    is not seen is created by its file's own statement, without OR REPLACE, and dropped at once.
    """
    found = {}
    for one in state.objects:
        if not (one.facts or {}).get("owner") or observer.observe(one.made) is not None:
            continue
        for text in _creations(scripts, one.made):
            if _exists(session, one.made, text):
                found[one.made] = sentence(one, "exists and belongs to a role whose objects the deployer cannot see")
    return found


def touched(script: Script, objects: Mapping[Made, str]) -> list[str]:
    """The sentences of those objects that the file makes or that one of its statements names."""
    return [
        said
        for made, said in objects.items()
        if made in script.makes
        or any(
            re.search(rf"(?<![\w$]){re.escape(made.parts[-1])}(?![\w$])", one.text, re.I) for one in script.statements
        )
    ]


def sentence(one: Recorded, what: str) -> str:
    """Who owns it, and the statement that gives it back."""
    owner = (one.facts or {})["owner"]
    return (
        f"{one.made} {what}, not repaired: its owner or an administrator runs "
        f"GRANT OWNERSHIP ON {one.made} TO ROLE {owner} COPY CURRENT GRANTS"
    )


def _creations(scripts: Sequence[Script], made: Made) -> list[str]:
    texts = [one.text for script in scripts if made in script.makes for one in script.statements]
    return [text for text in texts if (found := creation(text, (made,))) and found.made == made][:1]


def _exists(session: Session, made: Made, text: str) -> bool:
    place = f"whether {made} exists"
    try:
        if len(made.parts) == 3:
            session.run(f"USE SCHEMA {'.'.join(made.parts[:2])}", place, changes=False)
        session.run(plain_creation(text, made), place)
    except StatementFailed as error:
        if error.errno == EXISTS:
            return True
        # Then it is what it looked like: missing. Its file's run says what is wrong with the statement.
        print(json.dumps({"level": "info", "message": f"Cannot tell {place}: {error}"}))
        return False
    session.run(made.drop, place)
    return False
