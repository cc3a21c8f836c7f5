"""ALTER TABLE … COLUMN and CREATE OR ALTER TABLE, with Snowflake's limits; DuckDB's table is built anew each time.

Sources: the pages "ALTER TABLE", "ALTER TABLE … ALTER COLUMN" and "CREATE TABLE" (CREATE OR ALTER TABLE usage notes).
DuckDB itself cannot change a column that has a length or add one that must not be NULL.
"""

from __future__ import annotations

import re
import secrets
from typing import TYPE_CHECKING, Any

import sqlglot
from sqlglot import exp

from local.warehouse import duck, get_ddl, streams, table_ddl
from local.warehouse.catalog import Record
from local.warehouse.errors import SnowflakeError, compilation_error, unsupported
from local.warehouse.names import dotted
from local.warehouse.statements import Name

if TYPE_CHECKING:
    from local.warehouse.account import Account
    from local.warehouse.session import Session

Columns = dict[str, dict[str, Any]]
_CONSTANT = (exp.Literal, exp.Boolean, exp.Null)
_PLAIN = {"type", "null", "default", "key", "comment"}


def alter(account: Account, session: Session, record: Record, actions: list[exp.Expr]) -> None:
    """Run the actions of one ALTER TABLE, all or none."""
    columns = {key: dict(value) for key, value in record["columns"].items()}
    source = {key: key for key in columns}
    for action in actions:
        _APPLY[type(action)](session, record, columns, source, action)
    _rebuild(account, session, record, columns, source)


def become(account: Account, session: Session, record: Record, wanted: Columns) -> None:
    """Change a table into one with these columns: those it lacks are added at the end, those too many are dropped."""
    now: Columns = record["columns"]
    kept = [key for key in wanted if key in now]
    if not kept:
        raise unsupported("CREATE OR ALTER TABLE that keeps no column")
    if list(wanted)[: len(kept)] != [key for key in now if key in wanted]:
        raise compilation_error(
            1008,
            "22023",
            "CREATE OR ALTER TABLE cannot reorder columns: new ones go to the end, others keep their order.",
        )
    for key in kept:
        if wanted[key]["type"] != now[key]["type"]:
            _refuse_narrower(key, now[key]["type"], wanted[key]["type"])
        if now[key]["null"] and not wanted[key]["null"]:
            _refuse_nulls(session, record, key)
        if wanted[key]["default"] != now[key]["default"] and wanted[key]["default"] is not None:
            _refuse_new_default(key)
    for key in wanted:
        if key not in now:
            _refuse_unfit(session, record, key, wanted[key])
    if wanted != now:
        _rebuild(account, session, record, wanted, {key: key for key in kept})


# --- the actions


def _add(session: Session, record: Record, columns: Columns, source: dict[str, str], action: exp.ColumnDef) -> None:
    name = table_ddl.column_name(action)
    if name in columns:
        if action.args.get("exists"):
            return
        raise compilation_error(1430, "42601", f"column '{name}' already exists")
    found = table_ddl.column(action)
    if found["key"] or str(found["default"] or "").startswith("IDENTITY"):
        raise unsupported("ALTER TABLE … ADD COLUMN with a key or AUTOINCREMENT")
    _refuse_unfit(session, record, name, found)
    columns[name] = found


def _drop(session: Session, record: Record, columns: Columns, source: dict[str, str], action: exp.Drop) -> None:
    for item in action.args.get("tables") or [action.this]:
        name = _identifier(item)
        if name not in columns:
            if action.args.get("exists"):
                continue
            raise _no_column(name)
        del columns[name]
        source.pop(name, None)
    if not columns:
        raise compilation_error(1008, "22023", f"Cannot drop the last column of table '{record['key']}'.")


def _rename(
    session: Session, record: Record, columns: Columns, source: dict[str, str], action: exp.RenameColumn
) -> None:
    old, new = _identifier(action.this), _identifier(action.args["to"])
    if old not in columns:
        raise _no_column(old)
    if new in columns:
        raise compilation_error(1430, "42601", f"column '{new}' already exists")
    items = [(new if key == old else key, value) for key, value in columns.items()]
    columns.clear()
    columns.update(items)
    source[new] = source.pop(old, old)


def _change(
    session: Session, record: Record, columns: Columns, source: dict[str, str], action: exp.AlterColumn
) -> None:
    name = _identifier(action)
    if name not in columns:
        raise _no_column(name)
    found = columns[name]
    given = action.args
    if given.get("dtype") is not None:
        wanted = table_ddl.type_text(given["dtype"])
        _refuse_narrower(name, found["type"], wanted)
        found["type"] = wanted
    elif given.get("comment") is not None:
        found["comment"] = given["comment"].name
    elif given.get("default") is not None:
        _refuse_new_default(name)
    elif given.get("allow_null") is True:
        found["null"] = True
    elif given.get("allow_null") is False:
        _refuse_nulls(session, record, name)
        found["null"] = False
    elif given.get("drop"):
        found["default"] = None


_APPLY: dict[type[exp.Expr], Any] = {
    exp.ColumnDef: _add,
    exp.Drop: _drop,
    exp.RenameColumn: _rename,
    exp.AlterColumn: _change,
}


def _identifier(node: exp.Expr) -> str:
    name = node if isinstance(node, exp.Identifier) else node.find(exp.Identifier)
    assert name is not None
    return str(name.name if name.args.get("quoted") else name.name.upper())


# --- what Snowflake refuses


def _no_column(name: str) -> SnowflakeError:
    return compilation_error(904, "42000", f"invalid identifier '{name}'")


def _has_rows(session: Session, record: Record) -> bool:
    return bool(session.duck.execute(f"SELECT 1 FROM {_quoted(tuple(record['name']))} LIMIT 1").fetchall())


def _refuse_unfit(session: Session, record: Record, name: str, found: dict[str, Any]) -> None:
    """A new column's default must be a constant, and a table with rows needs one for a column without NULLs."""
    default = None if found["default"] is None else sqlglot.parse_one(found["default"], read="snowflake")
    constant = default is None or isinstance(default.unnest(), (*_CONSTANT, exp.Neg))
    if not constant and _has_rows(session, record):
        raise compilation_error(
            2263, "22000", f"Cannot add column '{name}' with non-constant default to non-empty table '{record['key']}'."
        )
    if not found["null"] and (default is None or isinstance(default, exp.Null)) and _has_rows(session, record):
        raise compilation_error(
            2201,
            "22000",
            f"Non-nullable column '{name}' cannot be added to non-empty table '{record['name'][-1]}' "
            "unless it has a non-null default value.",
        )


def _refuse_nulls(session: Session, record: Record, name: str) -> None:
    table = _quoted(tuple(record["name"]))
    if session.duck.execute(f'SELECT 1 FROM {table} WHERE "{name}" IS NULL LIMIT 1').fetchall():
        raise compilation_error(
            2060, "22000", f"Column '{name}' contains null values. Not null constraint cannot be added."
        )


def _refuse_new_default(name: str) -> None:
    raise compilation_error(
        1008,
        "22023",
        f"The default of column '{name}' cannot be set: Snowflake only drops defaults, or changes a sequence.",
    )


def _refuse_narrower(name: str, old: str, new: str) -> None:
    """Only texts get longer and numbers more digits before the point."""
    before, after = re.fullmatch(r"(\w+)(?:\((.*)\))?", old), re.fullmatch(r"(\w+)(?:\((.*)\))?", new)
    assert before is not None
    assert after is not None
    base = before[1]
    if base == after[1] and base in ("VARCHAR", "BINARY") and int(after[2]) >= int(before[2]):
        return
    if base == after[1] == "NUMBER":
        (digits, scale), (more, new_scale) = (map(int, m[2].split(",")) for m in (before, after))
        if scale == new_scale and more >= digits:
            return
    if old == new:
        return
    if base == after[1] and base in ("VARCHAR", "BINARY"):
        message = f"reducing the byte-length of a varchar is not supported. (column '{name}')"
        raise compilation_error(
            40052, "22000", f"Cannot change column {name} from type {old} to {new} because {message}"
        )
    raise compilation_error(2108, "22000", f"Cannot change column {name} from type {old} to {new}")


# --- DuckDB


def _quoted(table: Name) -> str:
    return ".".join(f'"{part}"' for part in table)


def _rebuild(account: Account, session: Session, record: Record, columns: Columns, source: dict[str, str]) -> None:
    """Build DuckDB's table anew with `columns`; `source` says which old column fills which."""
    target: Name = tuple(record["name"])
    table, kept = _quoted(target), f'temp.main."kept {secrets.token_hex(4)}"'
    if {key: {**value, "comment": None} for key, value in columns.items()} != {
        key: {**value, "comment": None} for key, value in record["columns"].items()
    } or list(source) != list(source.values()):
        with session.definition([dotted(target)]):
            session.duck.execute(f"CREATE TEMP TABLE {kept.rpartition('.')[2]} AS SELECT * FROM {table}")
            duck.run(session, _create(session, record, columns))
            into = ", ".join(f'"{key}"' for key in source)
            of = ", ".join(f'"{key}"' for key in source.values())
            session.duck.execute(f"INSERT INTO {table} ({into}) SELECT {of} FROM {kept}")
            session.duck.execute(f"DROP TABLE {kept}")
            if streams.of_table(account, target):
                _follow(session, target, source)
    account.catalog.change(record, columns=columns)


def _create(session: Session, record: Record, columns: Columns) -> exp.Create:
    lines = []
    for key, found in columns.items():
        plain = found | {"default": None} if str(found["default"] or "").startswith("IDENTITY") else found
        lines.append(f'"{key}" {get_ddl.column(plain | {"comment": None})}')
    target: Name = tuple(record["name"])
    tree = sqlglot.parse_one(f"CREATE OR REPLACE TABLE {_quoted(target)} ({', '.join(lines)})", read="snowflake")
    assert isinstance(tree, exp.Create)
    table_ddl.prepare(session, tree, target, columns, record.get("sequence"))
    return tree


def _follow(session: Session, target: Name, source: dict[str, str]) -> None:
    """Give the rows that were captured for streams the table's columns; new ones have their default."""
    captured = streams.captured(target)
    old = {row[0] for row in session.duck.execute(f"DESCRIBE {captured}").fetchall()}
    columns = session.duck.execute(f"DESCRIBE {_quoted(target)}").fetchall()
    parts = ['"METADATA$POSITION"']
    for name, kind, _, _, default, *_ in columns:
        if name in source and source[name] in old:
            parts.append(f'"{source[name]}"::{kind} AS "{name}"')
        else:
            parts.append(f'({default or "NULL"})::{kind} AS "{name}"')
    session.duck.execute(f"CREATE OR REPLACE TABLE {captured} AS SELECT {', '.join(parts)} FROM {captured}")
