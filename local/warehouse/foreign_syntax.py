"""What sqlglot or DuckDB would take and Snowflake does not: types, clauses and operators of other databases."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from sqlglot import exp

from local.warehouse.errors import SnowflakeError, compilation_error, invalid_value, syntax_error, unsupported
from local.warehouse.lexer import STRING, Reader

LONGEST_TEXT = 134217728  # bytes of a VARCHAR

_Type = exp.DataType.Type
_TYPES = {
    _Type.DECIMAL, _Type.INT, _Type.BIGINT, _Type.SMALLINT, _Type.TINYINT, _Type.FLOAT, _Type.DOUBLE, _Type.VARCHAR,
    _Type.CHAR, _Type.NCHAR, _Type.NVARCHAR, _Type.TEXT, _Type.BINARY, _Type.VARBINARY, _Type.BOOLEAN, _Type.DATE,
    _Type.DATETIME, _Type.TIME, _Type.TIMESTAMP, _Type.TIMESTAMPNTZ, _Type.TIMESTAMPLTZ, _Type.TIMESTAMPTZ,
    _Type.VARIANT, _Type.OBJECT, _Type.ARRAY,
}  # fmt: skip
_TEXTS = {_Type.VARCHAR, _Type.CHAR, _Type.NCHAR, _Type.NVARCHAR, _Type.TEXT}


def check_text(reader: Reader) -> None:
    """Raise for what the tree would no longer tell from Snowflake's own."""
    tokens = reader.tokens
    for at, token in enumerate(tokens[:-1]):
        following = tokens[at + 1]
        touches = token.end == following.start
        if (
            token.is_sign("<=") and following.is_sign(">") or token.is_sign("=") and following.is_sign("=")
        ) and touches:
            raise syntax_error(f"{token.value}{following.value}", 1, token.start)
        if token.kind == STRING and following.kind == STRING:
            raise syntax_error(following.value, 1, following.start)
        if token.is_word("USING") and following.is_word("SAMPLE"):
            raise syntax_error("SAMPLE", 1, following.start)
        if token.is_word("MATCHED") and following.is_word("BY"):
            raise syntax_error("BY", 1, following.start)
        if token.is_word("GENERATED") and following.is_word("ALWAYS", "BY"):
            raise syntax_error("GENERATED", 1, token.start)
        if (token.is_sign("::") or token.is_word("AS")) and following.is_word("BLOB", "BYTEA"):
            raise _no_type(following.value)


def check_tree(tree: exp.Expr) -> None:
    """Raise for every node that Snowflake does not have."""
    for node in tree.walk():
        if isinstance(node, exp.DataType):
            _check_type(node)
        elif (what := _FOREIGN.get(type(node))) and (found := what(node)):
            raise unsupported(found)


def _check_type(kind: exp.DataType) -> None:
    if kind.this not in _TYPES or kind.args.get("nested") and kind.expressions:
        raise _no_type(kind.sql("snowflake"))
    if kind.this in _TEXTS and kind.expressions:
        length = kind.expressions[0].name
        if not length.isdigit() or not 1 <= int(length) <= LONGEST_TEXT:
            raise invalid_value(length, "length", f"1 to {LONGEST_TEXT}")


def _no_type(name: str) -> SnowflakeError:
    return compilation_error(2040, "42601", f"Unsupported data type '{name}'.")


def _limit(node: exp.Expr) -> str:
    options = node.args.get("limit_options")
    given = options.args if options is not None else {}
    return "PERCENT" if given.get("percent") else "WITH TIES" if given.get("with_ties") else ""


def _join(node: exp.Expr) -> str:
    kind = str(node.args.get("kind") or "").upper()
    return f"{kind} JOIN" if kind in ("SEMI", "ANTI") else ""


def _when(node: exp.Expr) -> str:
    then = node.args["then"]
    if isinstance(then, exp.Var) and then.name.upper() != "DELETE":
        return f"MERGE … {then.name}"
    return "MERGE … INSERT *" if isinstance(then, exp.Insert) and isinstance(then.this, exp.Star) else ""


def _update(node: exp.Expr) -> str:
    columns = all(isinstance(item, exp.EQ) and isinstance(item.this, exp.Column) for item in node.expressions)
    return "" if columns or isinstance(node.parent, exp.When) else "UPDATE … SET of something that is no column"


def _always(what: str) -> Callable[[Any], str]:
    return lambda node: what


_FOREIGN: dict[type[exp.Expr], Callable[[Any], str]] = {
    exp.Glob: _always("GLOB"),
    exp.SimilarTo: _always("SIMILAR TO"),
    exp.AtTimeZone: _always("AT TIME ZONE"),
    exp.First: _always("FIRST()"),
    exp.DynamicIdentifier: _always("IDENTIFIER()"),
    exp.Table: lambda node: f"FROM {node.this.sql()}" if isinstance(node.this, exp.Literal) else "",
    exp.Last: _always("LAST()"),
    exp.Except: lambda node: "EXCEPT ALL" if node.args.get("distinct") is False else "",
    exp.Intersect: lambda node: "INTERSECT ALL" if node.args.get("distinct") is False else "",
    exp.CTE: lambda node: "MATERIALIZED" if node.args.get("materialized") is not None else "",
    exp.WindowSpec: lambda node: "EXCLUDE in a window" if node.args.get("exclude") else "",
    exp.Order: lambda node: "ORDER BY in a call" if isinstance(node.parent, exp.AggFunc) else "",
    exp.Star: lambda node: "* RENAME" if node.args.get("rename") else "",
    exp.In: lambda node: (
        "" if any(node.args.get(key) for key in ("expressions", "query", "unnest", "field")) else "IN ()"
    ),
    exp.Limit: _limit,
    exp.Fetch: _limit,
    exp.Join: _join,
    exp.When: _when,
    exp.Update: _update,
    exp.Merge: lambda node: "MERGE … USING (columns)" if node.args.get("using_cond") else "",
}
