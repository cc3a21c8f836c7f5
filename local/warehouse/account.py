"""The account: its catalogue, its databases in DuckDB and its sessions."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from local.warehouse import fakesnow_repairs, future_grants
from local.warehouse.authority import Authority
from local.warehouse.catalog import Catalog, Record
from local.warehouse.errors import SnowflakeError, missing
from local.warehouse.faults import Faults
from local.warehouse.locks import TableLocks
from local.warehouse.names import dotted
from local.warehouse.query_log import QueryLog
from local.warehouse.session import Session
from local.warehouse.statements import Name

if TYPE_CHECKING:
    import duckdb


class Account:
    """What all sessions share. `folder` holds databases and catalogue, and they outlive the process."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        fakesnow_repairs.install()
        self.duck: duckdb.DuckDBPyConnection = fakesnow_repairs.open_duckdb(folder)
        self.catalog = Catalog(folder / "catalog.json")
        self.catalog.added = lambda record: future_grants.give(self.catalog, record)
        self.authority = Authority(self.catalog)
        self.locks = TableLocks(self._abandoned)
        self.sessions: dict[str, Session] = {}
        self.task_history: list[dict[str, Any]] = []
        self.queries = QueryLog()
        self.faults = Faults()

    def close(self) -> None:
        """End all sessions and write everything to disk. What still runs is cut off; it was not committed."""
        sessions = list(self.sessions.values())
        for session in sessions:
            session.interrupt()
        closed = [session.close(patience=0.2) for session in sessions]
        if all(closed):
            self.duck.close()

    # --- sessions

    def open_session(self, user: str, role: str) -> Session:
        """A new session, with the secondary roles that its user starts with: all, unless the user has none."""
        session = Session(fakesnow_repairs.connect(self.duck, self.folder), self.locks, user, role)
        record = self.catalog.get("USER", (user,))
        session.secondary_roles = "ALL" if record and record.get("DEFAULT_SECONDARY_ROLES", ["ALL"]) else "NONE"
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

    # --- lookups

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

    def function_names(self) -> set[str]:
        """The last parts of the names of the account's own functions."""
        return {record["name"][-1] for record in self.catalog.all("FUNCTION")}
