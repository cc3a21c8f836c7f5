"""What a deploy is going to do with each file, decided from the record and from what Snowflake says now."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from . import ledger
from .connection import Session
from .differences import differences
from .ledger import Attempt, Recorded, State
from .ledger_tables import LedgerTables
from .observe import Observer
from .sql_asset import file_digest
from .statements import Script, Statement

NEW, CHANGED, UNFINISHED, DRIFTED, UNCHANGED = "new", "changed", "unfinished", "drifted", "unchanged"


class FilePlan(NamedTuple):
    """What becomes of one file.

    ``change`` is new, changed, unfinished (its last run was not completed), drifted or unchanged. Every change but the
    last runs the whole file; ``statements`` are those that are not as they ran before. ``drift`` has one sentence for
    each difference that somebody else made.
    """

    script: Script
    change: str
    statements: list[Statement]
    drift: list[str]


class Plan(NamedTuple):
    """What becomes of all files, and the objects that no file makes any more, in the order of their dropping."""

    files: list[FilePlan]
    leftovers: list[Recorded]


def plan_of(
    session: Session,
    scripts: Sequence[Script],
    *,
    database: str,
    stack: str,
    versions: Mapping[str, str] | None = None,
) -> Plan:
    """What a deploy of these files would do; only looks, needs no lock and no warehouse but for its SELECTs.

    ``stack`` names the record, as ``stack_key`` gives it; ``versions`` are the current versions of the secrets in the
    files by name. Without them a file with secrets is compared by its statements alone.
    """
    state = ledger.read(session, LedgerTables(database), stack)
    observer = Observer(session)
    files = []
    for script in scripts:
        known = script.secrets <= (versions or {}).keys()
        digest = file_digest(script, versions or {}) if known else None
        files.append(judge(script, digest, state, observer))
    return Plan(files, [one for one in leftovers(scripts, state) if not one.made.kept])


def stack_key(stack: str, resource: str, database: str, schema: str) -> str:
    """Under what a resource's record is kept: stack and logical id, and the place, which a replacement changes."""
    return f"{stack}/{resource}/{database}.{schema}"


def judge(script: Script, digest: str | None, state: State, observer: Observer) -> FilePlan:
    """What becomes of one file; without a digest its statements are compared."""
    attempt = state.attempts.get(script.name)
    if attempt is None:
        return FilePlan(script, NEW, list(script.statements), [])
    if digest != attempt.digest if digest else not _same_statements(script, attempt):
        changed = [one for one in script.statements if one.digest not in attempt.statements]
        return FilePlan(script, CHANGED, changed, [])
    recorded = [state.of_file(made, script.name) for made in script.makes]
    if not attempt.complete or any(one is None or one.facts is None for one in recorded):
        return FilePlan(script, UNFINISHED, list(script.statements), [])
    drift = [
        sentence
        for one in recorded
        if one is not None and one.facts is not None
        for sentence in differences(one.made, one.facts, observer.observe(one.made))
    ]
    return FilePlan(script, DRIFTED, [], drift) if drift else FilePlan(script, UNCHANGED, [], [])


def leftovers(scripts: Sequence[Script], state: State) -> list[Recorded]:
    """What is on the record and made by no file now, the last one made first."""
    made = {str(one) for script in scripts for one in script.makes}
    makers = {f"{one} by {script.name}" for script in scripts for one in script.makes}
    return [one for one in reversed(state.objects) if one.key not in made | makers]


def _same_statements(script: Script, attempt: Attempt) -> bool:
    """Do the statements that the file ran before begin with these? Repairs may have followed them."""
    return [one.digest for one in script.statements] == attempt.statements[: len(script.statements)]
