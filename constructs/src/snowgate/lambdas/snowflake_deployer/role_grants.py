"""What the roles lost since the record was written, and what they hold beyond it, at the start of a deploy."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import NamedTuple

from .ledger import Recorded, State
from .objects import Made
from .observe import Facts, Observer
from .statements import Script

GRANTS = "GRANTS TO ROLE"


class Held(NamedTuple):
    """One role's difference to the record at the start of a deploy."""

    lost: Facts
    extra: Facts


class RoleGrants:
    """All roles' differences, looked at once before the first file runs."""

    def __init__(self, scripts: Sequence[Script], state: State, observer: Observer, gone: Sequence[Recorded]) -> None:
        self._scripts = scripts
        dropped = tuple(f" {one.made.kind} {one.made.name}" for one in gone)
        self._held: dict[str, Held] = {}
        for made in {one.made.name: one.made for one in state.objects if one.made.kind == GRANTS}.values():
            self._held[made.name] = self._look(made, state, observer, dropped)

    def of(self, made: Made) -> Held:
        """What a role lost, and what it holds beyond; nothing for one that no deploy has recorded yet."""
        return self._held.get(made.name, Held({}, {}))

    def given(self, made: Made, name: str) -> bool:
        """Does a GRANT of these files give it?"""
        return any(gives(script, made, name) for script in self._scripts)

    def reports(self, made: Made) -> list[str]:
        """A sentence for each thing that no deploy mends."""
        lost, extra = self.of(made)
        return [
            *(not_given(made, name) for name in sorted(lost) if not self.given(made, name)),
            *(beyond(made, name) for name in sorted(extra)),
        ]

    def record(self, made: Made, found: Facts, *, keeps: bool) -> Facts:
        """What the record takes after a run: never what a role held beyond; if ``keeps``, also what it had lost."""
        lost, extra = self.of(made)
        return (lost if keeps else {}) | {name: value for name, value in found.items() if name not in extra}

    def unfinished(self, made: Made, *, keeps: bool) -> list[Facts]:
        """The same for a file that has begun, as the next deploy reads it if it does not end."""
        lost, extra = self.of(made)
        return [lost if keeps else {}, extra] if made.name in self._held else []

    def _look(self, made: Made, state: State, observer: Observer, dropped: tuple[str, ...]) -> Held:
        found = observer.observe(made) or {}
        records = [one for one in state.objects if str(one.made) == str(made)]
        begun = [one for one in records if one.facts is None]
        due: Facts = {}
        for one in records:
            due |= one.facts or {}
        lost = {
            name: value
            for name, value in due.items()
            if name not in found and not name.endswith(dropped) and not _gone_with_its_integration(name, observer)
        }
        extra = {name: value for name, value in found.items() if name not in due}
        if begun:
            # What a file that has not ended granted is nobody else's; what was beyond before it began is on its record.
            noted = [one.grants for one in begun if len(one.grants) == 2]
            extra = {name: value for name, value in extra.items() if any(name in pair[1] for pair in noted)}
            for pair in noted:
                lost |= {name: value for name, value in pair[0].items() if name not in found}
        return Held(lost, {name: value for name, value in extra.items() if not self.given(made, name)})


def _gone_with_its_integration(name: str, observer: Observer) -> bool:
    """A renamed integration is dropped by CloudFormation after the deploy that wrote down the grant on it."""
    _, found, integration = name.partition(" ON INTEGRATION ")
    return bool(found) and integration not in observer.integrations()


def gives(script: Script, made: Made, name: str) -> bool:
    """Does a GRANT in the file name this privilege, this object and this role? ``ALL`` stands for any."""
    privilege, _, thing = name.partition(" ON ")
    kind, _, place = thing.partition(" ")
    last = re.split(r"[(]", place)[0].rpartition(".")[2].strip('"')
    for statement in script.statements:
        text = statement.text.upper()
        grant, _, whom = text.rpartition(" TO ")
        if not text.startswith("GRANT") or not re.search(
            rf"\bROLE\s+\"?{re.escape(made.name)}\b", f"{whom} {text[-300:]}"
        ):
            continue
        what, _, target = grant.partition(" ON ")
        if kind == "ROLE" and privilege == "USAGE":
            if re.match(rf"GRANT\s+ROLE\s+\"?{re.escape(last)}\b", text):
                return True
        elif re.search(rf"\b({re.escape(privilege)}|ALL)\b", what) and (
            kind == "ACCOUNT" or re.search(rf"(?<![\w$])({re.escape(last)}|ALL)(?![\w$])", target)
        ):
            return True
    return False


def not_given(made: Made, name: str) -> str:
    """The sentence for what a role lost and no file gives."""
    return (
        f"{made.name} had lost {name}, not repaired: no file gives it, an administrator runs the file of "
        "`make snowflake-bootstrap`"
    )


def beyond(made: Made, name: str) -> str:
    """The sentence for what a role holds and no file gives."""
    return f"{made.name} holds {name}, which no file gives; it stays until somebody revokes it"
