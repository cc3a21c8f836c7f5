"""Databases and schemas: a DuckDB file for each database, a DuckDB schema for each schema."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from local.warehouse import access, dropped_tables, fakesnow_repairs
from local.warehouse.errors import compilation_error, exists, missing, unsupported
from local.warehouse.names import dotted, full_name, quoted
from local.warehouse.results import Result, status
from local.warehouse.statements import Create, Drop, Name, Use
from local.warehouse.streams import HIDDEN

if TYPE_CHECKING:
    from local.warehouse.account import Account
    from local.warehouse.session import Session

logger = logging.getLogger(__name__)
_RESERVED = {"SYSTEM", "TEMP", "MEMORY", "SNOWFLAKE"}


def create(account: Account, session: Session, statement: Create) -> Result:
    """CREATE DATABASE (with a schema PUBLIC) or CREATE SCHEMA; it becomes current."""
    kind, name = statement.kind, full_name(statement.kind, statement.name, session)
    if any(quoted(part) != part for part in name) or name[-1] in _RESERVED:
        raise unsupported(f"{kind} named {dotted(name)}")
    if account.catalog.get(kind, name) is not None:
        if not statement.if_not_exists and not statement.or_replace:
            raise exists(name[-1])
        if statement.if_not_exists:
            return status(f"{name[-1]} already exists, statement succeeded.")
        _remove(account, session, kind, name)
    if kind == "DATABASE":
        _delete_files(account, name[0])
        fakesnow_repairs.attach(account.duck, account.folder, name[0])
        session.duck.execute(f'CREATE SCHEMA IF NOT EXISTS "{name[0]}"."PUBLIC"')
        account.catalog.add("SCHEMA", (name[0], "PUBLIC"), session.role, COMMENT="")
        schema = "PUBLIC"
    else:
        if account.catalog.get("DATABASE", name[:1]) is None:
            raise missing("DATABASE", name[0])
        account.refuse_imported(name)
        session.duck.execute(f'CREATE SCHEMA IF NOT EXISTS "{name[0]}"."{name[1]}"')
        schema = name[1]
    account.catalog.add(kind, name, session.role, **({"COMMENT": ""} | statement.clauses))
    session.use(name[0], schema)
    return status(f"{kind.capitalize()} {name[-1]} successfully created.")


def drop(account: Account, session: Session, statement: Drop) -> Result:
    """DROP DATABASE or DROP SCHEMA, with everything in it."""
    kind, name = statement.kind, full_name(statement.kind, statement.name, session)
    if account.catalog.get(kind, name) is None:
        if statement.if_exists:
            return status("Drop statement executed successfully (object already dropped).")
        raise missing(kind, dotted(name))
    _remove(account, session, kind, name)
    return status(f"{name[-1]} successfully dropped.")


def _remove(account: Account, session: Session, kind: str, name: Name) -> None:
    if kind == "SCHEMA":
        session.duck.execute(f'DROP SCHEMA "{name[0]}"."{name[1]}" CASCADE')
        if (session.database, session.schema) == name:
            session.use(name[0], None)
    else:
        for other in list(account.sessions.values()):
            if other.database == name[0]:
                if other is not session:
                    raise compilation_error(
                        1420,
                        "55006",
                        f"Database '{name[0]}' is current in another session; the stand-in cannot drop it now.",
                    )
                other.connection.database_set = other.connection.schema_set = False
                other.duck.execute("USE memory")
        account.duck.execute(f'DETACH "{name[0]}"')
        _delete_files(account, name[0])
    access.forget_within(account, name)
    account.catalog.drop_within(name)
    account.catalog.drop(kind, dotted(name))


def _delete_files(account: Account, database: str) -> None:
    for suffix in (".db", ".db.wal"):
        (account.folder / f"{database}{suffix}").unlink(missing_ok=True)


def use(account: Account, session: Session, statement: Use) -> None:
    """USE DATABASE (its PUBLIC schema becomes current, if there is one) or USE SCHEMA."""
    name = full_name(statement.kind, statement.name, session)
    if account.catalog.get(statement.kind, name) is None:
        raise missing(statement.kind, dotted(name))
    schema = name[1] if statement.kind == "SCHEMA" else None
    if schema is None and account.catalog.get("SCHEMA", (name[0], "PUBLIC")) is not None:
        schema = "PUBLIC"
    session.use(name[0], schema)


def open_all(account: Account) -> None:
    """Attach every database of the catalogue, and mend what a crash left between DuckDB and the catalogue.

    DDL answers after both have changed. A table that only DuckDB has was not yet created, one that only the catalogue
    has was being dropped: both go.
    """
    for database in account.catalog.all("DATABASE"):
        fakesnow_repairs.attach(account.duck, account.folder, database["key"])
    known = {tuple(r["name"]): kind for kind in _HELD for r in account.catalog.all(kind)}
    there = _in_duckdb(account)
    for name, kind in there.items():
        if name not in known:
            logger.warning("%s %s is not in the catalogue: its CREATE was cut off; dropped.", kind, dotted(name))
            account.duck.execute(f"DROP {kind} " + ".".join(f'"{part}"' for part in name))
    for name, kind in known.items():
        if name not in there:
            logger.warning("%s %s is not in DuckDB: its DROP was cut off; forgotten.", kind, dotted(name))
            account.catalog.drop(kind, dotted(name))


_HELD = ("TABLE", "VIEW", "SEQUENCE", dropped_tables.KIND)
_LISTS = {
    "TABLE": "SELECT database_name, schema_name, table_name FROM duckdb_tables() WHERE NOT internal",
    "VIEW": "SELECT database_name, schema_name, view_name FROM duckdb_views() WHERE NOT internal",
    "SEQUENCE": "SELECT database_name, schema_name, sequence_name FROM duckdb_sequences()",
}


def _in_duckdb(account: Account) -> dict[Name, str]:
    databases = {record["key"] for record in account.catalog.all("DATABASE")}
    return {
        tuple(row): kind
        for kind, sql in _LISTS.items()
        for row in account.duck.execute(sql).fetchall()
        if row[0] in databases and row[1] not in (HIDDEN, "main")
    }
