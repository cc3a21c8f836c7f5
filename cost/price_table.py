"""The typed and checked form of prices.toml."""

from __future__ import annotations

import datetime
import tomllib
from functools import cache
from pathlib import Path

from pydantic import Field, ValidationError, model_validator

from stacks.environment_table import Table

FILE = Path(__file__).parent / "prices.toml"


class CostError(ValueError):
    """Something cannot be priced; the message names it and says where to add what is missing."""


class Figure(Table):
    """A price in one region, in US dollars, and the name of the source that it was read in.

    ``elsewhere`` says what it is in place of a figure of that region that was found.
    """

    usd: float = Field(ge=0)
    source: str
    elsewhere: str | None = None


class Price(Table):
    """What AWS asks for ``per`` of a unit; ``free`` of it a month never expire, once for all that an account runs."""

    label: str
    unit: str
    per: int = Field(default=1, ge=1)
    free: float = Field(default=0, ge=0)
    page: str = Field(pattern=r"^https://aws\.amazon\.com/")
    regions: dict[str, Figure]


class PriceTable(Table):
    """All prices, by their keys in the file."""

    date: datetime.date
    sources: dict[str, str]
    prices: dict[str, Price]

    @model_validator(mode="after")
    def _names_sources_that_exist(self) -> PriceTable:
        for key, price in self.prices.items():
            for region, figure in price.regions.items():
                if figure.source not in self.sources:
                    raise ValueError(f"prices.{key}.regions.{region}: there is no source {figure.source}")
        return self

    @property
    def regions(self) -> list[str]:
        """The regions that every price has."""
        return sorted(set.intersection(*(set(price.regions) for price in self.prices.values())))

    def check_region(self, region: str) -> None:
        """Look whether a region can be priced.

        Raises:
            CostError: the table lacks it.
        """
        if region not in self.regions:
            raise CostError(
                f"There are no prices of region {region}; {FILE.name} has {', '.join(self.regions)}. Add "
                f"regions.{region} = {{ usd = …, source = … }} to each of its prices, from the price's page."
            )

    def price(self, key: str) -> Price:
        """One price.

        Raises:
            CostError: there is none of this key.
        """
        if key not in self.prices:
            raise CostError(f"There is no price {key} in {FILE}: add [prices.{key}], with its page and a source.")
        return self.prices[key]

    def usd(self, key: str, region: str, quantity: float) -> float:
        """What a quantity costs, in the price's unit."""
        price = self.price(key)
        return quantity / price.per * price.regions[region].usd


@cache
def read_prices(file: Path = FILE) -> PriceTable:
    """Read and check the table, once.

    Raises:
        CostError: it is no TOML, or wrong.
    """
    try:
        return PriceTable.model_validate(tomllib.loads(file.read_text()))
    except (OSError, tomllib.TOMLDecodeError, ValidationError) as error:
        raise CostError(f"{file} cannot be used: {error}") from error
