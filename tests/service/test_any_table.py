"""Whatever a result holds reads back equal from the files, by readers that know nothing of their writers."""

import csv
import datetime
import io
import json
import math
import re
from decimal import Decimal

import fuzzing
import hypothesis
import polars
import pyarrow as pa
import pytest
from any_table import tables
from test_renderers import Stream, definition, facts

from report_service.renderers import resolve_columns
from report_service.renderers.csv_file import CsvRenderer
from report_service.renderers.json_file import JsonRenderer
from report_service.renderers.parquet_file import ParquetRenderer

pytestmark = [pytest.mark.soak, pytest.mark.timeout(3000 if fuzzing.SOAK else 240)]


@pytest.fixture(scope="module")
def write(tmp_path_factory):
    path = tmp_path_factory.mktemp("any") / "file"

    def write_file(renderer, table):
        columns = resolve_columns(definition(), table.schema)
        with Stream(path) as file:
            rows = renderer.write(facts(), columns, iter(table.to_batches(max_chunksize=2) or [_empty(table)]), file)
        assert rows == table.num_rows
        return path

    return write_file


def _empty(table):
    return pa.RecordBatch.from_pylist([], table.schema)


@fuzzing.fuzzed(80)
@hypothesis.given(tables())
def test_parquet_reads_back_equal(write, table):
    found = polars.read_parquet(write(ParquetRenderer(), table)).to_arrow()
    assert found.schema.names == table.schema.names
    for name in table.schema.names:
        column = found.column(name).combine_chunks()
        expected = table.column(name).combine_chunks()
        kind = expected.type
        if pa.types.is_timestamp(kind) and kind.unit == "s":  # Parquet has none
            expected = expected.cast(pa.timestamp("ms", kind.tz))
        if pa.types.is_timestamp(kind):
            assert bool(column.type.tz) == bool(kind.tz)
        assert same(column, expected), (name, kind, column, expected)


def same(one, other):
    if pa.types.is_floating(other.type):  # with NaN equal to itself
        pairs = zip(one.to_pylist(), other.to_pylist(), strict=True)
        return all(a == b or (a is not None and b is not None and math.isnan(a) and math.isnan(b)) for a, b in pairs)
    if pa.types.is_timestamp(other.type):
        return one.cast(pa.int64()).equals(other.cast(pa.int64()))
    return one.cast(other.type).equals(other)


def ticks(kind, text):
    """The time that a text names, in the units of its type since 1970 or midnight, whatever Python's own can hold."""
    pattern = r"(?:(\d{4})-(\d\d)-(\d\d)[T ])?(\d\d):(\d\d):(\d\d)(?:\.(\d+))?(Z?)"
    year, month, day, hour, minute, second, fraction, zone = re.fullmatch(pattern, text).groups()
    assert bool(zone) == bool(getattr(kind, "tz", None))
    days = _days(int(year), int(month), int(day)) if year else 0
    seconds = days * 86_400 + int(hour) * 3600 + int(minute) * 60 + int(second)
    digits = {"s": 0, "ms": 3, "us": 6, "ns": 9}[kind.unit]
    assert len(fraction or "") == digits
    return seconds * 10**digits + int(fraction or 0)


def _days(year, month, day):
    return (datetime.date(year, month, day) - datetime.date(1970, 1, 1)).days


def value_of(kind, text):
    """What a text in CSV or a value in JSON stands for, by the column's type; times as ticks."""
    if pa.types.is_timestamp(kind) or pa.types.is_time(kind):
        return ticks(kind, text)
    if pa.types.is_date(kind):
        return _days(*map(int, text.split("-")))
    if pa.types.is_decimal(kind):
        return Decimal(text)
    if pa.types.is_floating(kind):
        return float(text)
    if pa.types.is_integer(kind):
        return int(text)
    if pa.types.is_boolean(kind):
        return {"true": True, "false": False}[text]
    return text


def expected_of(column):
    kind = column.type
    if pa.types.is_timestamp(kind) or pa.types.is_time(kind):
        return column.cast(pa.int64()).to_pylist()
    if pa.types.is_date(kind):
        return column.cast(pa.int32()).to_pylist()
    return column.to_pylist()


def assert_same(found, expected):
    for one, other in zip(found, expected, strict=True):
        nan = isinstance(other, float) and math.isnan(other) and math.isnan(one)
        assert nan or one == other


@fuzzing.fuzzed(80)
@hypothesis.given(tables())
def test_json_reads_back_equal(write, table):
    content = write(JsonRenderer(), table).read_bytes().decode()
    rows = [json.loads(line, parse_float=Decimal) for line in content.split("\n")[:-1]]
    assert len(rows) == table.num_rows
    for name in table.schema.names:
        kind = table.schema.field(name).type
        found = [row[name] for row in rows]
        if pa.types.is_boolean(kind) or pa.types.is_integer(kind):
            assert all(type(value) in (bool, int, type(None)) for value in found)
        else:
            found = [value if value is None else value_of(kind, value) for value in found]
        assert_same(found, expected_of(table.column(name).combine_chunks()))


FORMULA = re.compile(r"(?:[\t\r\n]|[\s\u00a0\u200b-\u200f\u202a-\u202e\u2060-\u206f\ufeff\u00ad]*[=+\-@＝＋－＠])")


@fuzzing.fuzzed(80)
@hypothesis.given(tables())
def test_csv_reads_back_equal_but_for_the_apostrophe_before_what_may_be_a_formula(write, table):
    csv.field_size_limit(10**7)
    content = write(CsvRenderer(), table).read_bytes().decode()
    header, *rows = csv.reader(io.StringIO(content, newline=""))
    assert header == table.schema.names
    assert len(rows) == table.num_rows
    for index, name in enumerate(table.schema.names):
        kind = table.schema.field(name).type
        expected = expected_of(table.column(name).combine_chunks())
        found = [row[index] for row in rows]
        if pa.types.is_string(kind):
            for one, other in zip(found, expected, strict=True):
                assert one == (other or "") or one == f"'{other}"
                assert one.startswith("'") or not FORMULA.match(one)
        else:
            assert_same([None if text == "" else value_of(kind, text) for text in found], expected)
