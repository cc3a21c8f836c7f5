"""May this session run this statement about tables, views, sequences or rows? sqlglot says what it reads and changes.

`privileges` has the rules, `guard` says how a refusal looks. A view reads with its owner's privileges (page "Overview
of access control" and CREATE VIEW).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlglot import exp

from local.warehouse import functions, guard, privileges
from local.warehouse.authority import Roles
from local.warehouse.catalog import Record
from local.warehouse.dialect import Names, table_name
from local.warehouse.errors import SnowflakeError, compilation_error, missing
from local.warehouse.names import dotted, full_name
from local.warehouse.privileges import ANY, Privileges
from local.warehouse.results import Result, status
from local.warehouse.statements import Name

if TYPE_CHECKING:
    from local.warehouse.account import Account
    from local.warehouse.session import Session

_SHARED = ("TABLE", "VIEW", "STREAM", "SEQUENCE")  # kinds that share names
_CHANGES: dict[type[exp.Expr], str] = {
    exp.Insert: "INSERT", exp.Update: "UPDATE", exp.Delete: "DELETE", exp.TruncateTable: "TRUNCATE",
}  # fmt: skip
_GONE = "Drop statement executed successfully (object already dropped)."


def check(account: Account, session: Session, tree: exp.Expr, names: Names, sql: str) -> Result | None:
    """Raise for what the session's roles may not do; a result where IF EXISTS makes an unseen object no error."""
    roles = account.authority.of(session)
    for name in names.read:
        _need_read(account, roles, name)
    _need_programs(account, session, sql)
    if "NEXTVAL" in sql.upper():
        _need_sequences(account, session, tree)
    answer = _target(account, session, roles, tree, names.target)
    if answer is None and _moves_rows(tree, names):
        guard.need_warehouse(account, session)
    return answer


def check_describe(account: Account, session: Session, tree: exp.Describe) -> None:
    """DESC TABLE and DESC VIEW: any privilege."""
    name = full_name("TABLE", table_name(tree.this), session)
    record = _find(account, name)
    if record is not None:
        guard.need(account, session, record, ANY)


# --- what is read


def _find(account: Account, name: Name) -> Record | None:
    key = dotted(name)
    return next((r for kind in _SHARED if (r := account.catalog.get(kind, key)) is not None), None)


def _need_read(account: Account, roles: Roles, name: Name) -> None:
    """Raise unless the roles may read the table, view or stream. What is not there, others find out."""
    record = _find(account, name)
    if record is None:
        return
    _need(account, roles, record, privileges.READ)
    if record["kind"] == "STREAM":
        _need_read(account, roles, tuple(record["table"]))
    elif record["kind"] == "VIEW":
        _need_behind(account, record)


def _need(account: Account, roles: Roles, record: Record, wanted: Privileges) -> None:
    authority = account.authority
    if authority.holds(roles, record, wanted) and authority.resolves(roles, tuple(record["name"])):
        return
    if authority.sees(roles, record):
        raise guard.insufficient(record["kind"], record["name"][-1])
    raise missing("OBJECT", record["key"])


def _need_behind(account: Account, view: Record) -> None:
    """Raise 002037 unless the view's owner may read what the view reads."""
    owner = account.authority.closure(view["owner"])
    try:
        for name in view.get("reads", ()):
            _need_read(account, owner, tuple(name))
    except SnowflakeError as error:
        raise compilation_error(
            2037, "42601", f"Failure during expansion of view '{view['name'][-1]}': {error.message}"
        ) from None


def _need_programs(account: Account, session: Session, sql: str) -> None:
    """The account's functions that are called must be usable."""
    known = account.function_names()
    if known:
        for parts, _ in functions.calls(sql):
            if parts[-1] in known:
                guard.need_program(account, session, "FUNCTION", full_name("FUNCTION", parts, session))


def _need_sequences(account: Account, session: Session, tree: exp.Expr) -> None:
    """The sequences that NEXTVAL asks must be usable."""
    for column in tree.find_all(exp.Column):
        if column.name.upper() == "NEXTVAL" and column.table:
            parts = [part for part in (column.args.get(key) for key in ("catalog", "db", "table")) if part]
            name = tuple(part.name if part.args.get("quoted") else part.name.upper() for part in parts)
            record = account.catalog.get("SEQUENCE", full_name("SEQUENCE", name, session))
            if record is not None:
                guard.need(account, session, record, privileges.NEXT_VALUE)


# --- what is changed


def _target(account: Account, session: Session, roles: Roles, tree: exp.Expr, target: Name | None) -> Result | None:
    if target is None:
        return None
    if isinstance(tree, exp.Create):
        kind = str(tree.args["kind"]).upper()
        guard.need_to_create(account, session, kind, target)
        old = account.catalog.get(kind, target)
        if old is not None and (tree.args.get("replace") or tree.meta.get("or_alter")):
            guard.need(account, session, old)
        return None
    record = _find(account, target)
    if record is None:
        return None
    if isinstance(tree, (exp.Drop, exp.Alter)):
        if tree.args.get("exists") and not account.authority.sees(roles, record):
            return status(_GONE if isinstance(tree, exp.Drop) else "Statement executed successfully.")
        guard.need(account, session, record)
        return None
    if isinstance(tree, exp.TruncateTable) and tree.args.get("exists") and not account.authority.sees(roles, record):
        return status("Statement executed successfully.")
    for privilege in sorted(_of_change(tree)):
        _need(account, roles, record, (privilege,))
    return None


def _of_change(tree: exp.Expr) -> set[str]:
    """The privileges that a change of rows needs on its table, each of them."""
    if isinstance(tree, exp.Merge):
        words = [_of_when(when) for when in tree.find_all(exp.When)]
        return {*privileges.READ, *(name for word in words for name in privileges.CHANGE[word])}
    word = _CHANGES[type(tree)]
    if isinstance(tree, exp.Insert) and tree.args.get("overwrite"):
        word = "INSERT OVERWRITE"
    return set(privileges.CHANGE[word])


def _of_when(when: exp.Expr) -> str:
    then = when.args["then"]
    return "INSERT" if isinstance(then, exp.Insert) else "UPDATE" if isinstance(then, exp.Update) else "DELETE"


# --- the warehouse


def _moves_rows(tree: exp.Expr, names: Names) -> bool:
    if isinstance(tree, exp.Create):
        return str(tree.args["kind"]).upper() == "TABLE" and tree.expression is not None
    if isinstance(tree, (exp.Insert, exp.Update, exp.Delete, exp.Merge)):
        return True
    return isinstance(tree, exp.Query) and any(name[1] != "INFORMATION_SCHEMA" for name in names.read)
