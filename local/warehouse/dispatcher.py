"""Statements: each goes to the module of its kind, one at a time for each session."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from local.warehouse import (
    access,
    containers,
    describe,
    dropped_tables,
    grammar,
    grants,
    guard,
    lookup,
    objects,
    show,
    show_grants,
    statement_timeout,
)
from local.warehouse.errors import SnowflakeError, unsupported
from local.warehouse.procedures import Procedures
from local.warehouse.results import Result, status
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
    Show,
    ShowGrants,
    Statement,
    Transaction,
    Undrop,
    Use,
)
from local.warehouse.tables import Tables
from local.warehouse.task_runs import TaskRuns

if TYPE_CHECKING:
    from local.warehouse.account import Account
    from local.warehouse.session import Session

Handler = Callable[["Account", "Session", Any], Result]


class Dispatcher:
    """Runs the statements of an account, those of procedures and tasks too."""

    def __init__(self, account: Account) -> None:
        self.account = account
        self.task_runs = TaskRuns(account, self.execute)
        self._tables = Tables(account)
        self._procedures = Procedures(account, self._tables, self.execute_inside)

    def execute(self, session: Session, sql: str, bindings: Any = None) -> Result:
        """Run one statement. Raises SnowflakeError for everything that is refused."""
        with session.busy:
            return self.execute_inside(session, sql, bindings)

    def execute_inside(self, session: Session, sql: str, bindings: Any = None) -> Result:
        """Run one statement for a procedure that runs in the session already."""
        query_id = session.start_statement()
        try:
            with self.account.queries.record(session, query_id, sql), statement_timeout.limited(self.account, session):
                return self._run(session, sql, bindings, query_id)
        except SnowflakeError as error:
            error.query_id = error.query_id or query_id
            raise
        finally:
            session.last_query_id = query_id

    def _run(self, session: Session, sql: str, bindings: Any, query_id: str) -> Result:
        self.account.faults.strike(sql)
        statement = grammar.parse(sql)
        if not isinstance(statement, Transaction):
            session.refuse_if_broken()
        if session.owners_rights and isinstance(statement, (Use, AlterSession)):
            raise _no_session_of_its_own(sql)
        if statement is None:
            result = self._tables.execute(session, sql, bindings)
        elif (unseen := guard.check(self.account, session, statement)) is not None:
            result = unseen
        elif isinstance(statement, Call):
            result = self._procedures.call(session, statement, bindings)
        elif isinstance(statement, ExecuteTask):
            result = self.task_runs.execute(session, statement)
        else:
            result = _HANDLERS[type(statement)](self.account, session, statement)
        result.query_id = query_id
        return result

    def describe(self, session: Session, sql: str) -> Result:
        """What a statement would answer, without running it."""
        with session.busy:
            session.start_statement()
            if grammar.parse(sql) is not None:
                return status("")
            return self._tables.describe(session, sql)


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


def _no_session_of_its_own(sql: str) -> SnowflakeError:
    """090236: a procedure with its owner's rights may not change its caller's session."""
    what = "_".join(sql.upper().split()[: 2 if sql.upper().lstrip().startswith("ALTER") else 1])
    return SnowflakeError(90236, "42601", f"Stored procedure execution error: Unsupported statement type '{what}'.")


def _transaction(account: Account, session: Session, statement: Transaction) -> Result:
    if session.transaction is not None and session.transaction is session.outside:
        raise unsupported(f"{statement.action} in a procedure that was called in an open transaction")
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
    Undrop: dropped_tables.undrop,
    Describe: describe.describe,
    Show: show.show,
    ShowGrants: show_grants.show,
    Grant: grants.grant,
    GrantRole: access.grant_role,
    Use: _use,
    Transaction: _transaction,
    AlterSession: _alter_session,
    Comment: objects.comment,
}
