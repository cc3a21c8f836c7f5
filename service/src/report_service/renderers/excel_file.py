"""EXCEL: typed cells in constant memory, a frozen header with filters, and a sheet that says what the data are.

Text is always written as text, never as a formula or a link. A numeric column holds numbers only, because Excel leaves
texts out of a sum without a word: more than 15 digits are rounded, and the sheet About names the columns. Dates before
1900, which Excel does not know, are written as text. A sheet that is full goes on in the next one.
"""

from __future__ import annotations

import datetime
import math
from collections.abc import Callable, Iterator, Sequence
from decimal import Decimal
from io import BufferedIOBase
from typing import Any

import pyarrow as pa
import xlsxwriter

from report_service.errors import ErrorCode, ReportError
from report_service.renderers.renderer import Column, ReportFacts

SHEET_ROWS = 1_048_576
CELL_CHARACTERS = 32_767
DIGITS = 15  # what Excel holds of a number
_FIRST_DAY = datetime.date(1900, 3, 1)  # Excel believes in 29 February 1900
_MEASURED_ROWS = 1000  # widths are taken from the first rows
_OPTIONS = {
    "constant_memory": True,
    "strings_to_formulas": False,
    "strings_to_urls": False,
    "strings_to_numbers": False,
    "remove_timezone": True,
}


class ExcelRenderer:
    """Writes .xlsx by XlsxWriter; `sheet_rows` is what a sheet holds, header included."""

    extension = "xlsx"
    media_type = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"

    def __init__(self, sheet_rows: int = SHEET_ROWS) -> None:
        self._sheet_rows = sheet_rows

    def write(
        self, facts: ReportFacts, columns: Sequence[Column], batches: Iterator[pa.RecordBatch], file: BufferedIOBase
    ) -> int:
        """Write the data sheets and the sheet About; raises ReportError for a text that is too long for a cell."""
        with xlsxwriter.Workbook(file, _OPTIONS) as book:
            book.set_properties({"title": facts.title, "comments": facts.description})
            sheets = _Sheets(book, columns, self._sheet_rows)
            for batch in batches:
                for row in zip(*(_values(array) for array in batch.columns), strict=True):
                    sheets.add(row)
            sheets.close()
            _about(book, facts, sheets)
        return sheets.rows


class _Sheets:
    """The data sheets, the last of which is being written."""

    def __init__(self, book: xlsxwriter.Workbook, columns: Sequence[Column], sheet_rows: int) -> None:
        self.rows = 0
        self.count = 0
        self._rounded: set[int] = set()
        self._not_numbers: set[int] = set()
        self._book = book
        self._columns = columns
        self._sheet_rows = sheet_rows
        self._header = book.add_format({"bold": True, "bottom": 1, "bg_color": "#E8EDF3", "valign": "vcenter"})
        self._header_right = book.add_format(
            {"bold": True, "bottom": 1, "bg_color": "#E8EDF3", "valign": "vcenter", "align": "right"}
        )
        self._formats = [_number_format(book, column) for column in columns]
        self._widths = [len(column.label) + 4 for column in columns]
        self._open()

    def add(self, row: tuple[Any, ...]) -> None:
        """Write one row, on a new sheet if this one is full."""
        if self._next == self._sheet_rows:
            self.close()
            self._open()
        for index, value in enumerate(row):
            if value is None:
                continue
            self._write(index, value)
        if self.rows < _MEASURED_ROWS:
            self._widths = [
                max(width, _length(value, column) + 2)
                for width, value, column in zip(self._widths, row, self._columns, strict=True)
            ]
        self._next += 1
        self.rows += 1

    def close(self) -> None:
        """Give the sheet its widths and its filters."""
        for index, width in enumerate(self._widths):
            self._sheet.set_column(index, index, min(width, 60))
        self._sheet.autofilter(0, 0, max(self._next - 1, 0), max(len(self._columns) - 1, 0))

    def notes(self) -> list[tuple[str, str]]:
        """Return what the reader must know of the values, for the sheet About."""
        notes = []
        if self._rounded:
            text = f"Excel holds {DIGITS} digits of a number; values with more are rounded. CSV has all digits."
            notes.append(("Rounded", f"{self._labels(self._rounded)}: {text}"))
        if self._not_numbers:
            text = "NaN and infinite values are written as text, which Excel leaves out of sums."
            notes.append(("Not numbers", f"{self._labels(self._not_numbers)}: {text}"))
        return notes

    def _labels(self, indexes: set[int]) -> str:
        return ", ".join(self._columns[index].label for index in sorted(indexes))

    def _open(self) -> None:
        self.count += 1
        self._sheet = self._book.add_worksheet("Data" if self.count == 1 else f"Data {self.count}")
        self._sheet.freeze_panes(1, 0)
        self._sheet.repeat_rows(0)
        self._sheet.set_landscape()
        self._sheet.fit_to_pages(1, 0)
        self._sheet.set_row(0, 18)
        for index, column in enumerate(self._columns):
            header = self._header_right if column.is_number else self._header
            self._sheet.write_string(0, index, column.label, header)
        self._next = 1

    def _write(self, index: int, value: Any) -> None:
        sheet, row, cell_format = self._sheet, self._next, self._formats[index]
        if isinstance(value, bool):
            sheet.write_boolean(row, index, value)
        elif self._columns[index].is_number and math.isfinite(value):
            held = _held(value)
            if held != value:
                self._rounded.add(index)
            sheet.write_number(row, index, held, cell_format)
        elif isinstance(value, datetime.datetime | datetime.date) and _is_excel_date(value):
            sheet.write_datetime(row, index, value, cell_format)
        else:
            if self._columns[index].is_number:
                self._not_numbers.add(index)
            text = value if isinstance(value, str) else str(value)
            if len(text) > CELL_CHARACTERS:
                raise ReportError(
                    ErrorCode.QUERY_FAILED,
                    f"Column {self._columns[index].name} holds a text of {len(text):,} characters "
                    f"in row {self.rows + 1:,}; a cell of Excel holds {CELL_CHARACTERS:,}. "
                    "Ask for CSV, or cut it in query.sql.",
                    retry=False,
                )
            sheet.write_string(row, index, text)


def _about(book: xlsxwriter.Workbook, facts: ReportFacts, sheets: _Sheets) -> None:
    sheet = book.add_worksheet("About")
    bold = book.add_format({"bold": True, "valign": "top"})
    title = book.add_format({"bold": True, "font_size": 14})
    wrap = book.add_format({"text_wrap": True, "valign": "top"})
    sheet.set_column(0, 0, 26)
    sheet.set_column(1, 1, 80)
    sheet.write_string(0, 0, facts.title, title)
    lines = [
        ("Description", facts.description),
        *facts.parameters,
        ("Rows", f"{sheets.rows:,}" + (f" on {sheets.count} sheets" if sheets.count > 1 else "")),
        *sheets.notes(),
        ("Source", facts.source),
        ("Generated", f"{facts.generated_at:%Y-%m-%d %H:%M:%S} UTC"),
        ("Requested by", facts.requested_by),
        ("Request", str(facts.config_id)),
    ]
    for row, (label, text) in enumerate(lines, start=2):
        sheet.write_string(row, 0, label, bold)
        sheet.write_string(row, 1, text, wrap)


def _number_format(book: xlsxwriter.Workbook, column: Column) -> Any:
    point = "." + "0" * column.decimals if column.decimals else ""
    pattern = {
        "integer": "#,##0",
        "decimal": f"#,##0{point}",
        "money": f"#,##0{point}",
        "percent": f"0{point}%",
        "date": "yyyy-mm-dd",
        "datetime": "yyyy-mm-dd hh:mm:ss",
    }.get(column.kind)
    return book.add_format({"num_format": pattern}) if pattern else None


def _values(array: pa.Array) -> list[Any]:
    kind = array.type
    if pa.types.is_timestamp(kind) and kind.unit == "ns":
        array = array.cast(pa.timestamp("us", kind.tz), safe=False)  # Excel holds milliseconds
    values: list[Any] = array.to_pylist()
    return values


def _held(value: int | float | Decimal) -> int | float | Decimal:
    """Return the number that Excel holds; a float is taken as it is."""
    if isinstance(value, float) or (isinstance(value, int) and abs(value) < 10**DIGITS):
        return value
    number = Decimal(value)
    return number if len(number.as_tuple().digits) <= DIGITS else Decimal(f"{number:.{DIGITS}g}")


def _is_excel_date(value: datetime.date) -> bool:
    day = value.date() if isinstance(value, datetime.datetime) else value
    return day >= _FIRST_DAY


_LENGTHS: dict[str, Callable[[Any, Column], int]] = {
    "integer": lambda value, column: len(f"{value:,}"),
    "decimal": lambda value, column: len(f"{value:,.{column.decimals}f}"),
    "money": lambda value, column: len(f"{value:,.{column.decimals}f}"),
    "percent": lambda value, column: 6 + column.decimals,
    "date": lambda value, column: 10,
    "datetime": lambda value, column: 19,
}


def _length(value: Any, column: Column) -> int:
    measure = _LENGTHS.get(column.kind)
    if value is None:
        return 0
    return measure(value, column) if measure else min(len(str(value)), 60)
