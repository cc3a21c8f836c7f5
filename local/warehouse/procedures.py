"""CALL: procedures with Python bodies, run in the server with a small part of Snowpark's session.

What that part lacks is refused by name.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any

from local.warehouse import programs, values
from local.warehouse.catalog import Record
from local.warehouse.errors import SnowflakeError
from local.warehouse.names import full_name
from local.warehouse.results import Result
from local.warehouse.snowpark import Session as SnowparkSession
from local.warehouse.statements import Call

if TYPE_CHECKING:
    from local.warehouse.account import Account
    from local.warehouse.session import Session
    from local.warehouse.tables import Tables


class Procedures:
    """Calls an account's procedures. `execute` runs the statements of their bodies, inside the caller's statement."""

    def __init__(self, account: Account, tables: Tables, execute: Callable[[Session, str, Any], Result]) -> None:
        self._account = account
        self._tables = tables
        self._execute = execute

    def call(self, session: Session, statement: Call, bindings: Any = None) -> Result:
        """CALL: evaluate the arguments, run the handler, answer one row."""
        name = full_name("PROCEDURE", statement.name, session)
        record = programs.find(self._account, "PROCEDURE", name, len(statement.arguments))
        arguments = []
        texts = [text.split("=>")[-1] if "=>" in text else text for text in statement.arguments]
        defaults = [parameter["default"] for parameter in record["parameters"][len(texts) :]]
        if record["parameters"]:
            columns = ", ".join(
                f"({text})::{p['type']}" for text, p in zip([*texts, *defaults], record["parameters"], strict=True)
            )
            row = self._tables.execute(session, f"SELECT {columns}", bindings).rows[0]
            arguments = [values.to_python(value, p["type"]) for value, p in zip(row, record["parameters"], strict=True)]
        value = self._run(session, record, arguments)
        return Result(values.to_table(name[-1], value, record["returns"]), 0x1000)

    def _run(self, session: Session, record: Record, arguments: list[Any]) -> Any:
        """Run a procedure in the caller's session; with its owner's role unless it executes as its caller."""
        outside = session.transaction
        role, place = session.role, (session.database, session.schema)
        owner = record["execute_as"] == "OWNER"
        session.depth += 1
        try:
            if owner:
                session.role = record["owner"]
                session.use(*record["name"][:2])
            handler = programs.load(record["body"], record["key"], record["handler"])
            value = handler(SnowparkSession(session, partial(self._execute, session)), *arguments)
        except Exception as error:  # noqa: BLE001 - whatever a body raises is the procedure's failure
            if session.transaction is not outside:
                session.rollback()
            raise programs.failed(error, record) from error
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
