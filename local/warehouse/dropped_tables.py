"""UNDROP TABLE: a dropped table's rows stay under another name until a table of the old name is dropped again.

Source: the pages "UNDROP TABLE" and "Understanding & using Time Travel". Only the last table of a name comes back on
Snowflake too, unless what has the name now is renamed, which is refused here. What becomes of grants and of streams is
not taken from Snowflake: here both are lost, which is the worse of the two cases.
"""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING

from local.warehouse.catalog import Record
from local.warehouse.errors import exists, missing
from local.warehouse.names import dotted, full_name
from local.warehouse.results import Result, status
from local.warehouse.statements import Name, Undrop

if TYPE_CHECKING:
    from local.warehouse.account import Account
    from local.warehouse.session import Session

KIND = "DROPPED TABLE"


def keep(account: Account, session: Session, record: Record) -> None:
    """Drop a table so that it can come back, in place of the last one of its name; with no retention for good."""
    table: Name = tuple(record["name"])
    for older in _of(account, table):
        session.duck.execute(f"DROP TABLE IF EXISTS {_quoted(tuple(older['name']))}")
        if older["table"].get("sequence"):
            session.duck.execute(f"DROP SEQUENCE IF EXISTS {older['table']['sequence']}")
        account.catalog.drop(KIND, older["key"])
    if (record.get("settings") or {}).get("DATA_RETENTION_TIME_IN_DAYS") == 0:
        session.duck.execute(f"DROP TABLE {_quoted(table)}")
        if record.get("sequence"):
            session.duck.execute(f"DROP SEQUENCE IF EXISTS {record['sequence']}")
        return
    kept = (*table[:2], f"dropped {uuid.uuid4().hex} {table[2]}")
    session.duck.execute(f'ALTER TABLE {_quoted(table)} RENAME TO "{kept[2]}"')
    account.catalog.add(KIND, kept, record["owner"], table=record)


def undrop(account: Account, session: Session, statement: Undrop) -> Result:
    """Bring back the table that had this name last."""
    session.commit()
    name = full_name("TABLE", statement.name, session)
    account.refuse_imported(name)
    if next((k for k in ("TABLE", "VIEW", "SEQUENCE", "STREAM") if account.catalog.get(k, name)), None):
        raise exists(dotted(name))
    owned = [one for one in _of(account, name) if one["owner"] in account.authority.of(session)]
    if not owned:
        raise missing("TABLE", dotted(name))
    record = owned[0]
    with session.definition([dotted(name)]):
        session.duck.execute(f'ALTER TABLE {_quoted(tuple(record["name"]))} RENAME TO "{name[2]}"')
    values = {key: value for key, value in record["table"].items() if key not in ("kind", "name", "key", "id", "owner")}
    account.catalog.add("TABLE", name, record["owner"], **values)
    account.catalog.drop(KIND, record["key"])
    return status(f"Table {name[-1]} successfully restored.")


def _of(account: Account, table: Name) -> list[Record]:
    return [one for one in account.catalog.all(KIND) if tuple(one["table"]["name"]) == table]


def _quoted(table: Name) -> str:
    return ".".join(f'"{part}"' for part in table)
