"""Wrong and unsupported statements: each is refused, none is answered with a silent success."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import snowflake.connector
from warehouse_server import Warehouse

API = "CREATE API INTEGRATION A API_PROVIDER = aws_api_gateway API_AWS_ROLE_ARN = 'arn:aws:iam::111122223333:role/r' "
PYTHON = "LANGUAGE PYTHON RUNTIME_VERSION = '3.12' HANDLER = 'f'"
REFUSED = [
    # clauses that no such object has
    "CREATE WAREHOUSE W2 SIZE = 'XSMALL'",
    "CREATE WAREHOUSE W2 WAREHOUSE_SIZE = 'TINY'",
    "CREATE ROLE R2 OWNER = 'x'",
    "CREATE USER U2 PASSWORT = 'x'",
    "CREATE USER U2 TYPE = SERVICE PASSWORD = 'x'",
    "CREATE USER U2 RSA_PUBLIC_KEY = 'bm8ga2V5'",
    "CREATE DATABASE D2 FOO = 1",
    "CREATE SCHEMA S2 WITH UNMANAGED ACCESS",
    "CREATE NETWORK RULE N MODE = EGRESS TYPE = HOST_PORT VALUES = ('a.example.com')",
    "CREATE NETWORK RULE N MODE = EGRESS TYPE = HOST_PORT VALUE_LIST = ('10.0.0.1:443')",
    "CREATE NETWORK RULE N TYPE = HOST_PORT VALUE_LIST = ('a.example.com')",
    "CREATE NETWORK RULE N MODE = EGRESS TYPE = PRIVATE_HOST_PORT VALUE_LIST = ('a.example.com', 'b.example.com')",
    "CREATE NETWORK RULE N MODE = EGRESS VALUE_LIST = ('a.example.com')",
    "CREATE SECRET S TYPE = GENERIC_STRING",
    "CREATE SECRET S TYPE = GENERIC_STRING SECRET_STRING = 'a' USERNAME = 'b'",
    "CREATE SECRET S TYPE = OAUTH2 API_AUTHENTICATION = X",
    API + "ENABLED = TRUE",
    API + "API_ALLOWED_PREFIXES = ('http://plain.example.com/') ENABLED = TRUE",
    API + "API_ALLOWED_PREFIXES = ('https://a.example.com/') ENABLED = MAYBE",
    API + "API_ALLOWED_PREFIXES = ('https://a.example.com/') ENABLED = TRUE REGION = 'eu'",
    "CREATE API INTEGRATION A API_PROVIDER = azure_api_management API_ALLOWED_PREFIXES = ('https://a.b/')",
    "CREATE EXTERNAL ACCESS INTEGRATION E ALLOWED_NETWORK_RULES = (MISSING) ENABLED = TRUE",
    "CREATE EXTERNAL ACCESS INTEGRATION E ENABLED = TRUE",
    "CREATE EXTERNAL FUNCTION F(N NUMBER) RETURNS VARIANT API_INTEGRATION = MISSING AS 'https://a.example.com/'",
    "CREATE EXTERNAL FUNCTION F(N NUMBER) RETURNS VARIANT AS 'https://a.example.com/'",
    f"CREATE FUNCTION F(N NUMBER) RETURNS NUMBER {PYTHON} COLOR = 'red' AS 'def f(n): return n'",
    f"CREATE FUNCTION F(N NUMBERS) RETURNS NUMBER {PYTHON} AS 'def f(n): return n'",
    "CREATE FUNCTION F(N NUMBER) RETURNS NUMBER LANGUAGE PYTHON HANDLER = 'f' AS 'def f(n): return n'",
    "CREATE FUNCTION F(N NUMBER) RETURNS NUMBER LANGUAGE PYTHON RUNTIME_VERSION = '2.7' HANDLER = 'f' AS 'x'",
    "CREATE FUNCTION F(N NUMBER) RETURNS NUMBER AS 'N + 1'",
    "CREATE FUNCTION F(N NUMBER) RETURNS NUMBER LANGUAGE JAVASCRIPT AS 'return N'",
    f"CREATE PROCEDURE P() RETURNS NUMBER {PYTHON} AS 'def f(s): return 1'",
    f"CREATE PROCEDURE P() RETURNS NUMBER {PYTHON} PACKAGES = ('snowflake-snowpark-python') AS 'def f(s: return 1'",
    "CREATE PROCEDURE P() RETURNS NUMBER LANGUAGE SQL AS 'SELECT 1'",
    "CREATE STREAM S ON TABLE MISSING APPEND_ONLY = TRUE",
    "CREATE STREAM S ON TABLE T",
    "CREATE STREAM S ON TABLE T INSERT_ONLY = TRUE",
    "CREATE STREAM S ON VIEW V APPEND_ONLY = TRUE",
    "CREATE TASK K WAREHOUSE = MISSING SCHEDULE = '5 MINUTES' AS SELECT 1",
    "CREATE TASK K WAREHOUSE = WH WHEN TRUE AS SELECT 1",
    "CREATE TASK K WAREHOUSE = WH SCHEDULE = '5 MINUTES' AS SELEC 1",
    "CREATE TASK K WAREHOUSE = WH SCHEDULE = '5 MINUTES' AS BEGIN SELECT 1; END",
    "CREATE TASK K WAREHOUSE = WH WHEN SYSTEM$STREAM_HAS_DATA('MISSING') AS SELECT 1",
    "CREATE TASK K WAREHOUSE = WH WHEN 1 = 1 AS SELECT 1",
    "CREATE TASK K WAREHOUSE = WH USER_TASK_MINIMUM_TRIGGER_INTERVAL_IN_SECONDS = 5 SCHEDULE = '5 MINUTES' AS SELECT 1",
    "CREATE TASK K WAREHOUSE = WH AFTER MISSING AS SELECT 1",
    "CREATE TASK K WAREHOUSE = WH PRIORITY = 1 SCHEDULE = '5 MINUTES' AS SELECT 1",
    "CREATE TABLE T2 (A NUMBER) ENGINE = 'InnoDB'",
    "CREATE TABLE T2 (A NUMBER CHECK (A > 0))",
    "CREATE TABLE T2 (A NUMERICAL)",
    "CREATE TABLE T2 LIKE T",
    "CREATE TABLE T2 CLONE T",
    "CREATE OR ALTER TABLE T (A NUMBER)",
    "CREATE DYNAMIC TABLE T2 AS SELECT 1 AS A",
    "CREATE VIEW V2 AS SELECT COUNT(*) FROM T",
    "CREATE MATERIALIZED VIEW V2 AS SELECT N FROM T",
    "CREATE STAGE S2",
    "CREATE FILE FORMAT F2 TYPE = CSV",
    "CREATE MACRO M(A) AS A + 1",
    "CREATE TYPE X AS ENUM ('a')",
    "CREATE INDEX I ON T (N)",
    # what is not there
    "ALTER TASK MISSING RESUME",
    "ALTER WAREHOUSE MISSING RESUME",
    "ALTER USER MISSING SET COMMENT = 'x'",
    "ALTER TABLE MISSING ADD COLUMN X NUMBER",
    "ALTER TABLE T RENAME TO T3",
    "ALTER TABLE T FROBNICATE",
    "ALTER SESSION SET NO_SUCH_PARAMETER = 1",
    "ALTER SESSION SET TIMEZONE = 'Mars/Base'",
    "ALTER NETWORK RULE MISSING SET VALUE_LIST = ('a.example.com')",
    "DROP STREAM MISSING",
    "DROP TASK MISSING",
    "DROP ROLE MISSING",
    "DROP INTEGRATION MISSING",
    "DROP STAGE MISSING",
    "DESC INTEGRATION MISSING",
    "DESC TABLE MISSING",
    "CALL MISSING()",
    "EXECUTE TASK MISSING",
    "EXECUTE IMMEDIATE 'SELECT 1'",
    "USE ROLE MISSING",
    "USE ROLE NOT_MINE",
    "USE WAREHOUSE MISSING",
    "USE DATABASE MISSING",
    "USE SCHEMA TESTS.MISSING",
    "SELECT SYSTEM$STREAM_HAS_DATA('MISSING')",
    # grants
    "GRANT FLYING ON TABLE T TO ROLE PUBLIC",
    "GRANT USAGE ON TABLE T TO ROLE PUBLIC",
    "GRANT SELECT ON TABLE T TO ROLE MISSING",
    "GRANT SELECT ON TABLE MISSING TO ROLE PUBLIC",
    "GRANT SELECT ON TABLE T TO DATABASE ROLE X",
    "GRANT ROLE MISSING TO USER ADMIN",
    "GRANT ROLE PUBLIC TO USER MISSING",
    "GRANT EXECUTE TASKS ON ACCOUNT TO ROLE PUBLIC",
    "CREATE DATABASE ROLE X",
    # statements that the stand-in has not
    "SELECT 1; SELECT 2",
    "BEGIN SELECT 1; END",
    "DECLARE X NUMBER",
    "COPY INTO T FROM @S",
    "PUT file:///etc/passwd @S",
    "GET @S file:///tmp",
    "EXPLAIN SELECT 1",
    "UNDROP SCHEMA S",
    "SET X = 1",
    "PRAGMA version",
    "ATTACH 'x.db'",
    "INSTALL httpfs",
    "LOAD httpfs",
    "VACUUM",
    "CHECKPOINT",
    "SHOW CATALOGS",
    "INSERT ALL INTO T VALUES (1) SELECT 1",
    "SELECT * FROM T AT (OFFSET => -60)",
    "SELECT * FROM T FOR UPDATE",
    # what DuckDB or sqlglot would take, and Snowflake does not
    "INSERT INTO T VALUES (1) RETURNING N",
    "INSERT INTO T VALUES (1) ON CONFLICT DO NOTHING",
    "INSERT OR REPLACE INTO T VALUES (1)",
    "UPDATE T SET N = 1 LIMIT 1",
    "DELETE FROM T ORDER BY N LIMIT 1",
    "SELECT COUNT(*) FILTER (WHERE N > 1) FROM T",
    "SELECT DISTINCT ON (N) N FROM T",
    "SELECT * FROM read_csv('/etc/passwd')",
    "SELECT * FROM read_parquet('x')",
    "SELECT * FROM '/etc/passwd'",
    "SELECT * FROM duckdb_settings()",
    "SELECT * FROM RANGE(5)",
    "SELECT LIST_AGGREGATE([1], 'sum')",
    "SELECT STRPTIME('1', '%d')",
    "SELECT STRFTIME(CURRENT_DATE, '%d')",
    "SELECT GROUP_CONCAT(N) FROM T",
    "SELECT IF(TRUE, 1, 2)",
    "SELECT NOW()",
    "SELECT GETVARIABLE('_user')",
    "SELECT _WAREHOUSE_CALL('a', 'b', 'c')",
    "SELECT EPOCH_MS(1)",
    "FROM T",
    "SUMMARIZE T",
    # clauses, types and operators of other databases, and arguments that sqlglot would drop
    "CREATE SEQUENCE Q START 1 INCREMENT 1 CYCLE",
    "CREATE SEQUENCE Q MAXVALUE 4",
    "CREATE SEQUENCE Q OWNED BY T.N",
    "CREATE TABLE T2 (A NUMBER) CHANGE_TRACKING = MAYBE",
    "CREATE OR REPLACE TABLE IF NOT EXISTS T2 (A NUMBER)",
    "CREATE TABLE T2 (A NUMBER) DATA_RETENTION_TIME_IN_DAYS = 'x'",
    "CREATE TABLE T2 (A HUGEINT)",
    "CREATE TABLE T2 (A JSONB)",
    "CREATE TABLE T2 (A UINT)",
    "CREATE TABLE T2 (A BIT)",
    "CREATE TABLE T2 (A TIMETZ)",
    "CREATE TABLE T2 (A LONGTEXT)",
    "CREATE TABLE T2 (A INTERVAL YEAR)",
    "CREATE TABLE T2 (A OBJECT(A INT))",
    "CREATE TABLE T2 (A VARCHAR(99999999999))",
    "ALTER TABLE T SET CHANGE_TRACKING = MAYBE",
    "ALTER TABLE T SET DATA_RETENTION_TIME_IN_DAYS = 300",
    "ALTER TABLE T SET TAG A = 'b'",
    "ALTER TABLE T ALTER COLUMN N SET DATA TYPE VARCHAR",
    "ALTER TABLE T ALTER COLUMN N SET DEFAULT 5",
    "ALTER TABLE T MODIFY COLUMN MISSING COMMENT 'x'",
    "MERGE INTO T USING (SELECT 1 AS N) S ON T.N = S.N WHEN NOT MATCHED BY SOURCE THEN DELETE",
    "MERGE INTO T USING (SELECT 1 AS N) S ON T.N = S.N WHEN NOT MATCHED BY TARGET THEN INSERT (N) VALUES (1)",
    "MERGE INTO T USING (SELECT 1 AS N) S ON T.N = S.N WHEN MATCHED THEN DO NOTHING",
    "MERGE INTO T USING (SELECT 1 AS N) S ON T.N = S.N WHEN NOT MATCHED THEN INSERT *",
    "MERGE INTO T USING (SELECT 1 AS N) S USING (N) WHEN NOT MATCHED THEN INSERT (N) VALUES (1)",
    "INSERT INTO T DEFAULT VALUES",
    "UPDATE T SET (N) = (1)",
    "SELECT N::JSONB FROM T",
    "SELECT TRY_CAST('1' AS BLOB)",
    "SELECT 1::HUGEINT",
    "SELECT '1'::BIT",
    "SELECT 'a' GLOB 'a'",
    "SELECT 'a' SIMILAR TO 'a'",
    "SELECT 1 <=> 1",
    "SELECT 1 == 1",
    "SELECT 'a' 'b'",
    "SELECT CURRENT_TIMESTAMP AT TIME ZONE 'UTC'",
    "SELECT FIRST(N) FROM T",
    "SELECT LAST(N) FROM T",
    "SELECT SUM(N ORDER BY N) FROM T",
    "SELECT SUM(N) OVER (ROWS BETWEEN 1 PRECEDING AND CURRENT ROW EXCLUDE TIES) FROM T",
    "SELECT * RENAME (MISSING AS X) FROM T",
    "SELECT N FROM T WHERE N IN ()",
    "SELECT N FROM T LIMIT 50%",
    "SELECT N FROM T LIMIT 5 PERCENT",
    "SELECT N FROM T FETCH FIRST 5 ROWS WITH TIES",
    "SELECT N FROM T USING SAMPLE 10",
    "SELECT * FROM T LEFT SEMI JOIN T T2 ON T.N = T2.N",
    "SELECT * FROM T ANTI JOIN T T2 ON T.N = T2.N",
    "SELECT N FROM T EXCEPT ALL SELECT N FROM T",
    "SELECT N FROM T INTERSECT ALL SELECT N FROM T",
    "WITH X AS MATERIALIZED (SELECT 1 AS A) SELECT * FROM X",
    "SELECT IFF(1, 2)",
    "SELECT NVL(1)",
    "SELECT LENGTH(1, 2)",
    "SELECT CURRENT_USER(1)",
    "SELECT TRIM('a', 'b', 'c')",
    "SELECT SPLIT_PART('a-b', '-', 1, 2)",
]


@pytest.fixture(scope="module")
def session(account: Warehouse) -> Iterator[snowflake.connector.SnowflakeConnection]:
    with account.connect(database="TESTS", warehouse="WH") as connection:
        for sql in (
            "CREATE SCHEMA TESTS.REFUSALS",
            "CREATE TABLE T (N NUMBER)",
            "CREATE VIEW V AS SELECT N FROM T",
            "CREATE ROLE NOT_MINE",
        ):
            connection.cursor().execute(sql)
        yield connection


@pytest.fixture(scope="module", autouse=True)
def nothing_was_made(account: Warehouse, session: snowflake.connector.SnowflakeConnection) -> Iterator[None]:
    """After all refusals the account holds what it held before."""
    before = _standing(account)
    yield
    assert _standing(account) == before


def _standing(account: Warehouse) -> dict[str, Any]:
    """All objects but the tables that were dropped, which are kept for an UNDROP."""
    return {kind: found for kind, found in account.state()["objects"].items() if kind != "DROPPED TABLE"}


@pytest.mark.parametrize("sql", REFUSED)
def test_a_wrong_statement_is_refused(session: snowflake.connector.SnowflakeConnection, sql: str) -> None:
    with session.cursor() as cursor:
        with pytest.raises(snowflake.connector.DatabaseError) as caught:
            cursor.execute(sql)
        assert caught.value.errno not in (None, 370001), caught.value
        assert cursor.execute("SELECT COUNT(*) FROM T").fetchall() == [(0,)]


@pytest.mark.parametrize(
    "value",
    [
        """PARSE_JSON('{"a": 1}')""",
        "TRY_PARSE_JSON('1')",
        "OBJECT_CONSTRUCT('a', 1)",
        "OBJECT_CONSTRUCT_KEEP_NULL('a', 1)",
        "ARRAY_CONSTRUCT(1)",
        "TO_VARIANT(1)",
        "1::VARIANT",
        "{'a': 1}",
        "[1]",
    ],
)
def test_a_semi_structured_value_goes_in_by_select_and_not_by_values(
    session: snowflake.connector.SnowflakeConnection, value: str
) -> None:
    with session.cursor() as cursor:
        cursor.execute("CREATE TABLE DOCUMENTS (N NUMBER, P VARIANT)")
        try:
            with pytest.raises(
                snowflake.connector.ProgrammingError, match=r"Invalid expression \[.+\] in VALUES"
            ) as no:
                cursor.execute(f"INSERT INTO DOCUMENTS (N, P) VALUES (1, NULL), (2, {value})")
            assert (no.value.errno, no.value.sqlstate) == (2014, "22000")
            cursor.execute(f"INSERT INTO DOCUMENTS (N, P) SELECT 2, {value}")
            assert cursor.execute("SELECT N FROM DOCUMENTS").fetchall() == [(2,)]
        finally:
            cursor.execute("DROP TABLE DOCUMENTS")


@pytest.mark.parametrize("columns", ["", "(N, P)", '("N", p)'])
def test_a_text_does_not_go_into_a_variant_by_values(
    session: snowflake.connector.SnowflakeConnection, columns: str
) -> None:
    with session.cursor() as cursor:
        cursor.execute("CREATE TABLE DOCUMENTS (N NUMBER, P VARIANT)")
        try:
            said = r"expecting VARIANT but got VARCHAR\(3\) for column P"
            with pytest.raises(snowflake.connector.ProgrammingError, match=said) as no:
                cursor.execute(f"INSERT INTO DOCUMENTS {columns} VALUES (1, 'abc')")
            assert (no.value.errno, no.value.sqlstate) == (2023, "22000")
        finally:
            cursor.execute("DROP TABLE DOCUMENTS")
