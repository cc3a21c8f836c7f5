"""The grammar by itself, without a server: what it reads, and that it is exact about it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from local.warehouse.errors import SnowflakeError
from local.warehouse.grammar import parse
from local.warehouse.statements import Alter, Create, Describe, Drop, Grant, Show

ACCEPTED = [
    "CREATE OR REPLACE EXTERNAL ACCESS INTEGRATION E ALLOWED_NETWORK_RULES = (D.S.N) "
    "ALLOWED_AUTHENTICATION_SECRETS = (D.S.T) ENABLED = TRUE COMMENT = 'x'",
    "ALTER EXTERNAL ACCESS INTEGRATION E SET ENABLED = FALSE",
    "ALTER NETWORK RULE D.S.N SET VALUE_LIST = ('a.example.com:443')",
    "DESC NETWORK RULE D.S.N",
    "SHOW NETWORK RULES IN SCHEMA D.S",
    "DROP NETWORK RULE IF EXISTS D.S.N",
    "ALTER API INTEGRATION A SET API_AWS_ROLE_ARN = 'arn:aws:iam::111122223333:role/r', ENABLED = TRUE",
    "GRANT CREATE NETWORK RULE, CREATE SECRET, CREATE TASK ON SCHEMA D.S TO ROLE R",
    "create task t /* a comment */ warehouse = w -- another\n schedule = '5 MINUTE' as select ';' as x;",
]


@pytest.mark.parametrize("sql", ACCEPTED)
def test_statements_that_sqlfluff_cannot_parse_are_read(sql: str) -> None:
    assert parse(sql) is not None


@pytest.mark.parametrize(
    "sql",
    [
        "ALTER NETWORK RULE N SET TYPE = IPV4",
        "ALTER EXTERNAL ACCESS INTEGRATION E ENABLED = FALSE",
        "DESC NETWORK RULES N",
        "DROP NETWORK RULE N CASCADE",
        "ALTER API INTEGRATION A SET API_AWS_ROLE = 'x'",
        "GRANT CREATE NETWORK RULES ON SCHEMA D.S TO ROLE R",
        "GRANT CREATE TASK ON DATABASE D TO ROLE R",
        "CREATE TASK T WAREHOUSE = W SCHEDULE = '5 MINUTES' AS SELECT 1; SELECT 2",
    ],
)
def test_their_wrong_neighbours_are_refused(sql: str) -> None:
    with pytest.raises(SnowflakeError):
        parse(sql)


@pytest.mark.parametrize("sql", ["SELECT 1", "CREATE TABLE T (A NUMBER)", "UPDATE T SET A = 1", "", "-- nothing"])
def test_what_is_about_tables_is_left_to_others(sql: str) -> None:
    assert parse(sql) is None


def test_a_statement_says_what_it_holds() -> None:
    task = parse(
        "CREATE TASK IF NOT EXISTS D.S.T WAREHOUSE = W AFTER A, B WHEN SYSTEM$STREAM_HAS_DATA('S') AS CALL P(1)"
    )
    assert isinstance(task, Create)
    assert (task.kind, task.name, task.if_not_exists, task.clauses) == (
        "TASK",
        ("D", "S", "T"),
        True,
        {"WAREHOUSE": "W"},
    )
    assert task.extra["after"] == [("A",), ("B",)]
    assert (task.extra["when"], task.extra["definition"]) == (("STREAM", ("S",)), "CALL P(1)")
    assert isinstance(parse("ALTER TASK T RESUME"), Alter)
    assert isinstance(parse("DESC INTEGRATION A"), Describe)
    assert parse("DROP FUNCTION F(VARCHAR(10), INT)").types == ("VARCHAR", "NUMBER")  # type: ignore[union-attr]
    assert isinstance(parse("DROP FUNCTION F()"), Drop)
    assert isinstance(parse("SHOW TASKS LIKE 'a%' IN SCHEMA D.S LIMIT 5"), Show)
    grant = parse("GRANT SELECT, UPDATE ON TABLE D.S.T TO ROLE R WITH GRANT OPTION")
    assert isinstance(grant, Grant)
    assert (grant.privileges, grant.with_grant_option) == (("SELECT", "UPDATE"), True)


def test_a_syntax_error_names_the_place() -> None:
    with pytest.raises(SnowflakeError, match="line 2 at position 2 unexpected 'NOWHERE'"):
        parse("ALTER TASK T\n  NOWHERE")


def test_the_grammar_needs_neither_fakesnow_nor_duckdb(root: Path) -> None:
    code = (
        "import sys, local.warehouse.grammar as g; print(sorted({'duckdb', 'fakesnow', 'sqlglot'} & set(sys.modules)))"
    )
    answer = subprocess.run([sys.executable, "-c", code], cwd=root, capture_output=True, text=True, check=True)
    assert answer.stdout.strip() == "[]"
