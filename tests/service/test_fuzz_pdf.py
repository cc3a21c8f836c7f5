"""Fuzzed tables: a reader finds each cell of any table in its PDF again, in its place, or the report is refused."""

import datetime
import math
import re
import unicodedata
from decimal import Decimal
from fractions import Fraction

import fuzzing
import pyarrow as pa
import pypdfium2
import pytest
from hypothesis import given
from hypothesis import strategies as st
from test_renderers import facts

from report_service.catalogue import SUMMED, Column, Definition
from report_service.errors import ErrorCode, ReportError
from report_service.renderers import resolve_columns
from report_service.renderers.pdf_file import PdfRenderer

pytestmark = [pytest.mark.soak, pytest.mark.timeout(7200 if fuzzing.SOAK else 240)]

NUMBERS = ("integer", "decimal", "money", "percent")
SHORT = 300
ALWAYS_SHOWN = set("éßŁžΩжя東京中한글ｱ")  # of any other character beyond ASCII a code point may stand there


def decimals(precision, scale):
    """Any value of a NUMBER(precision, scale)."""
    most = 10**precision - 1
    return (st.integers(-most, most) | st.integers(-99, 99)).map(lambda digits: Decimal(f"{digits}E-{scale}"))


written = st.one_of(
    fuzzing.texts,
    st.text("ab (),\\-…[]U+0éßŁžΩжя東京中한글ｱ😀ไשא\u0301", max_size=40),
    st.sampled_from(["word " * 60, "x" * 500, "長い文章" * 50, "[U+1F600]", "(\\))", "-", "a-", "ﬁ", "½", "a\u00ad"]),
)
times = st.datetimes(datetime.datetime(1, 1, 2), datetime.datetime(9999, 12, 30))
KINDS = [
    (pa.string(), written, ("text",)),
    (pa.int64(), st.integers(-(2**63), 2**63 - 1) | st.integers(-9, 9), NUMBERS),
    (pa.decimal128(38, 0), decimals(38, 0), NUMBERS),
    (pa.decimal128(38, 2), decimals(38, 2), NUMBERS),
    (pa.decimal128(12, 10), decimals(12, 10), NUMBERS),
    (pa.float64(), st.floats() | st.floats(-1e6, 1e6), NUMBERS),
    (pa.bool_(), st.booleans(), ("text",)),
    (pa.date32(), st.dates(), ("date",)),
    (pa.timestamp("us"), times, ("datetime", "date")),
    (pa.timestamp("ms", "UTC"), times.map(lambda at: at.replace(tzinfo=datetime.UTC)), ("datetime", "date")),
    (pa.timestamp("s", "Asia/Kolkata"), times.map(lambda at: at.replace(tzinfo=datetime.UTC)), ("datetime", "date")),
    (
        pa.timestamp("ns"),
        st.datetimes(datetime.datetime(1678, 1, 1), datetime.datetime(2262, 1, 1)),
        ("datetime", "date"),
    ),
    (pa.time64("us"), st.times(), ("text",)),
    (pa.null(), st.none(), ("text",)),
]


@st.composite
def tables(draw):
    """An Arrow table of up to eight rows, and how its columns are declared."""
    rows = draw(st.integers(0, 8))
    wide = draw(fuzzing.mostly(st.integers(1, 7), st.integers(8, 90)))
    arrays, declared = [], {}
    for index in range(wide):
        kind, values, kinds = draw(st.sampled_from(KINDS))
        cells = draw(st.lists(st.none() | values, min_size=rows, max_size=rows))
        arrays.append(pa.array(cells, kind))
        shown = draw(st.none() | st.sampled_from((*kinds, "text")))
        declared[f"C{index}"] = Column(
            label=draw(st.none() | written),
            kind=shown,
            decimals=draw(st.none() | st.integers(0, 10)),
            total=shown in SUMMED and draw(st.booleans()),
        )
    return pa.table(arrays, names=list(declared)), declared


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    return tmp_path_factory.mktemp("pdf") / "t.pdf"


def test_a_reader_finds_every_cell_of_any_table_in_its_place(path):
    refused = []

    @fuzzing.fuzzed(SHORT)
    @given(tables())
    def check(case):
        table, declared = case
        definition = Definition(title="A title", description="What it is.", source="DB.S", columns=declared)
        columns = resolve_columns(definition, table.schema)
        try:
            with path.open("wb") as file:
                rows = PdfRenderer().write(facts(), columns, iter(table.to_batches(max_chunksize=3)), file)
        except ReportError as error:
            refused.append(error)
            return
        assert rows == table.num_rows
        with pypdfium2.PdfDocument(path) as document:
            (page,) = document
            given_text = page.get_textpage().get_text_range()
        read = letters(given_text.replace("\ufffe", "-"))  # the reader's sign for a hyphen at the end of a line
        cells = [cell for column, array in zip(columns, table.columns, strict=True) for cell in texts(column, array)]
        cells += total_row(columns, table) if rows else []
        assert stand(read, cells), (read, cells)

    check()
    assert {error.code for error in refused} == {ErrorCode.QUERY_FAILED}
    assert all(re.search(r"there is no room for C\d+", error.message) for error in refused)
    assert len(refused) < fuzzing.examples(SHORT) / 4


def stand(read, cells):
    """Whether the cells stand in what was read, one after the other."""
    places = set(range(len(read) + 1))
    for cell, may_be_cut in cells:
        places = set(ends(read, places, unicodedata.normalize("NFC", cell), may_be_cut))
    return bool(places)


def ends(read, places, cell, may_be_cut):
    """Where a cell ends that begins at one of these places, whole or before an ellipsis."""
    for character in cell:
        ways = [letters(character)]
        if not character.isascii() and character not in ALWAYS_SHOWN:
            ways.append(f"[U+{ord(character):04X}]")
        if unicodedata.combining(character):
            ways.append("")  # the reader takes two of them at one place for one
        if may_be_cut:
            cuts = {way[:end] + "..." for way in ways for end in range(len(way) + 1)}
            yield from {place + len(cut) for place in places for cut in cuts if read.startswith(cut, place)}
        places = {place + len(way) for place in places for way in ways if read.startswith(way, place)}
    yield from places


def letters(text):
    """What there is to see of a text, in the simplest form: readers add blanks, and take joined letters apart."""
    simple = "".join(unicodedata.normalize("NFKD", character) for character in text)
    return "".join(part for part in simple if not part.isspace() and unicodedata.category(part) not in ("Cc", "Cf"))


def texts(column, array):
    return [(text(column, value) if value is not None else "", not column.is_number) for value in array.to_pylist()]


def text(column, value):
    if column.is_number:
        return number(value, column)
    if column.kind == "date":
        return f"{value.year:04}-{value.month:02}-{value.day:02}"
    if column.kind == "datetime":
        return str(value.replace(microsecond=0))
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{value:f}" if isinstance(value, Decimal) else str(value)


def number(value, column):
    """A number in the form of its column, worked out in integers."""
    sign = "%" if column.kind == "percent" else ""
    if not math.isfinite(value):
        return f"{float(value)}{sign}"
    scaled = round(abs(Fraction(value)) * 10 ** (column.decimals + 2 * bool(sign)))
    whole, rest = divmod(scaled, 10**column.decimals)
    point = f".{rest:0{column.decimals}}" if column.decimals else ""
    return f"{'-' * (math.copysign(1, value) < 0)}{whole:,}{point}{sign}"


def total_row(columns, table):
    added = {
        index: number(total(array.drop_null().to_pylist()), column)
        for index, (column, array) in enumerate(zip(columns, table.columns, strict=True))
        if column.total and column.is_number
    }
    if added:
        named = min(set(range(len(columns))) - set(added), default=0)
        added[named] = f"Total {added.get(named, '')}"
    return [(cell, False) for _, cell in sorted(added.items())]


def total(values):
    return sum(map(Fraction, values)) if all(map(math.isfinite, values)) else sum(map(float, values))
