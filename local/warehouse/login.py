"""A login: who it is, in which role, and what becomes current."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from local.warehouse import access, protocol, users
from local.warehouse.catalog import Catalog
from local.warehouse.session import DEFAULTS, Session

if TYPE_CHECKING:
    from local.warehouse.account import Account


def open_session(account: Account, data: dict[str, Any], wanted: Mapping[str, str], password: str | None) -> Session:
    """A session for a user who proves to be one. `password` is ADMIN's; without one nobody logs in as ADMIN."""
    user = users.log_in(account.catalog, data, password)
    role = access.login_role(account.catalog, user, protocol.name(wanted.get("roleName")))
    session = account.open_session(user["key"], role)
    for key, value in (data.get("SESSION_PARAMETERS") or {}).items():
        if key.upper() in DEFAULTS and value is not None:
            session.parameters[key.upper()] = protocol.parameter(key.upper(), value)
    session.apply_time_zone()
    namespace = str(user.get("DEFAULT_NAMESPACE") or "").split(".")
    database = protocol.name(wanted.get("databaseName")) or namespace[0] or None
    schema = protocol.name(wanted.get("schemaName")) or (namespace[1] if len(namespace) > 1 else None)
    warehouse = protocol.name(wanted.get("warehouse")) or user.get("DEFAULT_WAREHOUSE")
    _start_in(account.catalog, session, database, schema, warehouse)
    return session


def _start_in(
    catalog: Catalog, session: Session, database: str | None, schema: str | None, warehouse: str | None
) -> None:
    """What a login names becomes current if it exists; Snowflake is silent about what does not."""
    if database is not None and catalog.get("DATABASE", (database,)) is not None:
        wanted = schema or "PUBLIC"
        session.use(database, wanted if catalog.get("SCHEMA", (database, wanted)) is not None else None)
    if warehouse is not None and catalog.get("WAREHOUSE", (warehouse,)) is not None:
        session.warehouse = warehouse
