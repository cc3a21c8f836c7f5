"""What the weather warehouse adds to a COPY: reading, checking and comparing the lines of twelve real station files.

The rival writes the same rows, converted beforehand, into the same table with its indexes, in one COPY and one commit.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from datetime import date, timedelta
from pathlib import Path

from bench.measure import ROOT, Measurement, median, seconds
from local.postgres import Postgres, postgres
from weather_warehouse.ingestion import Tally, ingest
from weather_warehouse.schema import migrate
from weather_warehouse.sources import Folder
from weather_warehouse.station_file import Conversion

FILES = ROOT / "weather" / "wx_data"
ROUNDS, TIMES_A_COPY = 7, 3
BIG_FILE_DAYS = 180_000  # of the years that a file may have, nearly all
MEMORY = 1.5  # times what the twelve files take
PEAK = "import bench.weather, sys; bench.weather.print_peak(sys.argv[1])"
COMMAND = [sys.executable, "-m", "weather_warehouse", "ingest", "--source", "folder"]
COPY = """
import os, pathlib, psycopg, sys
with psycopg.connect(os.environ["DATABASE_URL"]) as connection, connection.cursor() as cursor:
    with cursor.copy("COPY observation FROM STDIN") as copy:
        copy.write(pathlib.Path(sys.argv[1]).read_bytes())"""


def measure() -> Iterator[Measurement]:
    """The time of a first ingestion, of a second and of the whole command, and the memory of one."""
    with tempfile.TemporaryDirectory() as name, postgres(Path(name) / "postgres") as server:
        copies, firsts, agains = [], [], []
        for _ in range(ROUNDS):  # by turns, so that a neighbour's work is in both
            copies.append(_copy(server))
            _empty(server)
            firsts.append(_ingest(server))
            agains.append(_ingest(server))
        copy, rival = median(copies), "a bare COPY of the same rows"
        what = "12 real station files, 118,647 rows"
        yield Measurement(f"{what}, into an empty table", median(firsts), "s", rival, copy, TIMES_A_COPY * copy)
        yield Measurement(f"{what}, which are there", median(agains), "s", rival, copy, TIMES_A_COPY * copy)
        copy, whole = _commands(server, Path(name) / "rows")
        yield Measurement(f"{what}, the whole command", whole, "s", f"{rival} by a command", copy, TIMES_A_COPY * copy)
        usual, big = _peak(server, FILES), _peak(server, _big_file(Path(name)))
        what = f"Peak memory of an ingestion, one file of {BIG_FILE_DAYS:,} days"
        yield Measurement(what, big, "MB", "the 12 real files", usual, MEMORY * usual)


def print_peak(folder: str) -> None:
    """Ingest a folder by the command's own way, and print the largest memory that the process had, in MB."""
    from weather_warehouse.ingest_role import run_ingest
    from weather_warehouse.settings import IngestSettings, load

    run_ingest(load(IngestSettings, weather_folder=folder), "folder")
    (line,) = (line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM:"))
    print(int(line.split()[1]) / 1024)


def _commands(server: Postgres, rows: Path) -> tuple[float, float]:
    """The time of a COPY and of an ingestion as commands of their own, with what each imports."""
    rows.write_bytes(b"".join(_rows(path) for path in sorted(FILES.glob("*.txt"))))
    copies, wholes = [], []
    for _ in range(ROUNDS):
        _empty(server)
        copies.append(seconds([sys.executable, "-c", COPY, rows], _environment(server)))
        _empty(server)
        wholes.append(seconds(COMMAND, _environment(server) | {"WEATHER_FOLDER": str(FILES)}))
    return median(copies), median(wholes)


def _environment(server: Postgres) -> dict[str, str]:
    return {"DATABASE_URL": server.url(), "DATABASE_SSLMODE": "disable"}


def _ingest(server: Postgres) -> float:
    begun = time.perf_counter()
    with server.connect() as connection:
        tally = Tally()
        ingest(connection, Folder(FILES), "bench", tally)
    took = time.perf_counter() - begun
    if tally.failed or tally.read != 118_647:
        raise RuntimeError(f"the ingestion is not what it should be: {tally}")
    return took


def _copy(server: Postgres) -> float:
    blocks = [_rows(path) for path in sorted(FILES.glob("*.txt"))]
    _empty(server)
    begun = time.perf_counter()
    with server.connect() as connection:
        with connection.cursor() as cursor, cursor.copy("COPY observation FROM STDIN") as copy:
            for block in blocks:
                copy.write(block)
        return time.perf_counter() - begun


def _rows(path: Path) -> bytes:
    rows = b"".join(Conversion().blocks([path.read_bytes()])).splitlines(keepends=True)
    return b"".join(path.stem.encode() + b"\t" + row for row in rows)


def _empty(server: Postgres) -> None:
    """A table without rows, and a server without work left over from them."""
    with server.connect() as connection:
        migrate(connection)
        connection.execute("TRUNCATE observation")
        connection.execute("CHECKPOINT")


def _peak(server: Postgres, folder: Path) -> float:
    environment = os.environ | _environment(server)
    out = subprocess.check_output([sys.executable, "-c", PEAK, str(folder)], cwd=ROOT, env=environment, text=True)
    return float(out.splitlines()[-1])


def _big_file(folder: Path) -> Path:
    first = date(1700, 1, 1)
    days = (first + timedelta(days=number) for number in range(BIG_FILE_DAYS))
    (folder / "big").mkdir()
    (folder / "big" / "BIG.txt").write_text("".join(f"{day:%Y%m%d}\t  -22\t -128\t   94\n" for day in days))
    return folder / "big"
