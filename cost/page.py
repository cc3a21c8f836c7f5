"""docs/cost.md out of the templates and the price table; `python -m cost.page` writes it anew."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby
from pathlib import Path

from cost.bill import Bill, bill
from cost.price_table import PriceTable, read_prices
from cost.report import ASSUMED, LEFT_OUT, roles
from cost.rival import SYSTEMS, rivals
from cost.schedules import HOURS
from cost.templates import Stack, read_stacks
from stacks.environment import Environment, read_environments
from stacks.stage import SnowgateStage
from stacks.synthesis import ROOT, quick_app

PAGE = ROOT / "docs" / "cost.md"
_REGION = "eu-west-1"
_MOST = 6  # lines of an environment that the page names

HEAD = """# Cost

Written by `python -m cost.page` from the synthesised templates and [cost/prices.toml](../cost/prices.toml); do not
edit. `make cost ENV=dev` shows every line of an environment, and a synth that checks ends with one each. Figures are
US dollars a month, at list prices of {date}, without tax.

**Idle** is a month in which nobody asks for anything: what always runs, and what schedules start and finds nothing to
do. **At load** is the same with the stated load: the table `[load]` of the environment's file, or its
[defaults](../stacks/environment_load.py). Change it there to what you expect; it deploys nothing.
"""

WHY = """
## What is paid for

- **Nothing runs between reports**, so the worker's tasks are paid for by the second: the sweep's, and those of reports.
  A sweep costs two minutes of a task and, more than that, of Snowflake's warehouse: `worker.sweep_minutes` decides.
- **The key of the alarms' topic** is one of our own, since alarms cannot publish to a topic under AWS's key for SNS. It
  is rotated, and each of the first two rotations adds a dollar a month.
- **Alarms and metrics**: an alarm costs by its metrics, a metric of our own by the hours in which it is sent. A
  dashboard costs as much as thirty alarms; `[alarms] dashboards = false` leaves them out, as dev does.
- **The secret** of the download links' key; with Workload Identity the logins to Snowflake have none.
- **The web role** always runs, behind a load balancer. dev leaves it out.
- **Public IPv4 addresses** cost the same in a task's hands, a load balancer's and a NAT gateway's.

An account has some of this free for ever: ten alarms, ten metrics, three dashboards, a million calls of functions. The
figures take none of it off, since an account has it once for all that it runs; `make cost` says what it would be.
"""

RIVAL = """
## Beside aws-ecs-patterns

The same roles, built from the CDK's own patterns as their documentation shows: `QueueProcessingFargateService` for the
worker, `ApplicationLoadBalancedFargateService` for the web role where there is one, in the VPC that the patterns make,
with tasks as large as ours and of our architecture ([cost/rival.py](../cost/rival.py)). It is synthesised by the same
CDK and priced by the same program at the same load. Ours is the report service with all that it has, and without the
other systems; the rival has no bucket, no links, no secrets and nobody who hears of its alarms.

| environment | roles | ours, idle | rival, idle | ours, at load | rival, at load |
|---|---|---:|---:|---:|---:|
"""

WHY_RIVAL = """
In dev the difference is what always runs there: two NAT gateways with their addresses, and a task that waits for
messages. The pattern can be told to begin at 0 tasks, but then its default steps wake none before a hundred messages
wait. prod has two NAT gateways of its own, so that there little is left but the waiting task; staging has one.
"""

CHANGES = """
## What changes the bill most

| what | USD a month in {region} |
|---|---:|
"""

TAIL = """
## Updating the prices

Each price in [cost/prices.toml](../cost/prices.toml) names AWS's page, and where the figure was really read: AWS's
pages could not be reached when the table was made, so most come from copies of AWS's Price List, and those marked
`elsewhere` from another region. Change the figure, its source and the date; for another region add `regions.NAME` to
every price (until then `make cost` refuses it). Then `python -m cost.page`: the tests check that this page is fresh,
and that dev, idle, costs at most 5 USD.

A type of resource that nobody has priced stops `make cost` with its name: it is added to
[cost/pricing.py](../cost/pricing.py), priced or free with a reason. A synth goes on and says so.

## Budgets

These are expectations; the account's bill is the truth. `[alarms] monthly_budget_usd` makes a budget of AWS that tells
`emails` when 80 % are spent and when a forecast exceeds it all. It watches the whole account.
"""


def text(stacks: Mapping[str, list[Stack]], environments: Sequence[Environment], prices: PriceTable) -> str:
    """Return the whole page; ``stacks`` are those of each environment, by its name."""
    bills = {one.name: bill(stacks[one.name], prices, one.region, one.load) for one in environments}
    others = rivals(environments)
    rows = [
        _rival_row(one, bills[one.name], bill([others[one.name]], prices, one.region, one.load)) for one in environments
    ]
    parts = [
        HEAD.format(date=prices.date),
        *_environments(environments, bills, prices),
        WHY,
        RIVAL,
        *rows,
        WHY_RIVAL,
        CHANGES.format(region=_REGION),
        *(f"| {what} | {usd:.2f} |\n" for what, usd in sorted(_changes(prices), key=lambda change: -change[1])),
        "\n## What is assumed and left out\n\n",
        *(f"- {line}\n" for line in ASSUMED),
        f"- Left out: {LEFT_OUT}\n",
        TAIL,
    ]
    return "".join(parts)


def _environments(environments: Sequence[Environment], bills: Mapping[str, Bill], prices: PriceTable) -> Iterator[str]:
    yield "\n| environment | idle | at load | Snowflake's credits, idle | what costs most, idle |\n"
    yield "|---|---:|---:|---:|---|\n"
    for one in environments:
        found = bills[one.name]
        most = sorted(found.lines, key=lambda line: -line.idle)[:_MOST]
        names = ", ".join(f"{line.stack}: {prices.price(line.key).label} {line.idle:.2f}" for line in most)
        yield f"| {one.name} | {found.idle:.2f} | {found.load:.2f} | {found.idle_credits:.0f} | {names} |\n"
    yield (
        "\nlocal is what the local platform's stacks would cost on AWS in us-east-1, on X86_64; where they run they "
        "cost nothing. The credits are no part of the dollars, and are what it takes at most: the X-Small warehouse is "
        "up while a worker that a sweep woke looks for rows, and a minute more. They may be the larger bill.\n"
    )
    yield "\n| stack | " + " | ".join(f"{one.name}, idle | at load" for one in environments) + " |\n"
    yield "|---|" + "---:|---:|" * len(environments) + "\n"
    sums = {one.name: _by_stack(bills[one.name]) for one in environments}
    for stack in dict.fromkeys(stack for found in sums.values() for stack in found):
        cells = [
            f"{sums[one.name][stack][0]:.2f} | {sums[one.name][stack][1]:.2f}" if stack in sums[one.name] else " | "
            for one in environments
        ]
        yield f"| {stack} | " + " | ".join(cells) + " |\n"


def _by_stack(found: Bill) -> dict[str, tuple[float, float]]:
    groups = groupby(sorted(found.lines), key=lambda line: line.stack)
    return {
        stack: (sum(line.idle for line in lines), sum(line.load for line in lines))
        for stack, lines in ((stack, list(group)) for stack, group in groups)
    }


def _rival_row(environment: Environment, found: Bill, rival: Bill) -> str:
    ours = found.without(SYSTEMS)
    figures = " | ".join(f"{usd:.2f}" for usd in (ours.idle, rival.idle, ours.load, rival.load))
    return f"| {environment.name} | {roles(environment)} | {figures} |\n"


def _changes(prices: PriceTable) -> Iterator[tuple[str, float]]:
    """Decisions of an environment's file, by what they add."""

    def usd(key: str, quantity: float) -> float:
        return prices.usd(key, _REGION, quantity)

    def task(vcpu: float, gigabytes: float) -> float:
        return usd("fargate_arm64_vcpu_hour", vcpu * HOURS) + usd("fargate_arm64_gb_hour", gigabytes * HOURS)

    address, balancer = usd("public_ipv4_hour", HOURS), usd("alb_hour", HOURS)
    yield "a task of the Matillion agent with 2 vCPU and 8 GB that always runs", task(2, 8)
    yield "a NAT gateway with its address", usd("nat_gateway_hour", HOURS) + address
    yield "Multi-AZ for a db.t4g.small with 20 GB", usd("rds_db_t4g_small_hour", HOURS) + usd("rds_gp3_gb_month", 20)
    yield "the web role: an internal load balancer and a task with 0.25 vCPU and 0.5 GB", balancer + task(0.25, 0.5)
    yield (
        'the nine interface endpoints of `mode = "private"` in two zones',
        usd("vpc_endpoint_hour", 18 * HOURS),
    )
    yield "Container Insights of the agent's cluster", usd("custom_metric_month", 32)
    yield (
        "a NAT instance, its disk and its address",
        (usd("ec2_t4g_nano_hour", HOURS) + usd("ebs_gp3_gb_month", 8) + address),
    )
    yield "a dashboard", usd("dashboard_month", 1)


def main() -> None:
    """Synthesise all environments and write the page."""
    environments = [
        # The page is the same on every machine.
        one.model_copy(update={"architecture": "X86_64"}) if one.architecture == "HOST" else one
        for one in read_environments(ROOT / "environments")
    ]
    with tempfile.TemporaryDirectory() as folder:
        app = quick_app(Path(folder))
        for environment in environments:
            SnowgateStage(app, environment=environment)
        app.synth()
        stacks = {one.name: read_stacks(Path(folder), one.name) for one in environments}
    PAGE.write_text(text(stacks, environments, read_prices()))


if __name__ == "__main__":
    main()
