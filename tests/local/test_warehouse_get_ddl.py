"""GET_DDL: Snowflake's words, and the same words as long as the object is the same."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import snowflake.connector

Run = Callable[..., list[tuple[Any, ...]]]
TABLE = """CREATE TABLE T (ID NUMBER AUTOINCREMENT ORDER, NAME VARCHAR(10) NOT NULL DEFAULT 'it''s' COMMENT 'what',
    AT TIMESTAMP_NTZ DEFAULT SYSDATE(), PRIMARY KEY (ID)) CHANGE_TRACKING = TRUE COMMENT = 'rows'"""
PROCEDURE = """CREATE PROCEDURE P(A VARCHAR, N NUMBER(10,2) DEFAULT 3) RETURNS VARIANT LANGUAGE PYTHON
    RUNTIME_VERSION = '3.11' PACKAGES = ('snowflake-snowpark-python') HANDLER = 'run' EXECUTE AS OWNER AS $$
def run(session, a, n):
    return 'it' + a
$$"""


def _ddl(run: Run, kind: str, name: str, more: str = "") -> str:
    return str(run(f"SELECT GET_DDL('{kind}', '{name}'{more})")[0][0])


def test_a_table_comes_with_its_columns_keys_and_settings(run: Run) -> None:
    run(TABLE)
    assert _ddl(run, "TABLE", "T") == (
        "create or replace TABLE T (\n"
        "\tID NUMBER(38,0) NOT NULL autoincrement start 1 increment 1 order,\n"
        "\tNAME VARCHAR(10) NOT NULL DEFAULT 'it''s' COMMENT 'what',\n"
        "\tAT TIMESTAMP_NTZ(9) DEFAULT SYSDATE(),\n"
        "\tprimary key (ID)\n"
        ") CHANGE_TRACKING=TRUE COMMENT='rows'\n;"
    )


def test_what_it_gives_makes_the_same_object_again(run: Run) -> None:
    run(TABLE)
    run("CREATE STREAM S ON TABLE T APPEND_ONLY = TRUE COMMENT = 's'")
    run("CREATE VIEW V (X COMMENT 'x', Y) COMMENT = 'v' AS SELECT ID, NAME FROM T -- why\nWHERE ID > 0")
    run(PROCEDURE)
    run("CREATE TASK K WAREHOUSE = WH COMMENT = 'k' WHEN SYSTEM$STREAM_HAS_DATA('S') AS CALL P('x')")
    run("CREATE TASK L WAREHOUSE = WH SCHEDULE = 'USING CRON 0 6 * * * UTC' CONFIG = '{}' AS SELECT 1")
    run("CREATE SEQUENCE Q START 5 INCREMENT 2 NOORDER COMMENT = 'q'")
    names = [("SEQUENCE", "Q"), ("TABLE", "T"), ("VIEW", "V"), ("PROCEDURE", "P(VARCHAR, NUMBER)")]
    names += [("STREAM", "S"), ("TASK", "K"), ("TASK", "L")]
    for kind, name in names:
        before = _ddl(run, kind, name)
        run(before)
        assert _ddl(run, kind, name) == before


def test_a_view_keeps_the_text_of_its_query(run: Run) -> None:
    run("create view V copy grants as\nselect  1 as N -- one\n")
    assert _ddl(run, "VIEW", "V").endswith("as select  1 as N -- one;")


def test_the_full_name_comes_when_asked_for(run: Run, connection: snowflake.connector.SnowflakeConnection) -> None:
    run(PROCEDURE)
    where = f'"TESTS"."{connection.schema}"."P"'
    full = _ddl(run, "PROCEDURE", f"TESTS.{connection.schema}.P(VARCHAR, NUMBER)", ", TRUE")
    assert full.startswith(f'CREATE OR REPLACE PROCEDURE {where}("A" VARCHAR, "N" NUMBER(10,2) DEFAULT 3)\n')
    assert full.endswith("AS '\ndef run(session, a, n):\n    return ''it'' + a\n';")


def test_a_schema_comes_with_all_that_is_in_it(run: Run, connection: snowflake.connector.SnowflakeConnection) -> None:
    run("CREATE TABLE T (N NUMBER)")
    run("CREATE VIEW V AS SELECT N FROM T")
    text = _ddl(run, "SCHEMA", f"TESTS.{connection.schema}")
    assert text.startswith(f"create or replace SCHEMA {connection.schema};\n\ncreate or replace TABLE T (")
    assert "create or replace view V(" in text


@pytest.mark.parametrize(
    ("call", "number"),
    [
        ("GET_DDL('VIEW', 'MISSING')", 2003),
        ("GET_DDL('PROCEDURE', 'MISSING(VARCHAR)')", 2003),
        ("GET_DDL('SCHEMA', 'TESTS.MISSING')", 2043),
        ("GET_DDL('SECRET', 'S')", 1008),
        ("GET_DDL('INTEGRATION', 'I')", 2),
        ("GET_DDL('VIEW')", 938),
    ],
)
def test_what_it_cannot_give_is_refused(run: Run, call: str, number: int) -> None:
    with pytest.raises(snowflake.connector.ProgrammingError) as caught:
        run(f"SELECT {call}")
    assert caught.value.errno == number
