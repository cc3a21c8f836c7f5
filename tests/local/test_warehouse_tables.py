"""Tables and rows through the real connector: types, defaults, bindings, transactions, errors."""

from __future__ import annotations

import datetime
import json
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pytest
import snowflake.connector
from warehouse_server import Warehouse

Run = Callable[..., list[tuple[Any, ...]]]

REQUESTS = """CREATE TABLE IF NOT EXISTS REQUESTS (
  ID NUMBER(38,0) NOT NULL AUTOINCREMENT START 1 INCREMENT 1 ORDER,
  NAME VARCHAR NOT NULL,
  KIND VARCHAR(10) DEFAULT 'ADHOC',
  PARAMETERS VARIANT,
  RUN_AT TIMESTAMP_NTZ,
  PRIORITY NUMBER DEFAULT 100,
  AMOUNT NUMBER(12,2),
  DAY DATE,
  ACTIVE BOOLEAN,
  REQUESTED_BY VARCHAR DEFAULT CURRENT_USER(),
  CREATED_AT TIMESTAMP_NTZ DEFAULT SYSDATE(),
  PRIMARY KEY (ID)
) COMMENT = 'requests'"""


@pytest.fixture
def requests(run: Run) -> None:
    run(REQUESTS)


@pytest.mark.usefixtures("requests")
def test_an_insert_of_one_column_gets_every_default(run: Run) -> None:
    before = datetime.datetime.now(datetime.UTC).replace(tzinfo=None)
    run("INSERT INTO REQUESTS (NAME) VALUES ('first'), ('second')")
    rows = run("SELECT ID, KIND, PRIORITY, REQUESTED_BY, CREATED_AT, PARAMETERS, AMOUNT FROM REQUESTS ORDER BY ID")
    assert [row[:4] for row in rows] == [(1, "ADHOC", 100, "ADMIN"), (2, "ADHOC", 100, "ADMIN")]
    assert rows[0][5:] == (None, None)
    assert before <= rows[0][4] <= datetime.datetime.now(datetime.UTC).replace(tzinfo=None)


@pytest.mark.usefixtures("requests")
def test_autoincrement_goes_on_in_a_session_that_is_elsewhere(
    run: Run, account: Warehouse, connection: snowflake.connector.SnowflakeConnection
) -> None:
    run("INSERT INTO REQUESTS (NAME) VALUES ('here')")
    account.rows(f"INSERT INTO TESTS.{connection.schema}.REQUESTS (NAME) VALUES ('elsewhere')")
    assert run("SELECT ID, NAME FROM REQUESTS ORDER BY ID") == [(1, "here"), (2, "elsewhere")]


@pytest.mark.usefixtures("requests")
def test_bound_values_of_every_type_come_back_as_they_went(run: Run) -> None:
    moment = datetime.datetime(2026, 3, 4, 5, 6, 7, 890123)
    values = ("x'y", moment, 7, Decimal("1234.50"), datetime.date(2026, 3, 4), True)
    run("INSERT INTO REQUESTS (NAME, RUN_AT, PRIORITY, AMOUNT, DAY, ACTIVE) VALUES (?, ?, ?, ?, ?, ?)", *values)
    assert run("SELECT NAME, RUN_AT, PRIORITY, AMOUNT, DAY, ACTIVE FROM REQUESTS WHERE RUN_AT = ?", moment) == [values]


@pytest.mark.usefixtures("requests")
def test_a_variant_goes_in_by_parse_json_and_its_parts_come_out(run: Run) -> None:
    document = {"name": "é", "list": [1, {"deep": "x"}], "none": None}
    run("INSERT INTO REQUESTS (NAME, PARAMETERS) SELECT ?, PARSE_JSON(?)", "v", json.dumps(document))
    whole, deep, number, missing = run(
        "SELECT PARAMETERS, PARAMETERS:list[1].deep::VARCHAR, PARAMETERS:list[0], PARAMETERS:no.such FROM REQUESTS"
    )[0]
    assert json.loads(whole) == document
    assert (deep, json.loads(number), missing) == ("x", 1, None)


def test_an_object_constant_keeps_the_case_of_its_keys(run: Run) -> None:
    [(found,)] = run("SELECT {'delta': 10, 'Mixed': {'in Ner': 1}}")
    assert json.loads(found) == {"delta": 10, "Mixed": {"in Ner": 1}}


@pytest.mark.usefixtures("requests")
def test_a_client_side_binding_is_the_same(
    account: Warehouse, connection: snowflake.connector.SnowflakeConnection
) -> None:
    with account.connect(database="TESTS", schema=connection.schema) as other, other.cursor() as cursor:
        cursor.execute(
            "INSERT INTO REQUESTS (NAME, AMOUNT, RUN_AT) VALUES (%s, %s, %s)", ("it's", Decimal("2.25"), None)
        )
        assert cursor.rowcount == 1
        cursor.execute("SELECT NAME, AMOUNT, RUN_AT FROM REQUESTS WHERE NAME = %(name)s", {"name": "it's"})
        assert cursor.fetchall() == [("it's", Decimal("2.25"), None)]


@pytest.mark.usefixtures("requests")
def test_executemany_inserts_all_rows_and_counts_them(connection: snowflake.connector.SnowflakeConnection) -> None:
    with connection.cursor() as cursor:
        cursor.executemany("INSERT INTO REQUESTS (NAME, PRIORITY) VALUES (?, ?)", [("a", 1), ("b", None), ("c", 3)])
        assert cursor.rowcount == 3
        cursor.execute("SELECT NAME, PRIORITY FROM REQUESTS ORDER BY ID")
        assert cursor.fetchall() == [("a", 1), ("b", None), ("c", 3)]


@pytest.mark.usefixtures("requests")
def test_every_change_tells_how_many_rows_it_changed(connection: snowflake.connector.SnowflakeConnection) -> None:
    statements = {
        "INSERT INTO REQUESTS (NAME) VALUES ('a'), ('b'), ('c')": 3,
        "UPDATE REQUESTS SET PRIORITY = 5 WHERE NAME <> 'a'": 2,
        """MERGE INTO REQUESTS t USING (SELECT 'a' AS NAME UNION ALL SELECT 'new') s ON t.NAME = s.NAME
           WHEN MATCHED THEN UPDATE SET t.PRIORITY = 1 WHEN NOT MATCHED THEN INSERT (NAME) VALUES (s.NAME)""": 2,
        "DELETE FROM REQUESTS WHERE PRIORITY = 5": 2,
        "DELETE FROM REQUESTS WHERE NAME = 'nobody'": 0,
    }
    with connection.cursor() as cursor:
        for sql, count in statements.items():
            cursor.execute(sql)
            assert (cursor.rowcount, sql) == (count, sql)
            assert cursor.sfqid
        assert cursor.execute("SELECT NAME, PRIORITY FROM REQUESTS ORDER BY NAME").fetchall() == [
            ("a", 1),
            ("new", 100),
        ]


@pytest.mark.usefixtures("requests")
def test_arrow_results_have_exact_types_and_nulls(connection: snowflake.connector.SnowflakeConnection) -> None:
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO REQUESTS (NAME, AMOUNT, DAY, RUN_AT, ACTIVE) SELECT 'a', 10.10, '2026-01-02', "
            "'1969-12-31 23:59:59.5', TRUE UNION ALL SELECT 'b', NULL, NULL, NULL, NULL"
        )
        cursor.execute("SELECT ID, NAME, AMOUNT, DAY, RUN_AT, ACTIVE, PARAMETERS FROM REQUESTS ORDER BY NAME")
        table = cursor.fetch_arrow_all()
    assert table is not None
    assert table.schema.field("AMOUNT").type == pa.decimal128(12, 2)
    assert table.schema.field("DAY").type == pa.date32()
    assert table["AMOUNT"].to_pylist() == [Decimal("10.10"), None]
    assert table["DAY"].to_pylist() == [datetime.date(2026, 1, 2), None]
    assert [value and value.isoformat() for value in table["RUN_AT"].to_pylist()] == [
        "1969-12-31T23:59:59.500000",
        None,
    ]
    assert table["ACTIVE"].to_pylist() == [True, None]


def test_a_large_result_comes_in_chunks_and_complete(connection: snowflake.connector.SnowflakeConnection) -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT SEQ4() AS N, 'row ' || SEQ4() AS T FROM TABLE(GENERATOR(ROWCOUNT => 100000))")
        batches = list(cursor.fetch_arrow_batches())
        assert len(batches) > 2
        assert sum(batch.num_rows for batch in batches) == 100_000
        cursor.execute(
            "SELECT COUNT(DISTINCT N), MAX(N) FROM (SELECT SEQ4() AS N FROM TABLE(GENERATOR(ROWCOUNT => 100000)))"
        )
        assert cursor.fetchall() == [(100_000, 99_999)]


@pytest.mark.usefixtures("requests")
def test_a_transaction_is_kept_or_dropped_as_a_whole(run: Run, account: Warehouse, connection: Any) -> None:
    count = f"SELECT COUNT(*) FROM TESTS.{connection.schema}.REQUESTS"
    run("BEGIN")
    run("INSERT INTO REQUESTS (NAME) VALUES ('a')")
    assert (run(count), account.rows(count)) == ([(1,)], [(0,)])
    run("ROLLBACK")
    assert run(count) == [(0,)]
    run("BEGIN TRANSACTION")
    run("INSERT INTO REQUESTS (NAME) VALUES ('a')")
    run("COMMIT")
    assert account.rows(count) == [(1,)]


@pytest.mark.usefixtures("requests")
def test_autocommit_off_is_honoured(account: Warehouse, run: Run, connection: Any) -> None:
    count = "SELECT COUNT(*) FROM REQUESTS"
    with account.connect(database="TESTS", schema=connection.schema, autocommit=False) as other:
        other.cursor().execute("INSERT INTO REQUESTS (NAME) VALUES ('a')")
        assert run(count) == [(0,)]
        other.rollback()
        assert other.cursor().execute(count).fetchall() == [(0,)]
        other.cursor().execute("INSERT INTO REQUESTS (NAME) VALUES ('a')")
        other.commit()
        assert run(count) == [(1,)]
        other.cursor().execute("INSERT INTO REQUESTS (NAME) VALUES ('left open')")
    assert run(count) == [(1,)]


def test_truncate_is_part_of_the_open_transaction(run: Run) -> None:
    run("CREATE TABLE T (N NUMBER)")
    run("INSERT INTO T VALUES (1)")
    for end, left in (("ROLLBACK", 1), ("COMMIT", 0)):
        run("BEGIN")
        run("INSERT INTO T VALUES (2)")
        run("TRUNCATE TABLE T")
        assert run("SELECT COUNT(*) FROM T") == [(0,)]
        run(end)
        assert run("SELECT COUNT(*) FROM T") == [(left,)]


def test_truncate_is_made_again_where_others_changed_what_the_transaction_changes_next(
    run: Run, account: Warehouse, connection: Any
) -> None:
    for table in ("T", "U"):
        run(f"CREATE TABLE {table} (N NUMBER)")
        run(f"INSERT INTO {table} VALUES (1)")
    run("BEGIN")
    run("TRUNCATE TABLE T")
    account.rows("UPDATE U SET N = 2", database="TESTS", schema=connection.schema, warehouse="WH")
    run("UPDATE U SET N = N + 10")
    run("COMMIT")
    assert run("SELECT (SELECT COUNT(*) FROM T), MAX(N) FROM U") == [(0, 12)]


def test_a_default_must_be_of_its_columns_type(run: Run) -> None:
    for column in ("N NUMBER DEFAULT 'one'", "V VARCHAR DEFAULT 1", "F FLOAT DEFAULT '1.5'", "V VARCHAR DEFAULT -1"):
        with pytest.raises(snowflake.connector.ProgrammingError, match="default value .* does not match column"):
            run(f"CREATE TABLE T ({column})")
    with pytest.raises(snowflake.connector.ProgrammingError, match="unexpected 'GENERATED'"):
        run("CREATE TABLE T (N NUMBER GENERATED ALWAYS AS (1))")
    run("CREATE TABLE T (N NUMBER DEFAULT -1, V VARCHAR DEFAULT 'one', D DATE DEFAULT '2026-01-01')")


@pytest.mark.usefixtures("requests")
def test_ddl_commits_the_open_transaction(run: Run) -> None:
    run("BEGIN")
    run("INSERT INTO REQUESTS (NAME) VALUES ('a')")
    run("CREATE TABLE OTHER (N NUMBER)")
    run("ROLLBACK")
    assert run("SELECT COUNT(*) FROM REQUESTS") == [(1,)]


@pytest.mark.usefixtures("requests")
def test_a_wrong_name_leaves_the_transaction_usable(run: Run) -> None:
    run("BEGIN")
    run("INSERT INTO REQUESTS (NAME) VALUES ('a')")
    with pytest.raises(snowflake.connector.ProgrammingError, match="invalid identifier 'NOPE'"):
        run("UPDATE REQUESTS SET NOPE = 1")
    with pytest.raises(snowflake.connector.ProgrammingError, match="invalid identifier 'NOPE'"):
        run("SELECT NOPE FROM REQUESTS")
    run("COMMIT")
    assert run("SELECT COUNT(*) FROM REQUESTS") == [(1,)]


@pytest.mark.usefixtures("requests")
def test_a_commit_after_a_statement_failed_while_it_ran_is_no_silent_rollback(run: Run) -> None:
    run("BEGIN")
    run("INSERT INTO REQUESTS (NAME) VALUES ('a')")
    with pytest.raises(snowflake.connector.ProgrammingError, match="too long"):
        run("INSERT INTO REQUESTS (NAME, KIND) VALUES ('b', '01234567890')")
    with pytest.raises(snowflake.connector.ProgrammingError, match="rolled back"):
        run("COMMIT")
    assert run("SELECT COUNT(*) FROM REQUESTS") == [(0,)]


@pytest.mark.usefixtures("requests")
def test_time_in_a_transaction_goes_on(run: Run) -> None:
    run("BEGIN")
    first = run("INSERT INTO REQUESTS (NAME) VALUES ('a')") and run("SELECT SYSDATE()")[0][0]
    assert run("SELECT SYSDATE()")[0][0] > first
    run("ROLLBACK")


def test_keys_are_recorded_and_not_enforced(run: Run) -> None:
    run("CREATE TABLE KEYED (ID NUMBER PRIMARY KEY, CODE VARCHAR UNIQUE)")
    run("INSERT INTO KEYED VALUES (1, 'a'), (1, 'a')")
    assert run("SELECT COUNT(*) FROM KEYED") == [(2,)]
    assert [(row[0], row[3], row[5]) for row in run("DESC TABLE KEYED")] == [("ID", "N", "Y"), ("CODE", "Y", "N")]


@pytest.mark.usefixtures("requests")
def test_describe_table_tells_types_and_defaults_as_declared(run: Run) -> None:
    described = {row[0]: row[1:5] for row in run("DESCRIBE TABLE REQUESTS")}
    assert described["ID"] == ("NUMBER(38,0)", "COLUMN", "N", "IDENTITY START 1 INCREMENT 1 ORDER")
    assert described["KIND"] == ("VARCHAR(10)", "COLUMN", "Y", "'ADHOC'")
    assert described["AMOUNT"][0] == "NUMBER(12,2)"
    assert described["CREATED_AT"] == ("TIMESTAMP_NTZ(9)", "COLUMN", "Y", "SYSDATE()")


@pytest.mark.usefixtures("requests")
def test_a_column_can_be_added_and_dropped(run: Run) -> None:
    run("INSERT INTO REQUESTS (NAME) VALUES ('a')")
    run("ALTER TABLE REQUESTS ADD COLUMN IF NOT EXISTS RETRIES NUMBER(3,0) DEFAULT 5")
    run("ALTER TABLE REQUESTS ADD COLUMN IF NOT EXISTS RETRIES NUMBER(3,0) DEFAULT 5")
    assert run("SELECT RETRIES FROM REQUESTS") == [(5,)]
    run("ALTER TABLE REQUESTS DROP COLUMN RETRIES")
    assert "RETRIES" not in {row[0] for row in run("DESC TABLE REQUESTS")}


def test_unnamed_columns_are_named_by_their_text(connection: snowflake.connector.SnowflakeConnection) -> None:
    with connection.cursor() as cursor:
        cursor.execute("select count(*), max(n) + 1, n2 from (select 1 as n, 2 as n2) group by n2")
        assert [column.name for column in cursor.description] == ["COUNT(*)", "MAX(N) + 1", "N2"]


@pytest.mark.parametrize(
    ("sql", "number"),
    [
        ("SELECT NOPE FROM REQUESTS", 904),
        ("SELECT X.NAME FROM REQUESTS", 904),
        ("UPDATE REQUESTS SET NOPE = 1", 904),
        ("INSERT INTO REQUESTS (NOPE) VALUES (1)", 904),
        ("SELECT * FROM MISSING", 2003),
        ("INSERT INTO MISSING VALUES (1)", 2003),
        ("SELECT * FROM NO_DATABASE.S.T", 2003),
        ("DROP TABLE MISSING", 2003),
        ("CREATE TABLE REQUESTS (A NUMBER)", 2002),
        ("SELEC 1", 1003),
        ("CREATE OR REPLACE VIEW V AS SELEC 1", 1003),
        ("CREATE TABLE C AS SELEC 1", 1003),
        ("SELECT 1 FROM", 1003),
        ("SELECT FOO(1)", 2140),
        ("SELECT 1/0", 100051),
        ("SELECT MOD(1, 0)", 100051),
        ("SELECT 'x'::NUMBER", 100038),
        ("INSERT INTO REQUESTS (NAME) VALUES (NULL)", 100072),
        ("INSERT INTO REQUESTS (NAME, KIND) VALUES ('a', '01234567890')", 100078),
        ("SELECT NAME, COUNT(*) FROM REQUESTS", 979),
    ],
)
@pytest.mark.usefixtures("requests")
def test_errors_carry_snowflakes_numbers(run: Run, sql: str, number: int) -> None:
    with pytest.raises(snowflake.connector.DatabaseError) as caught:
        run(sql)
    assert caught.value.errno == number
    assert caught.value.sfqid


def test_the_session_has_the_time_zone_of_a_new_account(run: Run) -> None:
    utc, local = run("SELECT SYSDATE(), CURRENT_TIMESTAMP()::TIMESTAMP_NTZ")[0]
    assert datetime.timedelta(hours=6) < utc - local < datetime.timedelta(hours=9)
    run("ALTER SESSION SET TIMEZONE = 'UTC'")
    utc, local = run("SELECT SYSDATE(), CURRENT_TIMESTAMP()::TIMESTAMP_NTZ")[0]
    assert abs(utc - local) < datetime.timedelta(seconds=1)


def test_context_functions_tell_the_session(run: Run, connection: snowflake.connector.SnowflakeConnection) -> None:
    found = run("SELECT CURRENT_USER(), CURRENT_ROLE(), CURRENT_WAREHOUSE(), CURRENT_DATABASE(), CURRENT_SCHEMA()")
    assert found == [("ADMIN", "ACCOUNTADMIN", "WH", "TESTS", connection.schema)]


def test_a_sequence_gives_numbers_in_defaults_and_queries(run: Run) -> None:
    run("CREATE SEQUENCE COUNTER START = 10 INCREMENT = 5 ORDER")
    run("CREATE TABLE COUNTED (N NUMBER DEFAULT COUNTER.NEXTVAL, T VARCHAR)")
    run("INSERT INTO COUNTED (T) VALUES ('a'), ('b')")
    assert run("SELECT N FROM COUNTED ORDER BY N") == [(10,), (15,)]
    assert run("SELECT COUNTER.NEXTVAL AS N") == [(20,)]


def test_sums_and_products_of_numbers_are_exact(run: Run) -> None:
    run("CREATE TABLE MONEY (A NUMBER(12,2), R NUMBER(12,2))")
    run("INSERT INTO MONEY VALUES (0.10, 0.05), (0.20, 0.07), (99999999.99, 0.10)")
    assert run("SELECT SUM(A), SUM(A * (1 - R)) FROM MONEY") == [(Decimal("100000000.29"), Decimal("90000000.2720"))]


def test_averages_and_quotients_are_decimals_as_in_snowflake(run: Run) -> None:
    run("CREATE TABLE MONEY (A NUMBER(12,2), N NUMBER)")
    run("INSERT INTO MONEY VALUES (1.00, 1), (2.00, 2), (2.00, 4)")
    row = run("SELECT AVG(A), AVG(N), SUM(A) / COUNT(*), 7 / 2, SUM(N) / 3::FLOAT FROM MONEY")[0]
    assert [str(value) for value in row[:4]] == ["1.66666667", "2.333333", "1.66666667", "3.500000"]
    assert isinstance(row[4], float)
