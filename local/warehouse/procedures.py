"""CALL: procedures with Python bodies, run in the server with a small part of Snowpark's session.

What that part lacks is refused by name. Sources: Snowflake's pages "Understanding caller's rights and owner's rights
stored procedures" and "Transactions" (Scoped transactions).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

from local.warehouse import programs, values
from local.warehouse.catalog import Record
from local.warehouse.errors import SnowflakeError, compilation_error
from local.warehouse.names import full_name
from local.warehouse.results import Result
from local.warehouse.snowpark import Session as SnowparkSession
from local.warehouse.statements import Call

if TYPE_CHECKING:
    from local.warehouse.account import Account
    from local.warehouse.session import Session
    from local.warehouse.tables import Tables

_NAMED = re.compile(r'\s*(?:"([^"]+)"|([A-Za-z_][\w$]*))\s*=>')


class Procedures:
    """Calls an account's procedures. `execute` runs the statements of their bodies, inside the caller's statement."""

    def __init__(self, account: Account, tables: Tables, execute: Callable[[Session, str, Any], Result]) -> None:
        self._account = account
        self._tables = tables
        self._execute = execute

    def call(self, session: Session, statement: Call, bindings: Any = None) -> Result:
        """CALL: evaluate the arguments, run the handler, answer one row."""
        name = full_name("PROCEDURE", statement.name, session)
        given, named = _by_position_and_name(statement.arguments)
        record, places = programs.bind(self._account, "PROCEDURE", name, range(given), named)
        arguments = self._evaluate(session, record, places, statement.arguments, bindings)
        value = self._run(session, record, arguments)
        return Result(values.to_table(name[-1], value, record["returns"]), 0x1000)

    def _evaluate(
        self, session: Session, record: Record, places: list[int | None], texts: Sequence[str], bindings: Any
    ) -> list[Any]:
        """The values of a call's parameters: of the argument in that place, or of the parameter's default."""
        parameters = record["parameters"]
        if not parameters:
            return []
        # In the order of the call, for that is the order of its bound values.
        order = sorted(range(len(parameters)), key=lambda at: (places[at] is None, places[at] or 0))
        columns = []
        for at in order:
            place, parameter = places[at], parameters[at]
            text = parameter["default"] if place is None else _NAMED.sub("", texts[place], count=1)
            columns.append(f"({text})::{parameter['type']}")
        row = self._tables.execute(session, f"SELECT {', '.join(columns)}", bindings).rows[0]
        found = dict(zip(order, row, strict=True))
        return [values.to_python(found[at], parameter["type"]) for at, parameter in enumerate(parameters)]

    def _run(self, session: Session, record: Record, arguments: list[Any]) -> Any:
        """Run a procedure in the caller's session; with its owner's role unless it executes as its caller."""
        outside, around = session.transaction, (session.outside, session.owners_rights)
        role, secondary, place = session.role, session.secondary_roles, (session.database, session.schema)
        owner = record["execute_as"] == "OWNER"
        session.depth += 1
        session.outside, session.owners_rights = outside, owner or session.owners_rights
        try:
            if owner:
                session.role, session.secondary_roles = record["owner"], "NONE"
                session.use(*record["name"][:2])
            handler = programs.handler(self._account, record)
            value = handler(SnowparkSession(session, partial(self._execute, session)), *arguments)
        except BaseException as error:  # noqa: BLE001 - whatever a body raises is the procedure's failure
            if session.transaction is not outside:
                session.rollback()
            raise programs.failed(error, record) from error
        finally:
            session.depth -= 1
            session.outside, session.owners_rights = around
            if owner:
                session.role, session.secondary_roles = role, secondary
                session.use(*place)
        if session.transaction is not outside and session.transaction is not None and session.autocommit:
            session.rollback()
            raise SnowflakeError(
                90232,
                "25000",
                f"Stored procedure {record['key']}: a transaction started in it was not finished; it was rolled back.",
            )
        return value


def _by_position_and_name(texts: Sequence[str]) -> tuple[int, dict[str, int]]:
    """How many arguments of a call have no name, and the places of those that have (`day => …`). Raises 001003."""
    names = [_NAMED.match(text) for text in texts]
    given = names.count(None)
    if None in names[given:]:
        raise compilation_error(1003, "42000", "syntax error: arguments by name come after all those by position.")
    return given, {match[1] or match[2].upper(): at for at, match in enumerate(names) if match}
