"""Check every SQL file as it will be deployed: `python -m tests.sql_lint` prints findings and exits 1 if there are any.

Each statement must be one that sqlfluff's Snowflake dialect parses and that the project's own clause grammar accepts;
sqlfluff's known gaps are listed here, and a gap that it has closed is a finding too.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

from jinja2 import Environment, StrictUndefined
from sqlfluff.core import FluffConfig, Linter

from local.warehouse import grammar
from local.warehouse.errors import SnowflakeError
from snowgate.lambdas.snowflake_deployer.statements import ScriptError, Statement, parse, split

ROOT = Path(__file__).resolve().parents[1]
SQL_FILES = ROOT / "snowflake_sql"
REPORTS = ROOT / "service" / "reports"

# Names as an environment file gives them; `trigger_url` is what only the deploy knows.
NAMES: dict[str, Any] = {
    "database": "REPORTING_DB",
    "config_schema": "CONFIG",
    "reporting_schema": "REPORTING",
    "warehouse": "REPORTING_WH",
    "deployer_role": "SNOWGATE_DEPLOYER",
    "deployer_user": "SNOWGATE_DEPLOYER",
    "owner_role": "REPORTING_OWNER",
    "runner_role": "REPORTING_RUNNER",
    "runner_user": "REPORTING_SERVICE",
    "web_user": "REPORTING_SERVICE_WEB",
    "api_integration": "SNOWGATE_TEST_API",
    "external_access": "SNOWGATE_TEST_EGRESS",
    "trigger_interval_seconds": 10,
    "tasks_enabled": True,
    "daily_reports_enabled": False,
    "private": False,
    "trigger_url": "https://abc123.execute-api.eu-west-1.amazonaws.com/prod/trigger",
    "web_host": "reports.example.com",
    "deployer_role_arn": None,
    "public_key": "MIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8A",
}

# Snowflake statements that sqlfluff 4.5.0 cannot parse; the clause grammar alone checks them.
KNOWN_GAPS: dict[str, str] = {
    "CREATE EXTERNAL ACCESS INTEGRATION": r"CREATE (OR REPLACE )?EXTERNAL ACCESS INTEGRATION\b",
    "ALTER EXTERNAL ACCESS INTEGRATION": r"ALTER EXTERNAL ACCESS INTEGRATION\b",
    "DROP EXTERNAL ACCESS INTEGRATION": r"DROP EXTERNAL ACCESS INTEGRATION\b",
    "ALTER NETWORK RULE": r"ALTER NETWORK RULE\b",
    "DESCRIBE NETWORK RULE": r"DESC(RIBE)? NETWORK RULE\b",
    "SHOW NETWORK RULES": r"SHOW NETWORK RULES\b",
    "DROP NETWORK RULE": r"DROP NETWORK RULE\b",
    "ALTER API INTEGRATION": r"ALTER API INTEGRATION\b",
    "ALTER USER with WORKLOAD_IDENTITY after others": r"ALTER USER \w+ SET [^;]+ WORKLOAD_IDENTITY = \(TYPE",
    "GRANT with CREATE NETWORK RULE": r"GRANT [^;]*\bCREATE NETWORK RULE\b",
}


class Finding(NamedTuple):
    """Something wrong in a file."""

    file: str
    line: int
    message: str

    def __str__(self) -> str:
        return f"{self.file}:{self.line}: {self.message}"


def main() -> int:
    """Print the findings of all files; 0 if there are none."""
    findings = [finding for path in sql_files() for finding in check_file(path)]
    for finding in findings:
        print(finding)
    return 1 if findings else 0


def sql_files() -> list[Path]:
    """All SQL files of the project, in the order of their names."""
    return sorted(SQL_FILES.glob("*.sql")) + sorted(REPORTS.glob("*/query.sql"))


def render(text: str, names: Mapping[str, Any] = NAMES) -> str:
    """Fill a file's placeholders; lines keep their numbers."""
    environment = Environment(undefined=StrictUndefined, keep_trailing_newline=True)  # noqa: S701 (SQL, not HTML)
    return environment.from_string(text).render(names)


def check_file(path: Path) -> Iterator[Finding]:
    """The findings of one file; those that are deployed must have the header too."""
    text = render(path.read_text())
    name = path.relative_to(ROOT).as_posix()
    try:
        statements = parse(name, text).statements if path.name[0].isdigit() else split(name, text)
    except ScriptError as error:
        yield Finding(name, 1, str(error))
        return
    for statement in statements:
        for line, message in check_statement(statement.text):
            yield Finding(name, statement.line + line - 1, message)


def check_statement(sql: str) -> Iterator[tuple[int, str]]:
    """What is wrong with one statement: lines within it, and why."""
    unparsed = list(sqlfluff_errors(sql))
    gap = known_gap(sql)
    if gap and not unparsed:
        yield 1, f"sqlfluff parses {gap} now: take it off the known gaps"
    if not gap:
        yield from unparsed
    try:
        grammar.parse(sql)
    except SnowflakeError as error:
        yield 1, f"clause grammar: {error}"
    yield from _python_errors(sql)


def known_gap(sql: str) -> str | None:
    """The name of the known gap that a statement falls into."""
    flat = " ".join(sql.split())
    return next((name for name, pattern in KNOWN_GAPS.items() if re.match(pattern, flat, re.IGNORECASE)), None)


def sqlfluff_errors(sql: str) -> Iterator[tuple[int, str]]:
    """Where sqlfluff's Snowflake dialect cannot parse a statement."""
    for violation in _linter().parse_string(sql).violations:
        yield violation.line_no, f"sqlfluff: {violation.desc()}"


def python_body(statement: Statement | str) -> str | None:
    """The Python text of a procedure or function, if it has one."""
    text = statement if isinstance(statement, str) else statement.text
    found = re.search(r"\bLANGUAGE\s+PYTHON\b.*?\$\$(.*)\$\$", text, re.DOTALL | re.IGNORECASE)
    return found[1] if found else None


def _python_errors(sql: str) -> Iterator[tuple[int, str]]:
    body = python_body(sql)
    if body is None:
        return
    try:
        compile(body, "body", "exec")
    except SyntaxError as error:
        before = sql[: sql.index("$$")].count("\n")
        yield before + (error.lineno or 1), f"Python body: {error.msg}"


@cache
def _linter() -> Linter:
    return Linter(config=FluffConfig(overrides={"dialect": "snowflake"}))


if __name__ == "__main__":
    sys.exit(main())
