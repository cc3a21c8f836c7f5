"""TABLE(INFORMATION_SCHEMA.TASK_HISTORY(…)) and the QUERY_HISTORY functions: what this process has seen, newest first.

Sources: the pages "TASK_HISTORY" and "QUERY_HISTORY, QUERY_HISTORY_BY_*". Snowflake keeps seven days and has more
columns.
"""

from __future__ import annotations

import datetime
import json
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple

from sqlglot import exp

from local.warehouse import guard, query_log
from local.warehouse.errors import SnowflakeError, invalid_value, unsupported
from local.warehouse.query_log import Query

if TYPE_CHECKING:
    from local.warehouse.account import Account
    from local.warehouse.session import Session

Options = dict[str, Any]
DEFAULT_LIMIT = 100
LARGEST_LIMIT = 10_000
_TASK_COLUMNS = {
    "QUERY_ID": "VARCHAR", "NAME": "VARCHAR", "DATABASE_NAME": "VARCHAR", "SCHEMA_NAME": "VARCHAR",
    "QUERY_TEXT": "VARCHAR", "CONDITION_TEXT": "VARCHAR", "STATE": "VARCHAR", "ERROR_CODE": "VARCHAR",
    "ERROR_MESSAGE": "VARCHAR", "SCHEDULED_TIME": "TIMESTAMPTZ", "QUERY_START_TIME": "TIMESTAMPTZ",
    "COMPLETED_TIME": "TIMESTAMPTZ",
}  # fmt: skip


class TableFunction(NamedTuple):
    """Its columns with DuckDB's types, the arguments it takes beside RESULT_LIMIT, and its rows."""

    columns: dict[str, str]
    arguments: frozenset[str]
    rows: Callable[[Account, Session, Options], list[dict[str, Any]]]


def replace(account: Account, session: Session, tree: exp.Expr) -> None:
    """Put rows in place of every call of such a function in a query."""
    for table in list(tree.find_all(exp.TableFromRows)):
        call = table.this.expression if isinstance(table.this, exp.Dot) else table.this
        if isinstance(call, exp.Anonymous) and (function := FUNCTIONS.get(call.name.upper())):
            alias = table.args.get("alias") or exp.TableAlias(this=exp.to_identifier(call.name.upper(), quoted=True))
            options = _options(call, function)
            rows = function.rows(account, session, options)[: options["RESULT_LIMIT"]]
            table.replace(exp.Subquery(this=_query(function.columns, rows), alias=alias.copy()))


def _options(call: exp.Anonymous, function: TableFunction) -> Options:
    found: Options = {"RESULT_LIMIT": DEFAULT_LIMIT}
    for argument in call.expressions:
        name = argument.this.name.upper() if isinstance(argument, exp.Kwarg) else ""
        value = argument.expression if isinstance(argument, exp.Kwarg) else None
        if name not in function.arguments | {"RESULT_LIMIT"} or not isinstance(value, exp.Literal):
            raise unsupported(f"{call.name.upper()} argument {argument.sql('snowflake')}")
        found[name] = int(value.name) if name == "RESULT_LIMIT" else value.name
    if not 1 <= found["RESULT_LIMIT"] <= LARGEST_LIMIT:
        raise invalid_value(str(found["RESULT_LIMIT"]), "RESULT_LIMIT", f"1 to {LARGEST_LIMIT}")
    return found


def _query(columns: dict[str, str], rows: list[dict[str, Any]]) -> exp.Query:
    """A query that gives these rows, which it holds as one JSON text: a tree with a node for each takes minutes."""
    text = json.dumps([{key: _plain(row[key]) for key in columns} for row in rows])
    array = exp.Anonymous(this="from_json", expressions=[exp.Literal.string(text), exp.Literal.string('["JSON"]')])
    source = exp.select(exp.alias_(exp.Anonymous(this="unnest", expressions=[array]), "r")).subquery("h")
    return exp.select(*(_column(key, type_) for key, type_ in columns.items())).from_(source)


def _column(key: str, type_: str) -> exp.Expr:
    path = exp.Literal.string(f"$.{key}")
    value = exp.Anonymous(this="json_extract_string", expressions=[exp.column("r"), path])
    return exp.alias_(exp.Cast(this=value, to=exp.DataType.build(type_, dialect="duckdb")), key, quoted=True)


def _plain(value: Any) -> Any:
    return value.isoformat() if isinstance(value, datetime.datetime) else value


def _task_rows(account: Account, session: Session, options: Options) -> list[dict[str, Any]]:
    name = options.get("TASK_NAME", "").upper()
    return [
        row
        for row in reversed(account.task_history)
        if row["DATABASE_NAME"] == session.database
        and (not name or row["NAME"].upper() == name)
        and guard.monitors(account, session, (row["DATABASE_NAME"], row["SCHEMA_NAME"], row["NAME"]))
    ]


def _queries(wanted: Callable[[Query, Session, Options], bool]) -> Callable[..., list[dict[str, Any]]]:
    """ACCOUNTADMIN sees everybody's statements, every other role those of its own user."""

    def rows(account: Account, session: Session, options: Options) -> list[dict[str, Any]]:
        if session.owners_rights:
            raise SnowflakeError(90236, "42601", "A procedure with its owner's rights may not read the query history.")
        return [
            query_log.row(query)
            for query in account.queries.newest_first()
            if (session.role == "ACCOUNTADMIN" or query.user_name == session.user) and wanted(query, session, options)
        ]

    return rows


def _of_session(query: Query, session: Session, options: Options) -> bool:
    return query.session_id == str(options.get("SESSION_ID", session.id))


def _of_user(query: Query, session: Session, options: Options) -> bool:
    return query.user_name == str(options.get("USER_NAME", session.user))


FUNCTIONS = {
    "TASK_HISTORY": TableFunction(_TASK_COLUMNS, frozenset({"TASK_NAME"}), _task_rows),
    "QUERY_HISTORY": TableFunction(query_log.COLUMNS, frozenset(), _queries(lambda *_: True)),
    "QUERY_HISTORY_BY_SESSION": TableFunction(query_log.COLUMNS, frozenset({"SESSION_ID"}), _queries(_of_session)),
    "QUERY_HISTORY_BY_USER": TableFunction(query_log.COLUMNS, frozenset({"USER_NAME"}), _queries(_of_user)),
}
