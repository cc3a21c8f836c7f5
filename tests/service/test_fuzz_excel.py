"""Fuzzed tables: what EXCEL holds of them reads back equal, or the column that no cell can hold is refused by name.

What a cell must hold is worked out here once more, from Python's values.
"""

import datetime
import functools
import math
import tempfile
from decimal import Context, Decimal
from pathlib import Path
from zoneinfo import ZoneInfo

import fuzzing
import openpyxl
import pyarrow as pa
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from openpyxl.utils.escape import unescape

from report_service.catalogue import Column, Definition
from report_service.errors import ReportError
from report_service.renderers import ReportFacts, resolve_columns
from report_service.renderers.excel_file import ExcelRenderer

pytestmark = [pytest.mark.soak, pytest.mark.timeout(2400 if fuzzing.SOAK else 240)]

FACTS = ReportFacts("r", "T", "D", "DB.S", (), datetime.datetime(2026, 1, 2), "ANALYST", 7)
FIFTEEN, ALL = Context(prec=15), Context(prec=2000)
ZONES = [None, "UTC", "America/Los_Angeles", "Asia/Kolkata", "+05:30"]
# The ends of Excel's calendar and of Python's, each with its neighbours; a zone may move none of them out of Python's.
DAYS = ["0001-01-03", "1899-12-31", "1900-02-28", "1900-03-01", "1969-12-31", "1970-01-01", "9999-12-30"]
# Escapes, halves of them, and what XML would take for its own.
PIECES = [
    "_x0041_",
    "_x005F_",
    "_x",
    "_",
    "x0041_",
    "0041",
    "\x01",
    "\r",
    "\n",
    " ",
    "&amp;",
    "<",
    "]]>",
    "<r>",
    "</r>",
]
FULL = ["x" * 32767, "x" * 32768, "😀" * 16383, "😀" * 16384, "株" * 32767, "&" * 32767, "\x01" * 32767]

texts = fuzzing.texts | st.lists(st.sampled_from(PIECES), max_size=6).map("".join)
days = st.dates(datetime.date(1, 1, 3), datetime.date(9999, 12, 30))
days |= st.sampled_from([datetime.date.fromisoformat(day) for day in DAYS])
moments = st.builds(datetime.datetime.combine, days, st.times())


@st.composite
def decimals(draw):
    precision = draw(st.integers(1, 38))
    scale = draw(st.integers(0, precision))
    most = 10**precision - 1
    unscaled = st.integers(-most, most) | st.integers(-999, 999).filter(lambda number: abs(number) <= most)
    return pa.decimal128(precision, scale), unscaled.map(lambda number: Decimal(number).scaleb(-scale, ALL))


def of_type(values, *kinds):
    return st.sampled_from(kinds).map(lambda kind: (kind, values))


columns = st.one_of(
    of_type(texts, pa.string(), pa.large_string()),
    of_type(st.booleans(), pa.bool_()),
    of_type(st.integers(-(2**63), 2**63 - 1) | st.integers(-99, 10**15 + 1), pa.int64()),
    of_type(st.floats(), pa.float64()),
    of_type(st.floats(width=32), pa.float32()),
    of_type(days, pa.date32()),
    of_type(moments, *(pa.timestamp("us", zone) for zone in ZONES)),
    of_type(st.datetimes(datetime.datetime(1700, 1, 1), datetime.datetime(2200, 1, 1)), pa.timestamp("ns")),
    of_type(st.times(), pa.time64("us"), pa.time64("ns")),
    of_type(st.none(), pa.null()),
    decimals(),
)


@st.composite
def tables(draw):
    """A table, the columns that are declared texts or have a total, how many rows come at once and fit on a sheet."""
    rows = draw(st.integers(0, 8))
    arrays, declared = {}, {}
    for number in range(draw(st.integers(1, 5))):
        kind, values = draw(columns)
        optional = st.none() | values
        name = f"C{number}"
        arrays[name] = pa.array(draw(st.lists(optional, min_size=rows, max_size=rows)), kind)
        declared[name] = draw(st.sampled_from([Column(), Column(kind="text"), Column(kind="decimal", total=True)]))
    return pa.table(arrays), declared, draw(st.integers(1, 4)), draw(st.integers(3, 12))


def write(table, declared, chunk, sheet_rows):
    """The columns, the data sheets (with formulas and with their results) and the sheet About."""
    definition = Definition(title="T", description="D", source="DB.S", columns=declared)
    resolved = resolve_columns(definition, table.schema)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "r.xlsx"
        with path.open("wb") as file:
            ExcelRenderer(sheet_rows).write(FACTS, resolved, iter(table.to_batches(max_chunksize=chunk)), file)
        assert [each.name for each in Path(folder).iterdir()] == ["r.xlsx"]
        formulas, results = (openpyxl.load_workbook(path, data_only=flag).worksheets for flag in (False, True))
    return resolved, formulas[:-1], results[:-1], list(results[-1].values)


def held(value, column):
    """What a cell holds of a value: a number, a time, a text, and what there is no better type for as text."""
    if value is None or isinstance(value, bool):
        return value
    if column.is_number and math.isfinite(value):
        return value if isinstance(value, float) else float(FIFTEEN.plus(Decimal(value)))
    if isinstance(value, datetime.datetime):
        value = value.replace(tzinfo=None)
        value = value.replace(microsecond=value.microsecond // 1000 * 1000)
    if isinstance(value, datetime.date) and str(value) >= "1900-03-01":
        return value if isinstance(value, datetime.datetime) else datetime.datetime.combine(value, datetime.time())
    if isinstance(value, datetime.date | datetime.time) and "." in str(value):
        return str(value).rstrip("0")
    return f"{value:f}" if isinstance(value, Decimal) and value.is_finite() else str(value)


def read(cell):
    """What a cell says; ECMA-376 has the escapes that openpyxl leaves in a text."""
    assert cell.hyperlink is None
    assert cell.data_type != "f"
    return unescape(cell.value) if cell.data_type == "s" else cell.value


def as_python(array):
    """Python's values; its own types have no nanoseconds, and these tables have none either."""
    kind = array.type
    if pa.types.is_timestamp(kind) and kind.unit == "ns":
        array = array.cast(pa.timestamp("us"))
    return array.cast(pa.time64("us")).to_pylist() if pa.types.is_time(kind) else array.to_pylist()


def is_not_a_number(value):
    return isinstance(value, float) and not math.isfinite(value)


def notes(resolved, lists):
    """What About must say, and of which columns."""
    numbers = [(column, values) for column, values in zip(resolved, lists, strict=True) if column.is_number]
    times = zip(resolved, lists, strict=True)
    found = {
        "Rounded": {
            column.label for column, values in numbers if any(map(is_rounded, [*values, total(column, values)]))
        },
        "Not numbers": {column.label for column, values in numbers if any(map(is_not_a_number, values))},
        "Cut": {column.label for column, values in times if any(map(is_cut, values))},
    }
    return {title: labels for title, labels in found.items() if labels}


def is_rounded(value):
    return isinstance(value, int | Decimal) and FIFTEEN.plus(Decimal(value)) != value


def is_cut(value):
    return isinstance(value, datetime.datetime) and value.microsecond % 1000 != 0


def total(column, values):
    """The exact sum, of floats as Excel's own type has it; None of a column that has none."""
    if not column.total:
        return None
    values = [value for value in values if value is not None and not is_not_a_number(value)]
    exact = functools.reduce(ALL.add, map(Decimal, values), Decimal(0))
    return float(exact) if any(isinstance(value, float) for value in values) else exact


def letter(index):
    return "ABCDE"[index]


@fuzzing.fuzzed(300)
@given(tables())
def test_every_table_reads_back_equal(given_table):
    table, declared, chunk, sheet_rows = given_table
    resolved, formulas, results, about = write(table, declared, chunk, sheet_rows)
    lists = [as_python(array) for array in table.columns]
    has_totals = any(column.total for column in resolved)

    cells = []
    for sheet in formulas:
        assert sheet.freeze_panes == "A2"
        filtered = int(sheet.auto_filter.ref.rpartition(letter(len(resolved) - 1))[2])
        header, *rows = sheet.iter_rows(max_col=len(resolved), max_row=filtered)
        assert [read(cell) for cell in header] == [column.label for column in resolved]
        assert sheet.max_row == filtered + (has_totals and sheet is formulas[-1] and table.num_rows > 0) <= sheet_rows
        cells += rows
    assert len(cells) == table.num_rows
    assert len(formulas) == max(1, -(-table.num_rows // (sheet_rows - 1 - has_totals)))

    for index, (column, values) in enumerate(zip(resolved, lists, strict=True)):
        assert [read(row[index]) for row in cells] == [held(value, column) for value in values]
        if table.num_rows and column.total:
            place = f"{letter(index)}{filtered + 1}"
            wanted = total(column, values)
            wanted = wanted if isinstance(wanted, float) else float(FIFTEEN.plus(wanted))
            assert results[-1][place].value == (wanted if math.isfinite(wanted) else "#NUM!")
            formula = f"=SUM({letter(index)}2:{letter(index)}{filtered})"
            assert (formulas[-1][place].value == formula) is (len(formulas) == 1)
    said = {
        title: set(text.partition(": ")[0].split(", "))
        for title, text in about
        if title in ("Rounded", "Not numbers", "Cut")
    }
    assert said == notes(resolved, lists)


@fuzzing.fuzzed(60)
@example(["_x0041\x01", "_x0041_x0042_", "_\x01", "\x01x0041_"], 4)
@given(st.lists(st.none() | texts | st.sampled_from(FULL), min_size=1, max_size=4), st.integers(1, 4))
def test_a_text_reads_back_equal_or_its_column_is_refused_by_name(values, chunk):
    table = pa.table({"SHORT": range(len(values)), "LONG": pa.array(values, pa.string())})
    long = [row for row, value in enumerate(values, start=1) if len((value or "").encode("utf-16-le")) > 2 * 32767]
    if long:
        with pytest.raises(ReportError, match=rf"Column LONG holds a text of 32,768 characters in row {long[0]};"):
            write(table, {}, chunk, 1000)
    else:
        _, (sheet,), _, _ = write(table, {}, chunk, 1000)
        assert [read(row[1]) for row in sheet.iter_rows(min_row=2)] == values


def test_all_of_500_columns_read_back_equal():
    table = pa.table({f"C{number}": [number, None, -number] for number in range(500)})
    _, (sheet,), _, about = write(table, {}, 2, 1000)
    assert list(sheet.values)[1:] == [tuple(range(500)), (None,) * 500, tuple(-number for number in range(500))]
    assert ("Rows", "3") in about


def test_every_one_of_500_rounded_columns_is_named():
    table = pa.table({"C" * 200 + f"{number}": [10**15 + 1] for number in range(500)})
    resolved, _, _, about = write(table, {}, 1, 1000)
    named = [text.partition(": ")[0].split(", ") for title, text in about if title == "Rounded"]
    assert [label for labels in named for label in labels] == [column.label for column in resolved]


@pytest.mark.parametrize("zone", ["America/Los_Angeles", "UTC", "Asia/Kolkata"])
def test_the_last_moment_of_a_time_zone_is_in_the_calendar(zone):
    """9999-12-31 is what tables have for never; in UTC it may be in the year 10000, which Python has not."""
    offset = datetime.datetime(9998, 12, 31, tzinfo=ZoneInfo(zone)).utcoffset()
    never = datetime.datetime(9999, 12, 31, 23, 59, 59) - datetime.datetime(1970, 1, 1) - offset
    array = pa.array([never // datetime.timedelta(seconds=1)]).cast(pa.timestamp("s", zone))
    _, (sheet,), _, _ = write(pa.table({"AT": array}), {}, 1, 1000)
    assert sheet["A2"].value == datetime.datetime(9999, 12, 31, 23, 59, 59)
