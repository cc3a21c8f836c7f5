"""CREATE TABLE for DuckDB, and DESC TABLE from the catalogue.

Snowflake records keys and does not enforce them, refuses a text that is too long, and numbers AUTOINCREMENT columns
from any session; DuckDB, left alone, does the opposite of each.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from sqlglot import exp

from local.warehouse import dialect
from local.warehouse.errors import compilation_error, invalid_value, missing, unsupported
from local.warehouse.lexer import END, Reader
from local.warehouse.names import dotted, full_name
from local.warehouse.results import Result, text_result
from local.warehouse.statements import Name
from local.warehouse.streams import HIDDEN

if TYPE_CHECKING:
    from local.warehouse.account import Account
    from local.warehouse.session import Session

_KEYS = (exp.PrimaryKeyColumnConstraint, exp.UniqueColumnConstraint, exp.CommentColumnConstraint)
_IDENTITY = (exp.GeneratedAsIdentityColumnConstraint, exp.AutoIncrementColumnConstraint)
_TEXT = (exp.DataType.Type.VARCHAR, exp.DataType.Type.TEXT, exp.DataType.Type.CHAR, exp.DataType.Type.NCHAR)
LONGEST_TEXT = 16777216
_DEFAULT_SIZES = {"NUMBER": "NUMBER(38,0)", "VARCHAR": f"VARCHAR({LONGEST_TEXT})", "BINARY": "BINARY(8388608)"}


def type_text(kind: exp.DataType) -> str:
    """A column's type as DESC TABLE shows it."""
    text = str(kind.sql("snowflake")).replace(" ", "").upper().replace("DECIMAL", "NUMBER")
    text = re.sub(r"^TIMESTAMP(NTZ|LTZ|TZ)", r"TIMESTAMP_\1", text)
    base = text.split("(")[0]
    if base in ("TEXT", "STRING"):
        text, base = text.replace(base, "VARCHAR"), "VARCHAR"
    if base in ("INT", "INTEGER", "BIGINT", "SMALLINT", "TINYINT"):
        text = base = "NUMBER"
    if base == "NUMBER" and "(" in text and "," not in text:
        text = text.replace(")", ",0)")
    if base in ("DOUBLE", "REAL"):
        return "FLOAT"
    if base.startswith("TIME") and "(" not in text:
        return f"{'TIMESTAMP_NTZ' if base == 'TIMESTAMP' else base}(9)"
    return _DEFAULT_SIZES.get(base, text) if "(" not in text else text


def column(definition: exp.ColumnDef) -> dict[str, Any]:
    """What the catalogue keeps of a column."""
    if definition.kind is None:
        raise compilation_error(1003, "42000", f"syntax error: column {definition.name} has no type.")
    found: dict[str, Any] = {
        "type": type_text(definition.kind),
        "null": True,
        "default": None,
        "key": False,
        "comment": None,
    }
    for constraint in definition.args.get("constraints") or []:
        kind = constraint.kind
        if isinstance(kind, exp.NotNullColumnConstraint):
            found["null"] = bool(kind.args.get("allow_null"))
        elif isinstance(kind, exp.DefaultColumnConstraint):
            _check_default(definition, kind.this)
            found["default"] = _default_text(kind.this)
        elif isinstance(kind, _IDENTITY):
            start, step = (kind.args.get(key) for key in ("start", "increment"))
            order = "NOORDER" if kind.args.get("order") is False else "ORDER"
            found["default"] = f"IDENTITY START {start or 1} INCREMENT {step or 1} {order}"
        elif isinstance(kind, exp.PrimaryKeyColumnConstraint):
            found |= {"key": True, "null": False}
        elif isinstance(kind, exp.UniqueColumnConstraint):
            found["unique"] = True
        elif isinstance(kind, exp.CommentColumnConstraint):
            found["comment"] = kind.this.name
    return found


def _check_default(definition: exp.ColumnDef, value: exp.Expr) -> None:
    """Raise 002262 for a number as the default of a text or a text as that of a number (page "CREATE TABLE")."""
    literal = value.this if isinstance(value, exp.Neg) else value
    assert definition.kind is not None
    wrong = exp.DataType.NUMERIC_TYPES if literal.is_string else exp.DataType.TEXT_TYPES
    if isinstance(literal, exp.Literal) and definition.kind.this in wrong:
        raise compilation_error(
            2262, "22000", f"Data type of default value {value.sql()} does not match column '{definition.name}'."
        )


def _default_text(value: exp.Expr) -> str:
    """A default as Snowflake words it: a quote in a text is doubled."""
    if isinstance(value, exp.Literal) and value.is_string:
        text = str(value.name).replace("\\", "\\\\").replace("'", "''")
        return f"'{text}'"
    return str(value.sql("snowflake"))


def columns_of(tree: exp.Create) -> dict[str, dict[str, Any]]:
    """The columns of a CREATE TABLE as the catalogue keeps them; `prepare` takes keys and defaults out."""
    if not isinstance(tree.this, exp.Schema) or str(tree.args.get("kind")).upper() != "TABLE":
        return {}
    found = {column_name(d): column(d) for d in tree.this.expressions if isinstance(d, exp.ColumnDef)}
    for constraint in tree.this.find_all(exp.PrimaryKey):
        for item in constraint.expressions:
            name = item.name.upper()
            if name not in found:
                raise compilation_error(904, "42000", f"invalid identifier '{name}'")
            found[name] |= {"key": True, "null": False}
    return found


def column_name(definition: exp.ColumnDef) -> str:
    """A column's name as Snowflake resolves it."""
    return str(definition.name if definition.this.args.get("quoted") else definition.name.upper())


def prepare(
    session: Session, tree: exp.Create, target: Name, columns: dict[str, dict[str, Any]], sequence: str | None = None
) -> str | None:
    """Make the tree what DuckDB should build; the sequence behind an AUTOINCREMENT column, if there is one.

    `sequence`: that of a table which is built anew.
    """
    if not isinstance(tree.this, exp.Schema):
        return None
    kept = [item for item in tree.this.expressions if isinstance(item, (exp.ColumnDef, exp.Identifier))]
    for definition in kept:
        if isinstance(definition, exp.ColumnDef):
            found = columns[column_name(definition)]
            if sequence is not None and str(found["default"] or "").startswith("IDENTITY"):
                definition.append("constraints", exp.ColumnConstraint(kind=_default(sequence)))
            sequence = _prepare_column(session, definition, target, found) or sequence
    tree.this.set("expressions", kept)
    return sequence


def _prepare_column(session: Session, definition: exp.ColumnDef, target: Name, found: dict[str, Any]) -> str | None:
    sequence = None
    constraints = []
    for constraint in definition.args.get("constraints") or []:
        if isinstance(constraint.kind, _IDENTITY):
            sequence = _sequence(session, constraint.kind, target)
            constraint.set("kind", _default(sequence))
        if not isinstance(constraint.kind, (*_KEYS, exp.NotNullColumnConstraint)):
            constraints.append(constraint)
    if not found["null"]:
        constraints.append(exp.ColumnConstraint(kind=exp.NotNullColumnConstraint()))
    if (length := text_length(definition)) is not None:
        constraints.append(exp.ColumnConstraint(kind=length))
    definition.set("constraints", constraints)
    return sequence


def text_length(definition: exp.ColumnDef) -> exp.Expr | None:
    """The check that a text is not longer than its column."""
    kind = definition.kind
    if kind is None or kind.this not in _TEXT or not kind.expressions:
        return None
    length = exp.Length(this=exp.Column(this=exp.to_identifier(column_name(definition), quoted=True)))
    return exp.CheckColumnConstraint(this=exp.LTE(this=length, expression=kind.expressions[0].this.copy()))


def _sequence(session: Session, kind: exp.Expr, target: Name) -> str:
    name = f'"{target[0]}"."{HIDDEN}"."identity {target[1]}.{target[2]} {secrets.token_hex(4)}"'
    start, step = (kind.args.get(key) for key in ("start", "increment"))
    session.duck.execute(f"CREATE SEQUENCE {name} START WITH {start or 1} INCREMENT BY {step or 1}")
    return name


def _default(sequence: str) -> exp.Expr:
    call = exp.Anonymous(this="nextval", expressions=[exp.Literal.string(sequence)])
    return exp.DefaultColumnConstraint(this=call)


def prepare_sequence(tree: exp.Create) -> dict[str, Any]:
    """Leave DuckDB the start and the increment; ORDER, NOORDER and the comment are the catalogue's alone."""
    kept = []
    values: dict[str, Any] = {"start": 1, "increment": 1, "order": True}
    for item in tree.args["properties"].expressions if tree.args.get("properties") else []:
        if isinstance(item, exp.SequenceProperties):
            start, step = item.args.get("start"), item.args.get("increment")
            kept = [exp.SequenceProperties(start=start, increment=step)]
            values |= {"start": int(start.name) if start else 1, "increment": _whole(step) if step else 1}
            values["order"] = "NOORDER" not in {option.name for option in item.args.get("options") or []}
    tree.set("properties", exp.Properties(expressions=kept) if kept else None)
    return values


def _whole(node: exp.Expr) -> int:
    return -int(node.this.name) if isinstance(node, exp.Neg) else int(node.name)


def take_query(tree: exp.Create) -> exp.Insert | None:
    """The INSERT that fills `CREATE TABLE t (columns) AS SELECT …`, which DuckDB does not take whole; else None."""
    if tree.expression is None or not isinstance(tree.this, exp.Schema):
        return None
    if not all(isinstance(item, exp.ColumnDef) for item in tree.this.expressions):
        raise unsupported("CREATE TABLE … AS SELECT with keys or with columns without types")
    query = tree.expression.copy()
    tree.set("expression", None)
    return exp.Insert(this=tree.this.this.copy(), expression=query)


def view_comments(tree: exp.Create) -> dict[str, str]:
    """The comments of a view's columns; the tree keeps their names alone."""
    found: dict[str, str] = {}
    if isinstance(tree.this, exp.Schema):
        for item in list(tree.this.expressions):
            if isinstance(item, exp.ColumnDef):
                found |= {column_name(item): text.this.name for text in item.find_all(exp.CommentColumnConstraint)}
                item.replace(item.this.copy())
    return found


def query_text(sql: str) -> str:
    """What stands after the AS of a CREATE VIEW."""
    reader = Reader(sql)
    depth = 0
    while depth or not reader.peek().is_word("AS"):
        token = reader.next()
        depth += token.is_sign("(") - token.is_sign(")")
        if token.kind == END:
            raise reader.unexpected("AS")
    reader.next()
    return reader.rest()


def _flag(key: str, value: exp.Expr) -> bool:
    if not isinstance(value, exp.Boolean):
        raise invalid_value(value.sql("snowflake"), key, "TRUE or FALSE")
    return bool(value.this)


def _days(key: str, value: exp.Expr) -> int:
    if not isinstance(value, exp.Literal) or value.is_string or not value.name.isdigit() or int(value.name) > 90:
        raise invalid_value(value.sql("snowflake"), key, "0 to 90 days")
    return int(value.name)


# Settings of a table that are recorded and shown; they change nothing here.
SETTINGS: dict[str, Callable[[str, exp.Expr], Any]] = {
    "CHANGE_TRACKING": _flag,
    "DATA_RETENTION_TIME_IN_DAYS": _days,
    "MAX_DATA_EXTENSION_TIME_IN_DAYS": _days,
}


DESCRIBED = (
    "name", "type", "kind", "null?", "default", "primary key", "unique key", "check", "expression", "comment",
    "policy name", "privacy domain",
)  # fmt: skip


def describe(account: Account, session: Session, tree: exp.Describe) -> Result:
    """DESC TABLE and DESC VIEW."""
    kind = str(tree.args["kind"]).upper()
    name = full_name(kind, dialect.table_name(tree.this), session)
    record = account.catalog.get("TABLE", name) or account.catalog.get("VIEW", name)
    if record is None:
        raise missing(kind, dotted(name))
    if record["kind"] != kind:
        raise unsupported(f"DESC {kind} of a {record['kind'].lower()}")
    rows = [
        [
            key,
            c["type"],
            "COLUMN",
            "Y" if c["null"] else "N",
            c["default"],
            "Y" if c["key"] else "N",
            "Y" if c.get("unique") else "N",
            None,
            None,
            c["comment"],
            None,
            None,
        ]
        for key, c in record["columns"].items()
    ]
    return text_result(list(DESCRIBED), rows)


_DUCK_TYPES = {
    "BIGINT": "NUMBER(38,0)", "INTEGER": "NUMBER(38,0)", "HUGEINT": "NUMBER(38,0)", "DOUBLE": "FLOAT",
    "VARCHAR": f"VARCHAR({LONGEST_TEXT})", "JSON": "VARIANT", "BLOB": "BINARY(8388608)", "TIME": "TIME(9)",
    "TIMESTAMP": "TIMESTAMP_NTZ(9)", "TIMESTAMP WITH TIME ZONE": "TIMESTAMP_LTZ(9)",
}  # fmt: skip


def columns_in_duckdb(session: Session, name: Name) -> dict[str, dict[str, Any]]:
    """The columns of a table or view that a query defined."""
    rows = session.duck.execute("DESCRIBE " + ".".join(f'"{part}"' for part in name)).fetchall()
    return {
        row[0]: {
            "type": _DUCK_TYPES.get(row[1], row[1].replace("DECIMAL", "NUMBER")),
            "null": row[2] == "YES", "default": None, "key": False, "comment": None,
        }
        for row in rows
    }  # fmt: skip
