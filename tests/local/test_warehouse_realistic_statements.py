"""A realistic set of statements, in order, on an account of its own: each works, or is refused as it says there."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
import snowflake.connector
from warehouse_server import warehouse

from snowgate.lambdas.snowflake_deployer.statements import split

FILE = Path(__file__).with_name("realistic_statements.sql")


def _statements() -> list[tuple[str, str]]:
    """(the statement, what its refusal names or nothing)."""
    lines = FILE.read_text().splitlines()
    found = []
    for statement in split(FILE.name, FILE.read_text()):
        above = lines[statement.line - 2] if statement.line > 1 else ""
        match = re.fullmatch(r"-- refused: (.+)", above)
        found.append((statement.text, match[1] if match else ""))
    return found


@pytest.fixture(scope="module")
def cursor(tmp_path_factory: pytest.TempPathFactory) -> Iterator[snowflake.connector.cursor.SnowflakeCursor]:
    with warehouse(tmp_path_factory.mktemp("realistic")) as running, running.connect() as connection:
        yield connection.cursor()


def test_each_statement_works_or_is_refused_as_it_says(cursor: snowflake.connector.cursor.SnowflakeCursor) -> None:
    wrong = []
    for sql, refused in _statements():
        try:
            cursor.execute(sql)
            outcome = ""
        except snowflake.connector.Error as error:
            outcome = str(error.msg)
        if bool(outcome) != bool(refused) or refused not in outcome:
            wrong.append((sql, outcome))
    assert wrong == []


def test_most_of_the_set_works() -> None:
    statements = _statements()
    assert len(statements) > 80
    assert sum(bool(refused) for _, refused in statements) == 7
