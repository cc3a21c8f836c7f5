"""From Snowflake's meaning of a table statement to a tree that fakesnow and DuckDB run with that meaning."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from sqlglot import exp

from local.warehouse import formats
from local.warehouse.errors import compilation_error, unsupported
from local.warehouse.lexer import END, Reader
from local.warehouse.names import Place, full_name
from local.warehouse.statements import Name

# Values that belong to the session or the statement: DuckDB variables, so that views and column defaults see them too.
_CONTEXT: dict[type[exp.Expr], str] = {
    exp.CurrentUser: "_user",
    exp.CurrentRole: "_role",
    exp.CurrentWarehouse: "_warehouse",
    exp.CurrentDatabase: "_database",
    exp.CurrentSchema: "_schema",
    exp.CurrentSession: "_session",
}
# Words that DuckDB keeps to itself and Snowflake leaves for names.
_RESERVED = {"ANALYSE", "ANALYZE", "ASYMMETRIC", "AT", "DEFERRABLE", "DO", "INITIALLY", "PLACING", "SYMMETRIC"}
_ANONYMOUS_CONTEXT = {"LAST_QUERY_ID": "_last_query"}


def variable(name: str, type_: str = "VARCHAR") -> exp.Expr:
    """A session variable's value."""
    value = exp.Anonymous(this="getvariable", expressions=[exp.Literal.string(name)])
    return exp.Cast(this=value, to=exp.DataType.build(type_, dialect="duckdb"))


def table_name(table: exp.Expr) -> Name:
    """The parts of a table reference as Snowflake resolves them: unquoted ones in upper case."""
    parts = [part for part in (table.args.get("catalog"), table.args.get("db"), table.this) if part is not None]
    for part in parts:
        if not isinstance(part, exp.Identifier):
            raise unsupported(table.sql("snowflake"))
    return tuple(part.name if part.args.get("quoted") else part.name.upper() for part in parts)


def to_table(name: Name, alias: str | None = None) -> exp.Table:
    """A table reference with all its parts quoted."""
    parts = [exp.to_identifier(part, quoted=True) for part in name]
    table = exp.Table(this=parts[-1], db=parts[-2], catalog=parts[-3])
    if alias:
        table.set("alias", exp.TableAlias(this=exp.to_identifier(alias, quoted=True)))
    return table


def _is_cte(table: exp.Table) -> bool:
    """Does the name belong to a common table expression that is in sight here: one before it, or a recursive one?"""
    if table.args.get("db") is not None:
        return False
    name, inside, node = table_name(table), None, table.parent
    while node is not None:
        if isinstance(node, exp.CTE):
            inside = node
        with_ = node.args.get("with_")
        if isinstance(with_, exp.With):
            for cte in with_.expressions:
                own = cte is inside
                if own and not (with_.args.get("recursive") and isinstance(cte.this, exp.SetOperation)):
                    break
                if table_name(cte.args["alias"]) == name:
                    return True
                if own:
                    break
        node = node.parent
    return False


@dataclass
class Names:
    """What a statement touches, by full name."""

    target: Name | None = None
    read: list[Name] = field(default_factory=list)
    columns: dict[str, dict[str, Any]] = field(default_factory=dict)  # as CREATE TABLE declares them
    sql: str = ""  # the whole statement


def resolve(tree: exp.Expr, place: Place) -> Names:
    """Give every table reference all its parts, and say which the statement changes and which it reads."""
    names = Names()
    target = _target(tree)
    for table in list(tree.find_all(exp.Table)):
        if not isinstance(table.this, exp.Identifier) or _is_cte(table) or isinstance(table.parent, exp.AlterRename):
            continue
        kind = str(tree.args.get("kind") or "TABLE").upper() if table is target else "TABLE"
        name = full_name(kind, table_name(table), place)
        replaced = to_table(name)
        for key in ("this", "db", "catalog"):
            table.set(key, replaced.args[key])
        if table is target:
            names.target = name
        else:
            names.read.append(name)
    return names


def _target(tree: exp.Expr) -> exp.Expr | None:
    if isinstance(tree, (exp.Insert, exp.Update, exp.Delete, exp.Merge, exp.Create, exp.Alter, exp.Describe)):
        return tree.this.this if isinstance(tree.this, exp.Schema) else tree.this
    if isinstance(tree, exp.Drop):
        tables = tree.args.get("tables") or [tree.this]
        if len(tables) != 1:
            raise unsupported("DROP of several objects")
        return tables[0]
    if isinstance(tree, exp.TruncateTable):
        if len(tree.expressions) != 1:
            raise unsupported("TRUNCATE of several tables")
        return tree.expressions[0]
    return None


def rewrite(tree: exp.Expr, place: Place, replace_call: Callable[[exp.Expr], exp.Expr | None]) -> exp.Expr:
    """Put Snowflake's meaning in: context functions, exact errors, sequences; `replace_call` knows the account's
    functions.
    """

    def change(node: exp.Expr) -> exp.Expr:
        if type(node) in _CONTEXT:
            return variable(_CONTEXT[type(node)])
        if isinstance(node, exp.Identifier) and node.name.upper() in _RESERVED and not node.args.get("quoted"):
            return exp.to_identifier(node.name.upper(), quoted=True)
        if isinstance(node, exp.CurrentTimestamp):
            return variable("_now", "TIMESTAMP") if node.args.get("sysdate") else variable("_now_tz", "TIMESTAMPTZ")
        if isinstance(node, exp.Localtimestamp):
            return variable("_now_tz", "TIMESTAMPTZ")
        if isinstance(node, exp.CurrentDate):
            return exp.Cast(this=variable("_now_tz", "TIMESTAMPTZ"), to=exp.DataType.build("DATE"))
        if isinstance(node, exp.CurrentAccount):
            return exp.Literal.string("LOCAL")
        if isinstance(node, (exp.CurrentTime, exp.Localtime)):
            raise unsupported("CURRENT_TIME")
        if isinstance(node, exp.Anonymous) and node.name.upper() in _ANONYMOUS_CONTEXT:
            if [item.sql() for item in node.expressions] not in ([], ["-1"]):
                raise unsupported(node.sql("snowflake"))
            return variable(_ANONYMOUS_CONTEXT[node.name.upper()])
        if type(node) in _MEANING:
            return _MEANING[type(node)](node)
        if isinstance(node, (exp.Div, exp.Mod)):
            node.set("expression", _not_zero(node.expression))
            return node
        if isinstance(node, exp.EQ) and isinstance(node.parent, exp.Update) and node.arg_key == "expressions":
            node.this.set("table", None)
            return node
        if isinstance(node, exp.Column) and node.name.upper() == "NEXTVAL" and node.table:
            return _nextval(node, place)
        return replace_call(node) or node

    return tree.transform(change, copy=False)


def _count_if(node: exp.Expr) -> exp.Expr:
    """DuckDB's COUNT_IF answers NULL where nothing is counted."""
    counted = exp.Case(ifs=[exp.If(this=node.this.copy(), true=exp.Literal.number(1))])
    return exp.Count(this=counted, big_int=True)


def _to_char(node: exp.Expr) -> exp.Expr:
    """sqlglot drops the format."""
    given = node.args.get("format")
    if given is None:
        return node
    if not isinstance(given, exp.Literal):
        raise unsupported("TO_CHAR with a format that is no constant")
    return exp.Anonymous(
        this="strftime", expressions=[node.this.copy(), exp.Literal.string(formats.to_strftime(given.name))]
    )


def _trim(node: exp.Expr) -> exp.Expr:
    """fakesnow drops the characters to trim."""
    name = {"LEADING": "ltrim", "TRAILING": "rtrim"}.get(str(node.args.get("position") or "").upper(), "trim")
    text = exp.Cast(this=node.this.copy(), to=exp.DataType.build("TEXT"))
    more = [node.expression.copy()] if node.args.get("expression") else []
    return exp.Anonymous(this=name, expressions=[text, *more])


def _typeof(node: exp.Expr) -> exp.Expr:
    """DuckDB names the column's type, Snowflake that of the value in the VARIANT."""
    kind = exp.Anonymous(this="json_type", expressions=[node.this.copy()])
    names = {"BIGINT": "INTEGER", "UBIGINT": "INTEGER", "DOUBLE": "DECIMAL", "NULL": "NULL_VALUE"}
    cases = [exp.If(this=exp.Literal.string(key), true=exp.Literal.string(value)) for key, value in names.items()]
    return exp.Case(this=kind, ifs=cases, default=kind.copy())


def _array(node: exp.Expr) -> exp.Expr:
    """An ARRAY's elements may be of any type."""
    return exp.Anonymous(this="json_array", expressions=[item.copy() for item in node.expressions])


def _object_key(node: exp.Expr) -> exp.Expr:
    """sqlglot makes the keys of an object constant names, which fakesnow puts in upper case."""
    if isinstance(node.this, exp.Identifier):
        node.set("this", exp.Literal.string(node.name))
    return node


def _approximate(node: exp.Expr) -> exp.Expr:
    """A percentile is a FLOAT."""
    return node if isinstance(node.parent, exp.Cast) else exp.Cast(this=node.copy(), to=exp.DataType.build("DOUBLE"))


_MEANING: dict[type[exp.Expr], Callable[[exp.Expr], exp.Expr]] = {
    exp.CountIf: _count_if,
    exp.ToChar: _to_char,
    exp.Trim: _trim,
    exp.Typeof: _typeof,
    exp.Array: _array,
    exp.PropertyEQ: _object_key,
    exp.ApproxQuantile: _approximate,
}


def _not_zero(divisor: exp.Expr) -> exp.Expr:
    """DuckDB answers infinity or NULL, Snowflake 100051."""
    if isinstance(divisor.unnest(), exp.Literal) and divisor.unnest().name.strip("0.") != "":
        return divisor
    zero = exp.EQ(this=exp.Paren(this=divisor.copy()), expression=exp.Literal.number(0))
    error = exp.Anonymous(this="error", expressions=[exp.Literal.string("Division by zero")])
    return exp.Paren(this=exp.Case(ifs=[exp.If(this=zero, true=error)], default=divisor.copy()))


def _nextval(node: exp.Column, place: Place) -> exp.Expr:
    parts = [part for part in (node.args.get("catalog"), node.args.get("db"), node.args.get("table")) if part]
    name = tuple(part.name if part.args.get("quoted") else part.name.upper() for part in parts)
    text = ".".join(f'"{part}"' for part in full_name("SEQUENCE", name, place))
    return exp.Anonymous(this="nextval", expressions=[exp.Literal.string(text)])


def refuse_other_case(tree: exp.Expr, columns: set[str]) -> None:
    """Raise 000904 for a quoted column that a table has in another case only; DuckDB would take it."""
    names = {node.alias for node in tree.find_all(exp.Alias)} | columns
    other = {name.upper() for name in columns}
    for column in tree.find_all(exp.Column):
        if column.this.args.get("quoted") and column.name not in names and column.name.upper() in other:
            raise compilation_error(904, "42000", f"invalid identifier '\"{column.name}\"'")


def name_columns(tree: exp.Expr, sql: str) -> None:
    """Name unnamed result columns as Snowflake does: by their text in upper case, `COUNT(*)`."""
    if not isinstance(tree, exp.Select) or not any(_unnamed(item) for item in tree.expressions):
        return
    texts = _projections(sql)
    if texts is None or len(texts) != len(tree.expressions):
        return
    for at, (item, text) in enumerate(zip(list(tree.expressions), texts, strict=True)):
        if _unnamed(item):
            tree.expressions[at].replace(exp.alias_(item.copy(), text, quoted=True))


def _unnamed(item: exp.Expr) -> bool:
    return not isinstance(item, (exp.Alias, exp.Column, exp.Star)) and not item.is_star


def _projections(sql: str) -> list[str] | None:
    """The texts between the last top-level SELECT and its FROM."""
    reader = Reader(sql)
    depth, start = 0, None
    texts: list[str] = []
    while True:
        token = reader.peek()
        if depth == 0 and token.is_word("SELECT"):
            reader.next()
            while reader.peek().is_word("DISTINCT", "ALL"):
                reader.next()
            start, texts = reader.peek().start, []
            continue
        ends = token.kind == END or token.is_word("FROM", "WHERE", "LIMIT", "ORDER", "GROUP", "HAVING", "QUALIFY")
        if depth == 0 and start is not None and (token.is_sign(",") or ends):
            texts.append(sql[start : token.start].strip().upper())
            start = token.end
            if ends:
                return texts
        if token.kind == END:
            return None
        depth += token.is_sign("(", "[") - token.is_sign(")", "]")
        reader.next()
