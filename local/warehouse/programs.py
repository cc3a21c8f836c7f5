"""Procedures and functions with Python bodies: made, found, and their handlers loaded as they were deployed."""

from __future__ import annotations

import linecache
import traceback
from typing import TYPE_CHECKING, Any

from local.warehouse.catalog import Record
from local.warehouse.errors import SnowflakeError, compilation_error, unknown_function, unsupported
from local.warehouse.names import dotted, full_name
from local.warehouse.statements import Create, Name

if TYPE_CHECKING:
    from local.warehouse.account import Account
    from local.warehouse.session import Session


def make(account: Account, session: Session, statement: Create, name: Name) -> dict[str, Any]:
    """The record of a new procedure or function. A body that is no Python is refused here, as Snowflake does."""
    extra, clauses = statement.extra, statement.clauses
    for integration in clauses.get("EXTERNAL_ACCESS_INTEGRATIONS", []):
        account.catalog.need("INTEGRATION", full_name("INTEGRATION", integration, session))
    secrets = {}
    for key, secret in clauses.get("SECRETS", []):
        secrets[key] = account.catalog.need("SECRET", full_name("SECRET", secret, session))["key"]
    load(extra["body"], dotted(name), clauses["HANDLER"], run=False)
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


def load(body: str, name: str, handler: str, *, run: bool = True) -> Any:
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


def failed(error: Exception, record: Record) -> SnowflakeError:
    """100357 for what a body raised, with the body's own lines of the traceback."""
    frames = [f for f in traceback.extract_tb(error.__traceback__) if f.filename == record["key"]]
    where = "".join(f'  File "{f.filename}", line {f.lineno}, in {f.name}\n' for f in frames)
    return SnowflakeError(
        100357,
        "P0000",
        f"Python Interpreter Error:\nTraceback (most recent call last):\n{where}{type(error).__name__}: {error}\n"
        f" in function {record['name'][-1]} with handler {record['handler']}",
    )
