"""Procedures and functions with Python bodies: made, found, and their handlers loaded as they were deployed."""

from __future__ import annotations

import builtins
import linecache
import re
import sys
import traceback
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

from local.warehouse import egress
from local.warehouse.catalog import Record
from local.warehouse.errors import SnowflakeError, compilation_error, invalid_value, unknown_function, unsupported
from local.warehouse.names import dotted, full_name
from local.warehouse.statements import Create, Name

if TYPE_CHECKING:
    from local.warehouse.account import Account
    from local.warehouse.session import Session

T = TypeVar("T")

# What PACKAGES may name here, and what a body then may import. Anaconda's channel has far more.
PACKAGES = {"requests": "requests", "snowflake-snowpark-python": "snowflake"}


def make(account: Account, session: Session, statement: Create, name: Name) -> dict[str, Any]:
    """The record of a new procedure or function. A body that is no Python is refused here, as Snowflake does."""
    extra, clauses = statement.extra, statement.clauses
    integrations = [
        account.catalog.need("INTEGRATION", full_name("INTEGRATION", integration, session))
        for integration in clauses.get("EXTERNAL_ACCESS_INTEGRATIONS", [])
    ]
    secrets = {}
    for key, secret in clauses.get("SECRETS", []):
        secrets[key] = account.catalog.need("SECRET", full_name("SECRET", secret, session))["key"]
    check_external_access(integrations, secrets)
    for package in _packages(clauses.get("PACKAGES", [])):
        if package not in PACKAGES:
            raise unsupported(f"PACKAGES = ('{package}')")
    _compiled(extra["body"], dotted(name))
    return {
        "language": "PYTHON",
        "parameters": [vars(p) for p in extra["parameters"]],
        "returns": extra["returns"],
        "body": extra["body"],
        "handler": clauses["HANDLER"],
        "runtime": clauses["RUNTIME_VERSION"],
        "packages": clauses.get("PACKAGES", []),
        "execute_as": clauses.get("EXECUTE AS", "OWNER"),
        "integrations": [integration["key"] for integration in integrations],
        "secrets": secrets,
        "comment": clauses.get("COMMENT", ""),
        "strict": bool({"STRICT", "RETURNS NULL ON NULL INPUT"} & set(clauses)),
    }


def check_external_access(integrations: list[Record], secrets: Mapping[str, str]) -> None:
    """Raise for an integration of another type, and for a secret that none of them allows."""
    for integration in integrations:
        if integration["type"] != "EXTERNAL_ACCESS":
            allowed = "external access integrations"
            raise invalid_value(integration["key"], "EXTERNAL_ACCESS_INTEGRATIONS", allowed)
    for secret in secrets.values():
        if not any(egress.is_allowed(integration, secret) for integration in integrations):
            allowed = "secrets in ALLOWED_AUTHENTICATION_SECRETS of one of the EXTERNAL_ACCESS_INTEGRATIONS"
            raise invalid_value(secret, "SECRETS", allowed)


def _packages(clauses: Sequence[str]) -> set[str]:
    """The names without their versions."""
    return {re.split("[=<>! ]", clause.strip())[0].lower() for clause in clauses}


def handler(account: Account, record: Record) -> Callable[..., Any]:
    """A program's handler; while it runs it reaches what its integrations allow and nothing else.

    Raises 100357 for a body that does not load, and whatever the body raises while it loads.
    """
    access = egress.access_of(account, record)
    with egress.only(access):
        found = _load(record)

    def run(*arguments: Any) -> Any:
        with egress.only(access):
            return found(*arguments)

    return run


def _compiled(body: str, name: str) -> Any:
    try:
        return compile(body, name, "exec")
    except SyntaxError as error:
        raise compilation_error(
            100357, "P0000", f"Python Interpreter Error:\nSyntaxError: {error.msg} (line {error.lineno}) in {name}"
        ) from None


def _load(record: Record) -> Any:
    body, name = record["body"], record["key"]
    code = _compiled(body, name)
    linecache.cache[name] = (len(body), None, body.splitlines(keepends=True), name)
    space: dict[str, Any] = {"__name__": "_udf_code", "__builtins__": vars(builtins) | {"__import__": _import(record)}}
    exec(code, space)  # noqa: S102
    found = space.get(record["handler"])
    if not callable(found):
        raise compilation_error(100357, "P0000", f"Could not find the handler '{record['handler']}' in {name}.")
    return found


def _import(record: Record) -> Callable[..., Any]:
    """The import of a body: Python's own modules, `_snowflake`, and the packages that it names."""
    allowed = {*sys.stdlib_module_names, "_snowflake"}
    allowed |= {PACKAGES[package] for package in _packages(record["packages"]) if package in PACKAGES}

    def load(name: str, *arguments: Any, **options: Any) -> Any:
        if name.split(".")[0] not in allowed:
            raise ModuleNotFoundError(f"No module named '{name}'. PACKAGES must name what a body imports.")
        return builtins.__import__(name, *arguments, **options)

    return load


def bind(
    account: Account, kind: str, name: Name, given: Sequence[T], named: Mapping[str, T]
) -> tuple[Record, list[T | None]]:
    """The program that fits a call, and its arguments in order, None where the parameter's default stands in.

    Raises 002140 or 001044 as Snowflake does.
    """
    found = [record for record in account.catalog.all(kind) if tuple(record["name"]) == name]
    if not found:
        raise unknown_function(dotted(name))
    fitting = [record for record in found if _fits(record, len(given), set(named))]
    if not fitting:
        names = f", named {', '.join(named)}" if named else ""
        raise compilation_error(
            1044,
            "42P13",
            f"Invalid argument types for function '{dotted(name)}': "
            f"it was given {len(given) + len(named)} argument(s){names}.",
        )
    if len(fitting) > 1:
        raise unsupported(f"overloads of {dotted(name)} with the same number of arguments")
    rest = fitting[0]["parameters"][len(given) :]
    return fitting[0], [*given, *(named.get(parameter["name"]) for parameter in rest)]


def _fits(record: Record, count: int, names: set[str]) -> bool:
    rest = record["parameters"][count:]
    needed = {parameter["name"] for parameter in rest if parameter["default"] is None}
    return count <= len(record["parameters"]) and needed <= names <= {parameter["name"] for parameter in rest}


def failed(error: BaseException, record: Record) -> SnowflakeError:
    """100357 for what a body raised, with the body's own lines of the traceback."""
    frames = [f for f in traceback.extract_tb(error.__traceback__) if f.filename == record["key"]]
    where = "".join(f'  File "{f.filename}", line {f.lineno}, in {f.name}\n' for f in frames)
    return SnowflakeError(
        100357,
        "P0000",
        f"Python Interpreter Error:\nTraceback (most recent call last):\n{where}{type(error).__name__}: {error}\n"
        f" in function {record['name'][-1]} with handler {record['handler']}",
    )
