"""Snowflake's statements about everything but tables, read strictly: a clause that is not Snowflake's is an error.

`parse` is pure Python, so the project's own SQL can be checked without a server.
"""

from __future__ import annotations

from local.warehouse import alter_grammar, clauses, grants_grammar, kinds, programs_grammar, rules, tasks_grammar
from local.warehouse.errors import compilation_error, unsupported
from local.warehouse.lexer import END, STRING, WORD, Reader
from local.warehouse.statements import (
    Call,
    Comment,
    Create,
    Describe,
    Drop,
    ExecuteTask,
    Show,
    Statement,
    Transaction,
    Undrop,
    Use,
)

TABLE_KINDS = ("TABLE", "VIEW", "SEQUENCE")
# Longest first: EXTERNAL FUNCTION before FUNCTION.
KINDS = sorted(kinds.KINDS, key=len, reverse=True)
INTEGRATIONS = ("API INTEGRATION", "EXTERNAL ACCESS INTEGRATION")
PLURALS = {
    **{kind + "S": kind for kind in KINDS if not kind.startswith("EXTERNAL")},
    "EXTERNAL FUNCTIONS": "EXTERNAL FUNCTION",
    "USER FUNCTIONS": "FUNCTION",
    "USER PROCEDURES": "PROCEDURE",
    "EXTERNAL ACCESS INTEGRATIONS": "EXTERNAL ACCESS INTEGRATION",
    "INTEGRATIONS": "INTEGRATION",
    "TABLES": "TABLE",
    "VIEWS": "VIEW",
    "SEQUENCES": "SEQUENCE",
    "COLUMNS": "COLUMN",
    "PARAMETERS": "PARAMETER",
    "TRANSACTIONS": "TRANSACTION",
    "LOCKS": "LOCK",
}


def parse(sql: str) -> Statement | None:
    """The statement in `sql`, or None if it is one about tables, views, sequences or rows, which other code checks.

    Raises SnowflakeError for a wrong clause, value or order, and for more than one statement.
    """
    reader = Reader(sql)
    if reader.peek().kind == END:
        return None
    statement = _statement(reader)
    if statement is not None:
        reader.expect_end()
        rules.check(statement)
    return statement


def _statement(reader: Reader) -> Statement | None:
    verb = reader.peek()
    if verb.kind != WORD:
        return None
    read = _VERBS.get(verb.value)
    return None if read is None else read(reader)


def _kind(reader: Reader) -> str | None:
    for kind in KINDS:
        if reader.words(*kind.split()):
            return kind
    return None


def _refuse_unknown(reader: Reader, verb: str) -> None:
    """Raise for what is about neither tables, views and sequences nor anything known here."""
    if not reader.peek().is_word(*TABLE_KINDS):
        raise unsupported(f"{verb} {' '.join(reader.peek(i).value for i in range(2) if reader.peek(i).kind == WORD)}")


def _create(reader: Reader) -> Statement | None:
    reader.next()
    alter = reader.words("OR", "ALTER")
    replace = not alter and reader.words("OR", "REPLACE")
    modifiers = {word for word in ("SECURE", "TEMPORARY", "TEMP", "TRANSIENT") if reader.words(word)}
    if reader.peek().is_word("DATABASE") and reader.peek(1).is_word("ROLE"):
        raise unsupported("DATABASE ROLE")
    kind = _kind(reader)
    if kind is None:
        _refuse_unknown(reader, "CREATE")
        return None
    wrong = modifiers - ({"SECURE"} if kind.endswith(("FUNCTION", "PROCEDURE")) else {"TRANSIENT"})
    if wrong or (modifiers and kind not in ("FUNCTION", "EXTERNAL FUNCTION", "PROCEDURE", "DATABASE", "SCHEMA")):
        raise unsupported(f"CREATE {' '.join(sorted(modifiers))} {kind}")
    if alter and kind not in kinds.OR_ALTER:
        raise unsupported(f"CREATE OR ALTER {kind}")
    absent = reader.words("IF", "NOT", "EXISTS")
    if absent and (replace or alter):
        raise compilation_error(
            1004, "42601", f"OR {'ALTER' if alter else 'REPLACE'} and IF NOT EXISTS exclude each other."
        )
    name = reader.name()
    if kind in ("FUNCTION", "PROCEDURE", "EXTERNAL FUNCTION"):
        values, extra = programs_grammar.read(reader, kind)
        extra["secure"] = "SECURE" in modifiers
    elif kind == "STREAM":
        values, extra = tasks_grammar.read_stream(reader)
    elif kind == "TASK":
        values, extra = tasks_grammar.read_task(reader)
    else:
        if kind == "WAREHOUSE":
            reader.words("WITH")
        values, extra = clauses.read_clauses(reader, kinds.KINDS[kind], kind), {}
    return Create(reader.sql, kind, name, values, replace, absent, extra, alter)


def _alter(reader: Reader) -> Statement | None:
    reader.next()
    if reader.words("SESSION"):
        return alter_grammar.session(reader)
    kind = _kind(reader)
    if kind is None:
        _refuse_unknown(reader, "ALTER")
        return None
    here = reader.words("IF", "EXISTS")
    name = reader.name()
    return alter_grammar.read(reader, kind, name, here, _types(reader, kind))


def _types(reader: Reader, kind: str) -> tuple[str, ...] | None:
    if kind not in ("FUNCTION", "PROCEDURE", "EXTERNAL FUNCTION"):
        return None
    return tuple(programs_grammar.signature_type(t) for t in clauses.listed(programs_grammar.read_type)(reader))


def _drop(reader: Reader) -> Statement | None:
    reader.next()
    kind = "INTEGRATION" if reader.words("INTEGRATION") else _kind(reader)
    if kind is None or kind == "EXTERNAL FUNCTION":
        _refuse_unknown(reader, "DROP")
        return None
    here = reader.words("IF", "EXISTS")
    name = reader.name()
    types = _types(reader, kind)
    if kind in ("DATABASE", "SCHEMA") and reader.words("RESTRICT"):
        raise unsupported(f"DROP {kind} … RESTRICT")
    if kind in ("DATABASE", "SCHEMA"):
        reader.words("CASCADE")
    return Drop(reader.sql, kind, name, here, types)


def _undrop(reader: Reader) -> Statement | None:
    reader.next()
    if not reader.words("TABLE"):
        raise unsupported("UNDROP " + reader.peek().value)
    return Undrop(reader.sql, reader.name())


def _describe(reader: Reader) -> Statement | None:
    reader.next()
    kind = "INTEGRATION" if reader.words("INTEGRATION") else _kind(reader)
    if kind is None:
        _refuse_unknown(reader, "DESC")
        return None
    return Describe(reader.sql, kind, reader.name(), _types(reader, kind))


def _show(reader: Reader) -> Statement | None:
    reader.next()
    if reader.words("GRANTS"):
        return grants_grammar.show(reader)
    if reader.words("FUTURE", "GRANTS"):
        return grants_grammar.show_future(reader)
    if reader.words("USER", "WORKLOAD", "IDENTITY", "AUTHENTICATION", "METHODS"):
        reader.expect_words("FOR", "USER")
        return Describe(reader.sql, "WORKLOAD IDENTITY", reader.name(1))
    terse = reader.words("TERSE")
    for plural in sorted(PLURALS, key=len, reverse=True):
        if reader.words(*plural.split()):
            break
    else:
        raise unsupported("SHOW " + reader.peek().value)
    like = scope = starts = limit = None
    if reader.words("LIKE"):
        like = reader.string()
    if reader.words("IN") or (PLURALS[plural] == "PARAMETER" and reader.words("FOR")):
        scope = _scope(reader)
    if scope and scope[0] in ("TASK", "WAREHOUSE", "SESSION") and PLURALS[plural] != "PARAMETER":
        raise unsupported(f"SHOW {plural} IN {scope[0]}")
    if reader.words("STARTS", "WITH"):
        starts = reader.string()
    if reader.words("LIMIT"):
        limit = reader.number()
    return Show(reader.sql, PLURALS[plural], like, scope, starts, limit, terse)


def _scope(reader: Reader) -> tuple[str, tuple[str, ...]]:
    for kind in ("ACCOUNT", "DATABASE", "SCHEMA", "TABLE", "VIEW", "TASK", "WAREHOUSE", "SESSION"):
        if reader.words(kind):
            named = kind not in ("ACCOUNT", "SESSION") and reader.peek().kind in (WORD, "quoted")
            return kind, reader.name() if named and not reader.peek().is_word("STARTS", "LIMIT") else ()
    return "SCHEMA", reader.name(2)


def _use(reader: Reader) -> Statement:
    reader.next()
    if reader.words("SECONDARY", "ROLES"):
        return Use(reader.sql, "SECONDARY ROLES", (clauses.choice("ALL", "NONE")(reader),))
    for kind in ("ROLE", "WAREHOUSE", "DATABASE", "SCHEMA"):
        if reader.peek(1).kind != END and reader.words(kind):
            return Use(reader.sql, kind, reader.name(2 if kind == "SCHEMA" else 1))
    name = reader.name(2)
    return Use(reader.sql, "DATABASE" if len(name) == 1 else "SCHEMA", name)


def _call(reader: Reader) -> Statement:
    reader.next()
    name = reader.name()
    return Call(reader.sql, name, programs_grammar.read_arguments(reader))


def _execute(reader: Reader) -> Statement:
    reader.next()
    if not reader.words("TASK"):
        raise unsupported("EXECUTE " + reader.peek().value)
    name = reader.name()
    if reader.peek().kind != END:
        raise unsupported("EXECUTE TASK … " + reader.peek().value)
    return ExecuteTask(reader.sql, name)


def _transaction(reader: Reader) -> Statement:
    verb = reader.next().value
    if verb == "START":
        reader.expect_words("TRANSACTION")
    elif verb == "BEGIN" and not (reader.words("TRANSACTION") or reader.words("WORK")):
        if reader.peek().kind != END and not reader.peek().is_word("NAME"):
            raise unsupported("Snowflake Scripting block")
    elif verb in ("COMMIT", "ROLLBACK"):
        reader.words("WORK")
    if verb in ("BEGIN", "START") and reader.words("NAME"):
        reader.identifier()
    return Transaction(reader.sql, "BEGIN" if verb == "START" else verb)


def _comment(reader: Reader) -> Statement:
    reader.next()
    here = reader.words("IF", "EXISTS")
    reader.expect_words("ON")
    kind = _kind(reader)
    if kind is None:
        kind = next((k for k in (*TABLE_KINDS, "COLUMN") if reader.words(k)), None)
    if kind is None or kind.endswith(("FUNCTION", "PROCEDURE")):
        raise unsupported("COMMENT ON " + reader.peek().value)
    name = reader.name(4 if kind == "COLUMN" else 3)
    reader.expect_words("IS")
    if reader.peek().kind != STRING:
        raise reader.unexpected("a string")
    return Comment(reader.sql, kind, name, reader.string(), here)


_VERBS = {
    "CREATE": _create,
    "ALTER": _alter,
    "DROP": _drop,
    "UNDROP": _undrop,
    "DESC": _describe,
    "DESCRIBE": _describe,
    "SHOW": _show,
    "GRANT": grants_grammar.grant,
    "REVOKE": grants_grammar.grant,
    "USE": _use,
    "CALL": _call,
    "EXECUTE": _execute,
    "BEGIN": _transaction,
    "START": _transaction,
    "COMMIT": _transaction,
    "ROLLBACK": _transaction,
    "COMMENT": _comment,
}
