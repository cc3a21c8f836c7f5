"""The account: its catalogue, its databases in DuckDB, its sessions; one statement at a time for each session."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sqlglot import exp

from local.warehouse import (
    access,
    containers,
    describe,
    fakesnow_repairs,
    grammar,
    lookup,
    objects,
    programs,
    show,
    table_rules,
    tasks,
)
from local.warehouse.catalog import Catalog, Record
from local.warehouse.errors import SnowflakeError, invalid_value, missing
from local.warehouse.lexer import Reader
from local.warehouse.locks import TableLocks
from local.warehouse.names import dotted, full_name
from local.warehouse.results import Result, status
from local.warehouse.session import Session
from local.warehouse.statements import (
    Alter,
    AlterSession,
    Call,
    Comment,
    Create,
    Describe,
    Drop,
    ExecuteTask,
    Grant,
    GrantRole,
    Name,
    Show,
    ShowGrants,
    Statement,
    Transaction,
    Use,
)
from local.warehouse.streams import has_data
from local.warehouse.tables import Tables

if TYPE_CHECKING:
    import duckdb

Handler = Callable[["Account", Session, Any], Result]


class Account:
    """Everything behind the protocol. `folder` holds databases and catalogue, and they outlive the process."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        fakesnow_repairs.install()
        self.duck: duckdb.DuckDBPyConnection = fakesnow_repairs.open_duckdb(folder)
        self.catalog = Catalog(folder / "catalog.json")
        self.locks = TableLocks(self._abandoned)
        self.sessions: dict[str, Session] = {}
        self.tables = Tables(self)
        self.task_history: list[dict[str, Any]] = []
        self.running_tasks: set[str] = set()
        self.task_guard = threading.Lock()
        containers.open_all(self)
        access.seed(self.catalog)
        programs.install(self)

    def close(self) -> None:
        """End all sessions and write everything to disk. What still runs is cut off; it was not committed."""
        sessions = list(self.sessions.values())
        for session in sessions:
            session.duck.interrupt()
        closed = [session.close(patience=0.2) for session in sessions]
        if all(closed):
            self.duck.close()

    # --- sessions

    def open_session(self, user: str, role: str) -> Session:
        """A new session."""
        session = Session(fakesnow_repairs.connect(self.duck, self.folder), self.locks, user, role)
        session.apply_time_zone()
        self.sessions[session.id] = session
        return session

    def close_session(self, session: Session) -> None:
        """End a session; what it left open is rolled back."""
        self.sessions.pop(session.id, None)
        session.close()

    def _abandoned(self, session_id: str) -> bool:
        session = self.sessions.get(session_id)
        return session is not None and session.give_up()

    def session_by_id(self, session_id: str) -> Session:
        """The session that a function call inside DuckDB belongs to."""
        return self.sessions[session_id]

    # --- statements

    def execute(self, session: Session, sql: str, bindings: Any = None) -> Result:
        """Run one statement. Raises SnowflakeError for everything that is refused."""
        with session.busy:
            return self.execute_inside(session, sql, bindings)

    def execute_inside(self, session: Session, sql: str, bindings: Any = None) -> Result:
        """Run one statement for a procedure that runs in the session already."""
        query_id = session.start_statement()
        try:
            statement = grammar.parse(sql)
            if not isinstance(statement, Transaction):
                session.refuse_if_broken()
            if statement is None:
                result = self.tables.execute(session, sql, bindings)
            elif isinstance(statement, Call):
                result = programs.call(self, session, statement, bindings)
            else:
                result = _HANDLERS[type(statement)](self, session, statement)
        except SnowflakeError as error:
            error.query_id = error.query_id or query_id
            raise
        finally:
            session.last_query_id = query_id
        result.query_id = query_id
        return result

    def describe(self, session: Session, sql: str) -> Result:
        """What a statement would answer, without running it."""
        with session.busy:
            session.start_statement()
            if grammar.parse(sql) is not None:
                return status("")
            return self.tables.describe(session, sql)

    def check_text(self, sql: str) -> None:
        """Raise if a text is no statement, without running it."""
        if grammar.parse(sql) is None:
            table_rules.parse(sql)

    def function_names(self) -> set[str]:
        """The last parts of the names of the account's own functions."""
        return {record["name"][-1] for record in self.catalog.all("FUNCTION")}

    def stream_has_data(self, session: Session, node: exp.Expr) -> exp.Expr:
        """SYSTEM$STREAM_HAS_DATA('…') as its value now."""
        arguments = node.expressions
        if len(arguments) != 1 or not isinstance(arguments[0], exp.Literal):
            raise invalid_value(node.sql("snowflake"), "SYSTEM$STREAM_HAS_DATA", "one stream's name as a string")
        name = full_name("STREAM", Reader(arguments[0].name).name(), session)
        return exp.Boolean(this=has_data(self, session, name))

    # --- databases and schemas

    def need_container(self, kind: str, name: Name) -> Record:
        """The database or schema, or 002043."""
        record = self.catalog.get(kind, name)
        if record is None:
            raise missing(kind, dotted(name))
        return record

    def need_schema(self, name: Name) -> Record:
        """The schema, or 002043 for it or its database."""
        self.need_container("DATABASE", name[:1])
        return self.need_container("SCHEMA", name)

    def refuse_imported(self, name: Name) -> None:
        """Raise 003001 for a change of what another account shares."""
        record = self.catalog.get("DATABASE", name[:1])
        if record is not None and record.get("imported"):
            raise SnowflakeError(
                3001, "42501", f"SQL access control error:\nInsufficient privileges to operate on schema '{name[1]}'."
            )

    def create_container(self, session: Session, statement: Create) -> Result:
        """CREATE DATABASE and CREATE SCHEMA."""
        return containers.create(self, session, statement)

    def drop_container(self, session: Session, statement: Drop) -> Result:
        """DROP DATABASE and DROP SCHEMA."""
        return containers.drop(self, session, statement)


def _use(account: Account, session: Session, statement: Use) -> Result:
    if statement.kind == "ROLE":
        return access.use_role(account, session, statement.name[0])
    if statement.kind == "WAREHOUSE":
        access.need_warehouse(account.catalog, statement.name[0])
        session.warehouse = statement.name[0]
    elif statement.kind == "SECONDARY ROLES":
        session.secondary_roles = statement.name[0]
    else:
        containers.use(account, session, statement)
    return status(lookup.EXECUTED)


def _transaction(account: Account, session: Session, statement: Transaction) -> Result:
    {"BEGIN": session.begin, "COMMIT": session.commit, "ROLLBACK": session.rollback}[statement.action]()
    return status(lookup.EXECUTED)


def _alter_session(account: Account, session: Session, statement: AlterSession) -> Result:
    if "AUTOCOMMIT" in statement.parameters:
        session.commit()
    session.parameters |= statement.parameters
    if "TIMEZONE" in statement.parameters:
        session.apply_time_zone()
    return status(lookup.EXECUTED)


_HANDLERS: dict[type[Statement], Handler] = {
    Create: objects.create,
    Alter: objects.alter,
    Drop: objects.drop,
    Describe: describe.describe,
    Show: show.show,
    ShowGrants: access.show,
    Grant: access.grant,
    GrantRole: access.grant_role,
    Use: _use,
    ExecuteTask: tasks.execute,
    Transaction: _transaction,
    AlterSession: _alter_session,
    Comment: objects.comment,
}
