"""Statements about tables and their rows: checked, given Snowflake's meaning, run by fakesnow on DuckDB."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import duckdb
import pyarrow as pa
import snowflake.connector.errors
from sqlglot import exp

from local.warehouse import (
    dialect,
    duck,
    duck_errors,
    functions,
    information_schema,
    insert_values,
    metadata_functions,
    result_types,
    results,
    streams,
    table_ddl,
    table_functions,
    table_guard,
    table_rules,
    user_functions,
)
from local.warehouse.catalog import Record
from local.warehouse.definitions import Definitions
from local.warehouse.errors import SnowflakeError, missing, unsupported
from local.warehouse.names import dotted
from local.warehouse.results import Result
from local.warehouse.session import Change

if TYPE_CHECKING:
    from local.warehouse.account import Account
    from local.warehouse.session import Session

_TYPE_IDS: dict[type[exp.Expr], int] = {
    exp.Insert: results.INSERT,
    exp.Update: results.UPDATE,
    exp.Delete: results.DELETE,
    exp.Merge: results.MERGE,
}
ATTEMPTS = 5
_DML = tuple(_TYPE_IDS)
_QUERIES = (exp.Select, exp.SetOperation, exp.Subquery)


class Tables:
    """Runs table statements for an account."""

    def __init__(self, account: Account) -> None:
        self.account = account
        self._definitions = Definitions(account, self._replace_streams)

    def execute(self, session: Session, sql: str, bindings: Any = None, *, attempt: int = 1) -> Result:
        """The result of a statement. Raises SnowflakeError for whatever Snowflake, the stand-in or DuckDB refuses."""
        functions.check(sql, self.account.function_names())
        tree = table_rules.parse(sql)
        if isinstance(tree, exp.Describe):
            table_guard.check_describe(self.account, session, tree)
            return table_ddl.describe(self.account, session, tree)
        dialect.name_columns(tree, sql)
        names = dialect.resolve(tree, session)
        if (unseen := table_guard.check(self.account, session, tree, names, sql)) is not None:
            return unseen
        self._need(names, tree)
        information_schema.narrow(self.account, session, tree)
        names.sql = sql
        if isinstance(tree, exp.Create):
            names.columns = table_ddl.columns_of(tree)
        tree = dialect.rewrite(tree, session, partial(self._replace_call, session))
        try:
            if isinstance(tree, _DML):
                result = self._change(session, tree, names, bindings)
                if session.transaction is not None:
                    session.transaction.changes.append(Change(sql, bindings, session.clock, result.affected))
                return result
            if isinstance(tree, _QUERIES):
                return self._query(session, tree, bindings)
            return self._definitions.run(session, tree, names, bindings)
        except (duckdb.Error, snowflake.connector.errors.Error, NotImplementedError) as error:
            if isinstance(error, duckdb.TransactionException) and "onflict" in str(error) and attempt < ATTEMPTS:
                return self._replay(session, sql, bindings, attempt)
            raise user_functions.failure(session) or duck_errors.translate(error) from error

    def _replay(self, session: Session, sql: str, bindings: Any, attempt: int) -> Result:
        """Snowflake's statements see what others have committed meanwhile; DuckDB's transaction refuses to change it.

        So the transaction begins anew and makes its changes again, at their old times. Raises 000625 if they come out
        otherwise than before, or called a function of the account.
        """
        clock = session.clock
        changes = session.begin_again()
        for change in changes:
            session.set_clock(change.clock)
            called = {parts[-1] for parts, _ in functions.calls(change.sql)} & self.account.function_names()
            again = None if called else self.execute(session, change.sql, change.bindings)
            if again is None or (change.affected is not None and change.affected != again.affected):
                session.rollback()
                raise SnowflakeError(625, "57014", "Another transaction changed the same rows; it was rolled back.")
        session.set_clock(clock)
        return self.execute(session, sql, bindings, attempt=attempt + 1)

    def _replace_call(self, session: Session, node: exp.Expr) -> exp.Expr | None:
        """What stands for a call of a function that the account has."""
        answer = metadata_functions.replace(self.account, session, node)
        return answer if answer is not None else user_functions.replace_call(self.account, session, node)

    def _need(self, names: dialect.Names, tree: exp.Expr) -> None:
        """Raise 002003 for a table that is not there under exactly this name; DuckDB would take any case of it."""
        catalog = self.account.catalog
        columns: set[str] = set()
        for name in names.read:
            if name[1] == "INFORMATION_SCHEMA":
                if name[2] not in _INFORMATION_SCHEMA:
                    raise unsupported(f"INFORMATION_SCHEMA.{name[2]}")
                continue
            record = next((r for kind in ("TABLE", "VIEW", "STREAM") if (r := catalog.get(kind, name))), None)
            if record is None:
                raise missing("OBJECT", dotted(name))
            if record["kind"] == "STREAM":
                record = catalog.get("TABLE", tuple(record["table"])) or record
            columns |= set(record.get("columns", ()))
        if names.target is not None and (record := catalog.get("TABLE", names.target)) is not None:
            columns |= set(record["columns"])
        dialect.refuse_other_case(tree, columns)

    def describe(self, session: Session, sql: str) -> Result:
        """What a statement would answer, without running it: its columns, and no rows."""
        functions.check(sql, self.account.function_names())
        tree = table_rules.parse(sql)
        if isinstance(tree, _DML):
            return Result(pa.table({"number of rows inserted": pa.array([], pa.int64())}), _TYPE_IDS[type(tree)])
        if not isinstance(tree, _QUERIES):
            return Result(pa.table({"status": pa.array([], pa.string())}))
        dialect.name_columns(tree, sql)
        names = dialect.resolve(tree, session)
        table_guard.check(self.account, session, tree, names, sql)
        self._need(names, tree)
        information_schema.narrow(self.account, session, tree)
        tree = dialect.rewrite(tree, session, partial(self._replace_call, session))
        self._replace_streams(session, tree)
        try:
            return Result(duck.describe(session, tree), results.SELECT)
        except (duckdb.Error, snowflake.connector.errors.Error, NotImplementedError) as error:
            raise duck_errors.translate(error) from error

    def _query(self, session: Session, tree: exp.Expr, bindings: Any) -> Result:
        self._replace_streams(session, tree)
        result_types.apply(session, tree)
        return Result(duck.run(session, tree, bindings), results.SELECT)

    def _replace_streams(
        self, session: Session, tree: exp.Expr, target: exp.Expr | None = None
    ) -> list[tuple[Record, int]]:
        """Put rows for stream names; (stream, position after it) for each."""
        table_functions.replace(self.account, session, tree)
        found: dict[str, tuple[Record, int]] = {}
        for table in list(tree.find_all(exp.Table)):
            if table is target or not isinstance(table.this, exp.Identifier) or table.args.get("catalog") is None:
                continue
            stream = self.account.catalog.get("STREAM", dialect.table_name(table))
            if stream is not None:
                found[stream["key"]] = (stream, streams.read(self.account, session, table, stream)[1])
        return list(found.values())

    def _change(self, session: Session, tree: exp.Expr, names: dialect.Names, bindings: Any) -> Result:
        """INSERT, UPDATE, DELETE and MERGE: under the table's lock, in a transaction, streams in step."""
        target = names.target
        if target is None:
            raise unsupported("a change without a table")
        if self.account.catalog.get("STREAM", target) is not None:
            raise unsupported("a change of a stream")
        record = self.account.catalog.get("TABLE", target)
        if record is None:
            raise missing("OBJECT", dotted(target))
        self.account.refuse_imported(target)
        if isinstance(tree, exp.Insert):
            insert_values.check_types(tree, record["columns"])
        read = [name for name in names.read if self.account.catalog.get("STREAM", name) is not None]
        with session.change([dotted(name) for name in (target, *read)]):
            consumed = self._replace_streams(session, tree)
            watched = isinstance(tree, (exp.Insert, exp.Merge)) and streams.of_table(self.account, target)
            result_types.apply(session, tree)
            since = streams.mark(session, target) if watched else 0
            table = duck.run(session, tree, bindings)
            if watched:
                streams.capture(self.account, session, target, since)
            for stream, high in consumed:
                streams.advance(self.account, session, stream, high)
        return Result(table, _TYPE_IDS[type(tree)])


_INFORMATION_SCHEMA = ("COLUMNS", "TABLES", "VIEWS", "SCHEMATA", "DATABASES")
