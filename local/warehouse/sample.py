"""SNOWFLAKE_SAMPLE_DATA.TPCH_SF1, which every Snowflake account has, as views over TPC-H's parquet files."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from local.warehouse import fakesnow_repairs, table_ddl

if TYPE_CHECKING:
    from local.warehouse.account import Account

DATABASE, SCHEMA = "SNOWFLAKE_SAMPLE_DATA", "TPCH_SF1"
TABLES = ("customer", "lineitem", "nation", "orders", "part", "partsupp", "region", "supplier")
_TYPES = {"DECIMAL(15,2)": "DECIMAL(12,2)", "INTEGER": "BIGINT"}


def load(account: Account, folder: Path) -> None:
    """Make the views (and the database at the first time). Raises FileNotFoundError naming the missing files."""
    absent = [name for name in TABLES if not (folder / f"{name}.parquet").exists()]
    if absent:
        raise FileNotFoundError(
            f"{folder} has no {', '.join(f'{name}.parquet' for name in absent)}; tpchgen-cli makes them."
        )
    if account.catalog.get("DATABASE", (DATABASE,)) is None:
        fakesnow_repairs.attach(account.duck, account.folder, DATABASE)
        account.catalog.add("DATABASE", (DATABASE,), "ACCOUNTADMIN", COMMENT="TPC-H", imported=True)
        account.catalog.add("SCHEMA", (DATABASE, SCHEMA), "ACCOUNTADMIN", COMMENT="")
    account.duck.execute(f"CREATE SCHEMA IF NOT EXISTS {DATABASE}.{SCHEMA}")
    session = account.open_session("SYSTEM", "ACCOUNTADMIN")
    for name in TABLES:
        file = (folder / f"{name}.parquet").resolve()
        rows = account.duck.execute(f"DESCRIBE SELECT * FROM read_parquet('{file}')").fetchall()
        columns = ", ".join(f'"{row[0]}"::{_TYPES.get(row[1], row[1])} AS "{row[0].upper()}"' for row in rows)
        account.duck.execute(
            f"CREATE OR REPLACE VIEW {DATABASE}.{SCHEMA}.{name.upper()} AS SELECT {columns} FROM read_parquet('{file}')"
        )
        full = (DATABASE, SCHEMA, name.upper())
        account.catalog.add(
            "TABLE", full, "ACCOUNTADMIN", comment="", columns=table_ddl.columns_in_duckdb(session, full)
        )
    account.close_session(session)
