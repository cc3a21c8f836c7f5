"""GRANT and REVOKE of privileges, on one object, on all of a kind, on future ones; and transfer of ownership.

Sources: Snowflake's pages "GRANT <privileges> … TO ROLE", "REVOKE <privileges> … FROM ROLE", "GRANT OWNERSHIP".
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from local.warehouse import access, future_grants, grant_guard, grants_grammar, guard, lookup, privileges
from local.warehouse.catalog import Record
from local.warehouse.errors import SnowflakeError, compilation_error
from local.warehouse.names import dotted, full_name
from local.warehouse.results import Result, status
from local.warehouse.statements import Grant

if TYPE_CHECKING:
    from local.warehouse.account import Account
    from local.warehouse.session import Session

ACCOUNT_KEY = "LOCAL"


def grant(account: Account, session: Session, statement: Grant) -> Result:
    """GRANT and REVOKE: the role and the object must exist, and the grantor must have the right to grant."""
    session.commit()
    account.catalog.need("ROLE", (statement.role,))
    if statement.scope == "FUTURE":
        _future(account, session, statement)
    elif statement.kind == "ACCOUNT":
        grant_guard.need_to_grant_on_account(account, session, _privileges(statement, "ACCOUNT"))
        _record(account, session, statement, "ACCOUNT", ACCOUNT_KEY)
    else:
        for record in _objects(account, session, statement):
            _on(account, session, statement, record)
    return status(lookup.EXECUTED)


def _objects(account: Account, session: Session, statement: Grant) -> list[Record]:
    if statement.scope == "ON":
        return [lookup.find(account, session, statement.kind, statement.name, statement.types)]
    container = _container(account, session, statement)
    name = tuple(container["name"])
    return [r for r in account.catalog.all(statement.kind) if tuple(r["name"][: len(name)]) == name]


def _container(account: Account, session: Session, statement: Grant) -> Record:
    record = account.need_container(statement.container, full_name(statement.container, statement.name, session))
    guard.need(account, session, record, guard.ANY)
    return record


def _on(account: Account, session: Session, statement: Grant, record: Record) -> None:
    if statement.privileges == ("OWNERSHIP",):
        grant_guard.need_to_transfer(account, session, record)
        _transfer(account, statement, record)
        return
    grant_guard.need_to_grant(account, session, record, _privileges(statement, record["kind"]))
    if account.authority.is_imported(record) and statement.privileges != (privileges.IMPORTED,):
        raise compilation_error(
            3011,
            "42501",
            "Granting individual privileges on imported database is not allowed. Use 'GRANT IMPORTED PRIVILEGES' "
            "instead.",
        )
    _record(account, session, statement, record["kind"], record["key"])


def _future(account: Account, session: Session, statement: Grant) -> None:
    container = _container(account, session, statement)
    grant_guard.need_to_grant_future(account, session, container)
    _record(account, session, statement, f"FUTURE {statement.kind}", dotted(tuple(container["name"])))


def _privileges(statement: Grant, kind: str) -> tuple[str, ...]:
    return grants_grammar.PRIVILEGES[kind] if statement.privileges == ("ALL",) else statement.privileges


def _record(account: Account, session: Session, statement: Grant, kind: str, key: str) -> None:
    for privilege in _privileges(statement, kind.removeprefix("FUTURE ")):
        if statement.revoke:
            account.catalog.drop("GRANT", f"{privilege} ON {kind} {key} TO {statement.role}")
        else:
            future_grants.add(
                account.catalog, session.role, privilege, kind, key, statement.role, statement.with_grant_option
            )


def _transfer(account: Account, statement: Grant, record: Record) -> None:
    """Give an object to another role. What was granted on it must be revoked first, or by the way, or be copied."""
    outbound = [
        g["key"] for g in account.catalog.all("GRANT") if g["on"] == record["key"] and g["on_kind"] == record["kind"]
    ]
    if outbound and not statement.current_grants:
        raise SnowflakeError(
            3107,
            "42501",
            f"Dependent grant {outbound[0]} exists. It must be revoked first, or be revoked or copied by the same "
            "statement: GRANT OWNERSHIP … { REVOKE | COPY } CURRENT GRANTS.",
        )
    if statement.current_grants == "REVOKE":
        access.forget_grants(account, record["kind"], record["key"])
    changes = {"state": "suspended"} if record["kind"] == "TASK" else {}
    account.catalog.change(record, owner=statement.role, **changes)
