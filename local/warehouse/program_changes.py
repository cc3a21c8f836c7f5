"""ALTER FUNCTION and ALTER PROCEDURE. Sources: the pages of these two names."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from local.warehouse import external_functions, programs
from local.warehouse.catalog import Record
from local.warehouse.errors import invalid_property, invalid_value
from local.warehouse.names import full_name

if TYPE_CHECKING:
    from local.warehouse.account import Account
    from local.warehouse.session import Session

_EXTERNAL = frozenset({"COMMENT", "API_INTEGRATION", "MAX_BATCH_ROWS"})
_PYTHON = frozenset({"COMMENT", "EXTERNAL_ACCESS_INTEGRATIONS", "SECRETS"})


def values(account: Account, session: Session, record: Record, clauses: dict[str, Any]) -> dict[str, Any]:
    """What SET or UNSET makes of a program's record; None unsets."""
    external = record["language"] == "EXTERNAL"
    for key in clauses:
        if key not in (_EXTERNAL if external else _PYTHON):
            raise invalid_property(key, "EXTERNAL FUNCTION" if external else record["kind"])
    found: dict[str, Any] = {}
    if "COMMENT" in clauses:
        found["comment"] = clauses["COMMENT"] or ""
    if external:
        return found | _external(account, session, record, clauses)
    return found | _external_access(account, session, record, clauses)


def _external(account: Account, session: Session, record: Record, clauses: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    if "MAX_BATCH_ROWS" in clauses:
        found["max_batch_rows"] = clauses["MAX_BATCH_ROWS"]
    if clauses.get("API_INTEGRATION"):
        integration = account.catalog.need("INTEGRATION", full_name("INTEGRATION", clauses["API_INTEGRATION"], session))
        if integration["type"] != "API":
            raise invalid_value(integration["key"], "API_INTEGRATION", "an API integration")
        external_functions.check_url(integration, record["url"])
        found["integration"] = integration["key"]
    return found


def _external_access(account: Account, session: Session, record: Record, clauses: dict[str, Any]) -> dict[str, Any]:
    integrations, secrets = record["integrations"], record["secrets"]
    if "EXTERNAL_ACCESS_INTEGRATIONS" in clauses:
        names = clauses["EXTERNAL_ACCESS_INTEGRATIONS"] or []
        integrations = [
            account.catalog.need("INTEGRATION", full_name("INTEGRATION", name, session))["key"] for name in names
        ]
    if "SECRETS" in clauses:
        secrets = {
            key: account.catalog.need("SECRET", full_name("SECRET", name, session))["key"]
            for key, name in clauses["SECRETS"] or []
        }
    if integrations != record["integrations"] or secrets != record["secrets"]:
        programs.check_external_access([account.catalog.need("INTEGRATION", key) for key in integrations], secrets)
    return {"integrations": integrations, "secrets": secrets}
