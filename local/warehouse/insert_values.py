"""What may stand in INSERT … VALUES: Snowflake takes no semi-structured values there, only in INSERT … SELECT."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from sqlglot import exp

from local.warehouse.errors import compilation_error

_CONSTRUCTORS = (
    exp.ParseJSON, exp.Struct, exp.Array, exp.ArrayConstructCompact, exp.JSONObject, exp.ToVariant, exp.ToArray,
)  # fmt: skip
_NAMES = {"TRY_PARSE_JSON", "OBJECT_CONSTRUCT", "OBJECT_CONSTRUCT_KEEP_NULL", "TO_OBJECT"}
_SEMI_STRUCTURED = (exp.DataType.Type.VARIANT, exp.DataType.Type.OBJECT, exp.DataType.Type.ARRAY)


def check(tree: exp.Insert) -> None:
    """Raise 002014 for a value that makes a VARIANT, an OBJECT or an ARRAY."""
    for row in _rows(tree):
        for value in row:
            if any(_is_constructor(node) for node in value.walk()):
                text = value.sql("snowflake")
                raise compilation_error(
                    2014, "22000", f"Invalid expression [{text}] in VALUES clause. Use INSERT … SELECT for it."
                )


def check_types(tree: exp.Insert, columns: dict[str, dict[str, Any]]) -> None:
    """Raise 002023 for a text constant that goes into a VARIANT column; `columns` are the table's, in their order."""
    names = list(columns)
    if isinstance(tree.this, exp.Schema):
        names = [item.name if item.args.get("quoted") else item.name.upper() for item in tree.this.expressions]
    for row in _rows(tree):
        for name, value in zip(names, row, strict=False):  # a wrong count is an error of its own
            if isinstance(value, exp.Literal) and value.is_string and columns.get(name, {}).get("type") == "VARIANT":
                length = max(len(value.name), 1)
                raise compilation_error(
                    2023,
                    "22000",
                    f"Expression type does not match column data type, expecting VARIANT but got VARCHAR({length}) "
                    f"for column {name}",
                )


def _rows(tree: exp.Insert) -> Iterator[list[exp.Expr]]:
    if isinstance(tree.expression, exp.Values):
        for row in tree.expression.expressions:
            yield row.expressions if isinstance(row, exp.Tuple) else [row]


def _is_constructor(node: exp.Expr) -> bool:
    if isinstance(node, exp.Cast):
        return node.to.this in _SEMI_STRUCTURED
    return isinstance(node, _CONSTRUCTORS) or isinstance(node, exp.Anonymous) and node.name.upper() in _NAMES
