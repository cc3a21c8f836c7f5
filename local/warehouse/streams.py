"""Append-only streams: what was inserted into a table since a committed change last read the stream.

Rows inserted into a table that has streams are copied, in the same transaction, into a table of captured rows beside
it, numbered in the order of their commits. A stream is a position in that numbering. Row ids of DuckDB would not do:
deleting and checkpointing gives them out anew, and an updated row would show its new values.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlglot import exp

from local.warehouse import guard, privileges
from local.warehouse.catalog import Record
from local.warehouse.errors import compilation_error, invalid_value, missing, unsupported
from local.warehouse.lexer import Reader
from local.warehouse.names import dotted, full_name
from local.warehouse.results import Result, status
from local.warehouse.statements import Create, Name

if TYPE_CHECKING:
    from local.warehouse.account import Account
    from local.warehouse.session import Session

HIDDEN = "_fs_information_schema"  # fakesnow leaves this schema out of every listing
FIRST_UNCOMMITTED = 36028797018960000  # DuckDB gives row ids from here on to rows of a transaction that is still open


def captured(table: Name) -> str:
    """The table of captured rows, quoted."""
    return f'"{table[0]}"."{HIDDEN}"."captured {table[1]}.{table[2]}"'


def positions(database: str) -> str:
    """The table of positions, quoted."""
    return f'"{database}"."{HIDDEN}"."stream_positions"'


def of_table(account: Account, table: Name) -> list[Record]:
    """The streams on a table that are not stale."""
    record = account.catalog.get("TABLE", table)
    return [
        s
        for s in account.catalog.all("STREAM")
        if tuple(s["table"]) == table and record and s["table_id"] == record["id"]
    ]


def create(account: Account, session: Session, statement: Create, name: Name) -> dict[str, object]:
    """The record of a new stream; from here on its table's inserts are captured."""
    table = full_name("TABLE", statement.extra["table"], session)
    record = account.catalog.get("TABLE", table)
    if record is None:
        raise missing("TABLE", dotted(table))
    if table[0] != name[0]:
        raise unsupported("a stream in another database than its table")
    with session.change([dotted(table)]):
        session.duck.execute(
            f"CREATE TABLE IF NOT EXISTS {positions(name[0])} (stream VARCHAR, position BIGINT);"
            f"CREATE TABLE IF NOT EXISTS {captured(table)} AS "
            f'SELECT 0::BIGINT AS "METADATA$POSITION", * FROM {_quoted(table)} LIMIT 0'
        )
        session.duck.execute(f"DELETE FROM {positions(name[0])} WHERE stream = ?", [dotted(name)])
        session.duck.execute(
            f"INSERT INTO {positions(name[0])} VALUES (?, ?)", [dotted(name), _top(session, account, table)]
        )
    session.commit()
    return {"table": list(table), "table_id": record["id"], "comment": statement.clauses.get("COMMENT", "")}


def _quoted(table: Name) -> str:
    return ".".join(f'"{part}"' for part in table)


def _top(session: Session, account: Account, table: Name) -> int:
    """The highest number given out so far, in this session's view."""
    names = [s["key"] for s in account.catalog.all("STREAM") if tuple(s["table"]) == table]
    rows = session.duck.execute(
        f'SELECT greatest((SELECT coalesce(max("METADATA$POSITION"), 0) FROM {captured(table)}), '
        f"(SELECT coalesce(max(position), 0) FROM {positions(table[0])} WHERE list_contains(?, stream)))",
        [names],
    ).fetchall()
    return int(rows[0][0])


def mark(session: Session, table: Name) -> int:
    """The last row that the open transaction has inserted into the table so far."""
    rows = session.duck.execute(
        f"SELECT coalesce(max(rowid), {FIRST_UNCOMMITTED - 1}) FROM {_quoted(table)} WHERE rowid >= {FIRST_UNCOMMITTED}"
    ).fetchall()
    return int(rows[0][0])


def capture(account: Account, session: Session, table: Name, since: int) -> None:
    """Copy the rows inserted after `since` (from `mark`)."""
    top = _top(session, account, table)
    session.duck.execute(
        f"INSERT INTO {captured(table)} BY NAME "
        f'SELECT {top} + row_number() OVER (ORDER BY rowid) AS "METADATA$POSITION", * '
        f"FROM {_quoted(table)} WHERE rowid > {since}"
    )


def is_stale(account: Account, stream: Record) -> bool:
    """Was the stream's table dropped or replaced since?"""
    record = account.catalog.get("TABLE", tuple(stream["table"]))
    return record is None or bool(record["id"] != stream["table_id"])


def need_fresh(account: Account, stream: Record) -> Name:
    """The stream's table; raises if it was dropped or replaced since."""
    table: Name = tuple(stream["table"])
    if is_stale(account, stream):
        raise compilation_error(
            91901,
            "42601",
            f"Base table '{dotted(table)}' of stream '{stream['key']}' was dropped or replaced; recreate the stream.",
        )
    return table


def _range(account: Account, session: Session, stream: Record) -> tuple[int, int]:
    """(position, last committed row) of a stream, the same for a whole transaction."""
    table = need_fresh(account, stream)
    known = session.transaction.streams if session.transaction else {}
    rows = session.duck.execute(
        f'SELECT (SELECT position FROM {positions(table[0])} WHERE stream = ?), coalesce(max("METADATA$POSITION"), 0) '
        f"FROM {captured(table)} WHERE rowid < {FIRST_UNCOMMITTED}",
        [stream["key"]],
    ).fetchall()
    position, top = (int(value) for value in rows[0])
    low, high = known.get(stream["key"], (position, max(position, top)))
    moved_by_us = session.transaction is not None and stream["key"] in session.transaction.consumed
    if position != low and not moved_by_us:  # somebody else has read it since this transaction looked first
        low, high = position, max(position, top)
    known[stream["key"]] = (low, high)
    return low, high


def read(account: Account, session: Session, table: exp.Table, stream: Record) -> tuple[int, int]:
    """Put the stream's rows in place of its name in a statement; the range that is read."""
    low, high = _range(account, session, stream)
    base = need_fresh(account, stream)
    text = (
        f'SELECT * EXCLUDE ("METADATA$POSITION"), \'INSERT\' AS "METADATA$ACTION", FALSE AS "METADATA$ISUPDATE", '
        f'md5(\'{stream["table_id"]} \' || "METADATA$POSITION") AS "METADATA$ROW_ID" FROM {captured(base)} '
        f'WHERE "METADATA$POSITION" > {low} AND "METADATA$POSITION" <= {high}'
    )
    alias = table.args.get("alias") or exp.TableAlias(this=exp.to_identifier(table.name, quoted=True))
    select = exp.maybe_parse(text, dialect="duckdb")
    table.replace(exp.Subquery(this=select, alias=alias.copy()))
    return low, high


def advance(account: Account, session: Session, stream: Record, high: int) -> None:
    """Move the stream behind what was read, as part of the open transaction; forget rows that every stream has
    passed.
    """
    table: Name = tuple(stream["table"])
    session.duck.execute(f"UPDATE {positions(table[0])} SET position = ? WHERE stream = ?", [high, stream["key"]])
    if session.transaction is not None:
        session.transaction.consumed.add(stream["key"])
    keys = [other["key"] for other in of_table(account, table)]
    session.duck.execute(
        f'DELETE FROM {captured(table)} WHERE "METADATA$POSITION" <= '
        f"(SELECT min(position) FROM {positions(table[0])} WHERE list_contains(?, stream))",
        [keys],
    )


def has_data(account: Account, session: Session, name: Name) -> bool:
    """SYSTEM$STREAM_HAS_DATA."""
    low, high = _range(account, session, account.catalog.need("STREAM", name))
    return high > low


def replace_has_data(account: Account, session: Session, node: exp.Expr) -> exp.Expr:
    """SYSTEM$STREAM_HAS_DATA('…') as its value now."""
    arguments = node.expressions
    if len(arguments) != 1 or not isinstance(arguments[0], exp.Literal):
        raise invalid_value(node.sql("snowflake"), "SYSTEM$STREAM_HAS_DATA", "one stream's name as a string")
    name = full_name("STREAM", Reader(arguments[0].name).name(), session)
    guard.need(account, session, account.catalog.need("STREAM", name), privileges.READ)
    return exp.Boolean(this=has_data(account, session, name))


def drop(account: Account, session: Session, stream: Record) -> None:
    """Forget a stream's position, and the captured rows if it was the table's last stream."""
    table: Name = tuple(stream["table"])
    session.duck.execute(f"DELETE FROM {positions(table[0])} WHERE stream = ?", [stream["key"]])
    if not [other for other in of_table(account, table) if other["key"] != stream["key"]]:
        session.duck.execute(f"DROP TABLE IF EXISTS {captured(table)}")


def table_gone(session: Session, table: Name) -> None:
    """Drop what was captured of a table that is dropped or replaced."""
    session.duck.execute(f"DROP TABLE IF EXISTS {captured(table)}")


def created(name: Name) -> Result:
    """The answer to CREATE STREAM."""
    return status(f"Stream {name[-1]} successfully created.")
