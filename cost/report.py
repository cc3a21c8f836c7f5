"""Bills as text: the table of `make cost`, what it rests on, and the line that a synth prints."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import groupby
from pathlib import Path
from textwrap import wrap

from cost import use as assumed
from cost.bill import Bill, Line, bill
from cost.price_table import CostError, PriceTable, read_prices
from cost.templates import read_stacks
from stacks.environment import Environment
from stacks.environment_load import LoadTable

CENT = 0.005  # below it a line is not worth a row

ASSUMED = (
    f"A task takes {assumed.START_SECONDS} s from the pull of its image to its work and {assumed.STOP_SECONDS} s to "
    "stop; Spot is priced as if it were none; services run the least number of tasks that they scale to.",
    f"A function's call takes {assumed.LAMBDA_SECONDS} s. An image has {assumed.IMAGE_GB:g} GB, and one of each is "
    "kept.",
    f"Logs: {assumed.LAMBDA_LOG_KB:g} kB a call, {assumed.WAKE_LOG_KB:g} kB a wake-up or job, "
    f"{assumed.REPORT_LOG_KB:g} kB a report, {assumed.REQUEST_LOG_KB:g} kB a request, "
    f"{assumed.TASK_HOUR_LOG_KB:g} kB an hour of a task that always runs, {assumed.FLOW_LOG_MB * 1000:g} kB of flow "
    f"logs an hour of a network interface, {assumed.INSIGHTS_KB:g} kB a minute of a task with Container Insights.",
    f"A task that always runs sends and fetches {assumed.NAT_MB:g} MB an hour through a NAT gateway or endpoints.",
    "KMS keys are priced as from their third year on: a dollar and two for rotated versions; the first year costs one.",
    "Copies in a second region are priced as in the environment's own, without the transfer between the two.",
    "A month has 730 hours. Allowances that never expire are not taken off, and what new accounts get is not counted.",
)
LEFT_OUT = (
    "Snowflake; tax, support, discounts; Savings Plans; data transfer other than what is stated; deploys; tasks that "
    "scaling adds; logs of databases; access logs; the bootstrap's bucket and older images; calls of KMS and of "
    "Secrets Manager (0.03 and 0.05 USD for 10,000); backups beyond a database's size."
)


def summaries(environments: Iterable[Environment], assembly: Path) -> Iterator[str]:
    """A line for each environment of a cloud assembly; one that cannot be priced says why, and stops no synth."""
    for environment in environments:
        try:
            found = bill(read_stacks(assembly, environment.name), read_prices(), environment.region, environment.load)
            yield f"{environment.name}: {found.idle:.2f} USD/month idle, {found.load:.2f} at its stated load"
        except CostError as error:
            yield f"{environment.name}: not priced. {error}"


def text(environment: Environment, found: Bill, rival: Bill, ours: Bill, prices: PriceTable) -> str:
    """All that `make cost` prints; the last line is ``Total idle: 4.20 USD/month``."""
    return "\n".join(_lines(environment, found, rival, ours, prices))


def _lines(environment: Environment, found: Bill, rival: Bill, ours: Bill, prices: PriceTable) -> Iterator[str]:
    region = environment.region
    yield f"{environment.name} in {region}: US dollars a month, at the prices of {prices.date} (cost/prices.toml)"
    if environment.name == "local":
        yield "The local platform costs nothing; this is what the same stacks would cost on AWS."
    yield ""
    yield _row("stack", "what", "idle", "at load", "unit", "idle USD", "load USD")
    for stack, lines in groupby(found.lines, key=lambda line: line.stack):
        yield from _stack(stack, list(lines), prices, region)
    yield _row("total", "", "", "", "", f"{found.idle:.2f}", f"{found.load:.2f}")
    yield ""
    yield f"The stated load ([load] in environments/{environment.name}.toml), a month, where the environment has such:"
    yield from wrap(load_text(environment.load), 110, initial_indent="  ", subsequent_indent="  ")
    yield "Assumed:"
    yield from (f"  {line}" for line in ASSUMED)
    elsewhere = _elsewhere(found, prices, region)
    if elsewhere:
        yield f"* No figure of {region} was found:"
        yield from (f"  {line}" for line in elsewhere)
    yield (
        f"Allowances that never expire would take {found.allowance(prices):.2f} USD off, idle, if nothing else in the "
        "account used them."
    )
    yield f"Left out: {LEFT_OUT}"
    yield (
        f"Snowflake bills for itself: its warehouse is up for {found.idle_credits:.1f} credits a month idle and "
        f"{found.load_credits:.1f} at load, at most, by the worker's looks and reports."
    )
    yield (
        f"An aws-ecs-patterns version of the same {roles(environment)} costs {rival.idle:.2f} USD idle and "
        f"{rival.load:.2f} at load, by the same prices; the report service of this environment {ours.idle:.2f} and "
        f"{ours.load:.2f}. docs/cost.md says what is compared."
    )
    yield f"Total idle: {found.idle:.2f} USD/month"


def load_text(load: LoadTable) -> str:
    """The stated load on one line, by the keys of the file."""
    return ", ".join(f"{key} {value:g}" for key, value in load.model_dump().items())


def roles(environment: Environment) -> str:
    """What an environment has of the report service."""
    return "worker and web role" if environment.web else "worker"


def _stack(stack: str, lines: list[Line], prices: PriceTable, region: str) -> Iterator[str]:
    """The rows of a stack: its sum, what costs a cent or more, and the rest together."""
    small = [line for line in lines if max(line.idle, line.load) < CENT]
    yield _row(stack, "", "", "", "", *_sums(lines))
    for line in lines:
        if line not in small:
            price = prices.price(line.key)
            mark = " *" if price.regions[region].elsewhere else ""
            quantities = (_quantity(line.idle_quantity), _quantity(line.load_quantity))
            yield _row("", price.label + mark, *quantities, price.unit, *_sums([line]))
    if small:
        yield _row("", f"{len(small)} below a cent", "", "", "", *_sums(small))


def _sums(lines: list[Line]) -> tuple[str, str]:
    return f"{sum(line.idle for line in lines):.2f}", f"{sum(line.load for line in lines):.2f}"


def _quantity(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def _row(stack: str, what: str, idle: str, load: str, unit: str, idle_usd: str, load_usd: str) -> str:
    return f"{stack:17}{what:44}{idle:>9}{load:>9} {unit:13}{idle_usd:>9}{load_usd:>9}".rstrip()


def _elsewhere(found: Bill, prices: PriceTable, region: str) -> list[str]:
    keys = dict.fromkeys(line.key for line in found.lines)
    figures = [(prices.price(key).label, prices.price(key).regions[region]) for key in keys]
    return [f"{label}: {figure.elsewhere}" for label, figure in figures if figure.elsewhere]
