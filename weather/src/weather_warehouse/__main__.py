"""`python -m weather_warehouse web` or `ingest [--source folder|s3] [--run-id ID]`; the exit code is 0 or 1."""

from __future__ import annotations

import argparse
import sys

from weather_warehouse.roles import run_role


def main(arguments: list[str]) -> int:
    """Run one role and return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m weather_warehouse")
    roles = parser.add_subparsers(dest="role", required=True)
    roles.add_parser("web", help="serve the HTTP API until SIGTERM")
    ingest = roles.add_parser("ingest", help="read the station files into the database")
    ingest.add_argument("--source", choices=("folder", "s3"), help="s3 if WEATHER_BUCKET is set, else folder")
    ingest.add_argument("--run-id", help="a name for this run, instead of INGEST_RUN_ID")
    chosen = vars(parser.parse_args(arguments))
    return run_role(chosen.pop("role"), **chosen)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
