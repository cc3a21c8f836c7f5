"""What fakesnow 0.12.1 does otherwise than Snowflake, repaired one by one.

Each repair says what fakesnow does and what Snowflake does. Repairs of the protocol are in server.py and results.py.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import duckdb
import fakesnow.cursor
import fakesnow.fakes
import fakesnow.instance
from fakesnow import info_schema, macros
from fakesnow.transforms import show
from sqlglot import exp


class _Forgetful(dict[str, Any]):
    """fakesnow keeps every result of every query for RESULT_SCAN and never lets one go; the server keeps its own."""

    def __setitem__(self, key: str, value: Any) -> None:
        return


def open_duckdb(folder: Path) -> duckdb.DuckDBPyConnection:
    """DuckDB with fakesnow's extensions, everything in files under `folder`.

    fakesnow keeps what spans databases (column lengths, comments) in memory; Snowflake forgets nothing at a restart.
    """
    folder.mkdir(parents=True, exist_ok=True)
    duck = duckdb.connect(":memory:", config={"lambda_syntax": "ENABLE_SINGLE_ARROW"})
    duck.execute(f"ATTACH '{folder / '_fs_global.duckdb'}' AS {fakesnow.instance.GLOBAL_DATABASE_NAME}")
    duck.execute(info_schema.fs_global_creation_sql())
    duck.execute(show.fs_global_creation_sql())
    duck.execute(macros.creation_sql(fakesnow.instance.GLOBAL_DATABASE_NAME))
    return duck


def attach(duck: duckdb.DuckDBPyConnection, folder: Path, database: str) -> None:
    """Attach a database's file, made if it is absent, with fakesnow's views."""
    duck.execute(f"ATTACH '{folder / database}.db' AS \"{database}\"")
    duck.execute(info_schema.per_db_creation_sql(database))


def connect(duck: duckdb.DuckDBPyConnection, folder: Path) -> fakesnow.fakes.FakeSnowflakeConnection:
    """A fakesnow connection without a database.

    fakesnow creates a database and a schema that a login names; Snowflake logs in and leaves the session without them.
    """
    return fakesnow.fakes.FakeSnowflakeConnection(
        duck.cursor(), _Forgetful(), create_database=False, create_schema=False, db_path=folder
    )


def _exact_aggregates(expression: exp.Expr) -> exp.Expr:
    """fakesnow casts what SUM and AVG add up to DOUBLE; Snowflake adds NUMBERs exactly."""
    return expression


def _users_elsewhere(expression: exp.Expr) -> exp.Expr:
    """fakesnow keeps a user's name and refuses the rest; users.py keeps users whole."""
    return expression


def install() -> None:
    """Put the repairs in place; once, before the first statement. The others are done before fakesnow sees a statement:

    - MERGE, the counts of changes, Arrow results: duck.py and results.py
    - COUNT_IF, TO_CHAR, TRIM, TYPEOF, ARRAY_CONSTRUCT, division by zero, context functions: dialect.py
    - averages, quotients, DATE arithmetic, VARIANT and timestamps as text: result_types.py
    - keys (enforced), AUTOINCREMENT (by bare name), VARCHAR lengths (ignored): table_ddl.py
    - bindings of decimals and TIMESTAMP_NTZ: values.py
    """
    transforms = fakesnow.cursor.transforms
    transforms.numeric_agg_implicit_cast = _exact_aggregates
    transforms.create_user = _users_elsewhere
