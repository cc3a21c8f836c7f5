"""GET_DDL and functions that begin with SYSTEM$: answered from the catalogue and the sessions.

Sources: the pages of these functions. Their arguments are constants, in Snowflake too.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from sqlglot import exp

from local.warehouse import get_ddl, streams, task_graphs, transactions
from local.warehouse.errors import SnowflakeError, compilation_error, invalid_value
from local.warehouse.lexer import Reader

if TYPE_CHECKING:
    from local.warehouse.account import Account
    from local.warehouse.session import Session

Answer = Callable[["Account", "Session", exp.Anonymous], exp.Expr]
_UNITS = {"SECONDS": 1.0, "MILLISECONDS": 0.001, "MINUTES": 60.0, "HOURS": 3600.0, "DAYS": 86400.0}


def replace(account: Account, session: Session, node: exp.Expr) -> exp.Expr | None:
    """The answer in place of a call of one of these functions; None for anything else."""
    if not isinstance(node, exp.Anonymous) or isinstance(node.parent, exp.Dot):
        return None
    answer = _FUNCTIONS.get(node.name.upper())
    return None if answer is None else answer(account, session, node)


def _constants(node: exp.Anonymous, least: int, most: int) -> list[str]:
    values = node.expressions
    if not least <= len(values) <= most:
        raise compilation_error(938, "22023", f"not enough arguments or too many for function [{node.name.upper()}]")
    if not all(isinstance(value, (exp.Literal, exp.Boolean)) for value in values):
        raise invalid_value(node.sql("snowflake"), node.name.upper(), "constants (a bound value is none here)")
    return [str(value.this) for value in values]


def _get_ddl(account: Account, session: Session, node: exp.Anonymous) -> exp.Expr:
    kind, name, *rest = _constants(node, 2, 3)
    return exp.Literal.string(get_ddl.get_ddl(account, session, kind, name, bool(rest) and rest[0].upper() == "TRUE"))


def _dependents(account: Account, session: Session, node: exp.Anonymous) -> exp.Expr:
    task_graphs.enable_dependents(account, session, Reader(_constants(node, 1, 1)[0]).name())
    return exp.Literal.string("Statement executed successfully.")


def _wait(account: Account, session: Session, node: exp.Anonymous) -> exp.Expr:
    amount, *unit = _constants(node, 1, 2)
    if (factor := _UNITS.get(unit[0].upper() if unit else "SECONDS")) is None:
        raise invalid_value(unit[0], "SYSTEM$WAIT", ", ".join(_UNITS))
    until = time.monotonic() + float(amount) * factor
    while (left := until - time.monotonic()) > 0:
        session.refuse_if_late()
        time.sleep(min(left, 0.05))
    return exp.Literal.string(f"waited {amount} {unit[0].lower() if unit else 'seconds'}")


def _cancel_all(account: Account, session: Session, node: exp.Anonymous) -> exp.Expr:
    """Of one's own sessions; those of others need a privilege that the stand-in does not know."""
    (number,) = _constants(node, 1, 1)
    found = account.sessions.get(number)
    if found is None:
        raise invalid_value(number, node.name.upper(), "the id of a session that is open")
    if found.user != session.user and session.role != "ACCOUNTADMIN":
        raise SnowflakeError(3001, "42501", f"Insufficient privileges to cancel the queries of session {number}.")
    found.interrupt()
    return exp.Literal.string("all queries cancelled")


def _abort_transaction(account: Account, session: Session, node: exp.Anonymous) -> exp.Expr:
    return exp.Literal.string(transactions.abort(account, session, _constants(node, 1, 1)[0]))


_FUNCTIONS: dict[str, Answer] = {
    "GET_DDL": _get_ddl,
    "SYSTEM$ABORT_TRANSACTION": _abort_transaction,
    "SYSTEM$CANCEL_ALL_QUERIES": _cancel_all,
    "SYSTEM$STREAM_HAS_DATA": streams.replace_has_data,
    "SYSTEM$TASK_DEPENDENTS_ENABLE": _dependents,
    "SYSTEM$WAIT": _wait,
}
