"""How often rate(…) and cron(…) come, and what a count that they change is on average.

Source of the form: "Schedule types in EventBridge Scheduler" in the Amazon EventBridge Scheduler User Guide.
"""

from __future__ import annotations

import datetime
import re
from collections.abc import Sequence

from cost.price_table import CostError

HOURS = 730  # a month, as AWS counts it
_MINUTES = {"minute": 1, "hour": 60, "day": 24 * 60}
_YEAR = 2027  # any one that is no leap year
_DAYS = ("SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT")
_MONTHS = ("JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC")


def runs_a_month(expression: str) -> float:
    """How often a schedule comes in a month of 730 hours.

    Raises:
        CostError: it is of a form that is not understood.
    """
    if rate := re.fullmatch(r"rate\((\d+) (minute|hour|day)s?\)", expression):
        return HOURS * 60 / (int(rate[1]) * _MINUTES[rate[2]])
    return len(_times(expression)) / 12


def average(changes: Sequence[tuple[str, float]]) -> float:
    """The mean over a year of a count that each schedule, a cron(…), sets to a value."""
    events = sorted((time, value) for expression, value in changes for time in _times(expression))
    year = 365 * 24 * 60
    total, value, since = 0.0, events[-1][1], 0
    for time, following in events:
        total += value * (time - since)
        value, since = following, time
    return (total + value * (year - since)) / year


def _times(expression: str) -> list[int]:
    """All times of a cron(…) in a year, in minutes from its beginning."""
    cron = re.fullmatch(r"cron\((\S+) (\S+) (\S+) (\S+) (\S+) (\S+)\)", expression)
    if not cron or cron[6] != "*":
        raise CostError(
            f"Schedule {expression} cannot be priced: cost/schedules.py knows rate(…) and cron(…) of any year."
        )
    minutes, hours = _values(cron[1], 0, 59), _values(cron[2], 0, 23)
    days, months = _values(cron[3], 1, 31), _values(cron[4], 1, 12, _MONTHS)
    weekdays = _values(cron[5], 1, 7, _DAYS)
    first = datetime.date(_YEAR, 1, 1)
    return [
        (day * 24 + hour) * 60 + minute
        for day in range(365)
        if (date := first + datetime.timedelta(days=day)).day in days
        and date.month in months
        and date.isoweekday() % 7 + 1 in weekdays
        for hour in sorted(hours)
        for minute in sorted(minutes)
    ]


def _values(text: str, low: int, high: int, names: Sequence[str] = ()) -> set[int]:
    """The values of one field: numbers or names, lists, ranges and steps."""
    found: set[int] = set()
    for part in text.split(","):
        span, _, step = part.partition("/")
        first, dash, last = span.partition("-")
        if first in ("*", "?"):
            start, end = low, high
        else:
            start = _number(first, low, names)
            end = _number(last, low, names) if dash else high if step else start
        found.update(range(start, end + 1, int(step or 1)))
    return found


def _number(text: str, low: int, names: Sequence[str]) -> int:
    if text in names:
        return names.index(text) + low
    if not text.isdigit():
        raise CostError(
            f"{text} in a cron(…) cannot be priced: cost/schedules.py knows numbers, names, lists, ranges and steps."
        )
    return int(text)
