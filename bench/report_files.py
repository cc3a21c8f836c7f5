"""What it costs to write the files: a report's own renderer beside what most people write such a file with."""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.feather
from reportlab.platypus import LongTable, SimpleDocTemplate

from bench.measure import ROOT, Measurement, median
from report_service.catalogue import Definition, OutputFormat
from report_service.renderers import Column, ReportFacts, renderer_for

FEW_ROWS, ROWS, MANY_ROWS, BATCH = 20_000, 200_000, 1_000_000, 10_000
CSV_FASTER, EXCEL_FASTER, PDF_FASTER, MEMORY = 10, 8, 20, 400  # times, times, times, MB
COLUMNS = [
    Column("ORDER_ID", "Order", "integer", 0),
    Column("DAY", "Day", "date", 0),
    Column("SOLD_AT", "Sold at", "datetime", 0),
    Column("REGION", "Region", "text", 0),
    Column("CUSTOMER", "Customer", "text", 0),
    Column("QUANTITY", "Quantity", "integer", 0, total=True),
    Column("PRICE", "Price", "money", 2),
    Column("AMOUNT", "Amount", "money", 2, total=True),
    Column("PAID", "Paid", "text", 0),
    Column("NOTE", "Note", "text", 0),
]
FACTS = ReportFacts("sales", "Sales", "All of them.", "DB.SALES", (), datetime(2026, 1, 2), "ANALYST", 7)

# In an environment of its own: the connector imports pandas where there is one, and the tests should not run with it.
PANDAS: list[str | Path] = [ROOT / ".venv-bench" / "bin" / "python", "-c"]
PROGRAM = """
import sys, time, pyarrow.feather
frame = pyarrow.feather.read_table(sys.argv[1]).to_pandas()
begun = time.perf_counter()
frame.{method}(sys.argv[2], index=False)
print(time.perf_counter() - begun)"""
TO_CSV, TO_EXCEL = PROGRAM.format(method="to_csv"), PROGRAM.format(method="to_excel")

WORKER: list[str | Path] = [ROOT / ".venv-service" / "bin" / "python", "-m", "bench.report_files"]


def measure() -> Iterator[Measurement]:
    """The measurements of each format."""
    yield from csv()
    yield from excel()
    yield from pdf()


def csv() -> Iterator[Measurement]:
    """Time against pandas."""
    rival = _pandas(TO_CSV, "rival.csv", MANY_ROWS)
    name = f"CSV, {MANY_ROWS:,} rows"
    yield Measurement(name, _seconds(OutputFormat.CSV, MANY_ROWS), "s", "pandas.to_csv", rival, rival / CSV_FASTER)


def excel() -> Iterator[Measurement]:
    """Time against pandas with openpyxl, and the memory of a whole worker process, not to grow with the rows."""
    rival = _pandas(TO_EXCEL, "rival.xlsx", ROWS)
    name = f"EXCEL, {ROWS:,} rows"
    seconds = _seconds(OutputFormat.EXCEL, ROWS)
    yield Measurement(name, seconds, "s", "pandas with openpyxl", rival, rival / EXCEL_FASTER)
    few, many = _peak(OutputFormat.EXCEL, ROWS), _peak(OutputFormat.EXCEL, MANY_ROWS)
    yield Measurement(f"EXCEL, peak memory of {MANY_ROWS:,} rows", many, "MB", f"of {ROWS:,} rows", few, MEMORY)


def pdf() -> Iterator[Measurement]:
    """Time against reportlab's own table of many pages, with a header on each."""
    rival = _long_table(FEW_ROWS)
    seconds = _seconds(OutputFormat.PDF, FEW_ROWS)
    yield Measurement(f"PDF, {FEW_ROWS:,} rows", seconds, "s", "reportlab LongTable", rival, rival / PDF_FASTER)


def batches(rows: int) -> Iterator[pa.RecordBatch]:
    """Rows as results.py hands them on, of types as Snowflake gives them; made as they are asked for."""
    for first in range(0, rows, BATCH):
        yield _batch(first, min(BATCH, rows - first))


def _batch(first: int, rows: int) -> pa.RecordBatch:
    def number(most: int) -> pa.Array:
        return pc.multiply(pc.random(rows, initializer=first + most), most).cast(pa.int64(), safe=False)

    def money(most: int) -> pa.Array:
        cents = number(most * 100).cast(pa.decimal128(19))
        return pc.multiply(cents, pa.scalar("0.01").cast(pa.decimal128(3, 2))).cast(pa.decimal128(12, 2))

    def one_of(*texts: str) -> pa.Array:
        return pa.array(texts).take(number(len(texts)))

    start = datetime(2024, 1, 1)
    seconds = pc.multiply(number(365 * 86_400), 1_000_000_000).cast(pa.duration("ns"))
    arrays = [
        pa.arange(first, first + rows),
        pc.add(pa.scalar(start).cast(pa.date32()).cast(pa.int32()), number(365)).cast(pa.int32()).cast(pa.date32()),
        pc.add(pa.scalar(start, pa.timestamp("ns")), seconds),
        one_of("EMEA", "APAC", "AMER", "LATAM"),
        pc.binary_join_element_wise("Customer", number(50_000).cast(pa.string()), " "),
        number(100),
        money(1_000),
        money(100_000),
        pc.less(number(2), 1),
        one_of("", "ok, checked", 'needs "review"', "n/a"),
    ]
    return pa.RecordBatch.from_arrays(arrays, names=[column.name for column in COLUMNS])


def _write(output: OutputFormat, made: Iterator[pa.RecordBatch], path: Path) -> None:
    definition = Definition(title=FACTS.title, description=FACTS.description, source=FACTS.source)
    with path.open("wb") as file:
        renderer_for(output, definition).write(FACTS, COLUMNS, made, file)


def _seconds(output: OutputFormat, rows: int) -> float:
    made = list(batches(rows))
    times = []
    with tempfile.TemporaryDirectory() as folder:
        _write(output, iter(made[:1]), Path(folder) / "report")  # reads fonts and the like, once in a process
        for _ in range(3):
            begun = time.perf_counter()
            _write(output, iter(made), Path(folder) / "report")
            times.append(time.perf_counter() - begun)
    return median(times)


def _long_table(rows: int) -> float:
    made = pa.Table.from_batches(batches(rows))
    with tempfile.TemporaryDirectory() as folder:
        begun = time.perf_counter()
        cells = [made.column_names, *([str(value) for value in row.values()] for row in made.to_pylist())]
        SimpleDocTemplate(str(Path(folder) / "rival.pdf")).build([LongTable(cells, repeatRows=1)])
        return time.perf_counter() - begun


def _pandas(program: str, name: str, rows: int) -> float:
    with tempfile.TemporaryDirectory() as folder:
        data = Path(folder) / "data.arrow"
        pyarrow.feather.write_feather(pa.Table.from_batches(batches(rows)), data)
        return float(subprocess.check_output([*PANDAS, program, data, Path(folder) / name]))


def _peak(output: OutputFormat, rows: int) -> float:
    environment = {"PYTHONPATH": f"{ROOT}:{ROOT / 'service' / 'src'}"}
    return float(subprocess.check_output([*WORKER, output, str(rows)], cwd=ROOT, env=environment))


def _work(output: str, rows: str) -> None:
    """Be a worker that writes one file, and print the largest memory it had, in MB.

    As Linux has it for the process's own image (proc(5)): ru_maxrss of a child begins with what its parent had.
    """
    import report_service.worker_role  # noqa: F401 - it is a part of that memory

    with tempfile.TemporaryDirectory() as folder:
        _write(OutputFormat(output), batches(int(rows)), Path(folder) / "report")
    (line,) = (line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM:"))
    print(int(line.split()[1]) / 1024)


if __name__ == "__main__":
    _work(*sys.argv[1:])
