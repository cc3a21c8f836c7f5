"""How the statements of one attempt went, on their way into the record."""

from __future__ import annotations

import datetime
import json
import time
from collections.abc import Callable, Mapping
from typing import Any

from .connection import Session, StatementFailed
from .deadline import Deadline, OutOfTime
from .ledger import Ledger, Ran
from .redaction import Secrets
from .statements import Statement
from .task_graph import MODIFIED

Rows = list[dict[str, Any]]

# How long outcomes may wait to be written down together: each UPDATE costs as much as most of the statements.
WAITING_SECONDS = 2.0
LONGEST_ERROR = 4000


class Notes:
    """Collects outcomes and writes them down every two seconds and at the end, also if that is a failure."""

    def __init__(self, ledger: Ledger, deadline: Deadline, secrets: Secrets, *, planned: int) -> None:
        self._ledger, self._deadline, self._secrets = ledger, deadline, secrets
        self._number = planned
        self._waiting: list[Ran] = []
        self._written = time.monotonic()

    def __enter__(self) -> Notes:
        return self

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if error is None:
            self._write()
            return
        self._deadline.tidy()
        try:
            self._write()
        except (StatementFailed, OutOfTime) as second:
            error.add_note(f"Outcomes of statements are missing in the history: {second}")
            print(json.dumps({"level": "warning", "message": f"Outcomes were not written down: {second}"}))

    def noted(
        self, statement: Statement, session: Session, run: Callable[[], Rows], passable: Mapping[int, str] | None = None
    ) -> Rows:
        """Run a statement and note how it went; ``passable`` are errors that are none, with the outcome they stand for.

        Raises:
            StatementFailed: it failed otherwise.
        """
        started = _now()
        try:
            rows = run()
        except StatementFailed as error:
            passed = (passable or {}).get(error.errno or 0)
            failed = "RETRIED" if error.errno == MODIFIED else "FAILED"
            said = None if passed else self._secrets.hide(str(error))[:LONGEST_ERROR]
            self._note(Ran(statement, passed or failed, session.last_query_id, started, _now(), said))
            if not passed:
                raise
            return []
        self._note(Ran(statement, "SUCCEEDED", session.last_query_id, started, _now(), None))
        return rows

    def next_number(self) -> int:
        """A number for a statement that is not in the file."""
        self._number += 1
        return self._number

    def _write(self) -> None:
        waiting, self._waiting = self._waiting, []
        self._written = time.monotonic()
        self._ledger.ended(waiting)

    def _note(self, ran: Ran) -> None:
        self._waiting.append(ran)
        if time.monotonic() - self._written > WAITING_SECONDS:
            self._write()


class NotedSession(Session):
    """A session whose changes are noted, for the statements that the deployer itself adds to a file's."""

    def __init__(self, session: Session, notes: Notes) -> None:
        super().__init__(session._connection, session.login, session._deadline)  # noqa: SLF001 (it is the same one)
        self._notes = notes

    def run(self, statement: str, place: str, *, changes: bool = True) -> Rows:
        """As a session does."""
        run = super().run
        if not changes:
            return run(statement, place, changes=False)
        added = Statement(self._notes.next_number(), 0, statement)
        return self._notes.noted(added, self, lambda: run(statement, place))


def _now() -> datetime.datetime:
    return datetime.datetime.now(datetime.UTC)
