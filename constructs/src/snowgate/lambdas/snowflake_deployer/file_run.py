"""Run one file: written down before, statement by statement, and its objects looked at afterwards."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import nullcontext
from functools import partial
from typing import Any

from .connection import Session
from .creations import creation
from .deadline import Deadline
from .grants import Grant, give_back, held
from .ledger import Ledger, Recorded, State
from .ledger_tables import EXISTS
from .notes import NotedSession, Notes
from .objects import Made
from .observe import Observer
from .redaction import Secrets
from .role_grants import GRANTS, RoleGrants
from .statements import Script, Statement, fill_secrets
from .table_columns import bring_columns
from .task_graph import paused, repair_stream, run_patiently


class NotMade(RuntimeError):
    """A file ran and its header names something that is not there."""


class FileRun:
    """One file's run: its statements in the scripts' own session, all else as the deployer."""

    def __init__(
        self,
        script: Script,
        *,
        ledger: Ledger,
        session: Session,
        scripts_session: Session,
        deadline: Deadline,
        secrets: Secrets,
        values: Mapping[str, str],
        roles: RoleGrants,
        keeps: bool,
    ) -> None:
        self._script, self._ledger, self._values = script, ledger, values
        self._session, self._scripts_session, self._deadline = session, scripts_session, deadline
        self._notes = Notes(ledger, deadline, secrets, planned=len(script.statements))
        self._noted = NotedSession(session, self._notes)
        self._roles, self._keeps = roles, keeps
        self._repaired: list[str] = []

    def run(self, digest: str, state: State) -> list[str]:
        """Run it and record its objects; one sentence for each thing that was repaired beside the statements.

        Raises:
            StatementFailed: a statement failed; what ran before it stays, and the next deploy runs the file again.
            NotMade: an object that the header names is not there afterwards.
        """
        script = self._script
        before = {made: self._held(made, state) for made in script.makes}
        place = f"write down {script.name}"
        self._ledger.record(
            [Recorded(made, script.name, at, None, before[made]) for at, made in enumerate(script.makes)], place
        )
        self._ledger.begin(script.name, digest, script.statements)
        with self._notes:
            self._run_statements()
            for made in script.makes:
                if made.kind != GRANTS:
                    self._repaired += give_back(self._noted, made, before[made])
            found = self._look()
        self._ledger.record(found, place)
        return self._repaired

    def _held(self, made: Made, state: State) -> list[Grant]:
        """The grants that a replacement may take away, with those that an unfinished one before, or a DROP by hand,
        has taken; what a role had lost and held beyond, for its own record.
        """
        if made.kind == GRANTS:
            return self._roles.unfinished(made, keeps=self._keeps)
        replaced = any(
            one and one.replaces and one.made == made
            for one in (creation(statement.text, self._script.makes) for statement in self._script.statements)
        )
        now = held(self._session, made)
        # If it is there, what is there decides: somebody may have revoked a grant on purpose.
        taken = [one for one in state.objects if str(one.made) == str(made) and (now is None or one.facts is None)]
        grants = now or [] if replaced else []
        return grants + [grant for one in taken for grant in one.grants if grant not in grants]

    def _run_statements(self) -> None:
        tasks = [made for made in self._script.makes if made.kind == "TASK"]
        texts = [statement.text for statement in self._script.statements]
        with paused(self._noted, self._deadline, self._ledger, tasks, texts) if tasks else nullcontext():
            try:
                for statement in self._script.statements:
                    self._run_statement(statement)
            except BaseException:
                self._deadline.tidy()  # what was paused has to run again
                raise

    def _run_statement(self, statement: Statement) -> None:
        place = (
            f"{self._script.name} statement {statement.number}, line {statement.line} ({statement.first_line.strip()})"
        )
        text = fill_secrets(statement.text, self._values)
        created = creation(text, self._script.makes)
        made = created.made if created else None
        session = self._scripts_session
        if made and made.kind == "STREAM" and self._is_stale(made):
            self._notes.noted(statement, session, partial(self._repair_stream, made, text))
            return
        self._notes.noted(
            statement,
            session,
            lambda: run_patiently(session, self._deadline, text, place),
            {EXISTS: "EXISTED"} if created and not created.replaces and not created.if_absent else None,
        )
        if created and made and made.kind == "TABLE" and created.if_absent:
            self._repaired += bring_columns(self._noted, made, text)

    def _is_stale(self, made: Made) -> bool:
        return (Observer(self._session).observe(made) or {}).get("stale") == "true"

    def _repair_stream(self, made: Made, text: str) -> list[dict[str, Any]]:
        self._repaired.append(repair_stream(self._scripts_session, made, text))
        return []

    def _look(self) -> list[Recorded]:
        """The file's objects with the facts that the next deploy compares with."""
        observer = Observer(self._session)
        found = []
        for at, made in enumerate(self._script.makes):
            facts = observer.observe(made)
            if facts is None:
                raise NotMade(
                    f"{self._script.name} ran, and {made}, which its header names, is not there: correct the header or "
                    "the statement that makes it."
                )
            if made.kind == GRANTS:
                facts = self._roles.record(made, facts, keeps=self._keeps)
            found.append(Recorded(made, self._script.name, at, facts, held(self._session, made) or []))
        return found
