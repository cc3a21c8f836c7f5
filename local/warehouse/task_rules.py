"""What a task's clauses must satisfy together. Pure Python. Sources: the pages CREATE TASK and ALTER TASK."""

from __future__ import annotations

import re
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from local.warehouse.errors import compilation_error, invalid_value, missing_option
from local.warehouse.statements import Alter, Create

_EVERY = re.compile(r"(\d+)\s+(MINUTES?|HOURS?|SECONDS?|M|H|S)", re.IGNORECASE)
_UNITS = {"S": (1, 10, 691_200), "M": (60, 1, 11_520), "H": (3600, 1, 192)}  # seconds in one, least and most of them
_CRON_FIELD = re.compile(r"[0-9A-Za-z*/,#-]+")
_NUMBERS = {
    "USER_TASK_MINIMUM_TRIGGER_INTERVAL_IN_SECONDS": (10, 604_800),
    "USER_TASK_TIMEOUT_MS": (0, 604_800_000),
    "SUSPEND_TASK_AFTER_NUM_FAILURES": (0, 2**31 - 1),  # 0: never
    "TASK_AUTO_RETRY_ATTEMPTS": (0, 30),
}
_SERVERLESS = (
    "USER_TASK_MANAGED_INITIAL_WAREHOUSE_SIZE", "SERVERLESS_TASK_MIN_STATEMENT_SIZE",
    "SERVERLESS_TASK_MAX_STATEMENT_SIZE", "TARGET_COMPLETION_INTERVAL",
)  # fmt: skip


def check(statement: Create | Alter) -> None:
    """Raise SnowflakeError for a value or a combination that Snowflake refuses."""
    values = statement.clauses
    for key, (least, most) in _NUMBERS.items():
        if (number := values.get(key)) is not None and not least <= number <= most:
            raise invalid_value(str(number), key, f"{least} to {most}")
    if values.get("SCHEDULE") is not None:
        schedule(values["SCHEDULE"])
    if values.get("TARGET_COMPLETION_INTERVAL") is not None:
        interval(values["TARGET_COMPLETION_INTERVAL"], "TARGET_COMPLETION_INTERVAL")
    if isinstance(statement, Create):
        combination(values, bool(statement.extra["after"]), statement.extra["when"] is not None)
    elif values.get("WAREHOUSE"):
        _refuse_both(values)


def combination(values: dict[str, Any], child: bool, condition: bool) -> None:
    """Raise for two ways to start, or two things to run on. Without any start only EXECUTE TASK runs it."""
    _refuse_both(values)
    if child and values.get("SCHEDULE") is not None:
        raise compilation_error(91083, "0A000", "A task with a predecessor (AFTER) cannot have a SCHEDULE.")
    if child and values.get("ALLOW_OVERLAPPING_EXECUTION") is not None:
        raise compilation_error(91084, "0A000", "ALLOW_OVERLAPPING_EXECUTION belongs to the root task of a graph.")
    triggered = condition and not child and values.get("SCHEDULE") is None
    if triggered and not values.get("WAREHOUSE") and values.get("TARGET_COMPLETION_INTERVAL") is None:
        raise missing_option("TARGET_COMPLETION_INTERVAL (a triggered task without a WAREHOUSE needs it)")


def _refuse_both(values: dict[str, Any]) -> None:
    for key in _SERVERLESS:
        if values.get("WAREHOUSE") and values.get(key) is not None:
            raise compilation_error(1420, "22023", f"WAREHOUSE and {key} exclude each other.")


def schedule(text: str) -> int | tuple[str, str]:
    """Seconds of `'5 MINUTES'`, or (cron expression, time zone) of `'USING CRON 0 6 * * * UTC'`."""
    words = text.split()
    if [word.upper() for word in words[:2]] != ["USING", "CRON"]:
        return interval(text, "SCHEDULE")
    fields, zone = words[2:7], words[7:]
    if len(words) != 8 or not all(_CRON_FIELD.fullmatch(field) for field in fields):
        raise invalid_value(text, "SCHEDULE", "'USING CRON <five fields> <time zone>'")
    try:
        ZoneInfo(zone[0])
    except (ZoneInfoNotFoundError, ValueError):
        raise invalid_value(text, "SCHEDULE", "a time zone of the IANA database, as in '… Europe/Berlin'") from None
    return " ".join(fields), zone[0]


def interval(text: str, name: str) -> int:
    """Seconds of `'5 MINUTES'`: 10 to 691200 seconds, 1 to 11520 minutes, 1 to 192 hours."""
    if match := _EVERY.fullmatch(text.strip()):
        factor, least, most = _UNITS[match[2][0].upper()]
        if least <= int(match[1]) <= most:
            return int(match[1]) * factor
    raise invalid_value(
        text, name, "'<n> SECONDS' (10 to 691200), '<n> MINUTES' (1 to 11520), '<n> HOURS' (1 to 192)"
        + (" or 'USING CRON <five fields> <time zone>'" if name == "SCHEDULE" else ""),
    )  # fmt: skip
