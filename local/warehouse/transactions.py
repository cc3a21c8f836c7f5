"""SHOW TRANSACTIONS and SYSTEM$ABORT_TRANSACTION: the open transactions of the current user, and the end of one.

Sources: the pages of both. A user sees and ends its own; ACCOUNTADMIN those of all (SHOW TRANSACTIONS IN ACCOUNT).
"""

from __future__ import annotations

import datetime
from typing import TYPE_CHECKING, Any

from local.warehouse.errors import SnowflakeError, invalid_value, unsupported
from local.warehouse.statements import Show

if TYPE_CHECKING:
    from local.warehouse.account import Account
    from local.warehouse.session import Session

COLUMNS = ["id", "user", "session", "name", "started_on", "state", "scope"]


def rows(account: Account, session: Session, statement: Show) -> list[list[Any]]:
    """A row for each open transaction."""
    of_all = statement.scope is not None and statement.scope[0] == "ACCOUNT" and session.role == "ACCOUNTADMIN"
    if (statement.scope and not of_all) or statement.like:
        raise unsupported(statement.sql)
    return [
        [
            transaction.id,
            other.user,
            other.id,
            f"transaction-{transaction.id}",
            datetime.datetime.fromtimestamp(transaction.id / 1e9, datetime.UTC).isoformat(sep=" "),
            "running",
            0,
        ]
        for other in list(account.sessions.values())
        if (of_all or other.user == session.user)
        and (transaction := other.transaction) is not None
        and not transaction.own
    ]


def abort(account: Account, session: Session, number: str) -> str:
    """Roll a transaction back in whose session nothing runs. Raises for one that is not there or somebody else's."""
    for other in list(account.sessions.values()):
        if other.transaction is not None and str(other.transaction.id) == number:
            if other.user != session.user and session.role != "ACCOUNTADMIN":
                raise SnowflakeError(3001, "42501", f"Insufficient privileges to abort transaction {number}.")
            if not other.give_up(idle_seconds=0):
                raise unsupported(f"SYSTEM$ABORT_TRANSACTION while a statement of transaction {number} runs")
            return "Transaction id '" + number + "' aborted."
    raise invalid_value(number, "SYSTEM$ABORT_TRANSACTION", "the id of an open transaction")
