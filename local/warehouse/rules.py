"""What a statement's values must satisfy whatever the account holds. Pure Python.

Sources: the pages CREATE NETWORK RULE, CREATE TASK, CREATE API INTEGRATION, CREATE EXTERNAL FUNCTION, CREATE USER.
"""

from __future__ import annotations

import re
from typing import Any

from local.warehouse.errors import compilation_error, invalid_property, invalid_value, missing_option
from local.warehouse.statements import Alter, Create, Statement

_HOST = re.compile(r"(\*\.)?([A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?\.)+[A-Za-z]([A-Za-z0-9-]*[A-Za-z0-9])?(:\d{1,5})?")
_MINUTES = re.compile(r"(\d+)\s+(MINUTES?|HOURS?|SECONDS?|M|H|S)", re.IGNORECASE)
_ROLE = re.compile(r"arn:aws[a-z-]*:iam::\d{12}:role/[\w+=,.@/-]+")
_PREFIX = re.compile(r"https://[a-z0-9-]+(\.[a-z0-9-]+)+(/.*)?", re.IGNORECASE)
SERVICE_FORBIDS = ("PASSWORD", "FIRST_NAME", "LAST_NAME", "MUST_CHANGE_PASSWORD")
INTERVAL = "USER_TASK_MINIMUM_TRIGGER_INTERVAL_IN_SECONDS"


def check(statement: Statement) -> None:
    """Raise SnowflakeError for a value or a combination that Snowflake refuses."""
    if not isinstance(statement, (Create, Alter)):
        return
    values = statement.clauses
    if statement.kind == "NETWORK RULE":
        _network_rule(values, isinstance(statement, Create))
    elif statement.kind == "SECRET" and isinstance(statement, Create):
        _secret(values)
    elif statement.kind == "API INTEGRATION":
        _api_integration(values)
    elif statement.kind == "EXTERNAL FUNCTION":
        _external_function(statement)
    elif statement.kind == "USER":
        _user(values)
    elif statement.kind == "TASK":
        _task(statement)
    elif statement.kind == "EXTERNAL ACCESS INTEGRATION" and isinstance(statement, Create) and statement.if_not_exists:
        raise compilation_error(1003, "42000", "syntax error: EXTERNAL ACCESS INTEGRATION has no IF NOT EXISTS.")


def _network_rule(values: dict[str, Any], complete: bool) -> None:
    kind = values.get("TYPE", "")
    if not kind.endswith("HOST_PORT"):
        return
    if complete and values.get("MODE", "INGRESS") != "EGRESS":
        raise invalid_value(values.get("MODE", "INGRESS"), "MODE", f"EGRESS for TYPE = {kind}")
    host_ports(values.get("VALUE_LIST", []), kind)


def host_ports(values: list[str], kind: str) -> None:
    """Hosts with an optional port; PRIVATE_HOST_PORT takes exactly one."""
    for value in values:
        if value not in ("0.0.0.0:443", "0.0.0.0:80", "0.0.0.0") and not _HOST.fullmatch(value):  # noqa: S104
            raise invalid_value(value, "VALUE_LIST", "domain names with an optional port, api.example.com:443")
    if kind.startswith("PRIVATE") and len(values) != 1:
        raise invalid_value(", ".join(values), "VALUE_LIST", "exactly one domain for PRIVATE_HOST_PORT")


def _secret(values: dict[str, Any]) -> None:
    needed = {"GENERIC_STRING": {"SECRET_STRING"}, "PASSWORD": {"USERNAME", "PASSWORD"}}[values["TYPE"]]
    for key in sorted(needed - set(values)):
        raise missing_option(key)
    for key in sorted(set(values) - needed - {"TYPE", "COMMENT"}):
        raise invalid_property(key, f"SECRET of TYPE = {values['TYPE']}")


def _api_integration(values: dict[str, Any]) -> None:
    if "API_AWS_ROLE_ARN" in values and not _ROLE.fullmatch(values["API_AWS_ROLE_ARN"]):
        raise invalid_value(values["API_AWS_ROLE_ARN"], "API_AWS_ROLE_ARN", "arn:aws:iam::<account>:role/<name>")
    for prefix in [*values.get("API_ALLOWED_PREFIXES", []), *values.get("API_BLOCKED_PREFIXES", [])]:
        if not _PREFIX.fullmatch(prefix):
            raise invalid_value(prefix, "API_ALLOWED_PREFIXES", "https:// URLs")
    if values.get("API_ALLOWED_PREFIXES") == []:
        raise missing_option("API_ALLOWED_PREFIXES")


def _external_function(statement: Create | Alter) -> None:
    if isinstance(statement, Create) and statement.if_not_exists:
        raise compilation_error(1003, "42000", "syntax error: EXTERNAL FUNCTION has no IF NOT EXISTS.")
    if isinstance(statement, Create) and not _PREFIX.fullmatch(statement.extra["body"]):
        raise invalid_value(statement.extra["body"], "url", "an https:// URL")
    if statement.clauses.get("MAX_BATCH_ROWS", 1) < 1:
        raise invalid_value(str(statement.clauses["MAX_BATCH_ROWS"]), "MAX_BATCH_ROWS", "1 and more")


def _user(values: dict[str, Any]) -> None:
    if values.get("TYPE") == "SERVICE":
        for key in SERVICE_FORBIDS:
            if key in values:
                raise invalid_property(key, "USER of TYPE = SERVICE")


def _task(statement: Create | Alter) -> None:
    values = statement.clauses
    if (interval := values.get(INTERVAL)) is not None and not 10 <= interval <= 604800:
        raise invalid_value(str(interval), INTERVAL, "10 to 604800")
    if (failures := values.get("SUSPEND_TASK_AFTER_NUM_FAILURES")) is not None and failures < 0:
        raise invalid_value(str(failures), "SUSPEND_TASK_AFTER_NUM_FAILURES", "0 (never) and more")
    if "WAREHOUSE" in values and "USER_TASK_MANAGED_INITIAL_WAREHOUSE_SIZE" in values:
        raise compilation_error(
            1420, "22023", "WAREHOUSE and USER_TASK_MANAGED_INITIAL_WAREHOUSE_SIZE exclude each other."
        )
    if isinstance(statement, Create):
        if statement.extra["after"] and "SCHEDULE" in values:
            raise compilation_error(91083, "0A000", "A task with a predecessor cannot have a SCHEDULE.")
        if not statement.extra["after"] and "SCHEDULE" not in values and statement.extra["when"] is None:
            raise compilation_error(
                91088, "0A000", "A task needs a SCHEDULE, a predecessor (AFTER) or a WHEN with a stream."
            )
    if "SCHEDULE" in values and values["SCHEDULE"] is not None:
        schedule(values["SCHEDULE"])


def schedule(text: str) -> int | tuple[str, str]:
    """Seconds of `'5 MINUTES'`, or (cron expression, time zone) of `'USING CRON 0 6 * * * UTC'`."""
    if match := _MINUTES.fullmatch(text.strip()):
        seconds = int(match[1]) * {"S": 1, "M": 60, "H": 3600}[match[2][0].upper()]
        if 10 <= seconds <= 691200:
            return seconds
    words = text.split()
    if [word.upper() for word in words[:2]] == ["USING", "CRON"] and len(words) == 8:
        return " ".join(words[2:7]), words[7]
    raise invalid_value(text, "SCHEDULE", "'<n> MINUTES' or 'USING CRON <five fields> <time zone>'")
