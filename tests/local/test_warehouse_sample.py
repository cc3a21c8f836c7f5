"""SNOWFLAKE_SAMPLE_DATA.TPCH_SF1 from the generator's files: Snowflake's types, exact sums, read only."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path

import pytest
import snowflake.connector
from warehouse_server import Warehouse, warehouse


@pytest.fixture(scope="module")
def sample(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Warehouse]:
    folder = tmp_path_factory.mktemp("sample")
    generator = Path(sys.executable).parent / "tpchgen-cli"
    subprocess.run(
        [generator, "parquet", "-s", "0.01", "--output-dir", folder / "files"], check=True, capture_output=True
    )
    with warehouse(folder, sample=folder / "files") as running:
        yield running


def test_the_pricing_summary_is_exact(sample: Warehouse) -> None:
    rows = sample.rows(
        """SELECT L_RETURNFLAG, L_LINESTATUS, SUM(L_QUANTITY), SUM(L_EXTENDEDPRICE),
             SUM(L_EXTENDEDPRICE * (1 - L_DISCOUNT)), SUM(L_EXTENDEDPRICE * (1 - L_DISCOUNT) * (1 + L_TAX)),
             AVG(L_QUANTITY), COUNT(*)
           FROM LINEITEM WHERE L_SHIPDATE <= DATEADD(DAY, -90, TO_DATE('1998-12-01'))
           GROUP BY L_RETURNFLAG, L_LINESTATUS ORDER BY L_RETURNFLAG, L_LINESTATUS""",
        database="SNOWFLAKE_SAMPLE_DATA",
        schema="TPCH_SF1",
    )
    assert rows[0][:6] == (
        "A", "F", Decimal("380456.00"), Decimal("532348211.65"), Decimal("505822441.4861"), Decimal("526165934.000839"),
    )  # fmt: skip
    assert rows[0][6:] == (Decimal("25.57515461"), 14876)


def test_the_types_are_snowflakes(sample: Warehouse) -> None:
    described = {row[0]: row[1] for row in sample.rows("DESC TABLE SNOWFLAKE_SAMPLE_DATA.TPCH_SF1.LINEITEM")}
    assert described["L_QUANTITY"] == "NUMBER(12,2)"
    assert (described["L_ORDERKEY"], described["L_SHIPDATE"]) == ("NUMBER(38,0)", "DATE")
    assert len(sample.rows("SHOW TABLES IN SCHEMA SNOWFLAKE_SAMPLE_DATA.TPCH_SF1")) == 8


@pytest.mark.parametrize(
    "sql",
    ["INSERT INTO {}.REGION VALUES (9, 'a', 'b')", "DROP TABLE {}.REGION", "CREATE TABLE {}.MINE (N NUMBER)"],
)
def test_shared_data_cannot_be_changed(sample: Warehouse, sql: str) -> None:
    with pytest.raises(snowflake.connector.ProgrammingError, match="Insufficient privileges"):
        sample.rows(sql.format("SNOWFLAKE_SAMPLE_DATA.TPCH_SF1"))


def test_shared_data_are_read_with_imported_privileges_and_granted_in_no_other_way(sample: Warehouse) -> None:
    sample.rows("CREATE OR REPLACE ROLE READER")
    sample.rows("GRANT ROLE READER TO USER ADMIN")
    sample.rows("GRANT USAGE ON WAREHOUSE COMPUTE_WH TO ROLE READER")
    query = "SELECT COUNT(*) FROM SNOWFLAKE_SAMPLE_DATA.TPCH_SF1.REGION"
    with sample.connect(role="READER") as reader, reader.cursor() as cursor:
        cursor.execute("USE SECONDARY ROLES NONE")
        with pytest.raises(snowflake.connector.ProgrammingError, match="does not exist or not authorized"):
            cursor.execute(query)
        sample.rows("GRANT IMPORTED PRIVILEGES ON DATABASE SNOWFLAKE_SAMPLE_DATA TO ROLE READER")
        assert cursor.execute(query).fetchall() == [(5,)]
        with pytest.raises(snowflake.connector.ProgrammingError, match="Insufficient privileges"):
            cursor.execute("INSERT INTO SNOWFLAKE_SAMPLE_DATA.TPCH_SF1.REGION VALUES (9, 'a', 'b')")
    for sql in ("USAGE ON DATABASE SNOWFLAKE_SAMPLE_DATA", "SELECT ON TABLE SNOWFLAKE_SAMPLE_DATA.TPCH_SF1.REGION"):
        with pytest.raises(snowflake.connector.ProgrammingError, match="GRANT IMPORTED PRIVILEGES"):
            sample.rows(f"GRANT {sql} TO ROLE READER")
