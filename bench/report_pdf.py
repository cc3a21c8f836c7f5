"""What a PDF of 20,000 rows takes, beside reportlab's own table of many pages with a header on each."""

from __future__ import annotations

import datetime
import random
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pyarrow as pa
from reportlab.platypus import LongTable, SimpleDocTemplate

from bench.measure import Measurement, median
from report_service.catalogue import Definition
from report_service.renderers import ReportFacts, resolve_columns
from report_service.renderers.pdf_file import PdfRenderer

ROWS, RUNS, BATCH = 20_000, 5, 5_000
TIMES = 20  # as fast as the rival, at least
FACTS = ReportFacts(
    name="orders",
    title="Orders",
    description="Orders by day, region and customer.",
    source="REPORTING_DB.PUBLIC",
    parameters=(("From", "2024-01-01"), ("To", "2024-12-31")),
    generated_at=datetime.datetime(2025, 1, 1),
    requested_by="ANALYST",
    config_id=1,
)


def measure() -> Iterator[Measurement]:
    """The median of some files, at most a twentieth of the rival's one: that takes half a minute."""
    table = _orders(ROWS)
    columns = resolve_columns(Definition(title="Orders", description="Orders.", source="DB.S"), table.schema)
    with tempfile.TemporaryDirectory() as name:
        path = Path(name) / "orders.pdf"

        def write(part: pa.Table) -> None:
            with path.open("wb") as file:
                rows = PdfRenderer().write(FACTS, columns, iter(part.to_batches(max_chunksize=BATCH)), file)
            if rows != part.num_rows:
                raise RuntimeError(f"{rows} rows were written in place of {part.num_rows}")

        write(table.slice(0, 10))  # reads the fonts, once in a process
        value = median([_seconds(lambda: write(table)) for _ in range(RUNS)])
        rival = _seconds(lambda: _long_table(table, path))
    yield Measurement(f"PDF, {ROWS:,} rows", value, "s", "reportlab LongTable", rival, rival / TIMES)


def _long_table(table: pa.Table, path: Path) -> None:
    rows = [table.column_names, *([str(value) for value in row.values()] for row in table.to_pylist())]
    SimpleDocTemplate(str(path)).build([LongTable(rows, repeatRows=1)])


def _orders(rows: int) -> pa.Table:
    """Ten columns of the usual types, the same each time."""
    chance = random.Random(1)
    first = datetime.datetime(2024, 1, 1)
    times = [first + datetime.timedelta(seconds=chance.randrange(365 * 86_400)) for _ in range(rows)]
    return pa.table(
        {
            "ORDER_ID": range(rows),
            "DAY": [at.date() for at in times],
            "PLACED_AT": pa.array(times, pa.timestamp("ms")),
            "REGION": chance.choices(["EMEA", "APAC", "AMER", "LATAM"], k=rows),
            "CUSTOMER": [f"Customer {chance.randrange(50_000)}" for _ in range(rows)],
            "QUANTITY": [chance.randrange(1, 100) for _ in range(rows)],
            "PRICE": [round(chance.random() * 1_000, 2) for _ in range(rows)],
            "AMOUNT": [round(chance.random() * 100_000, 2) for _ in range(rows)],
            "PAID": [chance.random() > 0.5 for _ in range(rows)],
            "NOTE": chance.choices(["", "ok, checked", 'needs "review"', "n/a"], k=rows),
        }
    )


def _seconds(work: Callable[[], object]) -> float:
    begun = time.perf_counter()
    work()
    return time.perf_counter() - begun
