"""Where an operand's type decides, DuckDB and Snowflake part: it is asked for, and the result given Snowflake's type.

- A quotient of NUMBERs has max(s, min(s + 6, 12)) decimals, s being the dividend's, and an average the same of its
  argument (page "Arithmetic operators"); DuckDB answers DOUBLE. The value is DuckDB's, right to 15 digits.
- Days, weeks, months or years added to a DATE, and a DATE truncated, stay a DATE; DuckDB makes them a TIMESTAMP.
- A VARIANT that holds a text, cast to VARCHAR, has no quotes; a TIMESTAMP_NTZ shows milliseconds.

Only queries are looked at, not the right sides of UPDATE … SET. Where a type cannot be told (a correlated subquery),
the expression stays as it is.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TYPE_CHECKING

import duckdb
from sqlglot import exp

from local.warehouse import duck
from local.warehouse.errors import SnowflakeError

if TYPE_CHECKING:
    from local.warehouse.session import Session

_WHOLE = ("TINYINT", "SMALLINT", "INTEGER", "BIGINT", "HUGEINT", "UBIGINT", "UINTEGER")
_DECIMAL = re.compile(r"DECIMAL\(\d+,(\d+)\)")
_DROPPED = ("where", "group", "having", "qualify", "order", "limit", "offset", "distinct", "with_")
_DAYS = ("DAY", "WEEK", "MONTH", "QUARTER", "YEAR")
_ROUNDED = (exp.Avg, exp.Div)
_DATED = (exp.DateAdd, exp.AddMonths, exp.TimestampTrunc, exp.DateTrunc)
_TEXT = (exp.DataType.Type.VARCHAR, exp.DataType.Type.TEXT)
TIMESTAMP_FORMAT = "%Y-%m-%d %H:%M:%S.%g"


def apply(session: Session, tree: exp.Expr) -> None:
    """Give the expressions of every query in the tree their types, innermost queries first."""
    for select in reversed(list(tree.find_all(exp.Select))):
        own = [node for node in select.find_all(*_ROUNDED, *_DATED, exp.Cast, exp.ToChar) if _scope(node) is select]
        for node in reversed(own):
            change = _change_for(node)
            if change is not None:
                change(session, select, node)


def _scope(node: exp.Expr) -> exp.Expr | None:
    return node.find_ancestor(exp.Select)


def _change_for(node: exp.Expr) -> Callable[[Session, exp.Select, exp.Expr], None] | None:
    if isinstance(node, _ROUNDED):
        return _round
    if isinstance(node, _DATED):
        unit = node.args.get("unit")
        return _keep_date if unit is None or unit.name.upper() in _DAYS else None
    plain = isinstance(node.this, (exp.Literal, exp.JSONExtract, exp.JSONExtractScalar, exp.Anonymous))
    text = isinstance(node, exp.ToChar) or node.to.this in _TEXT
    return _text if text and not plain else None


def _round(session: Session, select: exp.Select, node: exp.Expr) -> None:
    operands = [node.this] if isinstance(node, exp.Avg) else [node.this, node.expression]
    scales = [_scale(type_) for type_ in _types(session, select, operands)]
    if scales and scales[0] is not None and None not in scales:
        target = node.parent if isinstance(node.parent, exp.Window) else node
        scale = max(scales[0], min(scales[0] + 6, 12))
        _replace(target, exp.Cast(this=target.copy(), to=exp.DataType.build(f"DECIMAL(38, {scale})")))


def _scale(type_: str) -> int | None:
    if type_ in _WHOLE:
        return 0
    match = _DECIMAL.fullmatch(type_)
    return int(match[1]) if match else None


def _keep_date(session: Session, select: exp.Select, node: exp.Expr) -> None:
    if _types(session, select, [node.this]) == ["DATE"]:
        _replace(node, exp.Cast(this=node.copy(), to=exp.DataType.build("DATE")))


def _text(session: Session, select: exp.Select, node: exp.Expr) -> None:
    kinds = _types(session, select, [node.this])
    if kinds == ["JSON"]:
        _replace(
            node, exp.Anonymous(this="json_extract_string", expressions=[node.this.copy(), exp.Literal.string("$")])
        )
    elif kinds == ["TIMESTAMP"]:
        _replace(
            node, exp.Anonymous(this="strftime", expressions=[node.this.copy(), exp.Literal.string(TIMESTAMP_FORMAT)])
        )


def _replace(node: exp.Expr, new: exp.Expr) -> None:
    parent, key, index = node.parent, node.arg_key, node.index
    if parent is not None and key is not None:
        parent.set(key, new, index) if index is not None else parent.set(key, new)


def _types(session: Session, select: exp.Select, operands: list[exp.Expr]) -> list[str]:
    """DuckDB's types of these expressions in a query's scope; none if they cannot be told."""
    probe = select.copy()
    for key in _DROPPED:
        probe.set(key, None)
    single = [o.copy() if o.find(exp.AggFunc, exp.Window) else exp.AnyValue(this=o.copy()) for o in operands]
    probe.set("expressions", [exp.alias_(value, f"c{at}") for at, value in enumerate(single)])
    ctes = _ctes_in_sight(select)
    if ctes:
        probe.set("with_", exp.With(expressions=[cte.copy() for cte in ctes]))
    try:
        return duck.types(session, probe)
    except (duckdb.Error, NotImplementedError, SnowflakeError):
        return []


def _ctes_in_sight(node: exp.Expr) -> list[exp.Expr]:
    """The common table expressions that a query may name, outermost first."""
    found: list[exp.Expr] = []
    current: exp.Expr | None = node
    while current is not None:
        with_ = current.args.get("with_")
        if isinstance(with_, exp.With):
            found = [*(cte for cte in with_.expressions if not _within(node, cte)), *found]
        current = current.parent
    return found


def _within(node: exp.Expr, ancestor: exp.Expr) -> bool:
    current: exp.Expr | None = node
    while current is not None and current is not ancestor:
        current = current.parent
    return current is ancestor
