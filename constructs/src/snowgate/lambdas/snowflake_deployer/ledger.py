"""What the deploys have done, kept in Snowflake: every statement of every file, and the objects with their facts.

It is written before a file's first statement and after its last one, each time by single statements, so that a deploy
that is killed anywhere leaves neither an open transaction nor a file that looks finished.
"""

from __future__ import annotations

import datetime
import json
import uuid
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from .connection import GONE, Session, StatementFailed, literal
from .grants import Grant
from .ledger_tables import LedgerTables, values
from .objects import Made, read_made
from .observe import Facts
from .statements import Statement

# EXISTED: a plain CREATE found its object there; GONE: what is to be dropped, or its container, was not there;
# RETRIED: a graph of tasks was being modified, and later was not.
SUCCESSFUL = ("SUCCEEDED", "EXISTED", "GONE", "RETRIED")
LONGEST_LINE = 1000

_ATTEMPT = "STACK, DEPLOYMENT_ID, ATTEMPT_ID, FILE_NAME, FILE_DIGEST"
_STATEMENT = ("STATEMENT_NUMBER", "STATEMENT_DIGEST", "STATEMENT")
_OUTCOME = ("OUTCOME", "QUERY_ID", "STARTED_AT", "ENDED_AT", "ERROR")


class LockLost(RuntimeError):
    """Another deploy has the lock by now."""


class Ran(NamedTuple):
    """A statement that ended; ``error`` says why it failed."""

    statement: Statement
    outcome: str
    query_id: str
    started: datetime.datetime
    ended: datetime.datetime
    error: str | None


@dataclass
class Attempt:
    """The latest try to run a file: the file's digest, and each statement's digest and outcome in order."""

    digest: str
    statements: list[str] = field(default_factory=list)
    outcomes: list[str] = field(default_factory=list)

    @property
    def complete(self) -> bool:
        """Did every statement go well?"""
        return all(outcome in SUCCESSFUL for outcome in self.outcomes)


class Recorded(NamedTuple):
    """An object of the record.

    ``grants`` are those on the object. Without facts, its file has begun and not ended; then ``grants`` are those that
    it had before, and for a role's grants two sets of facts: what it had lost, and what it held beyond the record.
    ``settled`` means that it was looked at after the last file of its deploy, which may have changed it too.
    """

    made: Made
    file: str
    position: int
    facts: Facts | None
    grants: list[Grant]
    settled: bool = False

    @property
    def key(self) -> str:
        """What tells it apart: several files may grant something to one role."""
        return f"{self.made} by {self.file}" if self.made.kind == "GRANTS TO ROLE" else str(self.made)


class State(NamedTuple):
    """The record of one stack: the latest attempt of each file, and the objects in the order of their making."""

    attempts: dict[str, Attempt]
    objects: list[Recorded]

    def of_file(self, made: Made, file: str) -> Recorded | None:
        """The record of an object, if this file was the last one to make it."""
        return next((one for one in self.objects if str(one.made) == str(made) and one.file == file), None)


def read(session: Session, tables: LedgerTables, stack: str) -> State:
    """The record of a stack; empty before its first deploy."""
    where = f"WHERE STACK = {literal(stack)}"
    try:
        tried = session.run(
            f"SELECT FILE_NAME, FILE_DIGEST, STATEMENT_DIGEST, OUTCOME FROM {tables.history} {where} "
            "QUALIFY ATTEMPT_ID = FIRST_VALUE(ATTEMPT_ID) OVER (PARTITION BY FILE_NAME ORDER BY PLANNED_AT DESC) "
            "ORDER BY FILE_NAME, STATEMENT_NUMBER",
            "read the latest attempts",
            changes=False,
        )
        made = session.run(
            f"SELECT KIND, NAME, KEPT, FILE_NAME, POSITION, FACTS, GRANTS, SETTLED FROM {tables.objects} {where} "
            "ORDER BY FILE_NAME, POSITION",
            "read the recorded objects",
            changes=False,
        )
    except StatementFailed as error:
        if error.errno not in GONE:
            raise
        return State({}, [])
    attempts: dict[str, Attempt] = {}
    for row in tried:
        attempt = attempts.setdefault(row["FILE_NAME"], Attempt(row["FILE_DIGEST"]))
        attempt.statements.append(row["STATEMENT_DIGEST"])
        attempt.outcomes.append(row["OUTCOME"])
    objects = [
        Recorded(
            read_made(f"{row['KIND']} {row['NAME']}", row["KEPT"]),
            row["FILE_NAME"],
            int(row["POSITION"]),
            json.loads(row["FACTS"]) if row["FACTS"] else None,
            json.loads(row["GRANTS"]) if row["GRANTS"] else [],
            bool(row["SETTLED"]),
        )
        for row in made
    ]
    return State(attempts, objects)


class Ledger:
    """The record of one stack, written by one deployment; nothing is written without the lock."""

    def __init__(self, session: Session, tables: LedgerTables, *, stack: str, deployment: str) -> None:
        self._session = session
        self._tables = tables
        self._stack = stack
        self._deployment = deployment
        self._attempt: tuple[str, ...] = ()

    def read(self) -> State:
        """The record as it is now."""
        return read(self._session, self._tables, self._stack)

    def begin(self, name: str, digest: str, statements: Sequence[Statement]) -> None:
        """Write down a new attempt before its first statement runs.

        Raises:
            LockLost: another deploy has the lock; nothing was written.
        """
        self._attempt = (self._stack, self._deployment, uuid.uuid4().hex, name, digest)
        rows = [_statement(one) for one in statements]
        self._fenced(
            f"INSERT INTO {self._tables.history} ({_ATTEMPT}, {', '.join(_STATEMENT)}, OUTCOME, PLANNED_AT) "
            f"SELECT {self._attempt_values}, {', '.join(_STATEMENT)}, 'PLANNED', SYSDATE() "
            f"FROM {values(_STATEMENT, rows)} WHERE {self._holds_lock}",
            f"write down {name} before it runs",
        )

    def ended(self, ran: Sequence[Ran]) -> None:
        """Write down how statements of the attempt that was begun last went; those that were not planned are added."""
        if not ran:
            return
        rows = [(*_statement(one.statement), *one[1:]) for one in ran]
        names = (*_STATEMENT, *_OUTCOME)
        self._session.run(
            f"MERGE INTO {self._tables.history} AS H USING (SELECT * FROM {values(names, rows)}) AS N "
            f"ON H.ATTEMPT_ID = {literal(self._attempt[2])} AND H.STATEMENT_NUMBER = N.STATEMENT_NUMBER "
            f"WHEN MATCHED THEN UPDATE SET {', '.join(f'{name} = N.{name}' for name in _OUTCOME)} "
            f"WHEN NOT MATCHED THEN INSERT ({_ATTEMPT}, {', '.join(names)}, PLANNED_AT) "
            f"VALUES ({self._attempt_values}, {', '.join(f'N.{name}' for name in names)}, SYSDATE())",
            f"write down how {self._attempt[3]} went",
        )

    def record(self, objects: Sequence[Recorded], place: str) -> None:
        """Write down objects, new ones and known ones.

        Raises:
            LockLost: another deploy has the lock; nothing was written.
        """
        if not objects:
            return
        names = ("KIND", "NAME", "KEPT", "FILE_NAME", "POSITION", "FACTS", "GRANTS", "SETTLED")
        rows = [
            (
                one.made.kind,
                one.made.reference,
                one.made.kept,
                one.file,
                one.position,
                None if one.facts is None else json.dumps(one.facts, sort_keys=True),
                json.dumps(one.grants) if one.grants else None,
                one.settled,
            )
            for one in objects
        ]
        stack = f"{literal(self._stack)}, {literal(self._deployment)}, SYSDATE()"
        set_ = ", ".join(f"{name} = N.{name}" for name in names[2:])
        self._fenced(
            f"MERGE INTO {self._tables.objects} AS O "
            f"USING (SELECT * FROM {values(names, rows)} WHERE {self._holds_lock}) AS N "
            "ON O.KIND = N.KIND AND O.NAME = N.NAME AND (O.KIND <> 'GRANTS TO ROLE' OR O.FILE_NAME = N.FILE_NAME) "
            f"WHEN MATCHED THEN UPDATE SET {set_}, STACK = {literal(self._stack)}, "
            f"DEPLOYMENT_ID = {literal(self._deployment)}, RECORDED_AT = SYSDATE() "
            f"WHEN NOT MATCHED THEN INSERT ({', '.join(names)}, STACK, DEPLOYMENT_ID, RECORDED_AT) "
            f"VALUES ({', '.join(f'N.{name}' for name in names)}, {stack})",
            place,
        )

    def suspended(self) -> dict[str, tuple[bool, Sequence[str]]]:
        """The tasks of others that stand still for a deploy, perhaps one that was killed: did each run, and after
        which?
        """
        (row,) = self._session.run(
            f"SELECT SUSPENDED FROM {self._tables.lock}", "read which tasks stand still", changes=False
        )
        found = json.loads(row["SUSPENDED"] or "{}")
        return {name: (started, after) for name, (started, after) in found.items()}

    def note_suspended(self, tasks: Mapping[str, tuple[bool, Sequence[str]]]) -> None:
        """Write down the tasks of others that are going to be suspended; none once they run again.

        Raises:
            LockLost: another deploy has the lock; nothing was written.
        """
        text = literal(json.dumps(tasks)) if tasks else "NULL"
        self._fenced(
            f"UPDATE {self._tables.lock} SET SUSPENDED = {text} WHERE HOLDER = {literal(self._deployment)}",
            "write down which tasks stand still",
        )

    def forget(self, objects: Iterable[Recorded], place: str) -> None:
        """Take objects off the record."""
        named = " OR ".join(
            f"(KIND = {literal(one.made.kind)} AND NAME = {literal(one.made.reference)} "
            f"AND FILE_NAME = {literal(one.file)})"
            for one in objects
        )
        if named:
            self._session.run(
                f"DELETE FROM {self._tables.objects} WHERE STACK = {literal(self._stack)} AND ({named})", place
            )

    @property
    def _attempt_values(self) -> str:
        return ", ".join(map(literal, self._attempt))

    @property
    def _holds_lock(self) -> str:
        return f"EXISTS (SELECT 1 FROM {self._tables.lock} WHERE HOLDER = {literal(self._deployment)})"

    def _fenced(self, statement: str, place: str) -> None:
        (counts,) = self._session.run(statement, place)
        if not any(counts.values()):
            raise LockLost(
                f"Stopped before {place}: another deploy has taken the lock, because this one's time was over. "
                "Nothing more was changed; deploy once more."
            )


def _statement(statement: Statement) -> tuple[int, str, str]:
    return statement.number, statement.digest, statement.first_line[:LONGEST_LINE]
