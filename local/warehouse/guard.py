"""May this session run this statement? Asked by the dispatcher before anything is done; `privileges` has the rules.

What the session may not even see is answered as if it did not exist (002003, 002043), what it sees but may not use
with 003001. Statements about rows are `table_guard`'s.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

from local.warehouse import lookup, privileges
from local.warehouse.catalog import Record
from local.warehouse.errors import SnowflakeError, missing, unknown_function
from local.warehouse.names import dotted, full_name
from local.warehouse.privileges import Privileges
from local.warehouse.programs_grammar import signature_type
from local.warehouse.results import Result, status
from local.warehouse.statements import (
    Alter,
    Call,
    Comment,
    Create,
    Describe,
    Drop,
    ExecuteTask,
    GrantRole,
    Name,
    ShowGrants,
    Statement,
    Use,
)

if TYPE_CHECKING:
    from local.warehouse.account import Account
    from local.warehouse.session import Session


ANY = privileges.ANY  # for `need`: one privilege, whichever


def check(account: Account, session: Session, statement: Statement) -> Result | None:
    """Raise for what the session's roles may not do; a result where IF EXISTS makes an unseen object no error."""
    rule = _RULES.get(type(statement))
    return None if rule is None else rule(account, session, statement)


# --- what the rules are made of


def need(account: Account, session: Session, record: Record, wanted: Privileges = ()) -> None:
    """Raise unless the session owns the object or holds one of these privileges on it."""
    authority = account.authority
    roles = authority.of(session)
    if authority.holds(roles, record, wanted) and authority.resolves(roles, tuple(record["name"])):
        return
    if not authority.sees(roles, record, session.user):
        raise unseen(record)
    if wanted != ANY:
        raise insufficient(record["kind"], record["name"][-1])


def visible(account: Account, session: Session, records: Iterable[Record]) -> list[Record]:
    """Those that the session may see, for SHOW and its like."""
    roles = account.authority.of(session)
    if account.authority.manages_grants(roles):
        return list(records)
    return [record for record in records if account.authority.sees(roles, record, session.user)]


def unseen(record: Record) -> SnowflakeError:
    """002003 or 002043: to this session the object does not exist."""
    return missing(lookup.title(record["kind"]), record["key"])


def insufficient(kind: str, name: str) -> SnowflakeError:
    """003001: seen, but not to be used so."""
    what = lookup.title(kind).lower()
    return SnowflakeError(
        3001, "42501", f"SQL access control error:\nInsufficient privileges to operate on {what} '{name}'."
    )


def need_to_create(account: Account, session: Session, kind: str, name: Name) -> None:
    """Raise unless the session's primary role may create such an object at that place."""
    where, wanted = privileges.CREATE[kind]
    authority = account.authority
    primary = authority.closure(session.role)
    if where == "ACCOUNT":
        if not authority.on_account(primary, wanted):
            raise insufficient("ACCOUNT", "LOCAL")
        return
    container = account.catalog.get(where, name[:-1])
    if container is None:
        return
    need(account, session, container, ANY)
    if not authority.holds(primary, container, wanted):
        raise insufficient(where, container["name"][-1])


def has_warehouse(account: Account, session: Session) -> bool:
    """Has the session a warehouse that its roles may use? A serverless task needs none."""
    if session.warehouse is None:
        return account.catalog.get("USER", (session.user,)) is None
    record = account.catalog.get("WAREHOUSE", (session.warehouse,))
    return record is not None and account.authority.holds(account.authority.of(session), record, privileges.WAREHOUSE)


def need_warehouse(account: Account, session: Session) -> None:
    """Raise 000606 for a statement that computes in a session without a warehouse."""
    if not has_warehouse(account, session):
        raise SnowflakeError(
            606,
            "57P03",
            "No active warehouse selected in the current session.  Select an active warehouse with the "
            "'use warehouse' command.",
        )


# --- rules for statements


def _create(account: Account, session: Session, statement: Create) -> None:
    kind, name = statement.kind, full_name(statement.kind, statement.name, session)
    need_to_create(account, session, kind, name)
    types = None
    if "parameters" in statement.extra:
        types = tuple(signature_type(parameter.type) for parameter in statement.extra["parameters"])
    old = lookup.look(account, session, kind, statement.name, types)
    if old is not None and (statement.or_replace or getattr(statement, "or_alter", False)):
        need(account, session, old)
    _need_named(account, session, statement.clauses)
    if statement.clauses.get("LANGUAGE") == "PYTHON" and not has_warehouse(account, session):
        raise SnowflakeError(391531, "42601", f"An active warehouse is required for creating Python {kind.lower()}s.")
    if kind == "STREAM":
        _need_found(account, session, "TABLE", statement.extra["table"], privileges.READ)
    for other in statement.extra.get("after", ()):
        _need_found(account, session, "TASK", other, ())


def _need_named(account: Account, session: Session, clauses: dict[str, Any]) -> None:
    """The objects that clauses name must be usable."""
    for clause, (kind, wanted) in privileges.NAMED_IN_CLAUSES.items():
        value = clauses.get(clause)
        if isinstance(value, str):
            value = [(value,)] if kind == "WAREHOUSE" else []
        elif isinstance(value, tuple):
            value = [value]
        for item in value or ():
            name = item[1] if clause == "SECRETS" else item
            _need_found(account, session, kind, name, wanted)


def _need_found(account: Account, session: Session, kind: str, name: Name, wanted: Privileges) -> None:
    record = lookup.look(account, session, kind, name)
    if record is not None:
        need(account, session, record, wanted)


def _alter(account: Account, session: Session, statement: Alter) -> Result | None:
    record = lookup.look(account, session, statement.kind, statement.name, getattr(statement, "types", None))
    if record is None:
        return None
    if statement.if_exists and not _sees(account, session, record):
        return status(lookup.EXECUTED)
    itself = statement.kind == "USER" and record["key"] == session.user
    if not (itself and set(statement.clauses) <= privileges.OWN_USER):
        need(account, session, record, privileges.ALTER.get((statement.kind, statement.action), ()))
    _need_named(account, session, statement.clauses)
    if statement.kind == "TASK" and statement.action == "RESUME":
        need_task_owner(account, record)
    return None


def need_task_owner(account: Account, record: Record) -> None:
    """Raise 091089 unless the task's owner may run tasks."""
    roles = account.authority.closure(record["owner"])
    for wanted in (privileges.TASK_OWNER, *([] if record.get("WAREHOUSE") else [privileges.SERVERLESS_TASK_OWNER])):
        if not account.authority.on_account(roles, wanted):
            raise SnowflakeError(
                91089,
                "23001",
                f"Cannot execute task {record['key']}, {wanted[0]} privilege must be granted to owner role "
                f"{record['owner']}.",
            )


def monitors(account: Account, session: Session, task: Name) -> bool:
    """May the session see the task's runs?"""
    roles, record = account.authority.of(session), account.catalog.get("TASK", task)
    if account.authority.on_account(roles, privileges.TASK_MONITOR):
        return True
    return record is not None and account.authority.holds(roles, record, privileges.TASK_HISTORY)


def _drop(account: Account, session: Session, statement: Drop) -> Result | None:
    record = lookup.look(account, session, statement.kind, statement.name, statement.types)
    if record is None:
        return None
    if statement.if_exists and not _sees(account, session, record):
        return status("Drop statement executed successfully (object already dropped).")
    need(account, session, record)
    return None


def _sees(account: Account, session: Session, record: Record) -> bool:
    return account.authority.sees(account.authority.of(session), record, session.user)


def _describe(account: Account, session: Session, statement: Describe | ShowGrants) -> None:
    kind = "USER" if statement.kind == "WORKLOAD IDENTITY" else statement.kind
    record = lookup.look(account, session, kind, statement.name, statement.types)
    if record is not None:
        need(account, session, record, ANY)


def _show_grants(account: Account, session: Session, statement: ShowGrants) -> None:
    if statement.direction in ("ON", "FUTURE IN") and statement.kind != "ACCOUNT":
        _describe(account, session, statement)


def _comment(account: Account, session: Session, statement: Comment) -> Result | None:
    kind, name = ("TABLE", statement.name[:-1]) if statement.kind == "COLUMN" else (statement.kind, statement.name)
    record = lookup.look(account, session, kind, name)
    if record is None:
        return None
    if statement.if_exists and not _sees(account, session, record):
        return status(lookup.EXECUTED)
    need(account, session, record)
    return None


def _use(account: Account, session: Session, statement: Use) -> None:
    if statement.kind in privileges.USE:
        record = lookup.look(account, session, statement.kind, statement.name)
        if record is not None:
            need(account, session, record, privileges.USE[statement.kind])


def _call(account: Account, session: Session, statement: Call) -> None:
    need_program(account, session, "PROCEDURE", full_name("PROCEDURE", statement.name, session))
    need_warehouse(account, session)


def need_program(account: Account, session: Session, kind: str, name: Name) -> None:
    """Raise 002140, as if it were unknown, unless the session may call one of the programs of this name."""
    authority, roles = account.authority, account.authority.of(session)
    found = [record for record in account.catalog.all(kind) if tuple(record["name"]) == name]
    usable = any(authority.holds(roles, record, privileges.CALL) for record in found)
    if found and not (usable and authority.resolves(roles, name)):
        raise unknown_function(dotted(name))


def _execute_task(account: Account, session: Session, statement: ExecuteTask) -> None:
    record = lookup.look(account, session, "TASK", statement.name)
    if record is not None:
        need_to_run(account, session, record)


def need_to_run(account: Account, session: Session, task: Record) -> None:
    """Raise unless the session may start or resume the task, and its owner may run tasks."""
    need(account, session, task, privileges.EXECUTE_TASK)
    need_task_owner(account, task)


def _grant_role(account: Account, session: Session, statement: GrantRole) -> None:
    record = account.catalog.get("ROLE", (statement.role,))
    roles = account.authority.of(session)
    if record is not None and record["owner"] not in roles and not account.authority.manages_grants(roles):
        raise insufficient("ROLE", statement.role)


_RULES: dict[type[Statement], Callable[..., Result | None]] = {
    Create: _create,
    Alter: _alter,
    Drop: _drop,
    Describe: _describe,
    ShowGrants: _show_grants,
    Comment: _comment,
    Use: _use,
    Call: _call,
    ExecuteTask: _execute_task,
    GrantRole: _grant_role,
}
