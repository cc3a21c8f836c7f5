"""`make cost ENV=…`: price an environment from its synthesised templates.

    python -m cost ENV

It deploys nothing and asks nobody. Exit code 1, with the reason, where something has no price.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

from cost.bill import bill
from cost.price_table import CostError, read_prices
from cost.report import text
from cost.rival import SYSTEMS, rivals
from cost.templates import Stack
from snowgate.sql_folder import SqlFolderError
from stacks.environment import Environment, read_environment
from stacks.environment_errors import EnvironmentFileError
from stacks.snowflake_side import environment_file
from stacks.synthesis import synthesise


def report(environment: Environment) -> str:
    """What `make cost` prints of an environment.

    Raises:
        CostError: something has no price.
    """
    prices, region, load = read_prices(), environment.region, environment.load
    prices.check_region(region)
    with tempfile.TemporaryDirectory() as folder:
        stacks = [
            Stack(name.removeprefix(f"{environment.name}-"), template)
            for name, template in synthesise(environment, Path(folder))
        ]
    found = bill(stacks, prices, region, load)
    rival = bill([rivals([environment])[environment.name]], prices, region, load)
    return text(environment, found, rival, found.without(SYSTEMS), prices)


def main() -> None:
    """Print the report of the environment that is named."""
    parser = argparse.ArgumentParser(prog="python -m cost", description=__doc__.partition("\n")[0])
    parser.add_argument("environment", help="name of a file in environments/, without .toml, or a path to one")
    print(report(read_environment(environment_file(parser.parse_args().environment))))


if __name__ == "__main__":
    try:
        main()
    except (CostError, EnvironmentFileError, SqlFolderError) as error:
        sys.exit(str(error))
