"""Running a tree in DuckDB: through fakesnow's transformations, as SQL, and back as an Arrow table with Snowflake's
types.
"""

from __future__ import annotations

import json
from itertools import groupby
from typing import TYPE_CHECKING, Any

import pyarrow as pa
from sqlglot import ErrorLevel, UnsupportedError, exp

from local.warehouse.errors import unsupported

if TYPE_CHECKING:
    from local.warehouse.session import Session

JSON_MARK = {b"duckdb": b"JSON"}
MACROS = "_fs_global"  # the database that holds fakesnow's macros, whichever database is current
_COUNTED: dict[type[exp.Expr], tuple[str, ...]] = {
    exp.Insert: ("number of rows inserted",),
    exp.Update: ("number of rows updated", "number of multi-joined rows updated"),
    exp.Delete: ("number of rows deleted",),
}
_MERGED = (("inserted", "INSERT", exp.Insert), ("updated", "UPDATE", exp.Update), ("deleted", "DELETE", exp.Var))


def fill(session: Session, tree: exp.Insert, parameters: Any = None) -> None:
    """Run the INSERT behind a CREATE … AS SELECT: nobody else sees its table yet."""
    cursor = session.connection.cursor()
    sql = _text(cursor._transform(tree.copy(), parameters).transform(_qualify_macro, copy=False))  # noqa: SLF001
    session.duck.execute(sql, parameters if tree.find(exp.Placeholder) else None)


def run(session: Session, tree: exp.Expr, parameters: Any = None) -> pa.Table:
    """Run a statement; rows of a query, counts of a change, nothing of DDL."""
    if isinstance(tree, exp.Query):
        return query(session, _sql(session, tree, parameters), parameters)
    if isinstance(tree, exp.Merge):
        return _merge(session, tree, parameters)
    cursor = session.connection.cursor()
    affected = 0
    for statement in cursor._transform_explode(tree):  # noqa: SLF001
        sql = _sql(session, statement, parameters)
        rows = session.duck.execute(sql, parameters if statement.find(exp.Placeholder) else None).fetchall()
        affected = int(rows[0][0]) if rows and isinstance(statement, tuple(_COUNTED)) else 0
    names = _COUNTED.get(type(tree), ())
    return pa.table({name: [affected if at == 0 else 0] for at, name in enumerate(names)})


def _sql(session: Session, tree: exp.Expr, parameters: Any) -> str:
    """The tree as DuckDB's SQL.

    In a transaction that goes on after it a wrong name must not break it, so it is bound elsewhere first.
    """
    cursor = session.connection.cursor()
    _write_constants(tree)
    transformed = cursor._transform(tree.copy(), parameters).transform(_qualify_macro, copy=False)  # noqa: SLF001
    sql = _text(transformed)
    dml = isinstance(tree, (exp.Query, exp.Insert, exp.Update, exp.Delete, exp.Merge))
    if dml and session.transaction is not None and session.transaction.begun and not session.transaction.own:
        with session.duck.cursor() as other:
            other.execute(f"EXPLAIN {sql}", parameters if transformed.find(exp.Placeholder) else None)
    return sql


def _write_constants(tree: exp.Expr) -> None:
    """Put text in the place of constants in all rows of VALUES but the first: fakesnow, which changes none, walks over
    the whole tree seventy times.
    """
    for values in tree.find_all(exp.Values):
        for row in values.expressions[1:]:
            runs = [(constant, list(run)) for constant, run in groupby(row.expressions, _is_constant)]
            written = ([exp.Var(this=", ".join(map(_text, run)))] if constant else run for constant, run in runs)
            row.set("expressions", [node for nodes in written for node in nodes])


def _is_constant(node: exp.Expr) -> bool:
    return isinstance(node, (exp.Literal, exp.Null, exp.Boolean))


def _text(tree: exp.Expr) -> str:
    """The tree in DuckDB's SQL. Raises for what sqlglot would leave out with a warning."""
    try:
        return str(tree.sql("duckdb", unsupported_level=ErrorLevel.RAISE))
    except UnsupportedError as error:
        raise unsupported(str(error)) from None


def _qualify_macro(node: exp.Expr) -> exp.Expr:
    """fakesnow calls its macros by bare names, which a view or a session in another database does not find."""
    if not isinstance(node, exp.Anonymous) or not node.name.upper().startswith("_FS_"):
        return node
    if isinstance(node.parent, exp.Table):
        node.parent.set("db", exp.to_identifier("main"))
        node.parent.set("catalog", exp.to_identifier(MACROS))
        return node
    if isinstance(node.parent, exp.Dot):
        return node
    return exp.Dot.build([exp.to_identifier(MACROS), exp.to_identifier("main"), node.copy()])


def query(session: Session, sql: str, parameters: Any = None) -> pa.Table:
    """Rows of a query. JSON columns are marked, for Arrow has them as plain text; lists become JSON."""
    relation = session.duck.sql(sql, params=parameters) if parameters else session.duck.sql(sql)
    kinds = [str(type_) for type_ in relation.types]
    return _mark(relation.to_arrow_table(), kinds)


def types(session: Session, tree: exp.Expr) -> list[str]:
    """DuckDB's types of a query's columns, without running it; on another connection, so that a failure breaks
    nothing.
    """
    blank = tree.transform(lambda node: exp.Null() if isinstance(node, exp.Placeholder) else node)
    cursor = session.connection.cursor()
    sql = _text(cursor._transform(blank, None).transform(_qualify_macro, copy=False))  # noqa: SLF001
    with session.duck.cursor() as other:
        return [str(type_) for type_ in other.sql(sql).types]


def describe(session: Session, tree: exp.Expr) -> pa.Table:
    """The columns of a query, without running it; `?` stand for NULL."""
    blank = tree.transform(lambda node: exp.Null() if isinstance(node, exp.Placeholder) else node)
    relation = session.duck.sql(_sql(session, blank, None))
    return _mark(relation.limit(0).to_arrow_table(), [str(type_) for type_ in relation.types])


def _mark(table: pa.Table, kinds: list[str]) -> pa.Table:
    for at, type_ in enumerate(kinds):
        name, column = table.field(at).name, table.column(at)
        if pa.types.is_nested(column.type) or type_ == "JSON":
            if pa.types.is_nested(column.type):
                texts = [None if value is None else json.dumps(value, default=str) for value in column.to_pylist()]
                column = pa.chunked_array([pa.array(texts, pa.string())])
            table = table.set_column(at, pa.field(name, pa.string(), metadata=JSON_MARK), column.cast(pa.string()))
    return table


def _merge(session: Session, tree: exp.Expr, parameters: Any) -> pa.Table:
    """fakesnow takes MERGE apart into a temporary table and several statements; DuckDB 2 has it whole."""
    sql = _sql(session, tree, parameters)
    rows = session.duck.execute(
        f"{sql} RETURNING merge_action", parameters if tree.find(exp.Placeholder) else None
    ).fetchall()
    whens = list(tree.find_all(exp.When))
    counts = {
        f"number of rows {word}": [sum(row[0] == action for row in rows)]
        for word, action, kind in _MERGED
        if any(isinstance(when.args.get("then"), kind) for when in whens)
    }
    return pa.table(counts)
