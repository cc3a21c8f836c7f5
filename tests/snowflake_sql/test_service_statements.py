"""The service's own statements: what the queue and the web role send to Snowflake."""

from __future__ import annotations

import inspect

import pytest

from report_service.queue import statements
from tests.sql_lint import check_statement

CONSTANTS = {name: value for name, value in vars(statements).items() if name.isupper() and not name.startswith("_")}
MADE = {
    "abort_transaction": statements.abort_transaction(1795845454963000000),
    "cancel_queries": statements.cancel_queries(6668664790732985),
    "claim": statements.claim(5, 1),
    "claim_deliveries": statements.claim_deliveries(50),
    "jobs": statements.jobs(10, by_status=True),
}


def test_every_function_that_makes_a_statement_is_checked_here() -> None:
    made = {name for name, value in vars(statements).items() if inspect.isfunction(value) and not name.startswith("_")}
    assert made == MADE.keys()


@pytest.mark.parametrize("name", sorted(CONSTANTS | MADE))
def test_every_statement_parses(name: str) -> None:
    # The dialect has no `?`; a number stands where a value is bound.
    assert list(check_statement((CONSTANTS | MADE)[name].replace("?", "1"))) == []
