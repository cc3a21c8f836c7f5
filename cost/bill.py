"""What an environment costs in a month: lines by stack and price, idle and at the stated load."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from cost import tasks
from cost import use as assumed
from cost.price_table import PriceTable
from cost.pricing import amounts
from cost.templates import Stack
from cost.use import Estate
from stacks.environment_load import LoadTable


class Line(NamedTuple):
    """All that one stack takes of one price in a month, in the price's unit and in US dollars."""

    stack: str
    key: str
    idle_quantity: float
    load_quantity: float
    idle: float
    load: float


@dataclass(frozen=True)
class Bill:
    """The lines of an environment, in the order of its stacks; ``idle`` and ``load`` are US dollars a month.

    ``idle_credits`` and ``load_credits`` are what a worker that is awake takes from Snowflake at most, which is no part
    of the dollars.
    """

    lines: list[Line]
    idle_credits: float
    load_credits: float

    @property
    def idle(self) -> float:
        """When nobody asks for anything."""
        return sum(line.idle for line in self.lines)

    @property
    def load(self) -> float:
        """At the stated load, what it costs idle included."""
        return sum(line.load for line in self.lines)

    def without(self, stacks: Sequence[str]) -> Bill:
        """The part of all other stacks."""
        return Bill([line for line in self.lines if line.stack not in stacks], self.idle_credits, self.load_credits)

    def allowance(self, prices: PriceTable) -> float:
        """What the allowances that never expire would take off the idle dollars, if nothing else used them."""
        taken: dict[str, float] = defaultdict(float)
        dollars: dict[str, float] = defaultdict(float)
        for line in self.lines:
            taken[line.key] += line.idle_quantity
            dollars[line.key] += line.idle
        return sum(
            dollars[key] * min(1.0, prices.price(key).free / quantity) for key, quantity in taken.items() if quantity
        )


def bill(stacks: list[Stack], prices: PriceTable, region: str, load: LoadTable) -> Bill:
    """Price all stacks of an environment.

    Raises:
        CostError: the region, a type of resource or a property has no price.
    """
    prices.check_region(region)
    idle, loaded = Estate(stacks, assumed.idle()), Estate(stacks, assumed.at_load(load))
    without, with_load = _quantities(idle), _quantities(loaded)
    lines = [
        Line(
            stack,
            key,
            without[stack, key],
            quantity,
            prices.usd(key, region, without[stack, key]),
            prices.usd(key, region, quantity),
        )
        for (stack, key), quantity in with_load.items()
        if quantity or without[stack, key]
    ]
    return Bill(lines, _credits(idle), _credits(loaded))


def _quantities(estate: Estate) -> dict[tuple[str, str], float]:
    found: dict[tuple[str, str], float] = defaultdict(float)
    for stack in estate.stacks:
        for resource in stack.resources:
            for key, quantity in amounts(resource, estate):
                found[stack.name, key] += quantity
    return found


def _credits(estate: Estate) -> float:
    """Snowflake's credits: the warehouse is up while a woken worker looks for rows, and a minute more."""
    total = 0.0
    for stack in estate.stacks:
        for service in stack.of_type(tasks.SERVICE):
            if tasks.waker_of(service):
                awake = tasks.idle_seconds(service) + assumed.SUSPEND_SECONDS
                seconds = tasks.wakes_of(service, estate) * awake
                seconds += estate.use(stack).work_seconds
                total += seconds / 3600 * assumed.CREDITS_PER_HOUR
    return total
