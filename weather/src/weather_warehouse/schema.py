"""The tables, and how a database gets them: each role brings them up to date when it starts."""

from __future__ import annotations

import psycopg

_LOCK = 0x77656174686572  # a number of the program's own among the database's advisory locks: "weather"

# In order; what stands here was run somewhere and is never changed, a new step is added. While a deploy rolls, the
# program before it works on too, so a step leaves alone what that one uses.
_STEPS = (
    """
    CREATE TABLE observation (
        station text COLLATE "C" NOT NULL,  -- by bytes, so that an order and a page's end are everywhere the same
        date date NOT NULL,
        max_temperature smallint,  -- tenths of a degree Celsius
        min_temperature smallint,  -- tenths of a degree Celsius
        precipitation smallint,    -- tenths of a millimetre
        PRIMARY KEY (station, date)
    );
    CREATE INDEX ON observation (date, station);
    CREATE TABLE ingestion_run (
        run_id text PRIMARY KEY,
        source text NOT NULL,
        status text NOT NULL CHECK (status IN ('RUNNING', 'COMPLETED', 'FAILED')),
        started_at timestamptz NOT NULL DEFAULT now(),
        finished_at timestamptz,
        files integer,
        files_failed integer,
        records_read bigint,
        records_written bigint
    );
    """,
)


def migrate(connection: psycopg.Connection) -> None:
    """Run the steps that this database has not seen, all or none; a second program waits, and then finds them done."""
    with connection.transaction():
        connection.execute("SELECT pg_advisory_xact_lock(%s)", [_LOCK])
        connection.execute("CREATE TABLE IF NOT EXISTS schema_step (number integer PRIMARY KEY)")
        row = connection.execute("SELECT count(*) FROM schema_step").fetchone()
        for number, step in enumerate(_STEPS[row[0] if row else 0 :], start=row[0] if row else 0):
            connection.execute(step)
            connection.execute("INSERT INTO schema_step VALUES (%s)", [number])
