"""SHOW and DESC: the documented columns, filled from what was made, and never a secret."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
import snowflake.connector

Run = Callable[..., list[tuple[Any, ...]]]
Table = Callable[[str], list[dict[str, Any]]]
KINDS = (
    "WAREHOUSES", "ROLES", "USERS", "DATABASES", "SCHEMAS", "TABLES", "VIEWS", "COLUMNS", "SEQUENCES", "STREAMS",
    "TASKS", "PROCEDURES", "USER FUNCTIONS", "FUNCTIONS", "EXTERNAL FUNCTIONS", "NETWORK RULES", "SECRETS",
    "INTEGRATIONS", "API INTEGRATIONS", "EXTERNAL ACCESS INTEGRATIONS", "PARAMETERS", "GRANTS",
)  # fmt: skip
BODY = "LANGUAGE PYTHON RUNTIME_VERSION = '3.11' HANDLER = 'run' AS 'def run(*a):\n  return 1'"


@pytest.fixture
def shown(connection: snowflake.connector.SnowflakeConnection) -> Table:
    """The rows of a statement by column name."""

    def shown(sql: str) -> list[dict[str, Any]]:
        with connection.cursor(snowflake.connector.DictCursor) as cursor:
            return [dict(row) for row in cursor.execute(sql).fetchall()]

    return shown


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_can_be_shown(run: Run, kind: str) -> None:
    run(f"SHOW {kind}")


def test_tables_and_views_show_what_they_are(run: Run, shown: Table) -> None:
    run("CREATE TABLE T (N NUMBER) CLUSTER BY (N) DATA_RETENTION_TIME_IN_DAYS = 7 COMMENT = 't'")
    run("INSERT INTO T VALUES (1), (2)")
    run("CREATE SECURE VIEW V COMMENT = 'v' AS SELECT N FROM T")
    (table,) = shown("SHOW TABLES")
    assert (table["rows"], table["cluster_by"], table["retention_time"]) == ("2", "LINEAR(N)", "7")
    (view,) = shown("SHOW VIEWS")
    assert (view["is_secure"], view["text"]) == (
        "true",
        "create or replace secure view V(\n\tN\n) COMMENT='v' as SELECT N FROM T;",
    )
    columns = {row["table_name"]: json.loads(row["data_type"]) for row in shown("SHOW COLUMNS")}
    assert columns["T"] == {"type": "FIXED", "precision": 38, "scale": 0, "nullable": True}


def test_a_stream_whose_table_was_replaced_or_dropped_is_shown_as_stale(run: Run, shown: Table) -> None:
    run("CREATE TABLE T (N NUMBER)")
    run("CREATE STREAM S ON TABLE T APPEND_ONLY = TRUE")
    assert [row["stale"] for row in shown("SHOW STREAMS")] == ["false"]
    run("CREATE OR REPLACE TABLE T (N NUMBER)")
    assert [row["stale"] for row in (*shown("SHOW STREAMS"), *shown("DESC STREAM S"))] == ["true", "true"]
    run("CREATE OR REPLACE STREAM S ON TABLE T APPEND_ONLY = TRUE")
    assert [row["stale"] for row in shown("SHOW STREAMS")] == ["false"]
    run("DROP TABLE T")
    assert [row["stale"] for row in shown("SHOW STREAMS")] == ["true"]


def test_programs_show_their_arguments_and_their_way_out(run: Run, shown: Table) -> None:
    run("CREATE NETWORK RULE N MODE = EGRESS TYPE = HOST_PORT VALUE_LIST = ('a.example.com', 'b.example.com:8443')")
    run("CREATE SECRET T TYPE = PASSWORD USERNAME = 'u' PASSWORD = 'never-shown'")
    run("CREATE EXTERNAL ACCESS INTEGRATION SHOWN ALLOWED_NETWORK_RULES = (N) "
        "ALLOWED_AUTHENTICATION_SECRETS = (T) ENABLED = TRUE COMMENT = 'e'")  # fmt: skip
    run("CREATE FUNCTION F(A VARCHAR, N NUMBER(5,2) DEFAULT 1) RETURNS VARIANT "
        f"EXTERNAL_ACCESS_INTEGRATIONS = (SHOWN) SECRETS = ('t' = T) {BODY}")  # fmt: skip
    (function,) = shown("SHOW USER FUNCTIONS")
    assert function["arguments"] == "F(VARCHAR, DEFAULT NUMBER) RETURN VARIANT"
    assert (function["min_num_arguments"], function["external_access_integrations"]) == ("1", "SHOWN")
    described = dict(run("DESC FUNCTION F(VARCHAR, NUMBER)"))
    assert described["signature"] == "(A VARCHAR, N NUMBER(5,2))"
    assert described["external_access_integrations"] == "SHOWN"
    (rule,) = shown("DESC NETWORK RULE N")
    assert (rule["mode"], rule["value_list"]) == ("EGRESS", "a.example.com,b.example.com:8443")
    properties = {row["property"]: row["property_value"] for row in shown("DESC INTEGRATION SHOWN")}
    assert properties["ENABLED"] == "true"
    assert properties["ALLOWED_NETWORK_RULES"].endswith(".N")
    (secret,) = shown("DESC SECRET T")
    assert secret["username"] == "u"
    assert "never-shown" not in str([shown("SHOW SECRETS"), secret])
    run("DROP INTEGRATION SHOWN")


def test_parameters_of_a_task_say_where_their_values_come_from(run: Run, shown: Table) -> None:
    run("CREATE TASK K WAREHOUSE = WH SCHEDULE = '1 HOUR' SUSPEND_TASK_AFTER_NUM_FAILURES = 3 AS SELECT 1")
    found = {row["key"]: (row["value"], row["default"], row["level"]) for row in shown("SHOW PARAMETERS IN TASK K")}
    assert found["SUSPEND_TASK_AFTER_NUM_FAILURES"] == ("3", "10", "TASK")
    assert found["USER_TASK_TIMEOUT_MS"] == ("3600000", "3600000", "")
    run("ALTER SESSION SET QUERY_TAG = 'x'")
    (tag,) = shown("SHOW PARAMETERS LIKE 'query\\_tag' IN SESSION")
    assert (tag["value"], tag["level"]) == ("x", "SESSION")


def test_like_takes_an_escaped_underscore_for_itself(run: Run) -> None:
    run("CREATE TABLE A_B (N NUMBER)")
    run("CREATE TABLE AXB (N NUMBER)")
    assert [row[1] for row in run("SHOW TABLES LIKE 'a_b'")] == ["AXB", "A_B"]
    assert [row[1] for row in run(r"SHOW TABLES LIKE 'a\\_b'")] == ["A_B"]


def test_terse_shows_five_columns_at_most(shown: Table, run: Run) -> None:
    run("CREATE TABLE T (N NUMBER)")
    (row,) = shown("SHOW TERSE TABLES")
    assert list(row) == ["created_on", "name", "kind", "database_name", "schema_name"]


def test_a_changed_program_shows_its_change_and_keeps_its_grants(run: Run) -> None:
    run(f"CREATE FUNCTION F() RETURNS NUMBER {BODY}")
    run("GRANT USAGE ON FUNCTION F() TO ROLE PUBLIC")
    run("ALTER FUNCTION F() SET COMMENT = 'new'")
    run(f"CREATE OR ALTER FUNCTION F() RETURNS NUMBER COMMENT = 'newer' {BODY}")
    assert [row[9] for row in run("SHOW USER FUNCTIONS")] == ["newer"]
    assert "USAGE" in {row[1] for row in run("SHOW GRANTS ON FUNCTION F()")}
    run(f"CREATE OR REPLACE FUNCTION F() RETURNS NUMBER {BODY}")
    assert "USAGE" not in {row[1] for row in run("SHOW GRANTS ON FUNCTION F()")}


def test_a_replaced_api_integration_has_a_new_external_id_and_no_grants(run: Run, shown: Table) -> None:
    sql = (
        "CREATE {} API INTEGRATION TRUSTED API_PROVIDER = aws_api_gateway ENABLED = TRUE "
        "API_AWS_ROLE_ARN = 'arn:aws:iam::111122223333:role/r' API_ALLOWED_PREFIXES = ('https://a.example.com/')"
    )

    def external_id() -> str:
        return next(r["property_value"] for r in shown("DESC INTEGRATION TRUSTED") if "EXTERNAL_ID" in r["property"])

    run(sql.format(""))
    run("GRANT USAGE ON INTEGRATION TRUSTED TO ROLE PUBLIC")
    first = external_id()
    run("ALTER API INTEGRATION TRUSTED SET ENABLED = FALSE")
    assert external_id() == first
    run(sql.format("OR REPLACE"))
    assert external_id() != first
    assert [row[1] for row in run("SHOW GRANTS ON INTEGRATION TRUSTED")] == ["OWNERSHIP"]
    run("DROP INTEGRATION TRUSTED")


def test_an_external_access_integration_that_exists_says_so_and_takes_only_egress_rules(run: Run) -> None:
    run("CREATE NETWORK RULE OUT_RULE MODE = EGRESS TYPE = HOST_PORT VALUE_LIST = ('a.example.com')")
    run("CREATE NETWORK RULE IN_RULE TYPE = IPV4 VALUE_LIST = ('192.0.2.0/24')")
    sql = "CREATE EXTERNAL ACCESS INTEGRATION TWICE ALLOWED_NETWORK_RULES = ({}) ENABLED = TRUE"
    run(sql.format("OUT_RULE"))
    with pytest.raises(snowflake.connector.ProgrammingError, match="already exists") as caught:
        run(sql.format("OUT_RULE"))
    assert caught.value.errno == 2002
    for change in ("ALLOWED_NETWORK_RULES = (IN_RULE)", "ALLOWED_AUTHENTICATION_SECRETS = (MISSING)"):
        with pytest.raises(snowflake.connector.ProgrammingError, match="EGRESS|does not exist"):
            run(f"ALTER EXTERNAL ACCESS INTEGRATION TWICE SET {change}")
    run("DROP INTEGRATION TWICE")
