"""What goes through the HTTP API."""

from __future__ import annotations

import datetime
import re
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, WithJsonSchema
from pydantic.json_schema import SkipJsonSchema

_STATION = "[A-Za-z0-9][A-Za-z0-9_.-]{0,63}"
_DATE = "^[0-9]{4}-[0-9]{2}-[0-9]{2}$"


def _text_of_a_day(given: Any) -> Any:
    """Refuse digits alone: Pydantic would take them for seconds since 1970."""
    if isinstance(given, str) and re.search(_DATE, given) and given.isascii():
        return given
    raise ValueError("a date as in 1985-01-31 is allowed")


Station = Annotated[str, Field(pattern=f"^{_STATION}$", examples=["USC00110072"])]
Day = Annotated[
    datetime.date,
    BeforeValidator(_text_of_a_day),
    WithJsonSchema({"type": "string", "format": "date", "pattern": _DATE, "examples": ["1985-01-31"]}),
]
# A station, and a day's number in the calendar or a year: unlike dates, all that the pattern allows are there.
AfterDay = Annotated[str, Field(pattern=f"^{_STATION}~[1-9][0-9]{{0,5}}$")]
AfterYear = Annotated[str, Field(pattern=f"^{_STATION}~[1-9][0-9]{{0,3}}$")]
_AFTER = "Where the page begins, as a `next` has it."


class _Filters(BaseModel):
    # A name that is not there is refused: a filter misspelt would give all rows.
    model_config = ConfigDict(extra="forbid")

    station: Station | SkipJsonSchema[None] = None
    date: Day | SkipJsonSchema[None] = Field(default=None, description="This day alone.")
    first: Day | SkipJsonSchema[None] = Field(default=None, alias="from", description="This day and later.")
    last: Day | SkipJsonSchema[None] = Field(default=None, alias="to", description="This day and earlier.")
    limit: int = Field(default=100, ge=1, le=1000, description="The most entries of a page.")


class ObservationQuery(_Filters):
    """Which observations; all filters that are given hold together."""

    after: AfterDay | SkipJsonSchema[None] = Field(default=None, description=_AFTER)


class StatisticsQuery(_Filters):
    """Which days count, and which years are shown; all filters that are given hold together."""

    year: Annotated[int, Field(ge=1, le=9999)] | SkipJsonSchema[None] = Field(
        default=None, description="This year alone."
    )
    after: AfterYear | SkipJsonSchema[None] = Field(default=None, description=_AFTER)


class Observation(BaseModel):
    """A day at a station; null was not measured."""

    station: str
    date: datetime.date
    max_temperature_c: float | None
    min_temperature_c: float | None
    precipitation_mm: float | None


class Statistics(BaseModel):
    """A year at a station, over the days that have a value; null where none has."""

    station: str
    year: int
    avg_max_temperature_c: float | None
    avg_min_temperature_c: float | None
    total_precipitation_cm: float | None
    max_temperature_days: int
    min_temperature_days: int
    precipitation_days: int


class _Page(BaseModel):
    total: int = Field(description="How many entries there are on all pages.")
    next: str | None = Field(description="The path of the next page; null on the last one.")


class Observations(_Page):
    """Observations in the order of station and date."""

    items: list[Observation]


class StatisticsPage(_Page):
    """Statistics in the order of station and year."""

    items: list[Statistics]


class Health(BaseModel):
    """That the process answers."""

    status: Literal["healthy"] = "healthy"
    service: Literal["weather-warehouse"] = "weather-warehouse"
    environment: str
    timestamp: datetime.datetime


class Ready(BaseModel):
    """That the database answers."""

    status: Literal["ready"] = "ready"


class Problem(BaseModel):
    """An error as RFC 9457 has it; `field` names the part of the request that is wrong."""

    type: str = "about:blank"
    title: str
    status: int
    detail: str
    field: str | None = None
