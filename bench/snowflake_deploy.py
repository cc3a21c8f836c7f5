"""How long a deploy works in Snowflake: the first one, and one that finds nothing new, beside a plain client.

The rival sends the same statements (`make snowflake-plan`) one after another over the same connector, and keeps no
record, takes no lock, looks at nothing and repairs nothing.
"""

from __future__ import annotations

import io
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import snowflake.connector
from rich.console import Console

from bench.measure import ROOT, Measurement
from local.demo import Demo
from local.platform import Platform
from snowgate.lambdas.snowflake_deployer.statements import split

DEPLOYER = "SNOWGATE_DEPLOYER"
# What the deploys sent, each statement with its seconds in Snowflake.
SENT = f"""SELECT QUERY_TEXT, TIMESTAMPDIFF(millisecond, START_TIME, END_TIME) / 1000 AS SECONDS
           FROM TABLE(INFORMATION_SCHEMA.QUERY_HISTORY(RESULT_LIMIT => 10000))
           WHERE USER_NAME = '{DEPLOYER}' ORDER BY START_TIME"""
EXISTS = 2002  # what has no IF NOT EXISTS: the plan says that a second run passes it over
CHANGING = ("CREATE", "ALTER", "DROP", "GRANT", "REVOKE", "COMMENT")


def measure() -> Iterator[Measurement]:
    """Both deploys on a platform of its own, by the real CDK CLI."""
    with tempfile.TemporaryDirectory() as folder:
        platform = Platform(Path(folder) / "platform")
        try:
            Demo(platform, Console(file=io.StringIO())).deploy()
            first = _sent(platform)
            platform.deploy()
            again = _sent(platform)[len(first) :]
            rival = _plain_client(platform, Path(folder) / "plan.sql")
        finally:
            platform.stop()
    if not again:
        raise RuntimeError("the second deploy did not look at Snowflake")
    name = "a plain client running the plan's statements"
    yield Measurement("first deploy, seconds of SQL", sum(s for _, s in first), "s", name, rival, 20)
    yield Measurement("unchanged deploy, seconds of SQL", sum(s for _, s in again), "s", name, rival, 3)
    ddl = [text for text, _ in again if text.lstrip().upper().startswith(CHANGING)]
    name = "the first deploy"
    rival = sum(text.lstrip().upper().startswith(CHANGING) for text, _ in first)
    yield Measurement("unchanged deploy, statements of DDL", len(ddl), "statements", name, rival, 0)


def _sent(platform: Platform) -> list[tuple[str, float]]:
    with platform.connect() as connection:
        cursor: Any = connection.cursor()
        return [(str(text), float(seconds)) for text, seconds in cursor.execute(SENT).fetchall()]


def _plain_client(platform: Platform, file: Path) -> float:
    """The seconds of the plan's statements; the account has all of it by now, as at a second run by hand."""
    command = [sys.executable, "-m", "stacks.snowflake_plan", "local", "--deployed", "--output", str(file)]
    subprocess.run(command, check=True, cwd=ROOT, env=os.environ | platform.operator_environment(), capture_output=True)
    statements = split("plan", file.read_text())
    with platform.connect() as connection:
        cursor: Any = connection.cursor()
        started = time.perf_counter()
        for statement in statements:
            try:
                cursor.execute(statement.text)
            except snowflake.connector.ProgrammingError as error:
                if error.errno != EXISTS:
                    raise
        return time.perf_counter() - started
