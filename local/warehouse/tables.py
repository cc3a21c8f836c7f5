"""Statements about tables, views, sequences and rows: checked, given Snowflake's meaning, run by fakesnow on DuckDB."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import duckdb
import pyarrow as pa
import snowflake.connector.errors
from sqlglot import exp

from local.warehouse import (
    access,
    dialect,
    duck,
    duck_errors,
    functions,
    insert_values,
    result_types,
    results,
    streams,
    table_ddl,
    table_rules,
    task_history,
    user_functions,
)
from local.warehouse.catalog import Record
from local.warehouse.errors import SnowflakeError, exists, missing, unsupported
from local.warehouse.names import dotted
from local.warehouse.results import Result, status
from local.warehouse.session import Change
from local.warehouse.statements import Name

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

    def execute(self, session: Session, sql: str, bindings: Any = None, *, attempt: int = 1) -> Result:
        """The result of a statement. Raises SnowflakeError for whatever Snowflake, the stand-in or DuckDB refuses."""
        functions.check(sql, self.account.function_names())
        tree = table_rules.parse(sql)
        if isinstance(tree, exp.Describe):
            return table_ddl.describe(self.account, session, tree)
        dialect.name_columns(tree, sql)
        names = dialect.resolve(tree, session)
        self._need(names, tree)
        if isinstance(tree, exp.Create):
            names.columns = table_ddl.columns_of(tree)
        tree = dialect.rewrite(tree, session, lambda node: user_functions.replace_call(self.account, session, node))
        try:
            if isinstance(tree, _DML) or (isinstance(tree, exp.Create) and tree.expression is not None):
                result = self._change(session, tree, names, bindings)
                if session.transaction is not None and isinstance(tree, _DML):
                    session.transaction.changes.append(Change(sql, bindings, session.clock, result.affected))
                return result
            if isinstance(tree, _QUERIES):
                return self._query(session, tree, bindings)
            return self._define(session, tree, names)
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
            if called or self.execute(session, change.sql, change.bindings).affected != change.affected:
                session.rollback()
                raise SnowflakeError(625, "57014", "Another transaction changed the same rows; it was rolled back.")
        session.set_clock(clock)
        return self.execute(session, sql, bindings, attempt=attempt + 1)

    def _need(self, names: dialect.Names, tree: exp.Expr) -> None:
        """Raise 002003 for a table that is not there under exactly this name; DuckDB would take any case of it."""
        catalog = self.account.catalog
        columns: set[str] = set()
        for name in names.read:
            if name[1] == "INFORMATION_SCHEMA":
                if name[2] not in _INFORMATION_SCHEMA:
                    raise unsupported(f"INFORMATION_SCHEMA.{name[2]}")
                return
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
        self._need(dialect.resolve(tree, session), tree)
        tree = dialect.rewrite(tree, session, lambda node: user_functions.replace_call(self.account, session, node))
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
        task_history.replace(self.account, session, tree)
        found: dict[str, tuple[Record, int]] = {}
        for table in list(tree.find_all(exp.Table)):
            if table is target or not isinstance(table.this, exp.Identifier) or table.args.get("catalog") is None:
                continue
            stream = self.account.catalog.get("STREAM", dialect.table_name(table))
            if stream is not None:
                found[stream["key"]] = (stream, streams.read(self.account, session, table, stream)[1])
        return list(found.values())

    def _change(self, session: Session, tree: exp.Expr, names: dialect.Names, bindings: Any) -> Result:
        """INSERT, UPDATE, DELETE, MERGE, CREATE … AS: under the table's lock, in a transaction, streams in step."""
        target = names.target
        if target is None:
            raise unsupported("a change without a table")
        if isinstance(tree, exp.Create):
            return self._define(session, tree, names, bindings)
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

    def _define(self, session: Session, tree: exp.Expr, names: dialect.Names, bindings: Any = None) -> Result:
        """DDL: commits what is open, then runs by itself."""
        target = names.target
        if target is None:
            raise unsupported("DDL without an object")
        session.commit()
        self.account.refuse_imported(target)
        kind = "TABLE" if isinstance(tree, exp.TruncateTable) else str(tree.args["kind"]).upper()
        if isinstance(tree, exp.Create):
            self.account.need_schema(target[:2])
            return self._create(session, tree, kind, names, bindings)
        record = self.account.catalog.get(kind, target)
        if record is None:
            if tree.args.get("exists"):
                return status(_ALREADY_DROPPED if isinstance(tree, exp.Drop) else "Statement executed successfully.")
            raise missing(kind, dotted(target))
        tree.set("exists", None)
        with session.change([dotted(target)]):
            if isinstance(tree, exp.Alter):
                return self._alter(session, tree, target, record)
            duck.run(session, tree)
        if isinstance(tree, exp.TruncateTable):
            return status("Statement executed successfully.")
        self._forget(session, kind, target)
        return status(f"{target[-1]} successfully dropped.")

    def _forget(self, session: Session, kind: str, target: Name, *, keep_grants: bool = False) -> None:
        record = self.account.catalog.drop(kind, dotted(target))
        if not keep_grants:
            access.forget_grants(self.account, kind, dotted(target))
        if record and record.get("sequence"):
            session.duck.execute(f"DROP SEQUENCE IF EXISTS {record['sequence']}")
        if kind == "TABLE":
            streams.table_gone(session, target)

    def _create(self, session: Session, tree: exp.Create, kind: str, names: dialect.Names, bindings: Any) -> Result:
        target = names.target
        assert target is not None
        other = next((k for k in ("TABLE", "VIEW", "SEQUENCE", "STREAM") if self.account.catalog.get(k, target)), None)
        if other is not None and not (tree.args.get("replace") and other == kind):
            if tree.args.get("exists") and other == kind:
                return status(f"{target[-1]} already exists, statement succeeded.")
            raise exists(dotted(target))
        values: dict[str, Any] = {"comment": _comment(tree)}
        keep_grants = tree.find(exp.CopyGrantsProperty) is not None
        if kind == "SEQUENCE":
            table_ddl.prepare_sequence(tree)
        else:
            tree.set("properties", None)
        read = [] if tree.expression is None else self._streams_in(tree)
        with session.change([dotted(target), *(dotted(name) for name in read)]):
            consumed = self._replace_streams(session, tree, tree.this)
            result_types.apply(session, tree)
            if kind == "TABLE":
                values["sequence"] = table_ddl.prepare(session, tree, target, names.columns)
            elif consumed:
                raise unsupported("a view on a stream")
            duck.run(session, tree, bindings)
            if kind != "SEQUENCE":
                values["columns"] = names.columns or table_ddl.columns_in_duckdb(session, target)
            for stream, high in consumed:
                streams.advance(self.account, session, stream, high)
        if other is not None:
            self._forget(session, kind, target, keep_grants=keep_grants)
        self.account.catalog.add(kind, target, session.role, **values)
        return status(f"{kind.capitalize()} {target[-1]} successfully created.")

    def _streams_in(self, tree: exp.Expr) -> list[Name]:
        found = [
            dialect.table_name(t) for t in tree.expression.find_all(exp.Table) if t.args.get("catalog") is not None
        ]
        return [name for name in found if self.account.catalog.get("STREAM", name) is not None]

    def _alter(self, session: Session, tree: exp.Alter, target: Name, record: Record) -> Result:
        actions = tree.args.get("actions") or []
        settings = [action for action in actions if isinstance(action, exp.AlterSet)]
        if settings:
            for item in settings[0].find_all(exp.SchemaCommentProperty):
                self.account.catalog.change(record, comment=item.name)
            return status("Statement executed successfully.")
        if any(isinstance(action, exp.AlterRename) for action in actions):
            raise unsupported("ALTER TABLE … RENAME TO")
        for action in actions:
            if isinstance(action, exp.ColumnDef):
                table_ddl.add_column(record["columns"], action)
        if streams.of_table(self.account, target):
            beside = tree.copy()
            beside.set("this", exp.maybe_parse(streams.captured(target), into=exp.Table, dialect="duckdb"))
            duck.run(session, beside)
        duck.run(session, tree)
        found = table_ddl.columns_in_duckdb(session, target)
        self.account.catalog.change(
            record,
            columns={key: record["columns"].get(key, value) | {"null": value["null"]} for key, value in found.items()},
        )
        return status("Statement executed successfully.")


_INFORMATION_SCHEMA = ("COLUMNS", "TABLES", "VIEWS", "SCHEMATA", "DATABASES")
_ALREADY_DROPPED = "Drop statement executed successfully (object already dropped)."


def _comment(tree: exp.Expr) -> str:
    found = tree.find(exp.SchemaCommentProperty)
    return found.name if found is not None else ""
