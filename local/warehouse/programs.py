"""Procedures and functions with Python bodies, run as they were deployed.

A procedure runs in the server, with a small part of Snowpark's session; what that part lacks is refused by name. A
function runs inside DuckDB, called for whole batches of rows.
"""

from __future__ import annotations

import json
import linecache
import traceback
from typing import TYPE_CHECKING, Any

import pyarrow as pa
from sqlglot import exp

from local.warehouse import external_functions, values
from local.warehouse.catalog import Record
from local.warehouse.errors import SnowflakeError, compilation_error, unknown_function, unsupported
from local.warehouse.names import dotted, full_name
from local.warehouse.programs_grammar import signature_type
from local.warehouse.results import Result
from local.warehouse.snowpark import Session as SnowparkSession
from local.warehouse.statements import Call, Create, Name

if TYPE_CHECKING:
    from local.warehouse.account import Account
    from local.warehouse.session import Session

UDF = "_warehouse_call"
_FAILURES: dict[str, SnowflakeError] = {}


def make(account: Account, session: Session, statement: Create, name: Name) -> dict[str, Any]:
    """The record of a new procedure or function. A body that is no Python is refused here, as Snowflake does."""
    extra, clauses = statement.extra, statement.clauses
    for integration in clauses.get("EXTERNAL_ACCESS_INTEGRATIONS", []):
        account.catalog.need("INTEGRATION", full_name("INTEGRATION", integration, session))
    secrets = {}
    for key, secret in clauses.get("SECRETS", []):
        secrets[key] = account.catalog.need("SECRET", full_name("SECRET", secret, session))["key"]
    _load(extra["body"], dotted(name), clauses["HANDLER"], run=False)
    return {
        "language": "PYTHON",
        "parameters": [vars(p) for p in extra["parameters"]],
        "returns": extra["returns"],
        "body": extra["body"],
        "handler": clauses["HANDLER"],
        "runtime": clauses["RUNTIME_VERSION"],
        "packages": clauses.get("PACKAGES", []),
        "execute_as": clauses.get("EXECUTE AS", "OWNER"),
        "integrations": [dotted(i) for i in clauses.get("EXTERNAL_ACCESS_INTEGRATIONS", [])],
        "secrets": secrets,
        "comment": clauses.get("COMMENT", ""),
        "strict": bool({"STRICT", "RETURNS NULL ON NULL INPUT"} & set(clauses)),
    }


def _load(body: str, name: str, handler: str, *, run: bool = True) -> Any:
    """The handler out of a body. Raises 100357 for a body that does not compile or load."""
    try:
        code = compile(body, name, "exec")
    except SyntaxError as error:
        raise compilation_error(
            100357, "P0000", f"Python Interpreter Error:\nSyntaxError: {error.msg} (line {error.lineno}) in {name}"
        ) from None
    linecache.cache[name] = (len(body), None, body.splitlines(keepends=True), name)
    if not run:
        return None
    space: dict[str, Any] = {"__name__": "_udf_code"}
    exec(code, space)  # noqa: S102
    found = space.get(handler)
    if not callable(found):
        raise compilation_error(100357, "P0000", f"Could not find the handler '{handler}' in {name}.")
    return found


def find(account: Account, kind: str, name: Name, count: int) -> Record:
    """The program of this name that takes `count` arguments. Raises 002140 or 002141 as Snowflake does."""
    found = [record for record in account.catalog.all(kind) if tuple(record["name"]) == name]
    if not found:
        raise unknown_function(dotted(name))
    fitting = []
    for record in found:
        least = sum(parameter["default"] is None for parameter in record["parameters"])
        if least <= count <= len(record["parameters"]):
            fitting.append(record)
    if not fitting:
        raise compilation_error(
            1044, "42P13", f"Invalid argument types for function '{dotted(name)}': it was given {count} argument(s)."
        )
    if len(fitting) > 1:
        raise unsupported(f"overloads of {dotted(name)} with the same number of arguments")
    return fitting[0]


def call(account: Account, session: Session, statement: Call, bindings: Any = None) -> Result:
    """CALL: evaluate the arguments, run the handler, answer one row."""
    name = full_name("PROCEDURE", statement.name, session)
    record = find(account, "PROCEDURE", name, len(statement.arguments))
    arguments = []
    texts = [text.split("=>")[-1] if "=>" in text else text for text in statement.arguments]
    defaults = [parameter["default"] for parameter in record["parameters"][len(texts) :]]
    if record["parameters"]:
        columns = ", ".join(
            f"({text})::{p['type']}" for text, p in zip([*texts, *defaults], record["parameters"], strict=True)
        )
        row = account.tables.execute(session, f"SELECT {columns}", bindings).rows[0]
        arguments = [values.to_python(value, p["type"]) for value, p in zip(row, record["parameters"], strict=True)]
    value = run(account, session, record, arguments)
    return Result(values.to_table(name[-1], value, record["returns"]), 0x1000)


def run(account: Account, session: Session, record: Record, arguments: list[Any]) -> Any:
    """Run a procedure in the caller's session; with its owner's role unless it executes as its caller."""
    outside = session.transaction
    role, place = session.role, (session.database, session.schema)
    owner = record["execute_as"] == "OWNER"
    session.depth += 1
    try:
        if owner:
            session.role = record["owner"]
            session.use(*record["name"][:2])
        handler = _load(record["body"], record["key"], record["handler"])
        value = handler(SnowparkSession(account, session), *arguments)
    except Exception as error:  # noqa: BLE001 - whatever a body raises is the procedure's failure
        if session.transaction is not outside:
            session.rollback()
        raise _failed(error, record) from error
    finally:
        session.depth -= 1
        session.role = role
        if owner:
            session.use(*place)
    if session.transaction is not outside and session.transaction is not None and session.autocommit:
        session.rollback()
        raise SnowflakeError(
            90232,
            "25000",
            f"Stored procedure {record['key']}: a transaction started in it was not finished; it was rolled back.",
        )
    return value


def _failed(error: Exception, record: Record) -> SnowflakeError:
    frames = [f for f in traceback.extract_tb(error.__traceback__) if f.filename == record["key"]]
    where = "".join(f'  File "{f.filename}", line {f.lineno}, in {f.name}\n' for f in frames)
    return SnowflakeError(
        100357,
        "P0000",
        f"Python Interpreter Error:\nTraceback (most recent call last):\n{where}{type(error).__name__}: {error}\n"
        f" in function {record['name'][-1]} with handler {record['handler']}",
    )


def replace_call(account: Account, session: Session, node: exp.Expr) -> exp.Expr | None:
    """The call that DuckDB should make for one of the account's functions; None for anything else."""
    name = _called(node)
    if name is None:
        return None
    if name[-1] == "SYSTEM$STREAM_HAS_DATA":
        return account.stream_has_data(session, node)
    if not any(name[-1] == record["name"][-1] for record in account.catalog.all("FUNCTION")):
        return None
    arguments = _arguments(node)
    record = find(account, "FUNCTION", full_name("FUNCTION", name, session), len(arguments))
    arguments += [exp.maybe_parse(p["default"], dialect="snowflake") for p in record["parameters"][len(arguments) :]]
    typed = [
        exp.Cast(this=argument.copy(), to=exp.DataType.build(parameter["type"], dialect="snowflake"))
        for argument, parameter in zip(arguments, record["parameters"], strict=True)
    ]
    packed = exp.Cast(this=exp.Anonymous(this="json_array", expressions=typed), to=exp.DataType.build("TEXT"))
    session_id = exp.Anonymous(this="getvariable", expressions=[exp.Literal.string("_session")])
    result = exp.Anonymous(this=UDF, expressions=[exp.Literal.string(record["key"]), session_id, packed])
    if signature_type(record["returns"]) in ("VARIANT", "OBJECT", "ARRAY"):
        return exp.Cast(this=result, to=exp.DataType.build("JSON", dialect="duckdb"))
    text = exp.Anonymous(this="json_extract_string", expressions=[result, exp.Literal.string("$")])
    return exp.Cast(this=text, to=exp.DataType.build(record["returns"], dialect="snowflake"))


def _called(node: exp.Expr) -> Name | None:
    if isinstance(node, exp.Anonymous) and not isinstance(node.parent, exp.Dot):
        return (node.name.upper(),)
    if (
        isinstance(node, exp.Dot)
        and isinstance(node.expression, exp.Anonymous)
        and not isinstance(node.parent, exp.Dot)
    ):
        return tuple(part.name if part.args.get("quoted") else part.name.upper() for part in node.flatten())
    return None


def _arguments(node: exp.Expr) -> list[exp.Expr]:
    called = node.expression if isinstance(node, exp.Dot) else node
    return list(called.expressions)


def install(account: Account) -> None:
    """Give DuckDB the one function through which it calls the account's."""

    def batch(keys: pa.ChunkedArray, sessions: pa.ChunkedArray, packed: pa.ChunkedArray) -> pa.Array:
        key, session_id = keys[0].as_py(), sessions[0].as_py()
        try:
            rows = [json.loads(value.as_py()) for value in packed]
            answers = _call_function(account, key, session_id, rows)
        except SnowflakeError as error:
            _FAILURES[session_id] = error
            raise
        return pa.array(
            [None if answer is None else json.dumps(answer, default=str) for answer in answers], pa.string()
        )

    account.duck.create_function(
        UDF,
        batch,
        ["VARCHAR", "VARCHAR", "VARCHAR"],
        "VARCHAR",
        type="arrow",
        side_effects=True,
        null_handling="special",
    )


def _call_function(account: Account, key: str, session_id: str, rows: list[list[Any]]) -> list[Any]:
    record = account.catalog.get("FUNCTION", key)
    if record is None:
        raise unknown_function(key)
    if record["language"] == "EXTERNAL":
        return external_functions.call(account, record, session_id, rows)
    types = [parameter["type"] for parameter in record["parameters"]]
    handler = _load(record["body"], key, record["handler"])
    answers: list[Any] = []
    for row in rows:
        if record["strict"] and None in row:
            answers.append(None)
            continue
        try:
            answers.append(handler(*[values.from_json(value, type_) for value, type_ in zip(row, types, strict=True)]))
        except Exception as error:  # noqa: BLE001 - whatever a body raises is the function's failure
            raise _failed(error, record) from error
    return answers


def failure(session: Session) -> SnowflakeError | None:
    """What a function of this session's statement failed with, once; DuckDB keeps only its text."""
    return _FAILURES.pop(session.id, None)
