"""`python -m weather_warehouse web` or `ingest [--source folder|s3] [--run-id ID]`; the exit code is 0 or 1."""

from __future__ import annotations

import argparse
import sys

from weather_warehouse.settings import IngestSettings, SettingsError, WebSettings, load


def main(arguments: list[str]) -> int:
    """Run one role to its end and return the exit code: 0, or 1 if something is wrong."""
    parser = argparse.ArgumentParser(prog="python -m weather_warehouse")
    roles = parser.add_subparsers(dest="role", required=True)
    roles.add_parser("web", help="serve the HTTP API until SIGTERM")
    ingest = roles.add_parser("ingest", help="read the station files into the database")
    ingest.add_argument("--source", choices=("folder", "s3"), help="s3 if WEATHER_BUCKET is set, else folder")
    ingest.add_argument("--run-id", help="a name for this run, instead of INGEST_RUN_ID")
    given = parser.parse_args(arguments)
    try:
        # Imported only now: neither role needs the other's libraries in its memory.
        if given.role == "ingest":
            from weather_warehouse.ingest_role import run_ingest

            return run_ingest(load(IngestSettings, ingest_run_id=given.run_id), given.source)
        from weather_warehouse.web.server import run_web

        run_web(load(WebSettings))
    except SettingsError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
