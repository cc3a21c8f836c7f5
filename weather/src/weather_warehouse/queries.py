"""What the API reads: observations and their statistics by station and year, a page at a time.

A page goes on after a place: a station and a day, or a station and a year. What is written meanwhile moves no row to
another page, and a page at the end costs what one at the beginning does.
"""

from __future__ import annotations

import datetime
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import psycopg
from psycopg.rows import class_row


class ObservationRow(NamedTuple):
    """A day at a station: tenths of a degree Celsius and tenths of a millimetre; None was not measured."""

    station: str
    date: datetime.date
    max_temperature: int | None
    min_temperature: int | None
    precipitation: int | None


class YearRow(NamedTuple):
    """A year at a station: sums in the same tenths, None without a day, and the days that have a value."""

    station: str
    year: int
    max_temperature: int | None
    max_temperature_days: int
    min_temperature: int | None
    min_temperature_days: int
    precipitation: int | None
    precipitation_days: int


@dataclass(frozen=True)
class Choice:
    """Which days count; what is None leaves none out."""

    station: str | None = None
    date: datetime.date | None = None
    first: datetime.date | None = None
    last: datetime.date | None = None
    year: int | None = None

    @property
    def condition(self) -> str:
        """The text of a WHERE, of constants only."""
        texts = {
            "station = %(station)s": self.station,
            "date = %(date)s": self.date,
            "date >= %(first)s": self.first,
            "date <= %(last)s": self.last,
            "date BETWEEN make_date(%(year)s, 1, 1) AND make_date(%(year)s, 12, 31)": self.year,
        }
        return " AND ".join(text for text, value in texts.items() if value is not None) or "true"


def observations(
    connection: psycopg.Connection, choice: Choice, after: tuple[str, datetime.date] | None, limit: int
) -> tuple[int, list[ObservationRow]]:
    """Return how many observations there are, and the first `limit` after a station and day, in that order."""
    place = "(station, date) > (%(after_station)s, %(after)s)" if after else "true"
    page = f"SELECT * FROM observation WHERE {choice.condition} AND {place} ORDER BY station, date LIMIT %(limit)s"
    values = _values(choice, after, limit)
    total = _count(connection, f"SELECT count(*) FROM observation WHERE {choice.condition}", values)
    with connection.cursor(row_factory=class_row(ObservationRow)) as cursor:
        return total, cursor.execute(page, values).fetchall()


def years(
    connection: psycopg.Connection, choice: Choice, after: tuple[str, int] | None, limit: int
) -> tuple[int, list[YearRow]]:
    """Return how many years of stations there are, and the first `limit` after a station and year, in that order."""
    place = "(station, date_part('year', date)) > (%(after_station)s, %(after)s)" if after else "true"
    page = f"""
        SELECT station, date_part('year', date)::integer AS year,
            sum(max_temperature) AS max_temperature, count(max_temperature) AS max_temperature_days,
            sum(min_temperature) AS min_temperature, count(min_temperature) AS min_temperature_days,
            sum(precipitation) AS precipitation, count(precipitation) AS precipitation_days
        FROM observation WHERE {choice.condition} AND {place}
        GROUP BY station, date_part('year', date) ORDER BY station, date_part('year', date) LIMIT %(limit)s
    """
    every = f"SELECT DISTINCT station, date_part('year', date) FROM observation WHERE {choice.condition}"
    values = _values(choice, after, limit)
    total = _count(connection, f"SELECT count(*) FROM ({every}) AS every", values)
    with connection.cursor(row_factory=class_row(YearRow)) as cursor:
        return total, cursor.execute(page, values).fetchall()


def _values(choice: Choice, after: tuple[str, Any] | None, limit: int) -> dict[str, Any]:
    place = {"after_station": after[0], "after": after[1]} if after else {}
    return vars(choice) | place | {"limit": limit}


def _count(connection: psycopg.Connection, query: str, values: Mapping[str, Any]) -> int:
    row = connection.execute(query, values).fetchone()
    assert row  # of an aggregate without groups there is always one
    return int(row[0])
