"""The ingestion: each station file becomes rows of the table, in one transaction or not at all."""

from __future__ import annotations

import re
import time
from dataclasses import dataclass

import psycopg

from weather_warehouse import log
from weather_warehouse.schema import migrate
from weather_warehouse.sources import Source, SourceError, StationFile
from weather_warehouse.station_file import Conversion, WrongFile

_STATION = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}")
_STATION_LOCKS = 0x7761  # the first half of an advisory lock's number; the second is the station's

_STAGE = """
    CREATE TEMPORARY TABLE staged (
        date date, max_temperature smallint, min_temperature smallint, precipitation smallint
    ) ON COMMIT DELETE ROWS
"""
# A row that is there as it should be is not even locked, so that the same file again leaves the table untouched.
_MERGE = """
    MERGE INTO observation AS kept USING staged ON kept.station = %(station)s AND kept.date = staged.date
    WHEN MATCHED AND (kept.max_temperature, kept.min_temperature, kept.precipitation)
        IS DISTINCT FROM (staged.max_temperature, staged.min_temperature, staged.precipitation)
    THEN UPDATE SET
        max_temperature = staged.max_temperature,
        min_temperature = staged.min_temperature,
        precipitation = staged.precipitation
    WHEN NOT MATCHED THEN INSERT VALUES
        (%(station)s, staged.date, staged.max_temperature, staged.min_temperature, staged.precipitation)
"""
_BEGIN_RUN = """
    INSERT INTO ingestion_run (run_id, source, status) VALUES (%s, %s, 'RUNNING')
    ON CONFLICT (run_id) DO UPDATE SET
        source = excluded.source, status = 'RUNNING', started_at = now(), finished_at = NULL,
        files = NULL, files_failed = NULL, records_read = NULL, records_written = NULL
"""
_END_RUN = """
    UPDATE ingestion_run SET
        status = %s, finished_at = now(), files = %s, files_failed = %s, records_read = %s, records_written = %s
    WHERE run_id = %s
"""


@dataclass
class Tally:
    """What a run has done so far; `written` are the rows that were new or changed, of files that were taken whole."""

    files: int = 0
    failed: int = 0
    read: int = 0
    written: int = 0


def ingest(connection: psycopg.Connection, source: Source, run_id: str, tally: Tally) -> None:
    """Take every file of `source` and enter it in `tally`, over a connection with autocommit.

    A file that fails is told in the log and does not keep the others out. The run is a row of ingestion_run; one that
    was killed stays RUNNING there until its run_id runs again.
    """
    migrate(connection)
    connection.execute(_BEGIN_RUN, [run_id, source.place])
    connection.execute(_STAGE)
    # No file waits for the disk; the run's last row does, and with it all that was written before.
    connection.execute("SET synchronous_commit = off")
    try:
        for file in source.files():
            tally.files += 1
            _take(connection, file, tally)
        if not tally.files:
            raise SourceError(f"There is no .txt file in {source.place}.")
    except SourceError as error:
        tally.failed += 1
        log.error("ingest.source_failed", error, source=source.place)
    connection.execute("RESET synchronous_commit")
    status = "FAILED" if tally.failed else "COMPLETED"
    connection.execute(_END_RUN, [status, tally.files, tally.failed, tally.read, tally.written, run_id])


def _take(connection: psycopg.Connection, file: StationFile, tally: Tally) -> None:
    begun = time.monotonic()
    try:
        with connection.transaction():
            read, written = _load(connection, file)
    except WrongFile as error:
        tally.failed += 1
        lines = [{"line": number, "reason": reason} for number, reason in error.lines]
        log.warning("file.refused", file=file.name, lines=lines)
    except SourceError as error:
        tally.failed += 1
        log.error("file.failed", error, file=file.name)
    else:
        tally.read += read
        tally.written += written
        seconds = round(time.monotonic() - begun, 3)
        log.info("file.ingested", file=file.name, records_read=read, records_written=written, seconds=seconds)


def _load(connection: psycopg.Connection, file: StationFile) -> tuple[int, int]:
    if not _STATION.fullmatch(file.station):
        allowed = "up to 64 letters, digits, '_', '.' and '-' before .txt are allowed"
        raise SourceError(f"Its name makes no station, {file.station!r}; {allowed}.")
    # Two runs take the files of one station one after the other: MERGE does not see the rows that another one inserts.
    connection.execute("SELECT pg_advisory_xact_lock(%s, hashtext(%s))", [_STATION_LOCKS, file.station])
    conversion = Conversion()
    with connection.cursor() as cursor:
        with cursor.copy("COPY staged FROM STDIN") as copy:
            for block in conversion.blocks(file.chunks()):
                copy.write(block)
        cursor.execute(_MERGE, {"station": file.station})
        return conversion.count, cursor.rowcount
