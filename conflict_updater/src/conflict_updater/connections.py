"""The action that tries both connections, and shows what lies behind them."""

from __future__ import annotations

from contextlib import closing

from snowflake.connector.errors import Error as SnowflakeError

from conflict_updater.conflict_maps import ConflictMaps
from conflict_updater.errors import ConnectionFailedError, told
from conflict_updater.settings import Settings
from conflict_updater.visits import Visits


def test_connections(settings: Settings) -> None:
    """Try both, print a line for each and the tables at the end; raises ConnectionFailedError after both were tried."""
    tables: list[str] = []
    failures: list[str] = []
    for test in (_test_snowflake, _test_postgres):
        try:
            tables += test(settings)
        except ConnectionFailedError as error:
            failures.append(str(error))
    print("Tables:", *(tables or ["none"]), sep="\n  ", flush=True)
    if failures:
        raise ConnectionFailedError("\n".join(failures))


def _test_snowflake(settings: Settings) -> list[str]:
    with closing(Visits(settings)) as visits:
        print(f"Snowflake connection successful: {visits.version()}", flush=True)
        try:
            return [f"Snowflake: {name}" for name in visits.tables()]
        except SnowflakeError as error:
            raise ConnectionFailedError(
                f"Snowflake answers, but a run could not read the visits: {told(error)}"
            ) from error


def _test_postgres(settings: Settings) -> list[str]:
    with closing(ConflictMaps(settings)) as maps:
        print("PostgreSQL connection successful", flush=True)
        found = maps.tables() or [f"none in {settings.postgres_schema} yet, the first update makes its own"]
        return [f"PostgreSQL: {name}" for name in found]
