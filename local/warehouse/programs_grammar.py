"""CREATE FUNCTION, PROCEDURE and EXTERNAL FUNCTION: parameters, types, clauses, body. Pure Python."""

from __future__ import annotations

from typing import Any

from local.warehouse import clauses, kinds
from local.warehouse.errors import compilation_error, invalid_value, missing_option, unsupported
from local.warehouse.lexer import END, Reader
from local.warehouse.statements import Parameter

# Every spelling of a type, and the one that signatures and SHOW use.
TYPES = {
    **dict.fromkeys(("NUMBER", "DECIMAL", "NUMERIC", "INT", "INTEGER", "BIGINT", "SMALLINT", "TINYINT"), "NUMBER"),
    **dict.fromkeys(("FLOAT", "FLOAT4", "FLOAT8", "DOUBLE", "REAL"), "FLOAT"),
    **dict.fromkeys(("VARCHAR", "STRING", "TEXT", "CHAR", "CHARACTER"), "VARCHAR"),
    "BOOLEAN": "BOOLEAN",
    "DATE": "DATE",
    "TIME": "TIME",
    **dict.fromkeys(("TIMESTAMP_NTZ", "DATETIME", "TIMESTAMP"), "TIMESTAMP_NTZ"),
    "TIMESTAMP_LTZ": "TIMESTAMP_LTZ",
    "TIMESTAMP_TZ": "TIMESTAMP_TZ",
    "BINARY": "BINARY",
    "VARIANT": "VARIANT",
    "OBJECT": "OBJECT",
    "ARRAY": "ARRAY",
}
RUNTIMES = ("3.9", "3.10", "3.11", "3.12", "3.13")


def read_type(reader: Reader) -> str:
    """A type with its size, `NUMBER(12,2)`. Raises for one that Snowflake does not have."""
    word = reader.identifier()
    if word == "DOUBLE":
        reader.words("PRECISION")
    if word not in TYPES:
        raise compilation_error(2040, "42601", f"Unsupported data type '{word}'.")
    sizes = clauses.listed(clauses.number)(reader) if reader.peek().is_sign("(") else []
    return TYPES[word] + (f"({','.join(map(str, sizes))})" if sizes else "")


def signature_type(name: str) -> str:
    """The type as a signature has it: without its size."""
    return name.split("(")[0]


def read_arguments(reader: Reader) -> tuple[str, ...]:
    """The SQL texts between parentheses, split at the commas of this level."""
    reader.expect_sign("(")
    if reader.sign(")"):
        return ()
    found: list[str] = []
    depth, start = 0, reader.peek().start
    while True:
        token = reader.peek()
        if token.kind == END:
            raise reader.unexpected("')'")
        if depth == 0 and token.is_sign(",", ")"):
            found.append(reader.sql[start : token.start].strip())
            start = token.end
            if not found[-1]:
                raise reader.unexpected("an expression")
        depth += token.is_sign("(") - token.is_sign(")")
        reader.next()
        if depth < 0:
            return tuple(found)


def _parameter(reader: Reader) -> Parameter:
    name, type_ = reader.identifier(), read_type(reader)
    if not reader.words("DEFAULT"):
        return Parameter(name, type_)
    start, depth = reader.peek().start, 0
    while depth or not reader.peek().is_sign(",", ")"):
        if reader.peek().kind == END:
            raise reader.unexpected("')'")
        token = reader.next()
        if token.is_word("SELECT"):  # it would be asked with the rights of whoever calls
            raise unsupported("a query as the DEFAULT of an argument")
        depth += token.is_sign("(") - token.is_sign(")")
    return Parameter(name, type_, reader.sql[start : reader.peek().start].strip())


def _check_parameters(parameters: tuple[Parameter, ...]) -> None:
    """Each name once, and those with a DEFAULT last (page "Defining arguments for UDFs and stored procedures")."""
    names = [parameter.name for parameter in parameters]
    if len(set(names)) < len(names):
        raise compilation_error(2011, "42601", f"duplicate argument name in ({', '.join(names)}).")
    optional = [parameter.default is not None for parameter in parameters]
    if optional != sorted(optional):
        raise compilation_error(1003, "42000", "syntax error: arguments with a DEFAULT come after those without one.")


def read(reader: Reader, kind: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """Everything after the name: (clauses, {parameters, returns, not_null, body})."""
    parameters = tuple(clauses.listed(_parameter)(reader))
    _check_parameters(parameters)
    copy_grants = kind != "EXTERNAL FUNCTION" and reader.words("COPY", "GRANTS")
    reader.expect_words("RETURNS")
    if reader.peek().is_word("TABLE"):
        raise unsupported(f"{kind} RETURNS TABLE")
    returns = read_type(reader)
    not_null = reader.words("NOT", "NULL")
    if not not_null:
        reader.words("NULL")
    values = clauses.read_clauses(reader, kinds.KINDS[kind], kind)
    reader.expect_words("AS")
    body = reader.string()
    extra = {"parameters": parameters, "returns": returns, "not_null": not_null, "body": body}
    extra["copy_grants"] = copy_grants
    if kind != "EXTERNAL FUNCTION":
        _check_python(kind, values)
    return values, extra


def _check_python(kind: str, values: dict[str, Any]) -> None:
    """Only Python bodies run here; and they need what Snowflake needs of them."""
    language = values.get("LANGUAGE", "SQL")
    if language != "PYTHON":
        raise unsupported(f"{kind} LANGUAGE {language}")
    for key in ("RUNTIME_VERSION", "HANDLER"):
        if key not in values:
            raise missing_option(key)
    if values["RUNTIME_VERSION"] not in RUNTIMES:
        raise invalid_value(values["RUNTIME_VERSION"], "RUNTIME_VERSION", ", ".join(RUNTIMES))
    packages = {package.split("=")[0].strip("<>! ") for package in values.get("PACKAGES", [])}
    if kind == "PROCEDURE" and "snowflake-snowpark-python" not in packages:
        raise compilation_error(
            391546, "22023", "Cannot create a Python procedure: snowflake-snowpark-python must be in PACKAGES."
        )
