"""What a deploy is going to do with each file, decided from the record and from what Snowflake says now."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from . import ledger, owners
from .column_definitions import read_columns
from .connection import Session
from .creations import creation
from .differences import differences
from .ledger import Attempt, Recorded, State
from .ledger_tables import LedgerTables
from .objects import Made
from .observe import Observer
from .role_grants import GRANTS, RoleGrants
from .sql_asset import file_digest
from .statements import Script, Statement
from .table_columns import Step, steps

NEW, CHANGED, UNFINISHED, DRIFTED, UNCHANGED = "new", "changed", "unfinished", "drifted", "unchanged"


class FilePlan(NamedTuple):
    """What becomes of one file.

    ``change`` is new, changed, unfinished (its last run was not completed), drifted or unchanged. Every change but the
    last runs the whole file; ``statements`` are those that are not as they ran before. ``drift`` has one sentence for
    each difference that somebody else made and the run mends; ``reports`` has one for each that no run mends.
    ``blocked``: the file would mend something and must not run, because another role owns what it touches.
    """

    script: Script
    change: str
    statements: list[Statement]
    drift: list[str]
    reports: list[str]
    blocked: bool = False


class Plan(NamedTuple):
    """What becomes of all files, the objects that no file makes any more, in the order of their dropping, and
    why the deploy would be refused, if it would."""

    files: list[FilePlan]
    leftovers: list[Recorded]
    refused: str


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
    gone = leftovers(scripts, state)
    outlook = Outlook(RoleGrants(scripts, state, observer, gone), owners.foreign(state, observer))
    files = []
    for script in scripts:
        known = script.secrets <= (versions or {}).keys()
        digest = file_digest(script, versions or {}) if known else None
        files.append(judge(script, digest, state, observer, outlook))
    dropped = [one for one in gone if not one.made.kept]
    return Plan(files, dropped, refusal(files, dropped, outlook))


class Outlook(NamedTuple):
    """What was seen before the first file runs: the roles' grants, and the objects that another role owns."""

    roles: RoleGrants
    foreign: Mapping[Made, str]


def stack_key(stack: str, resource: str, database: str, schema: str) -> str:
    """Under what a resource's record is kept: stack and logical id, and the place, which a replacement changes."""
    return f"{stack}/{resource}/{database}.{schema}"


def judge(script: Script, digest: str | None, state: State, observer: Observer, outlook: Outlook) -> FilePlan:
    """What becomes of one file; without a digest its statements are compared."""
    attempt = state.attempts.get(script.name)
    if attempt is None:
        return FilePlan(script, NEW, list(script.statements), [], [])
    if digest != attempt.digest if digest else not _same_statements(script, attempt):
        changed = [one for one in script.statements if one.digest not in attempt.statements]
        return FilePlan(script, CHANGED, changed, [], [])
    recorded = [state.of_file(made, script.name) for made in script.makes]
    if not attempt.complete or any(one is None or one.facts is None for one in recorded):
        return FilePlan(script, UNFINISHED, list(script.statements), [], [])
    drift, reports = list[str](), list[str]()
    for one in recorded:
        if one is not None and one.facts is not None:
            mended, not_mended = _compared(script, one, observer, outlook)
            drift += mended
            reports += not_mended
    blocked = owners.touched(script, outlook.foreign)
    if drift and blocked:
        theirs = [
            f"{said}, not repaired" for said in drift if not any(said.startswith(f"{one} ") for one in outlook.foreign)
        ]
        return FilePlan(script, UNCHANGED, [], [], [*blocked, *theirs, *reports], blocked=True)
    makes = [said for made, said in outlook.foreign.items() if made in script.makes]
    return FilePlan(script, DRIFTED if drift else UNCHANGED, [], drift, [*makes, *reports])


def refusal(files: Sequence[FilePlan], dropped: Sequence[Recorded], outlook: Outlook) -> str:
    """Why nothing may run: a file that is new, changed or unfinished touches what another role owns, or it is to be
    dropped; empty if all may.
    """
    running = [file for file in files if file.change in (NEW, CHANGED, UNFINISHED)]
    said = [
        f"{file.script.name} is {file.change} and cannot run: {reason}"
        for file in running
        for reason in owners.touched(file.script, outlook.foreign)
    ]
    said += [
        f"{one.made} cannot be dropped: {reason}"
        for one in dropped
        for made, reason in outlook.foreign.items()
        if str(made) == str(one.made)
    ]
    return "; ".join(said)


def _compared(script: Script, one: Recorded, observer: Observer, outlook: Outlook) -> tuple[list[str], list[str]]:
    """What is not as recorded: what a run of the file mends, and what it does not."""
    found = observer.observe(one.made)
    if one.made.kind == GRANTS:
        lost = [name for name in outlook.roles.of(one.made).lost if name not in (found or {})]
        mended = [f"{one.made.name} had lost {name}" for name in sorted(lost) if outlook.roles.given(one.made, name)]
        return mended, outlook.roles.reports(one.made)
    stays = lasting_differences(script, one.made, observer) if found else []
    columns = {f"column {step.column}" for step in stays}
    facts = [
        None if side is None else {name: value for name, value in side.items() if name not in columns}
        for side in (one.facts, found)
    ]
    return differences(one.made, facts[0] or {}, facts[1]), [step.sentence for step in stays]


def lasting_differences(script: Script, made: Made, observer: Observer) -> list[Step]:
    """How a table's columns differ from the file's CREATE TABLE IF NOT EXISTS where no deploy can change them.

    They are compared with the file, never with the record, so that each deploy says them until somebody mends them.
    """
    for statement in script.statements:
        created = creation(statement.text, script.makes)
        if made.kind == "TABLE" and created and created.made == made and created.if_absent:
            found = steps(observer.session, made, read_columns(statement.text), observer.columns(made))
            return [step for step in found if not step.statement]
    return []


def leftovers(scripts: Sequence[Script], state: State) -> list[Recorded]:
    """What is on the record and made by no file now, the last one made first."""
    made = {str(one) for script in scripts for one in script.makes}
    makers = {f"{one} by {script.name}" for script in scripts for one in script.makes}
    return [one for one in reversed(state.objects) if one.key not in made | makers]


def _same_statements(script: Script, attempt: Attempt) -> bool:
    """Do the statements that the file ran before begin with these? Repairs may have followed them."""
    return [one.digest for one in script.statements] == attempt.statements[: len(script.statements)]
