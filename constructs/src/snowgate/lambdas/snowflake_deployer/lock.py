"""The lock that keeps two deploys to one database apart: one row, which one UPDATE takes and which expires."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager

from .connection import GONE, Session, StatementFailed, literal
from .deadline import Deadline, OutOfTime
from .ledger_tables import LedgerTables

PAUSE_SECONDS = 2.0
# Who waited so long that less than this is left would not get far with the lock.
WORK_SECONDS = 60.0


class Locked(RuntimeError):
    """Another deploy holds the lock, and there is no time to wait for its end."""


@contextmanager
def locked(
    session: Session, tables: LedgerTables, deadline: Deadline, *, deployment: str, stack: str
) -> Iterator[None]:
    """Hold the lock; wait for it as long as enough time would be left, and make its table if there is none.

    The same deployment gets it again: an invocation that was killed and is tried again goes on at once. It expires with
    the invocation, which no statement outlives, so that a deploy that was killed stops others no longer than that.

    Raises:
        Locked: another deploy held it for too long; the message names that one.
        NotPrepared: the database is not there.
    """
    while not _take(session, tables, deadline, deployment, stack):
        if deadline.seconds_left() - PAUSE_SECONDS < WORK_SECONDS:
            raise Locked(_message(session, tables))
        deadline.pause(PAUSE_SECONDS)
    try:
        yield
    except BaseException as error:
        deadline.tidy()
        try:
            _release(session, tables, deployment)
        except (StatementFailed, OutOfTime) as second:
            error.add_note(f"The lock could not be released and expires by itself: {second}")
            print(json.dumps({"level": "warning", "message": f"The lock was not released: {second}"}))
        raise
    deadline.tidy()
    _release(session, tables, deployment)


def _take(session: Session, tables: LedgerTables, deadline: Deadline, deployment: str, stack: str) -> bool:
    place = "take the deployment lock"
    seconds = int(deadline.seconds_of_invocation()) + 1
    statement = (
        f"UPDATE {tables.lock} SET HOLDER = {literal(deployment)}, STACK = {literal(stack)}, ACQUIRED_AT = SYSDATE(), "
        f"EXPIRES_AT = DATEADD('SECOND', {seconds}, SYSDATE()) "
        f"WHERE HOLDER IS NULL OR HOLDER = {literal(deployment)} OR EXPIRES_AT <= SYSDATE()"
    )
    try:
        rows = session.run(statement, place, changes=False)
    except StatementFailed as error:
        if error.errno not in GONE:
            raise
        tables.make(session)
        rows = session.run(statement, place, changes=False)
    return any(rows[0].values())


def _release(session: Session, tables: LedgerTables, deployment: str) -> None:
    """Give the lock back, with a second try: who comes next, perhaps the rollback, would wait until it expires."""
    statement = f"UPDATE {tables.lock} SET HOLDER = NULL, EXPIRES_AT = NULL WHERE HOLDER = {literal(deployment)}"
    try:
        session.run(statement, "release the deployment lock")
    except StatementFailed as error:
        print(json.dumps({"level": "warning", "message": f"The lock was not released at the first try: {error}"}))
        session.run(statement, "release the deployment lock again")


def _message(session: Session, tables: LedgerTables) -> str:
    rows = session.run(
        f"SELECT HOLDER, STACK, ACQUIRED_AT, EXPIRES_AT FROM {tables.lock}", "ask who deploys", changes=False
    )
    holder = rows[0]
    if holder["HOLDER"] is None:
        return f"The lock {tables.lock} was another deployment's until just now; deploy once more."
    since, until = (f"{holder[name]:%Y-%m-%d %H:%M:%S} UTC" for name in ("ACQUIRED_AT", "EXPIRES_AT"))
    return (
        f"Deployment {holder['HOLDER']} of {holder['STACK']} has held the lock {tables.lock} since {since}, until "
        f"{until} at the latest. Let it end, then deploy once more."
    )
