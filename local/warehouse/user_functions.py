"""The account's own functions, with Python bodies or external: DuckDB calls them for whole batches of rows."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pyarrow as pa
from sqlglot import exp

from local.warehouse import external_functions, programs, streams, values
from local.warehouse.errors import SnowflakeError, unknown_function
from local.warehouse.names import full_name
from local.warehouse.programs_grammar import signature_type
from local.warehouse.statements import Name

if TYPE_CHECKING:
    from local.warehouse.account import Account
    from local.warehouse.session import Session

UDF = "_warehouse_call"
_FAILURES: dict[str, SnowflakeError] = {}


def replace_call(account: Account, session: Session, node: exp.Expr) -> exp.Expr | None:
    """The call that DuckDB should make for one of the account's functions; None for anything else."""
    name = _called(node)
    if name is None:
        return None
    if name[-1] == "SYSTEM$STREAM_HAS_DATA":
        return streams.replace_has_data(account, session, node)
    if not any(name[-1] == record["name"][-1] for record in account.catalog.all("FUNCTION")):
        return None
    given, named = _arguments(node)
    record, arguments = programs.bind(account, "FUNCTION", full_name("FUNCTION", name, session), given, named)
    typed = [
        exp.Cast(
            this=exp.maybe_parse(parameter["default"], dialect="snowflake") if argument is None else argument.copy(),
            to=exp.DataType.build(parameter["type"], dialect="snowflake"),
        )
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


def _arguments(node: exp.Expr) -> tuple[list[exp.Expr], dict[str, exp.Expr]]:
    """The arguments by position, and those by name (`day => …`)."""
    called = node.expression if isinstance(node, exp.Dot) else node
    given = [argument for argument in called.expressions if not isinstance(argument, exp.Kwarg)]
    named = [argument for argument in called.expressions if isinstance(argument, exp.Kwarg)]
    return given, {_parameter_name(argument.this): argument.expression for argument in named}


def _parameter_name(node: exp.Expr) -> str:
    return str(node.name if node.args.get("quoted") else node.name.upper())


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
    answers: list[Any] = []
    try:
        handler = programs.handler(account, record)
        for row in rows:
            given = [_given(value, type_) for value, type_ in zip(row, types, strict=True)]
            answers.append(None if record["strict"] and None in row else handler(*given))
    except SnowflakeError:
        raise
    except BaseException as error:  # noqa: BLE001 - whatever a body raises is the function's failure
        raise programs.failed(error, record) from error
    return answers


class SqlNull:
    """What a function gets for a VARIANT that is NULL in SQL; here for one that is null in JSON too."""

    is_sql_null = True


def _given(value: Any, type_: str) -> Any:
    if value is None and signature_type(type_) == "VARIANT":
        return SqlNull()
    return values.from_json(value, type_)


def failure(session: Session) -> SnowflakeError | None:
    """What a function of this session's statement failed with, once; DuckDB keeps only its text."""
    return _FAILURES.pop(session.id, None)
