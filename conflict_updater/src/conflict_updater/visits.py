"""The visits in Snowflake, read only: as Arrow batches, a few at a time."""

from __future__ import annotations

import datetime
from collections.abc import Iterator, Sequence
from contextlib import closing
from typing import Any, NamedTuple

import pyarrow as pa
import snowflake.connector
from snowflake.connector.errors import Error as SnowflakeError

from conflict_updater.errors import ConnectionFailedError, told
from conflict_updater.settings import Settings

# Whether a visit takes place: somebody's, of some length, neither cancelled nor deleted, the caregiver not excluded.
_LIVE = """COALESCE(V.SSN, '') <> '' AND COALESCE(V.END_AT > V.START_AT, FALSE)
        AND COALESCE(UPPER(V.STATUS), '') NOT IN ('CANCELLED', 'DELETED') AND E.SSN IS NULL"""
_VISITS = """{visits} AS V
    LEFT JOIN (SELECT DISTINCT SSN FROM {excluded}) AS E ON E.SSN = V.SSN"""
_STATE = f"""TO_VARCHAR(V.VISIT_ID) AS VISIT_ID, TO_VARCHAR(V.SSN) AS SSN,
    V.START_AT::TIMESTAMP_NTZ AS START_AT, V.END_AT::TIMESTAMP_NTZ AS END_AT, {_LIVE} AS LIVE"""

VERSION = "SELECT CURRENT_VERSION()"
# Both ends by Snowflake's clock, in UTC as UPDATED_AT is. Later changes are the next run's: all queries see one state.
WINDOW = """
SELECT DATEADD(HOUR, ?, N.AT), N.AT, DATEADD(YEAR, ?, TO_DATE(N.AT)), DATEADD(DAY, ?, TO_DATE(N.AT))
FROM (SELECT SYSDATE() AS AT) AS N"""
EXCLUDED = "SELECT DISTINCT TO_VARCHAR(SSN) AS SSN FROM {excluded} WHERE SSN IS NOT NULL"
DELTA_KEYS = """
SELECT COUNT(*), COUNT(DISTINCT SSN) FROM {visits} WHERE UPDATED_AT >= ? AND UPDATED_AT < ?"""
DELTA = f"""
SELECT {_STATE}
FROM {_VISITS}
WHERE V.UPDATED_AT >= ? AND V.UPDATED_AT < ?"""
RELATED = f"""
SELECT {_STATE}, TO_VARCHAR(V.AGENCY_ID) AS AGENCY_ID, TO_VARCHAR(V.PATIENT_ID) AS PATIENT_ID,
    V.UPDATED_AT >= ? AS CHANGED
FROM {_VISITS}
WHERE V.UPDATED_AT < ? AND V.SSN <> '' AND E.SSN IS NULL
    AND V.SSN IN (SELECT SSN FROM {{visits}} WHERE UPDATED_AT >= ? AND UPDATED_AT < ?)
    AND (V.UPDATED_AT >= ? OR V.START_AT >= ? AND V.START_AT < ?)
ORDER BY SSN, START_AT, VISIT_ID"""


class Window(NamedTuple):
    """What a run looks at: visits changed in [since, until), related ones that start on a day in [first, end)."""

    since: datetime.datetime
    until: datetime.datetime
    first: datetime.date
    end: datetime.date


class Visits:
    """One session of Snowflake. Values are bound; names of tables are checked by the settings.

    Raises ConnectionFailedError, and Snowflake's own errors.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        named = {
            name: getattr(settings, f"snowflake_{name}")
            for name in ("database", "schema", "role", "host", "port", "protocol")
        }
        try:
            self._connection = snowflake.connector.connect(
                account=settings.snowflake_account,
                user=settings.snowflake_user,
                warehouse=settings.snowflake_warehouse,
                authenticator="SNOWFLAKE_JWT",
                private_key=settings.private_key,
                application="Snowgate",
                paramstyle="qmark",
                login_timeout=60,
                session_parameters={
                    "QUERY_TAG": f"snowgate:{settings.environment}:conflict-updater",
                    # What the connector fetches ahead; with its own 4 threads and no limit it grows with the rows.
                    "CLIENT_PREFETCH_THREADS": 2,
                    "CLIENT_MEMORY_LIMIT": 64,  # MB
                },
                client_session_keep_alive=True,
                enable_server_session_keep_alive_auto_detection=False,
                **{name: value for name, value in named.items() if value is not None},
            )
        except SnowflakeError as error:
            raise ConnectionFailedError(f"Failed to connect to Snowflake: {told(error)}") from error

    def close(self) -> None:
        """End the session."""
        self._connection.close()

    def version(self) -> str:
        """Snowflake's version."""
        ((version,),) = self._rows(VERSION)
        return str(version)

    def tables(self) -> list[str]:
        """The tables that a run reads, tried by reading none of their rows."""
        now = datetime.datetime(1970, 1, 1)
        window = Window(now, now, now.date(), now.date())
        self.related(window).close()
        return [self._settings.snowflake_visits_table, self._settings.snowflake_excluded_ssns_table]

    def window(self) -> Window:
        """What a run that begins now looks at."""
        settings = self._settings
        values = (-settings.lookback_hours, -settings.lookback_years, settings.lookforward_days + 1)
        (row,) = self._rows(WINDOW, values)
        return Window(*row)

    def delta_keys(self, window: Window) -> tuple[int, int]:
        """How many visits have changed, and of how many caregivers they are."""
        ((visits, caregivers),) = self._rows(DELTA_KEYS, (window.since, window.until))
        return int(visits), int(caregivers)

    def excluded(self) -> Batches:
        """The caregivers to leave out: SSN."""
        return self._batches(EXCLUDED, ())

    def delta(self, window: Window) -> Batches:
        """The changed visits in whatever state: VISIT_ID, SSN, START_AT, END_AT, LIVE."""
        return self._batches(DELTA, (window.since, window.until))

    def related(self, window: Window) -> Batches:
        """The visits to compare with each other, those of one caregiver together and in order of their start.

        They are all that changed, and of the same caregivers all that the window has; as `delta` gives them, with
        AGENCY_ID, PATIENT_ID and CHANGED.
        """
        since, until, first, end = window
        return self._batches(RELATED, (since, until, since, until, since, first, end))

    def _rows(self, sql: str, values: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        with closing(self._connection.cursor()) as cursor:
            return list(cursor.execute(self._named(sql), tuple(values) or None).fetchall())

    def _batches(self, sql: str, values: Sequence[Any]) -> Batches:
        cursor = self._connection.cursor()
        cursor.execute(self._named(sql), tuple(values) or None)
        return Batches(cursor, self._settings.batch_size)

    def _named(self, sql: str) -> str:
        return sql.format(
            visits=self._settings.snowflake_visits_table, excluded=self._settings.snowflake_excluded_ssns_table
        )


class Batches:
    """The rows of a query that has run in Snowflake, at most `size` at a time, fetched as they are asked for."""

    def __init__(self, cursor: Any, size: int) -> None:
        self._cursor = cursor
        self._size = size

    def __iter__(self) -> Iterator[pa.RecordBatch]:
        """Yield batches; the result is closed after the last one."""
        with closing(self):
            # With nanoseconds a date after 2262 would be an error.
            for table in self._cursor.fetch_arrow_batches(force_microsecond_precision=True):
                yield from table.to_batches(max_chunksize=self._size)

    def close(self) -> None:
        """Give the result up."""
        self._cursor.close()
