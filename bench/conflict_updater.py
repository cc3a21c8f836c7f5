"""A million visits through the conflict updater: its memory, and its time beside that of a self-join over all rows."""

from __future__ import annotations

import io
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from pathlib import Path
from typing import NamedTuple

import psycopg
import pyarrow.csv
import snowflake.connector

from bench.measure import ROOT, Measurement
from local.postgres import postgres
from tests.conflict_updater.visit_world import World
from tests.local.warehouse_server import warehouse

FEW_VISITS, VISITS, MEMORY = 200_000, 1_000_000, 400  # visits, visits, MB
CAREGIVERS = 20_000
# Two visits a day of each caregiver, of two hours, within eleven hours and a half: every third pair of them overlaps.
GENERATE = f"""
INSERT INTO CARE.PUBLIC.VISITS
SELECT TO_VARCHAR(N), LPAD(TO_VARCHAR(MOD(N, {CAREGIVERS})), 9, '0'), 'agency ' || MOD(N, 70), 'patient ' || MOD(N, 9),
    DATEADD(MINUTE, 30 * MOD(N * N, 23), MORNING), DATEADD(MINUTE, 30 * MOD(N * N, 23) + 120, MORNING), 'CONFIRMED',
    DATEADD(HOUR, -1, SYSDATE())
FROM (
    SELECT N, DATEADD(DAY, -FLOOR(N / {2 * CAREGIVERS}), DATEADD(HOUR, 7, TO_DATE(SYSDATE())::TIMESTAMP_NTZ)) AS MORNING
    FROM (SELECT ROW_NUMBER() OVER (ORDER BY 1) - 1 AS N FROM TABLE(GENERATOR(ROWCOUNT => %d))))"""

# A process of its own, as the container has it; it tells the largest memory that it had (VmHWM of proc(5), in kB).
PYTHON = ROOT / ".venv-conflict-updater" / "bin" / "python"
PROGRAM = """
import pathlib, sys
from conflict_updater.__main__ import main
code = main()
(line,) = (line for line in pathlib.Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM:"))
print(line)
sys.exit(code)"""

RIVAL = "the rows by COPY and one self-join in PostgreSQL"
RIVAL_VISITS = "SELECT VISIT_ID, SSN, AGENCY_ID, PATIENT_ID, START_AT, END_AT FROM CARE.PUBLIC.VISITS"
RIVAL_TABLE = "CREATE TABLE visits (id text, ssn text, agency text, patient text, start_at timestamp, end_at timestamp)"
RIVAL_JOIN = """
CREATE TABLE pairs AS SELECT a.id AS visit, b.id AS conflict, a.ssn, a.agency, b.agency AS conflict_agency, a.patient,
    b.patient AS conflict_patient, a.start_at, a.end_at, b.start_at AS conflict_start, b.end_at AS conflict_end
FROM visits AS a JOIN visits AS b
    ON a.ssn = b.ssn AND a.id < b.id COLLATE "C" AND a.start_at < b.end_at AND b.start_at < a.end_at"""


class Run(NamedTuple):
    """What a run took, in seconds and MB."""

    seconds: float
    peak: float


def measure() -> Iterator[Measurement]:
    """The peak memory; the time of a first run, in which all pairs are new, and of a second, which changes nothing."""
    with _world() as world:
        few, _ = _runs(world, FEW_VISITS)
        many, again = _runs(world, VISITS)
        rival = _self_join(world)
    name = f"Conflict updater, {VISITS:,} visits"
    peak = max(many.peak, again.peak)
    yield Measurement(f"{name}, peak memory", peak, "MB", f"{FEW_VISITS:,} visits", few.peak, MEMORY)
    yield Measurement(f"{name}, all conflicts new", many.seconds, "s", RIVAL, rival, None)
    yield Measurement(f"{name}, nothing new", again.seconds, "s", RIVAL, rival, None)


@contextmanager
def _world() -> Iterator[World]:
    with tempfile.TemporaryDirectory() as name:
        (Path(name) / "postgres").mkdir()
        with warehouse(Path(name) / "warehouse") as running, postgres(Path(name) / "postgres") as server:
            world = World(running, server)
            world.set_up()
            with closing(world):
                yield world


def _runs(world: World, visits: int) -> tuple[Run, Run]:
    """Two runs over so many visits."""
    world.empty()
    world.administer(GENERATE % visits)
    return _run(world.process_environment()), _run(world.process_environment())


def _run(environment: Mapping[str, str]) -> Run:
    environment = {**environment, "PYTHONPATH": str(ROOT / "conflict_updater" / "src")}
    begun = time.perf_counter()
    done = subprocess.run([PYTHON, "-c", PROGRAM], env=environment, capture_output=True, text=True, check=False)
    seconds = time.perf_counter() - begun
    if done.returncode:
        raise RuntimeError(f"the conflict updater ended with {done.returncode}:\n{done.stdout}{done.stderr}")
    return Run(seconds, int(done.stdout.splitlines()[-1].split()[1]) * 1024 / 1e6)


def _self_join(world: World) -> float:
    """Seconds from Snowflake's rows to a table of the same pairs; raises RuntimeError if they are not the same."""
    begun = time.perf_counter()
    login = world.warehouse.login()
    with closing(snowflake.connector.connect(**login)) as connection, world.postgres.connect() as session:
        session.execute(RIVAL_TABLE)
        with session.cursor() as cursor, cursor.copy("COPY visits FROM STDIN (FORMAT csv)") as copy:
            for table in connection.cursor().execute(RIVAL_VISITS).fetch_arrow_batches():
                text = io.BytesIO()
                pyarrow.csv.write_csv(table, text, pyarrow.csv.WriteOptions(include_header=False))
                copy.write(text.getvalue())
        session.execute("ANALYZE visits")
        session.execute(RIVAL_JOIN)
        seconds = time.perf_counter() - begun
        _check_same(session)
    return seconds


def _check_same(session: psycopg.Connection) -> None:
    ours = 'SELECT "VisitID", "ConVisitID" FROM conflict_dev.conflictvisitmaps'
    theirs = "SELECT visit, conflict FROM pairs"
    for first, second in ((ours, theirs), (theirs, ours)):
        row = session.execute(f"SELECT count(*) FROM ({first} EXCEPT {second}) AS missing").fetchone()
        if row != (0,):
            raise RuntimeError(f"the rival found other pairs: {row} of {first} are not in {second}")
