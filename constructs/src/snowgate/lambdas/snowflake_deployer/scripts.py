"""Custom::SnowflakeScripts: bring Snowflake to a folder of SQL files, and take it back on delete."""

from __future__ import annotations

import json
from contextlib import ExitStack, nullcontext
from functools import partial
from typing import Any, NamedTuple

from . import owners, statements
from .connection import GONE, Session, StatementFailed, connect, identifier
from .file_run import FileRun
from .grants import held
from .ledger import Ledger, Recorded
from .ledger_tables import LedgerTables, use_warehouse
from .lock import locked
from .notes import NotedSession, Notes
from .observe import ANEW, Observer
from .plan import DRIFTED, UNCHANGED, Outlook, judge, leftovers, refusal, stack_key
from .request import Properties, Request
from .role_grants import GRANTS, RoleGrants
from .smoke import run_smoke
from .sql_asset import SecretValue, file_digest, read_scripts, read_secrets
from .statements import Script, Statement
from .task_graph import paused, resume_remembered, run_patiently

# The answer to CloudFormation has 4 KB for all; JSON may write one character as six.
LONGEST_DRIFT = 2000


class Result(NamedTuple):
    """What a pass over the files has done: statements run, files left alone, and what it found otherwise than it was
    recorded.

    For the last look: what was seen before, whether what a role had lost stays on its record, and the files that were
    not repaired because another role owns what they touch.
    """

    statements: int
    skipped: int
    drift: list[str]
    outlook: Outlook
    keeps: bool
    blocked: frozenset[str]

    def followed_by(self, later: Result) -> Result:
        """What both have done; all but statements and drift is the later one's."""
        return later._replace(statements=self.statements + later.statements, drift=self.drift + later.drift)


def apply(request: Request) -> dict[str, str]:
    """Run every file that changed, was not completed or has drifted; then call through the chain; then drop what no
    file makes any more.

    What is dropped is gone with the grants on it, so that the new version must have proven itself before.
    All files are read before the first statement runs, so that a file that cannot be read changes nothing.
    """
    properties = request.properties
    scripts = read_scripts(properties, request.deadline)
    with connect(request.secrets, request.deadline, role=_role(properties)) as session:
        use_warehouse(session, properties.text("Warehouse"))
        tables, stack = _record(properties, request)
        with locked(session, tables, request.deadline, deployment=request.id, stack=stack):
            ledger = Ledger(session, tables, stack=stack, deployment=request.id)
            deployment = Deployment(request, session, ledger)
            values = read_secrets(properties, scripts, request.deadline, request.secrets)
            result = deployment.run(scripts, values)
            # A rotation asks for no lock: a value that it has exchanged meanwhile is put in once more.
            while (found := read_secrets(properties, scripts, request.deadline, request.secrets)) != values:
                result, values = result.followed_by(deployment.run(scripts, found)), found
            if smoke := properties.text("Smoke", ""):
                run_smoke(session, request.deadline, smoke)
            deployment.settle(scripts, result)
    return {
        "Statements": str(result.statements),
        "Skipped": str(result.skipped),
        "Drift": _cut(result.drift) or "none",
        "Digest": statements.digest(*(part for script in scripts for part in (script.name, script.digest))),
        "DeploymentId": request.id,
    }


def delete(request: Request) -> None:
    """Drop what the record names and the files do not keep, the last one first; a record that is not there has nothing.

    The history stays, and what is kept stays on the record.
    """
    properties = request.properties
    with connect(request.secrets, request.deadline, role=_role(properties)) as session:
        tables, stack = _record(properties, request)
        try:
            session.run(f"USE DATABASE {tables.database}", "use the database", changes=False)
        except StatementFailed as error:
            if error.errno not in GONE:
                raise
            print(json.dumps({"level": "info", "message": f"Nothing to delete: {error}"}))
            return
        use_warehouse(session, properties.text("Warehouse"))
        ledger = Ledger(session, tables, stack=stack, deployment=request.id)
        if not ledger.read().objects:
            return
        with locked(session, tables, request.deadline, deployment=request.id, stack=stack):
            made = [one for one in reversed(ledger.read().objects) if not one.made.kept]
            Deployment(request, session, ledger).drop("delete", made)
            resume_remembered(session, request.deadline, ledger)
            ledger.forget(made, "forget what was dropped")


class Deployment:
    """One deploy's way through the files; ``session`` is the deployer's own."""

    def __init__(self, request: Request, session: Session, ledger: Ledger) -> None:
        self._request, self._session, self._ledger = request, session, ledger
        self._scripts_session: Session | None = None

    def run(self, scripts: list[Script], values: dict[str, SecretValue]) -> Result:
        """Bring everything to the files; ``settle`` comes after it, once the new version has proven itself.

        Raises:
            OwnerChanged: a file that is to run touches what another role owns; nothing was changed.
        """
        state = self._ledger.read()
        observer = Observer(self._session)
        gone = leftovers(scripts, state)
        foreign = owners.foreign(state, observer) | owners.hidden(self._session, scripts, state, observer)
        outlook = Outlook(RoleGrants(scripts, state, observer, gone), foreign)
        versions = {name: value.version for name, value in values.items()}
        digests = {script.name: file_digest(script, versions) for script in scripts}
        plans = [judge(script, digests[script.name], state, observer, outlook) for script in scripts]
        dropped = [one for one in gone if not one.made.kept]
        if refused := refusal(plans, dropped, outlook):
            raise owners.OwnerChanged(f"Nothing was changed. {refused}")
        count, skipped, said, blocked = 0, 0, list[str](), set[str]()
        keeps = all(plan.change in (DRIFTED, UNCHANGED) or not _grants(plan.script) for plan in plans)
        with ExitStack() as stack:
            self._scripts_session = None  # the one of a run before is closed
            for plan, script in zip(plans, scripts, strict=True):
                if count:
                    # What ran before may have mended it, or taken a grant.
                    plan = judge(script, digests[script.name], state, Observer(self._session), outlook)
                said += plan.reports
                if plan.change == UNCHANGED:
                    skipped += 1
                    if plan.blocked:
                        blocked.add(script.name)
                    continue
                print(json.dumps({"level": "info", "file": script.name, "change": plan.change, "drift": plan.drift}))
                mended = self._file_run(script, values, stack, outlook.roles, keeps).run(digests[script.name], state)
                left = judge(script, digests[script.name], state, Observer(self._session), outlook).drift
                said += [f"{one}, {'not ' if one in left and ANEW not in one else ''}repaired" for one in plan.drift]
                said += mended
                count += len(script.statements)
        return Result(count, skipped, list(dict.fromkeys(said)), outlook, keeps, frozenset(blocked))

    def drop(self, name: str, objects: list[Recorded]) -> None:
        """Drop objects in this order; the caller forgets them; ``name`` stands for a file in the history."""
        if not objects:
            return
        drops = [Statement(number, 0, one.made.drop) for number, one in enumerate(objects, 1)]
        notes = Notes(self._ledger, self._request.deadline, self._request.secrets, planned=len(drops))
        noted = NotedSession(self._session, notes)
        tasks = [one.made for one in objects if one.made.kind == "TASK"]
        self._ledger.begin(name, statements.digest(*(drop.text for drop in drops)), drops)
        with notes, paused(noted, self._request.deadline, self._ledger, tasks, []) if tasks else nullcontext():
            for drop in drops:
                notes.noted(drop, self._session, partial(self._drop, drop), dict.fromkeys(GONE, "GONE"))

    def _drop(self, drop: Statement) -> list[dict[str, Any]]:
        return run_patiently(self._session, self._request.deadline, drop.text, drop.text)

    def settle(self, scripts: list[Script], result: Result) -> None:
        """Drop what no file makes any more, and write down what is there now.

        Everything is looked at again, because a later file may have changed what an earlier one made. If nothing ran,
        and no deploy before was ended on its way here, only the grants on each object are, which would be lost with it.
        """
        state = self._ledger.read()
        gone = leftovers(scripts, state)
        self.drop("leftovers", [one for one in gone if not one.made.kept])
        resume_remembered(self._session, self._request.deadline, self._ledger)
        anew = bool(result.statements or gone) or not all(one.settled for one in state.objects)
        observer = Observer(self._session)
        recorded = [one for one in state.objects if one not in gone and one.facts is not None]
        seen = [self._seen(one, result, observer if anew else None) for one in recorded]
        changed = [now for now, one in zip(seen, recorded, strict=True) if now != one]
        self._ledger.record(changed, "write down what is there now")
        self._ledger.forget(gone, "forget what no file makes any more")

    def _seen(self, one: Recorded, result: Result, observer: Observer | None) -> Recorded:
        """An object as it is now; with an observer, its facts too.

        What another role owns, and what was not repaired because of it, keeps its record: else it would be taken for
        what should be.
        """
        if one.file in result.blocked or any(str(made) == str(one.made) for made in result.outlook.foreign):
            return one._replace(settled=True)
        facts = one.facts
        if observer is not None:
            facts = observer.observe(one.made) or facts
            if one.made.kind == GRANTS:
                facts = result.outlook.roles.record(one.made, facts or {}, keeps=result.keeps)
        grants = held(self._session, one.made)
        return one._replace(facts=facts, grants=one.grants if grants is None else grants, settled=True)

    def _file_run(
        self, script: Script, values: dict[str, SecretValue], stack: ExitStack, roles: RoleGrants, keeps: bool
    ) -> FileRun:
        request = self._request
        if self._scripts_session is None:
            # The files' own session: what they USE and SET is nothing to the record, and only a deploy that runs one
            # needs it.
            role = _role(request.properties)
            self._scripts_session = stack.enter_context(connect(request.secrets, request.deadline, role=role))
            use_warehouse(self._scripts_session, request.properties.text("Warehouse"))
        return FileRun(
            script,
            ledger=self._ledger,
            session=self._session,
            scripts_session=self._scripts_session,
            deadline=request.deadline,
            secrets=request.secrets,
            values={name: value.text for name, value in values.items()},
            roles=roles,
            keeps=keeps,
        )


def _record(properties: Properties, resource: Request) -> tuple[LedgerTables, str]:
    """The tables of the record, and the name under which this resource is on it."""
    database = identifier(properties.text("Database"), "Database")
    return LedgerTables(database), stack_key(resource.stack, properties.resource, database, properties.text("Schema"))


def _role(properties: Properties) -> str:
    return identifier(properties.text("Role"), "Role")


def _grants(script: Script) -> bool:
    return any(made.kind == GRANTS for made in script.makes)


def _cut(sentences: list[str]) -> str:
    """As many of the sentences as fit into the answer, and how many more there are; the log has them all."""
    kept = list(sentences)
    while kept and len(json.dumps("; ".join(kept))) > LONGEST_DRIFT:
        kept.pop()
    left = len(sentences) - len(kept)
    return "; ".join(kept + ([f"and {left} more, see the log"] if left else []))
