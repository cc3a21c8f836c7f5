"""What of a statement about tables and rows is Snowflake's and within the stand-in's reach; all else is refused.

sqlglot reads more than Snowflake does (RETURNING, ON CONFLICT, FILTER …) and turns what it does not know into a
Command, or drops it: CREATE OR ALTER TABLE would become CREATE OR REPLACE TABLE. So everything is checked before
anything runs.
"""

from __future__ import annotations

import re

import sqlglot
from sqlglot import exp
from sqlglot.errors import ParseError, TokenError

from local.warehouse import foreign_syntax, insert_values, table_ddl
from local.warehouse.errors import SnowflakeError, compilation_error, invalid_property, syntax_error, unsupported
from local.warehouse.lexer import END, Reader

STATEMENTS = (
    exp.Select, exp.SetOperation, exp.Insert, exp.Update, exp.Delete, exp.Merge, exp.TruncateTable,
    exp.Create, exp.Drop, exp.Alter, exp.Describe, exp.Subquery,
)  # fmt: skip
_VERBS = (
    "SELECT", "WITH", "INSERT", "UPDATE", "DELETE", "MERGE", "TRUNCATE", "CREATE", "DROP", "ALTER", "DESC", "DESCRIBE",
)  # fmt: skip
_ABSENT = (
    "COPY", "PUT", "GET", "LIST", "LS", "REMOVE", "RM", "EXPLAIN", "SET", "UNSET", "SHOW", "DECLARE", "LET",
    "EXECUTE",
)  # fmt: skip
_REFUSED: dict[type[exp.Expr], str] = {
    exp.Command: "this statement",
    exp.Returning: "RETURNING",
    exp.OnConflict: "ON CONFLICT",
    exp.Filter: "FILTER",
    exp.Lock: "FOR UPDATE",
    exp.HistoricalData: "AT | BEFORE (time travel)",
    exp.Clone: "CLONE",
    exp.LikeProperty: "CREATE TABLE … LIKE",
    exp.MatchRecognize: "MATCH_RECOGNIZE",
    exp.Pivot: "PIVOT",
    exp.Into: "SELECT … INTO",
    exp.Semicolon: "several statements",
    exp.Connect: "CONNECT BY",
}
_COLUMN_CONSTRAINTS = (
    exp.NotNullColumnConstraint, exp.DefaultColumnConstraint, exp.GeneratedAsIdentityColumnConstraint,
    exp.AutoIncrementColumnConstraint, exp.CommentColumnConstraint, exp.PrimaryKeyColumnConstraint,
    exp.UniqueColumnConstraint,
)  # fmt: skip
_SEQUENCE_CLAUSES = {"start", "increment", "options"}
_VIEW_PROPERTIES = (exp.SchemaCommentProperty, exp.SecureProperty)


def parse(sql: str) -> exp.Expr:
    """The statement's tree. Raises 001003 with the place of what is wrong."""
    reader = Reader(sql)
    _refuse_early(reader)
    foreign_syntax.check_text(reader)
    text, or_alter = _without_or_alter(reader)
    try:
        tree = sqlglot.parse_one(text, read="snowflake")
    except (ParseError, TokenError) as error:
        raise _syntax_error(error, sql) from None
    if not isinstance(tree, STATEMENTS):
        _refuse_query(reader)
        raise unsupported(reader.peek().value)
    tree.meta["or_alter"] = or_alter
    check(tree, sql)
    return tree


def _without_or_alter(reader: Reader) -> tuple[str, bool]:
    """CREATE OR ALTER as a plain CREATE, for sqlglot would make it a CREATE OR REPLACE; and whether it was there."""
    first, second, third = reader.peek(), reader.peek(1), reader.peek(2)
    if not (first.is_word("CREATE") and second.is_word("OR") and third.is_word("ALTER")):
        return reader.sql, False
    blank = " " * (third.end - second.start)  # places in errors stay right
    return reader.sql[: second.start] + blank + reader.sql[third.end :], True


def _refuse_query(reader: Reader) -> None:
    """Raise what is wrong in the query of a CREATE … AS, which sqlglot gives up as a whole."""
    as_ = next((token for token in reader.tokens if token.is_word("AS")), None)
    if reader.peek().is_word("CREATE") and as_ is not None:
        blank = re.sub(r"[^\n]", " ", reader.sql[: as_.end])  # places in errors stay right
        parse(blank + reader.sql[as_.end :])


def _syntax_error(error: Exception, sql: str) -> SnowflakeError:
    details = error.errors[0] if isinstance(error, ParseError) and error.errors else {}
    line, column = details.get("line") or 1, details.get("col") or 0
    return syntax_error(str(details.get("highlight") or sql.strip()[:20]), int(line), int(column))


def _refuse_early(reader: Reader) -> None:
    """What sqlglot would accept and change."""
    if reader.peek().kind == END:
        raise SnowflakeError(900, "42601", "SQL compilation error: Empty SQL Statement.")
    if not (reader.peek().is_word(*_VERBS) or reader.peek().is_sign("(")):
        raise unsupported(reader.peek().value) if reader.peek().is_word(*_ABSENT) else reader.unexpected()
    for at, token in enumerate(reader.tokens):
        if token.is_sign("(") and reader.tokens[at + 1].is_word("FROM"):
            raise syntax_error("FROM", 1, token.end)
        if token.is_word("PREWHERE", "GLOBAL") or token.is_sign("&", "^", "|", "@", "~"):
            raise unsupported(token.value)


def check(tree: exp.Expr, sql: str) -> None:
    """Raise for every part that is not Snowflake's or that the stand-in does not have."""
    for node in tree.walk():
        if type(node) in _REFUSED:
            raise unsupported(_REFUSED[type(node)])
        if isinstance(node, exp.Distinct) and node.args.get("on"):
            raise unsupported("DISTINCT ON")
    foreign_syntax.check_tree(tree)
    if isinstance(tree, exp.Create):
        _check_create(tree)
    elif isinstance(tree, exp.Alter):
        _check_alter(tree)
    elif isinstance(tree, exp.Drop):
        if tree.args.get("kind", "").upper() not in ("TABLE", "VIEW", "SEQUENCE"):
            raise unsupported(f"DROP {tree.args.get('kind')}")
    elif isinstance(tree, exp.Describe):
        if str(tree.args.get("kind") or "").upper() not in ("TABLE", "VIEW"):
            raise unsupported("DESCRIBE of this")
    elif isinstance(tree, (exp.Update, exp.Delete)):
        for key in ("limit", "order", "returning"):
            if tree.args.get(key):
                raise syntax_error(key.upper(), 1, max(sql.upper().find(key.upper()), 0))
    elif isinstance(tree, exp.Insert):
        allowed = {"this", "expression", "overwrite", "with_", "hint", "is_function", "exists"}
        for key, value in tree.args.items():
            if value and key not in allowed:
                raise unsupported(f"INSERT … {key.upper()}")
        insert_values.check(tree)


def _check_create(tree: exp.Create) -> None:
    kind = str(tree.args.get("kind") or "").upper()
    if kind not in ("TABLE", "VIEW", "SEQUENCE"):
        raise unsupported(f"CREATE {kind}")
    if tree.args.get("exists") and (tree.args.get("replace") or tree.meta.get("or_alter")):
        raise compilation_error(1004, "42601", "OR REPLACE or OR ALTER and IF NOT EXISTS exclude each other.")
    for key in ("indexes", "no_schema_binding", "begin", "refresh", "unique", "concurrently"):
        if tree.args.get(key):
            raise unsupported(f"CREATE {kind} … {key.upper()}")
    properties = tree.args["properties"].expressions if tree.args.get("properties") else []
    for item in properties:
        if isinstance(item, exp.CopyGrantsProperty) and kind != "SEQUENCE":
            continue
        _check_property(item, kind)
    if kind == "TABLE" and isinstance(tree.this, exp.Schema):
        for column in tree.this.expressions:
            _check_column(column)
    if kind in ("TABLE", "VIEW") and isinstance(tree.expression, exp.Query) and not isinstance(tree.this, exp.Schema):
        _check_names(tree.expression)


def _check_property(item: exp.Expr, kind: str) -> None:
    if kind == "TABLE":
        if isinstance(item, (exp.SchemaCommentProperty, exp.Cluster, exp.ClusterProperty, exp.TransientProperty)):
            return
        if type(item) is exp.Property and item.name.upper() in table_ddl.SETTINGS:
            table_ddl.SETTINGS[item.name.upper()](item.name.upper(), item.args["value"])
            return
    elif kind == "SEQUENCE" and isinstance(item, exp.SequenceProperties):
        given = {key for key, value in item.args.items() if value is not None} - _SEQUENCE_CLAUSES
        given |= {option.name for option in item.args.get("options") or []} - {"ORDER", "NOORDER"}
        if given:
            raise invalid_property(min(given).upper(), kind)
        return
    elif isinstance(item, _VIEW_PROPERTIES if kind == "VIEW" else exp.SchemaCommentProperty):
        return
    raise invalid_property(str(item.args.get("this") or item.sql("snowflake")).upper(), kind)


def _check_column(column: exp.Expr) -> None:
    if isinstance(column, (exp.PrimaryKey, exp.Constraint, exp.ForeignKey, exp.UniqueColumnConstraint)):
        if column.find(exp.CheckColumnConstraint):
            raise unsupported("CHECK constraint")
        return
    if not isinstance(column, (exp.ColumnDef, exp.Identifier)):
        raise unsupported(f"CREATE TABLE … {column.sql('snowflake')}")
    for constraint in column.args.get("constraints") or []:
        if not isinstance(constraint.kind, _COLUMN_CONSTRAINTS):
            raise unsupported(f"column constraint {constraint.sql('snowflake')}")


def _check_names(query: exp.Query) -> None:
    for item in query.selects:
        if not isinstance(item, (exp.Alias, exp.Column, exp.Star)) and not item.is_star:
            raise compilation_error(2022, "42601", "Missing column specification")


def _check_alter(tree: exp.Alter) -> None:
    kind = str(tree.args.get("kind") or "").upper()
    if kind not in ("TABLE", "VIEW"):
        raise unsupported(f"ALTER {tree.args.get('kind')}")
    for action in tree.args.get("actions") or []:
        if isinstance(action, exp.AlterSet):
            settings = [item for part in action.expressions for item in part.find_all(exp.Property)]
            if not settings:
                raise unsupported(f"ALTER {kind} … {action.sql('snowflake')}")
            for item in settings:
                _check_property(item, kind)
        elif isinstance(action, exp.Set) and action.args.get("unset") and not action.args.get("tag"):
            continue
        elif kind == "VIEW":
            raise unsupported(f"ALTER VIEW … {action.sql('snowflake')}")
        elif isinstance(action, exp.ColumnDef):
            _check_column(action)
        elif not isinstance(action, (exp.AlterRename, exp.RenameColumn, exp.AlterColumn)) and not _drops_column(action):
            raise unsupported(f"ALTER TABLE … {action.sql('snowflake')}")
        elif isinstance(action, exp.AlterColumn) and action.args.get("using"):
            raise unsupported("ALTER COLUMN … USING")


def _drops_column(action: exp.Expr) -> bool:
    return isinstance(action, exp.Drop) and str(action.args.get("kind")).upper() == "COLUMN"
