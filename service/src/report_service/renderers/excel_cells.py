"""The cells of a sheet out of Arrow arrays, column by column, as SpreadsheetML has them (ECMA-376-1, 18.3.1).

A cell does not say where it stands (`r` is optional there): it stands after the one before it. That makes a file half
as large, and halves the time for it.
"""

from __future__ import annotations

import datetime
import functools
import re
from decimal import Context, Decimal

import pyarrow as pa
import pyarrow.compute as pc

from report_service.errors import ErrorCode, ReportError
from report_service.renderers.plain_digits import plain_digits
from report_service.renderers.renderer import Column

CELL_CHARACTERS = 32_767  # in UTF-16, where an emoji counts for two
DIGITS = 15  # what Excel holds of a number
_WIDEST = 60
_EPOCH = 25_569  # the day of 1970-01-01 in Excel
_FIRST_DAY = 61  # 1900-03-01: Excel believes in 29 February 1900
_LAST_DAY = 2_958_465  # 9999-12-31
_DAY = 86_400_000  # milliseconds
_PYTHON_SECONDS = (-62_135_000_000, 253_402_000_000)  # of 1970: the years 1 to 9999, whatever the time zone
_EXACT = Context(prec=2000)  # the largest and the smallest float have less than 1,400 digits between them

# What XML 1.0 cannot hold or changes, as _xHHHH_ (22.9.2.19 ST_Xstring), and what would be read as such an escape.
_CONTROL = r"\x00-\x08\x0b-\x1f\x{FFFE}\x{FFFF}"
_UNWRITABLE = rf"[{_CONTROL}]|_x[0-9A-Fa-f]{{4}}"
_PYTHON_CONTROL = _CONTROL.replace(r"\x{FFFE}\x{FFFF}", "\ufffe\uffff")
_ESCAPED = re.compile(rf"[{_PYTHON_CONTROL}]|_(?=x[0-9A-Fa-f]{{4}}[_{_PYTHON_CONTROL}])")


class ColumnCells:
    """One column's cells, and what its values were like.

    `width` is in characters; `total` the exact sum of a column that has one; `rounded`, `not_numbers` and `cut` say
    whether there were numbers of more than 15 digits, NaN or infinite values, and fractions of a millisecond.
    """

    def __init__(self, column: Column, style: int) -> None:
        self.column = column
        self.width = len(column.label) + 4  # of the filter's button
        self.total = Decimal(0)
        self.rounded = self.not_numbers = self.cut = False
        self._style = style
        self._of_floats = False

    def cells(self, array: pa.Array, rows_before: int) -> pa.Array:
        """Return a cell for each value, one without content for NULL; raises ReportError for a text that is too long.

        `rows_before` is how many rows the report has had so far, for the error's message.
        """
        numbers, texts = self._values(array)
        made = []
        if numbers is not None:
            kind = ' t="b"' if pa.types.is_boolean(array.type) else f' s="{self._style}"'
            made.append(pc.binary_join_element_wise(f"<c{kind}><v>", numbers, "</v></c>", ""))
        if texts is not None:
            self._refuse_long(texts, rows_before)
            self._fit(pc.max(pc.utf8_length(texts)).as_py() or 0)
            made.append(text_cells(texts, 0))
        return pc.coalesce(*made, "<c/>")

    def total_cell(self, style: int, formula: str | None) -> str:
        """Return the cell of the total: the formula with its result, or the result alone."""
        value = repr(float(self.total)) if self._of_floats else f"{self.total:.{DIGITS}g}"
        self.rounded |= not self._of_floats and Decimal(value) != self.total
        self._fit_numbers(self.total)
        kind, value = (' t="e"', "#NUM!") if value.endswith("inf") else ("", value)
        return f'<c s="{style}"{kind}>{f"<f>{formula}</f>" if formula else ""}<v>{value}</v></c>'

    def _values(self, array: pa.Array) -> tuple[pa.Array | None, pa.Array | None]:
        """Return what is written as a number, and what is written as text; each is NULL where the other is not."""
        kind = array.type
        if pa.types.is_boolean(kind):
            return pc.if_else(array, "1", "0"), None
        if pa.types.is_date(kind) or pa.types.is_timestamp(kind):
            return self._times(array)
        if not self.column.is_number:
            return None, _as_text(array)
        return self._floats(array) if pa.types.is_floating(kind) else (self._exact(array), None)

    def _exact(self, array: pa.Array) -> pa.Array:
        """Numbers in decimal, of which Excel holds 15 digits."""
        if pa.types.is_integer(array.type):
            array = array.cast(pa.decimal128(20))
        texts = array.cast(pa.string())
        low, high = pc.min_max(array).as_py().values()
        if low is None:
            return texts
        self._fit_numbers(low, high)
        if self.column.total:
            wide = array.cast(pa.decimal256(76, array.type.scale))
            self.total = _EXACT.add(self.total, pc.sum(wide).as_py())
        limit = Decimal(1).scaleb(DIGITS - array.type.scale)
        if -limit < low and high < limit:
            return texts
        most = pa.scalar(limit, array.type)
        long = pc.or_(pc.greater_equal(array, most), pc.less_equal(array, pc.negate(most))).fill_null(False)
        values = array.filter(long).to_pylist()
        held = [f"{value:.{DIGITS}g}" for value in values]
        self.rounded |= any(Decimal(text) != value for text, value in zip(held, values, strict=True))
        return pc.replace_with_mask(texts, long, pa.array(held, pa.string()))

    def _floats(self, array: pa.Array) -> tuple[pa.Array, pa.Array | None]:
        """Floats as they are; what is not finite is no number to Excel."""
        self._of_floats = True
        array = array.cast(pa.float64())
        texts = array.cast(pa.string())
        finite = pc.is_finite(array)
        numbers = array.filter(finite)
        if len(numbers):
            self._fit_numbers(*pc.min_max(numbers).as_py().values())
        if self.column.total:
            self.total = functools.reduce(_EXACT.add, map(Decimal, numbers.to_pylist()), self.total)
        if pc.all(finite, min_count=0).as_py():
            return texts, None
        self.not_numbers = True
        return pc.if_else(finite, texts, None), pc.if_else(finite, None, texts)

    def _times(self, array: pa.Array) -> tuple[pa.Array, pa.Array | None]:
        """Dates and times as days of Excel; as text outside of its calendar."""
        if pa.types.is_date(array.type):
            array = array.cast(pa.date32(), safe=False)
            serial = pc.add(array.cast(pa.int32()), _EPOCH)
        else:
            exact = array.cast(pa.timestamp(array.type.unit))
            utc = pc.floor_temporal(exact, unit="millisecond")
            self.cut |= bool(pc.any(pc.not_equal(utc, exact)).as_py())
            array = _local(utc.cast(pa.timestamp("ms")), array.type.tz)
            serial = pc.divide(pc.add(array.cast(pa.int64()), _EPOCH * _DAY).cast(pa.float64()), float(_DAY))
        self._fit(10 if self.column.kind == "date" else 19)
        numbers = serial.cast(pa.string())
        known = pc.and_(pc.greater_equal(serial, _FIRST_DAY), pc.less(serial, _LAST_DAY + 1))
        if pc.all(known, min_count=0).as_py():
            return numbers, None
        return pc.if_else(known, numbers, None), pc.if_else(known, None, _as_text(array))

    def _fit_numbers(self, *values: float | Decimal) -> None:
        for value in values:
            if self.column.kind == "percent":
                self._fit(len(f"{value:.{self.column.decimals}%}"))
            else:
                decimals = 0 if self.column.kind == "integer" else self.column.decimals
                self._fit(len(f"{value:,.{decimals}f}"))

    def _fit(self, characters: int) -> None:
        self.width = max(self.width, min(characters + 2, _WIDEST))

    def _refuse_long(self, texts: pa.Array, rows_before: int) -> None:
        if (pc.max(pc.binary_length(texts)).as_py() or 0) <= CELL_CHARACTERS:
            return
        for row, text in enumerate(texts.to_pylist(), start=rows_before + 1):
            characters = len((text or "").encode("utf-16-le")) // 2
            if characters > CELL_CHARACTERS:
                raise ReportError(
                    ErrorCode.QUERY_FAILED,
                    f"Column {self.column.name} holds a text of {characters:,} characters in row {row:,}; "
                    f"a cell of Excel holds {CELL_CHARACTERS:,}. Ask for CSV, or cut it in query.sql.",
                    retry=False,
                )


def rows_xml(cells: list[pa.Array], first: int) -> bytes:
    """Return rows of these columns' cells; `first` is the number of the first one, from 1."""
    numbers = pa.arange(first, first + len(cells[0])).cast(pa.string())
    rows = pc.binary_join_element_wise('<row r="', numbers, '">', *cells, "</row>", "")
    length = pc.sum(pc.binary_length(rows)).as_py()
    return bytes(rows.buffers()[2][:length])


def text_cells(texts: pa.Array, style: int) -> pa.Array:
    """Return cells that show each text as it is: never a formula, a link or markup."""
    for character, entity in (("&", "&amp;"), ("<", "&lt;"), (">", "&gt;")):
        texts = pc.replace_substring(texts, character, entity)
    special = pc.match_substring_regex(texts, _UNWRITABLE).fill_null(False)
    if pc.any(special).as_py():
        escaped = [_ESCAPED.sub(_escape, text) for text in texts.filter(special).to_pylist()]
        texts = pc.replace_with_mask(texts, special, pa.array(escaped, pa.string()))
    start = f'<c s="{style}" t="inlineStr"><is><t xml:space="preserve">'
    return pc.binary_join_element_wise(start, texts, "</t></is></c>", "")


def _escape(character: re.Match[str]) -> str:
    return f"_x{ord(character[0]):04X}_"


def _as_text(array: pa.Array) -> pa.Array:
    kind = array.type
    if pa.types.is_floating(kind):  # Arrow writes 123456789012 as 1.23456789012e+11
        return pa.array([value if value is None else str(value) for value in array.to_pylist()], pa.string())
    if pa.types.is_decimal(kind):
        return plain_digits(array)
    texts = array.cast(pa.string())
    if pa.types.is_time(kind) or pa.types.is_timestamp(kind):
        texts = pc.replace_substring_regex(texts, r"\.0+$|(\.\d*[1-9])0+$", r"\1")
    return texts


def _local(utc: pa.Array, zone: str | None) -> pa.Array:
    """Return what clocks show there, for Excel knows no zones; by Python's zones, for Arrow's are the system's."""
    if zone in (None, "UTC"):
        return utc
    tzinfo = pa.scalar(0, pa.timestamp("ms", zone)).as_py().tzinfo
    moments = utc.cast(pa.int64()).dictionary_encode()
    first, last = _PYTHON_SECONDS
    offsets = [
        datetime.datetime.fromtimestamp(min(max(moment // 1000, first), last), tzinfo).utcoffset()
        for moment in moments.dictionary.to_pylist()
    ]
    shifts = pa.array([offset // datetime.timedelta(milliseconds=1) for offset in offsets if offset is not None])
    return pc.add(moments.dictionary_decode(), shifts.take(moments.indices)).cast(pa.timestamp("ms"))
