"""When a recurring report runs: cron in a time zone, daylight saving as Debian's cron does it."""

from __future__ import annotations

import datetime
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from cronsim import CronSim, CronSimError

from report_service.errors import ErrorCode, RequestError


def next_run(cron: str, timezone: str | None, after: datetime.datetime) -> datetime.datetime:
    """Return the first time of `cron` in `timezone` (default UTC) later than `after`.

    Both times are naive and in UTC, as in the table. Raises RequestError for an expression or a zone that does not
    exist, and for one that never comes, like 30 February.
    """
    zone = _zone(timezone)
    if len(cron.split()) != 5:
        raise _refused(f"SCHEDULE_CRON is {cron[:80]!r}; five fields are allowed, like '0 6 * * 1-5'.", "SCHEDULE_CRON")
    try:
        local = after.replace(tzinfo=datetime.UTC).astimezone(zone)
        found = next(CronSim(cron, local)).astimezone(datetime.UTC).replace(tzinfo=None)
    except CronSimError as error:
        raise _refused(
            f"SCHEDULE_CRON is {cron[:80]!r}: {error}; like '0 6 * * 1-5' is allowed.", "SCHEDULE_CRON"
        ) from None
    except (StopIteration, OverflowError):
        raise _refused(f"SCHEDULE_CRON is {cron[:80]!r}; that time never comes.", "SCHEDULE_CRON") from None
    return found


def _zone(name: str | None) -> ZoneInfo:
    given = name or "UTC"
    try:
        return ZoneInfo(given)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise _refused(
            f"SCHEDULE_TIMEZONE is {given[:80]!r}; a name of the IANA database is allowed, like Europe/Berlin.",
            "SCHEDULE_TIMEZONE",
        ) from None


def _refused(message: str, field: str) -> RequestError:
    return RequestError(ErrorCode.INVALID_SCHEDULE, message, field=field)
