"""Serve the Snowflake stand-in: `.venv-warehouse/bin/python -m local.warehouse --port 8765 --data build/warehouse`.

Environment: WAREHOUSE_ADMIN_PASSWORD (the password of the user ADMIN; without it ADMIN cannot log in), AWS_ENDPOINT_URL
and AWS_CA_BUNDLE (where external functions find API Gateway and STS).
"""

from __future__ import annotations

import argparse
import logging
import os
from pathlib import Path

import uvicorn
from fakesnow.transforms import stage

from local.warehouse import access, containers, egress, sample, user_functions
from local.warehouse.account import Account
from local.warehouse.dispatcher import Dispatcher
from local.warehouse.server import Server
from local.warehouse.task_clock import TaskClock


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="local.warehouse", description="A Snowflake account on this machine.")
    parser.add_argument("--port", type=int, required=True, help="listen on 127.0.0.1 at this port")
    parser.add_argument(
        "--data", type=Path, required=True, help="folder for databases and catalogue; kept over restarts"
    )
    parser.add_argument("--task-interval", type=float, default=10.0, help="seconds between looks at the tasks (10)")
    parser.add_argument("--sample", type=Path, help="folder with TPC-H parquet files: SNOWFLAKE_SAMPLE_DATA.TPCH_SF1")
    parser.add_argument("--log-level", default="info", help="debug, info (default), warning or error")
    return parser.parse_args()


def _open(folder: Path) -> Account:
    """The account as its last process left it; a new one has what every account has."""
    account = Account(folder)
    containers.open_all(account)
    access.seed(account.catalog)
    user_functions.install(account)
    egress.install()
    return account


def main() -> None:
    """Open the account, start the tasks' clock, serve until SIGTERM."""
    arguments = _arguments()
    Path(stage.LOCAL_BUCKET_PATH).rmdir()  # made by its import, and never used: stages are refused
    logging.basicConfig(level=arguments.log_level.upper(), format="%(asctime)s %(levelname)s %(name)s %(message)s")
    account = _open(arguments.data)
    if arguments.sample is not None:
        sample.load(account, arguments.sample)
    dispatcher = Dispatcher(account)
    clock = TaskClock(account, dispatcher.task_runs, arguments.task_interval)
    clock.start()
    server = Server(dispatcher, os.environ.pop("WAREHOUSE_ADMIN_PASSWORD", None))  # no body finds it
    config = uvicorn.Config(
        server.app(),
        host="127.0.0.1",
        port=arguments.port,
        log_level="warning",
        timeout_graceful_shutdown=1,
        limit_concurrency=None,
    )
    try:
        uvicorn.Server(config).run()
    finally:
        clock.stop()
        account.close()
        logging.shutdown()
        os._exit(0)  # a task that still waits for an answer must not keep the process


if __name__ == "__main__":
    main()
