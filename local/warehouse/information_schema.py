"""INFORMATION_SCHEMA: only the rows about objects that the session may see.

Source: Snowflake's page "Snowflake Information Schema", General usage notes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlglot import exp

from local.warehouse import dropped_tables, guard
from local.warehouse.catalog import Record

if TYPE_CHECKING:
    from local.warehouse.account import Account
    from local.warehouse.session import Session

NAME = "INFORMATION_SCHEMA"
# By view: the kinds of objects that it lists, and the columns with the last parts of their names.
VIEWS: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "DATABASES": (("DATABASE",), ("DATABASE_NAME",)),
    "SCHEMATA": (("SCHEMA",), ("SCHEMA_NAME",)),
    "TABLES": (("TABLE", "VIEW"), ("TABLE_SCHEMA", "TABLE_NAME")),
    "VIEWS": (("VIEW",), ("TABLE_SCHEMA", "TABLE_NAME")),
    "COLUMNS": (("TABLE", "VIEW"), ("TABLE_SCHEMA", "TABLE_NAME")),
}


def narrow(account: Account, session: Session, tree: exp.Expr) -> None:
    """Put `(SELECT * FROM view WHERE …)` in place of these views, unless the session sees everything there is."""
    tables = [table for table in tree.find_all(exp.Table) if table.db.upper() == NAME and table.name.upper() in VIEWS]
    sees_all = account.authority.manages_grants(account.authority.of(session))
    if not tables or (sees_all and not account.catalog.all(dropped_tables.KIND)):
        return
    for table in tables:
        view = table.name.upper()
        kinds, columns = VIEWS[view]
        database = table.catalog or session.database
        records = [r for kind in kinds for r in account.catalog.all(kind) if r["name"][0] == database]
        if view == "DATABASES":
            records = account.catalog.all("DATABASE")
        alias = table.args.get("alias") or exp.TableAlias(this=exp.to_identifier(view, quoted=True))
        inner = table.copy()
        inner.set("alias", None)
        seen = _condition(guard.visible(account, session, records), columns)
        table.replace(exp.Subquery(this=exp.select("*").from_(inner).where(seen), alias=alias.copy()))


def _condition(records: list[Record], columns: tuple[str, ...]) -> exp.Expr:
    """One of these names; FALSE if there are none."""
    names = {tuple(record["name"][-len(columns) :]) for record in records}
    one_of = [
        exp.and_(
            *(
                exp.EQ(this=exp.column(key), expression=exp.Literal.string(part))
                for key, part in zip(columns, name, strict=True)
            )
        )
        for name in sorted(names)
    ]
    return exp.or_(*one_of) if one_of else exp.false()
