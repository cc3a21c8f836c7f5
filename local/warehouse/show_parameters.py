"""SHOW PARAMETERS: of the session, of a task and of a warehouse.

Source: the pages "SHOW PARAMETERS" and "Parameters". Only parameters that the stand-in knows are shown.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from local.warehouse import guard, lookup
from local.warehouse.errors import unsupported
from local.warehouse.session import DEFAULTS
from local.warehouse.statements import Show

if TYPE_CHECKING:
    from local.warehouse.account import Account
    from local.warehouse.session import Session

COLUMNS = ["key", "value", "default", "level", "description", "type"]
OF_TASKS: dict[str, Any] = {
    "SERVERLESS_TASK_MAX_STATEMENT_SIZE": "X2Large",
    "SERVERLESS_TASK_MIN_STATEMENT_SIZE": "XSMALL",
    "SUSPEND_TASK_AFTER_NUM_FAILURES": 10,
    "TASK_AUTO_RETRY_ATTEMPTS": 0,
    "USER_TASK_MANAGED_INITIAL_WAREHOUSE_SIZE": "Medium",
    "USER_TASK_MINIMUM_TRIGGER_INTERVAL_IN_SECONDS": 30,
    "USER_TASK_TIMEOUT_MS": 3_600_000,
}
OF_WAREHOUSES: dict[str, Any] = {
    "MAX_CONCURRENCY_LEVEL": 8,
    "STATEMENT_QUEUED_TIMEOUT_IN_SECONDS": 0,
    "STATEMENT_TIMEOUT_IN_SECONDS": DEFAULTS["STATEMENT_TIMEOUT_IN_SECONDS"],
}


def rows(account: Account, session: Session, statement: Show) -> list[list[Any]]:
    """A row for each parameter, in the order of their names."""
    kind, name = statement.scope or ("SESSION", ())
    if kind == "SESSION":
        return [_row(key, session.parameters.get(key), default, "SESSION") for key, default in sorted(DEFAULTS.items())]
    if kind == "ACCOUNT":
        return [_row(key, None, default, "") for key, default in sorted(DEFAULTS.items())]
    known = {"TASK": DEFAULTS | OF_TASKS, "WAREHOUSE": OF_WAREHOUSES}.get(kind)
    if known is None:
        raise unsupported(f"SHOW PARAMETERS IN {kind}")
    record = lookup.find(account, session, kind, name)
    guard.need(account, session, record, guard.ANY)
    settable = OF_TASKS if kind == "TASK" else OF_WAREHOUSES
    return [
        _row(key, record.get(key) if key in settable else None, default, kind) for key, default in sorted(known.items())
    ]


def _row(key: str, value: Any, default: Any, level: str) -> list[Any]:
    shown = default if value is None else value
    type_ = {bool: "BOOLEAN", int: "NUMBER"}.get(type(default), "STRING")
    return [key, _text(shown), _text(default), "" if value is None else level, "", type_]


def _text(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
