"""Future grants: what every new object of a kind in a schema or a database gives to roles.

Source: Snowflake's page "GRANT <privileges> … TO ROLE", Future grants on database or schema objects.
"""

from __future__ import annotations

from local.warehouse.catalog import Catalog, Record
from local.warehouse.names import dotted


def give(catalog: Catalog, record: Record) -> None:
    """Give what was promised on a new object; those on its schema make those on its database void.

    External functions get none.
    """
    if len(record["name"]) < 2 or record.get("language") == "EXTERNAL":
        return
    promised = [grant for grant in catalog.all("GRANT") if grant["on_kind"] == f"FUTURE {record['kind']}"]
    for size in (2, 1):
        container = dotted(tuple(record["name"][:size]))
        here = [grant for grant in promised if grant["on"] == container and len(record["name"]) > size]
        if here:
            for grant in here:
                _give(catalog, record, grant)
            return


def _give(catalog: Catalog, record: Record, grant: Record) -> None:
    if grant["privilege"] == "OWNERSHIP":
        catalog.change(record, owner=grant["role"])
    else:
        add(
            catalog, grant["owner"], grant["privilege"], record["kind"], record["key"], grant["role"], grant["option"]
        )  # fmt: skip


def add(catalog: Catalog, by: str, privilege: str, kind: str, key: str, role: str, option: bool) -> None:
    """Record a grant, unless it is there; with the grant option it stays grantable."""
    grant_key = f"{privilege} ON {kind} {key} TO {role}"
    known = catalog.get("GRANT", grant_key)
    if known is None:
        catalog.add(
            "GRANT", (grant_key,), by, key=grant_key, privilege=privilege, on_kind=kind, on=key, role=role,
            option=option,
        )  # fmt: skip
    elif option and not known["option"]:
        catalog.change(known, option=True)
