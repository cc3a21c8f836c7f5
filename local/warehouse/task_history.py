"""TABLE(INFORMATION_SCHEMA.TASK_HISTORY(…)): the runs that this process has seen, newest first."""

from __future__ import annotations

import datetime
from typing import TYPE_CHECKING, Any

from sqlglot import exp

from local.warehouse.errors import invalid_value, unsupported

if TYPE_CHECKING:
    from local.warehouse.account import Account
    from local.warehouse.session import Session

COLUMNS = {
    "QUERY_ID": "VARCHAR", "NAME": "VARCHAR", "DATABASE_NAME": "VARCHAR", "SCHEMA_NAME": "VARCHAR",
    "QUERY_TEXT": "VARCHAR", "CONDITION_TEXT": "VARCHAR", "STATE": "VARCHAR", "ERROR_CODE": "VARCHAR",
    "ERROR_MESSAGE": "VARCHAR", "SCHEDULED_TIME": "TIMESTAMPTZ", "QUERY_START_TIME": "TIMESTAMPTZ",
    "COMPLETED_TIME": "TIMESTAMPTZ",
}  # fmt: skip
DEFAULT_LIMIT = 100
LARGEST_LIMIT = 10_000


def replace(account: Account, session: Session, tree: exp.Expr) -> None:
    """Put the runs in place of every TASK_HISTORY call in a query."""
    for table in list(tree.find_all(exp.TableFromRows)):
        call = table.this.expression if isinstance(table.this, exp.Dot) else table.this
        if isinstance(call, exp.Anonymous) and call.name.upper() == "TASK_HISTORY":
            alias = table.args.get("alias") or exp.TableAlias(this=exp.to_identifier("TASK_HISTORY", quoted=True))
            query = exp.maybe_parse(_query(account, session, _options(call)), dialect="duckdb")
            table.replace(exp.Subquery(this=query, alias=alias.copy()))


def _options(call: exp.Anonymous) -> dict[str, Any]:
    found: dict[str, Any] = {"RESULT_LIMIT": DEFAULT_LIMIT}
    for argument in call.expressions:
        name = argument.this.name.upper() if isinstance(argument, exp.Kwarg) else ""
        value = argument.expression if isinstance(argument, exp.Kwarg) else None
        if name not in ("TASK_NAME", "RESULT_LIMIT") or not isinstance(value, exp.Literal):
            raise unsupported(f"TASK_HISTORY argument {argument.sql('snowflake')}")
        found[name] = value.name if name == "TASK_NAME" else int(value.name)
    if not 1 <= found["RESULT_LIMIT"] <= LARGEST_LIMIT:
        raise invalid_value(str(found["RESULT_LIMIT"]), "RESULT_LIMIT", f"1 to {LARGEST_LIMIT}")
    return found


def _query(account: Account, session: Session, options: dict[str, Any]) -> str:
    name = options.get("TASK_NAME", "").upper()
    rows = [
        row
        for row in reversed(account.task_history)
        if row["DATABASE_NAME"] == session.database and (not name or row["NAME"].upper() == name)
    ][: options["RESULT_LIMIT"]]
    columns = ", ".join(f'CAST(c{at} AS {type_}) AS "{key}"' for at, (key, type_) in enumerate(COLUMNS.items()))
    names = ", ".join(f"c{at}" for at in range(len(COLUMNS)))
    values = ", ".join("(" + ", ".join(_literal(row[key]) for key in COLUMNS) + ")" for row in rows)
    empty = "(" + ", ".join("NULL" for _ in COLUMNS) + ")"
    return f"SELECT {columns} FROM (VALUES {values or empty}) AS h({names}) WHERE {'TRUE' if rows else 'FALSE'}"


def _literal(value: Any) -> str:
    if value is None:
        return "NULL"
    text = value.isoformat() if isinstance(value, datetime.datetime) else str(value)
    return "'" + text.replace("'", "''") + "'"
