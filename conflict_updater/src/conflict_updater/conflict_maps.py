"""The table conflictvisitmaps in PostgreSQL: what is on record, brought up to what was seen."""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence

import psycopg
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv
from psycopg import sql

from conflict_updater.errors import ConnectionFailedError, told
from conflict_updater.settings import Settings
from conflict_updater.sweep import Pair

_LOCK = 0x7402  # of PostgreSQL's advisory locks the one of this program; the second half is the schema's
_LOCK_SECONDS = 60  # a killed run's session may still finish its statement

TABLE_IS_THERE = "SELECT to_regclass({name}) IS NOT NULL"
# Ids sort by their bytes, as in Snowflake, so that a pair has one key whatever the database's collation is.
MIGRATION = """
CREATE SCHEMA IF NOT EXISTS {schema};
CREATE TABLE {table} (
    "VisitID" text COLLATE "C" NOT NULL,
    "ConVisitID" text COLLATE "C" NOT NULL CHECK ("VisitID" < "ConVisitID"),
    "SSN" text COLLATE "C" NOT NULL,
    "AgencyID" text,
    "ConAgencyID" text,
    "PatientID" text,
    "ConPatientID" text,
    "VisitStartTime" timestamp NOT NULL,
    "VisitEndTime" timestamp NOT NULL,
    "ConVisitStartTime" timestamp NOT NULL,
    "ConVisitEndTime" timestamp NOT NULL,
    "StatusFlag" char(1) NOT NULL DEFAULT 'U',
    "CreatedDate" timestamptz NOT NULL DEFAULT now(),
    "UpdatedDate" timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY ("VisitID", "ConVisitID")
);
CREATE INDEX ON {table} ("ConVisitID");
"""
STAGING = """
CREATE TEMPORARY TABLE excluded_ssns (ssn text COLLATE "C" PRIMARY KEY);
CREATE TEMPORARY TABLE looked_at (
    visit_id text COLLATE "C" PRIMARY KEY,
    ssn text COLLATE "C",
    start_at timestamp,
    end_at timestamp,
    live boolean NOT NULL
);
CREATE TEMPORARY TABLE found ON COMMIT DELETE ROWS AS SELECT {columns} FROM {table} WITH NO DATA;
"""
FOUND = (
    "VisitID",
    "ConVisitID",
    "SSN",
    "AgencyID",
    "ConAgencyID",
    "PatientID",
    "ConPatientID",
    "VisitStartTime",
    "VisitEndTime",
    "ConVisitStartTime",
    "ConVisitEndTime",
)
# Only what is new or differs is written: a second run leaves every row, and its UpdatedDate, alone. A flag that is not
# ours stays. The subquery is no join, for a join may read the whole table for each batch.
UPSERT = """
INSERT INTO {table} AS m ({columns})
SELECT {columns} FROM found
WHERE (
    SELECT m."StatusFlag" <> 'R' AND ({kept}) IS NOT DISTINCT FROM ({given}) FROM {table} AS m
    WHERE (m."VisitID", m."ConVisitID") = (found."VisitID", found."ConVisitID")) IS NOT TRUE
ON CONFLICT ("VisitID", "ConVisitID") DO UPDATE SET
    ({values}) = ROW ({new}),
    "StatusFlag" = CASE m."StatusFlag" WHEN 'R' THEN 'U' ELSE m."StatusFlag" END,
    "UpdatedDate" = now()
"""
# Of a visit that was not looked at, what is on record is the latest that is known: it has not changed.
STALE = """
SELECT m."VisitID", m."ConVisitID"
FROM {table} AS m
LEFT JOIN looked_at AS a ON a.visit_id = m."VisitID"
LEFT JOIN looked_at AS b ON b.visit_id = m."ConVisitID"
WHERE m."StatusFlag" <> 'R' AND (
    m."SSN" IN (SELECT ssn FROM excluded_ssns)
    OR (a.visit_id IS NOT NULL OR b.visit_id IS NOT NULL) AND NOT (
        COALESCE(a.live, true) AND COALESCE(b.live, true)
        AND COALESCE(a.ssn, m."SSN") = COALESCE(b.ssn, m."SSN")
        AND COALESCE(a.start_at, m."VisitStartTime") < COALESCE(b.end_at, m."ConVisitEndTime")
        AND COALESCE(b.start_at, m."ConVisitStartTime") < COALESCE(a.end_at, m."VisitEndTime")))
"""
RESOLVE = """
UPDATE {table} AS m SET "StatusFlag" = 'R', "UpdatedDate" = now()
FROM unnest(%s::text[], %s::text[]) AS stale (visit, conflict)
WHERE (m."VisitID", m."ConVisitID") = (stale.visit, stale.conflict) AND m."StatusFlag" <> 'R'
"""
TABLES = """
SELECT c.relname, c.reltuples::bigint FROM pg_catalog.pg_class AS c
JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
WHERE n.nspname = %s AND c.relkind IN ('r', 'p', 'v', 'm') ORDER BY c.relname
"""


class AnotherRunError(Exception):
    """Another run is at work on the same schema."""


class VisitTwiceError(Exception):
    """A VISIT_ID that two rows of the visits have."""


class ConflictMaps:
    """One session of PostgreSQL; each batch is a transaction of its own, so that a run can end anywhere.

    Raises ConnectionFailedError, and PostgreSQL's own errors where nothing else is said.
    """

    def __init__(self, settings: Settings) -> None:
        self._schema = settings.postgres_schema
        self._size = settings.batch_size
        try:
            self._connection = psycopg.connect(
                host=settings.postgres_host,
                port=settings.postgres_port,
                user=settings.postgres_user,
                password=settings.postgres_password.get_secret_value(),
                dbname=settings.postgres_database,
                sslmode=settings.postgres_sslmode,
                application_name=f"snowgate-conflict-updater-{settings.environment}",
                connect_timeout=30,
                keepalives_idle=60,  # a NAT gateway forgets a connection that is silent for 350 s
                autocommit=True,
            )
        except psycopg.Error as error:
            raise ConnectionFailedError(f"Failed to connect to PostgreSQL: {told(error)}") from error

    def close(self) -> None:
        """End the session; whatever is not committed is rolled back."""
        self._connection.close()

    def tables(self) -> list[str]:
        """The schema's tables, each with the number of rows that PostgreSQL supposes."""
        rows = self._connection.execute(TABLES, (self._schema,)).fetchall()
        return [f"{self._schema}.{name}" + (f" (about {count:,} rows)" if count > 0 else "") for name, count in rows]

    def begin(self) -> None:
        """Keep other runs out, make the table if there is none, and tables of this session.

        Raises AnotherRunError when another run does not end within a minute.
        """
        try:
            self._connection.execute(f"SET lock_timeout = '{_LOCK_SECONDS}s'")
            self._connection.execute("SELECT pg_advisory_lock(%s, hashtext(%s))", (_LOCK, self._schema))
        except psycopg.errors.LockNotAvailable:
            raise AnotherRunError(
                f"Another run of the conflict updater has been at work for more than {_LOCK_SECONDS} s; "
                "wait until it has ended, or stop its task."
            ) from None
        # CREATE IF NOT EXISTS would ask for the privilege even where there is nothing to create.
        name = sql.Literal(f"{self._schema}.conflictvisitmaps")
        if self._connection.execute(sql.SQL(TABLE_IS_THERE).format(name=name)).fetchone() == (False,):
            with self._connection.transaction():
                self._connection.execute(self._statement(MIGRATION))
        self._connection.execute(self._statement(STAGING))

    def exclude(self, ssns: pa.RecordBatch) -> None:
        """Note the caregivers that have no conflicts, whatever is on record."""
        self._copy("excluded_ssns", pa.Table.from_batches([ssns]))

    def look_at(self, visits: pa.RecordBatch) -> None:
        """Note the state of visits: VISIT_ID, SSN, START_AT, END_AT, LIVE. Raises VisitTwiceError."""
        try:
            self._copy("looked_at", pa.Table.from_batches([visits]))
        except psycopg.errors.UniqueViolation as error:
            raise VisitTwiceError(
                f"The visits in Snowflake hold one VISIT_ID twice: {error.diag.message_detail}"
            ) from None

    def enter(self, pairs: Sequence[Pair]) -> int:
        """Enter pairs that conflict, in one transaction; returns how many were new, changed or had been resolved."""
        with self._connection.transaction():
            self._copy("found", _table(pairs), FOUND)
            return self._connection.execute(self._statement(UPSERT)).rowcount

    def resolve_stale(self) -> Iterator[int]:
        """Resolve the pairs that are no longer conflicts, as far as their visits were looked at.

        Yields after each transaction how many it resolved.
        """
        self._connection.execute("ANALYZE looked_at")  # nobody else does so for a temporary table
        with self._connection.cursor("stale", withhold=True) as stale:
            stale.execute(self._statement(STALE))
            while keys := stale.fetchmany(self._size):
                visits, conflicts = zip(*keys, strict=True)
                yield self._connection.execute(self._statement(RESOLVE), (list(visits), list(conflicts))).rowcount

    def _copy(self, name: str, rows: pa.Table, columns: Sequence[str] = ()) -> None:
        listed = sql.SQL("({})").format(_identifiers(columns)) if columns else sql.SQL("")
        statement = sql.SQL("COPY {} {} FROM STDIN (FORMAT csv)").format(sql.Identifier(name), listed)
        text = io.BytesIO()
        pyarrow.csv.write_csv(rows, text, pyarrow.csv.WriteOptions(include_header=False))
        with self._connection.cursor() as cursor, cursor.copy(statement) as copy:
            copy.write(text.getvalue())

    def _statement(self, text: str) -> sql.Composed:
        values = FOUND[2:]
        return sql.SQL(text).format(
            schema=sql.Identifier(self._schema),
            table=sql.Identifier(self._schema, "conflictvisitmaps"),
            columns=_identifiers(FOUND),
            values=_identifiers(values),
            kept=_identifiers(values, "m"),
            given=_identifiers(values, "found"),
            new=_identifiers(values, "excluded"),
        )


def _identifiers(names: Sequence[str], *table: str) -> sql.Composed:
    return sql.SQL(", ").join(sql.Identifier(*table, name) for name in names)


def _table(pairs: Sequence[Pair]) -> pa.Table:
    """The pairs in the order of FOUND."""
    first, second = [pair.visit for pair in pairs], [pair.conflict for pair in pairs]

    def texts(name: str, visits: Sequence[object]) -> pa.Array:
        return pa.array([getattr(visit, name) for visit in visits], pa.string())

    def times(name: str, visits: Sequence[object]) -> pa.Array:
        return pc.cast(pa.array([getattr(visit, name) for visit in visits], pa.int64()), pa.timestamp("us"))

    columns = [
        texts("visit_id", first),
        texts("visit_id", second),
        texts("ssn", first),
        texts("agency", first),
        texts("agency", second),
        texts("patient", first),
        texts("patient", second),
        times("start", first),
        times("end", first),
        times("start", second),
        times("end", second),
    ]
    return pa.Table.from_arrays(columns, names=list(FOUND))
