"""May this session grant or revoke that? Asked by `grants` once it has found the objects.

Sources: Snowflake's pages "GRANT <privileges> … TO ROLE", "GRANT OWNERSHIP", "CREATE SCHEMA" (WITH MANAGED ACCESS).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from local.warehouse import guard
from local.warehouse.catalog import Record
from local.warehouse.errors import SnowflakeError
from local.warehouse.privileges import Privileges

if TYPE_CHECKING:
    from local.warehouse.account import Account
    from local.warehouse.session import Session


def need_to_grant(account: Account, session: Session, record: Record, names: Privileges) -> None:
    """Raise unless the session may grant all of these on the object: as its owner (in a managed access schema: as the
    schema's), by the grant option, or by MANAGE GRANTS.
    """
    authority = account.authority
    roles = authority.of(session)
    if authority.manages_grants(roles):
        return
    if not authority.sees(roles, record, session.user):
        raise guard.unseen(record)
    schema = _managed_schema(account, record)
    if (schema or record)["owner"] in roles:
        return
    if schema is None and all(authority.may_grant(roles, record["kind"], record["key"], name) for name in names):
        return
    raise guard.insufficient(record["kind"], record["name"][-1])


def _managed_schema(account: Account, record: Record) -> Record | None:
    """The schema with managed access in which the object lies, or None."""
    if len(record["name"]) != 3:
        return None
    schema = account.catalog.get("SCHEMA", tuple(record["name"][:2]))
    return schema if schema is not None and schema.get("WITH MANAGED ACCESS") else None


def need_to_transfer(account: Account, session: Session, record: Record) -> None:
    """Raise unless the session owns the object or has MANAGE GRANTS."""
    if not account.authority.manages_grants(account.authority.of(session)):
        guard.need(account, session, record)


def need_to_grant_future(account: Account, session: Session, container: Record) -> None:
    """Raise unless the session has MANAGE GRANTS, or owns the container, which is a schema with managed access."""
    roles = account.authority.of(session)
    owns = container["owner"] in roles and container.get("WITH MANAGED ACCESS")
    if not owns and not account.authority.manages_grants(roles):
        raise guard.insufficient(container["kind"], container["name"][-1])


def need_to_grant_on_account(account: Account, session: Session, names: Privileges) -> None:
    """Raise 003102 unless the session has MANAGE GRANTS or holds all of these with the grant option."""
    authority = account.authority
    roles = authority.of(session)
    if not authority.manages_grants(roles) and not all(
        authority.may_grant(roles, "ACCOUNT", "LOCAL", name) for name in names
    ):
        raise SnowflakeError(3102, "42501", "Grant not executed: Insufficient privileges.")
