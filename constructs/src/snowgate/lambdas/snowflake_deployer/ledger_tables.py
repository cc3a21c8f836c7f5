"""The schema in which the deploys keep their record: its tables, and how they are made and written."""

from __future__ import annotations

import datetime
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from .connection import GONE, Session, StatementFailed, identifier, literal

SCHEMA = "DEPLOYMENT"
EXISTS = 2002

Value = str | int | bool | datetime.datetime | None


class NotPrepared(RuntimeError):
    """What only an administrator makes is not there."""


@dataclass(frozen=True)
class LedgerTables:
    """The names of the record's tables in one database."""

    database: str

    @property
    def history(self) -> str:
        """One row a statement of each attempt to run a file."""
        return f"{self.database}.{SCHEMA}.DEPLOYMENT_HISTORY"

    @property
    def objects(self) -> str:
        """One row an object that a file makes."""
        return f"{self.database}.{SCHEMA}.DEPLOYMENT_OBJECT"

    @property
    def lock(self) -> str:
        """One row in all: who deploys now, and which tasks of others stand still for it."""
        return f"{self.database}.{SCHEMA}.DEPLOYMENT_LOCK"

    def make(self, session: Session) -> None:
        """Make what is missing; the lock's table last, so that everything is there as soon as it is.

        Raises:
            NotPrepared: the database is not there, or the role may not use it.
        """
        place = "make the deployment's own tables"
        try:
            session.run(f"USE DATABASE {self.database}", place, changes=False)
        except StatementFailed as error:
            if error.errno not in GONE:
                raise
            raise not_prepared(f"Database {self.database}", session) from error
        for statement in self.definitions():
            try:
                session.run(statement, place)
            except StatementFailed as error:
                if error.errno != EXISTS:
                    raise

    def definitions(self) -> list[str]:
        """The statements that make the schema; the last one, run again, fails because its table is there."""
        return [
            f"CREATE SCHEMA IF NOT EXISTS {self.database}.{SCHEMA} COMMENT = 'What Snowgate has deployed here'",
            f"CREATE TABLE IF NOT EXISTS {self.history} ("
            "STACK VARCHAR NOT NULL, DEPLOYMENT_ID VARCHAR NOT NULL, ATTEMPT_ID VARCHAR NOT NULL, "
            "FILE_NAME VARCHAR NOT NULL, FILE_DIGEST VARCHAR NOT NULL, STATEMENT_NUMBER NUMBER(38, 0) NOT NULL, "
            "STATEMENT_DIGEST VARCHAR NOT NULL, STATEMENT VARCHAR NOT NULL, PLANNED_AT TIMESTAMP_NTZ NOT NULL, "
            "OUTCOME VARCHAR NOT NULL, QUERY_ID VARCHAR, STARTED_AT TIMESTAMP_NTZ, ENDED_AT TIMESTAMP_NTZ, "
            "ERROR VARCHAR) COMMENT = 'Every statement of every deploy; times are UTC'",
            f"CREATE TABLE IF NOT EXISTS {self.objects} ("
            "STACK VARCHAR NOT NULL, KIND VARCHAR NOT NULL, NAME VARCHAR NOT NULL, KEPT BOOLEAN NOT NULL, "
            "FILE_NAME VARCHAR NOT NULL, POSITION NUMBER(38, 0) NOT NULL, FACTS VARCHAR, GRANTS VARCHAR, "
            "SETTLED BOOLEAN NOT NULL, DEPLOYMENT_ID VARCHAR NOT NULL, RECORDED_AT TIMESTAMP_NTZ NOT NULL) "
            "COMMENT = 'What the deploys have made, and what Snowflake said about it then'",
            # With its row at once: two rows would be two locks. There is no IF NOT EXISTS for it.
            f"CREATE TABLE {self.lock} COMMENT = 'Who deploys now' AS SELECT CAST(NULL AS VARCHAR) AS HOLDER, "
            "CAST(NULL AS VARCHAR) AS STACK, CAST(NULL AS TIMESTAMP_NTZ) AS ACQUIRED_AT, "
            "CAST(NULL AS TIMESTAMP_NTZ) AS EXPIRES_AT, CAST(NULL AS VARCHAR) AS SUSPENDED",
        ]


def use_warehouse(session: Session, warehouse: str) -> None:
    """Let the session's queries run on the warehouse.

    Raises:
        NotPrepared: it is not there, or the role may not use it.
    """
    try:
        session.run(f"USE WAREHOUSE {identifier(warehouse, 'Warehouse')}", "use the warehouse", changes=False)
    except StatementFailed as error:
        if error.errno not in GONE:
            raise
        raise not_prepared(f"Warehouse {warehouse}", session) from error


def not_prepared(what: str, session: Session) -> NotPrepared:
    """The error for something that the bootstrap makes."""
    return NotPrepared(
        f"{what} does not exist, or role {session.login.role} may not use it: an ACCOUNTADMIN runs the file of "
        "`make snowflake-bootstrap` first."
    )


def values(names: Sequence[str], rows: Iterable[Sequence[Value]]) -> str:
    """Rows as a table N with these columns, for a FROM or USING."""
    listed = ", ".join(f"({', '.join(map(_value, row))})" for row in rows)
    return f"(VALUES {listed}) AS N ({', '.join(names)})"


def _value(value: Value) -> str:
    if value is None:
        return "NULL"
    if isinstance(value, bool):
        return str(value).upper()
    if isinstance(value, datetime.datetime):
        return f"'{value:%Y-%m-%d %H:%M:%S.%f}'::TIMESTAMP_NTZ"
    return str(value) if isinstance(value, int) else literal(value)
