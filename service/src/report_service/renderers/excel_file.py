"""EXCEL: typed cells in constant memory, a frozen header with filters, totals, and a sheet that tells about the data.

Text is always written as text, never as a formula or a link. A numeric column holds numbers only, because Excel leaves
texts out of a sum without a word: more than 15 digits are rounded, and the sheet About names the columns. Times are cut
to milliseconds, named there too. Dates before 1900, which Excel does not know, are written as text. A sheet that is
full goes on in the next one; the totals stand on the last one, over all of them.
"""

from __future__ import annotations

import tempfile
import textwrap
from collections.abc import Iterator, Sequence
from io import BufferedIOBase
from typing import Any

import pyarrow as pa
from xlsxwriter import Workbook
from xlsxwriter.exceptions import FileSizeError
from xlsxwriter.utility import xl_col_to_name
from xlsxwriter.worksheet import Worksheet

from report_service.errors import ErrorCode, ReportError
from report_service.renderers.excel_cells import DIGITS, ColumnCells, rows_xml, text_cells
from report_service.renderers.renderer import Column, ReportFacts

SHEET_ROWS, SHEET_COLUMNS = 1_048_576, 16_384
_SHEET_BYTES = 1_800_000_000  # a file inside a ZIP without extensions has less than 2 GiB, the last rows included
_PIECE_CELLS, _PIECE_BYTES = 65_536, 4_000_000  # what is turned into XML at a time; more is no faster
_ABOUT_WIDTH = 80  # characters
_NAMED = 50  # columns in one cell of the sheet About: the longest names of Snowflake fit


class ExcelRenderer:
    """Writes .xlsx by XlsxWriter, but for the cells; `sheet_rows` and `sheet_bytes` are what a sheet holds."""

    extension = "xlsx"
    media_type = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"

    def __init__(self, sheet_rows: int = SHEET_ROWS, sheet_bytes: int = _SHEET_BYTES) -> None:
        self._sheet_rows = sheet_rows
        self._sheet_bytes = sheet_bytes

    def write(
        self, facts: ReportFacts, columns: Sequence[Column], batches: Iterator[pa.RecordBatch], file: BufferedIOBase
    ) -> int:
        """Write the data sheets and the sheet About.

        Raises ReportError for a text that is too long for a cell, for too many columns, and for a file that is too
        large for Excel.
        """
        if len(columns) > SHEET_COLUMNS:
            text = f"{len(columns):,} columns do not fit on a sheet of Excel, which has {SHEET_COLUMNS:,}; "
            text += f"there is no room for {columns[SHEET_COLUMNS].name}. Ask for CSV, or leave some out in query.sql."
            raise ReportError(ErrorCode.QUERY_FAILED, text, retry=False)
        # What XlsxWriter leaves behind when something fails goes with the folder; its own `with` would write the file.
        with tempfile.TemporaryDirectory(prefix="excel-") as folder:
            book = Workbook(file, {"constant_memory": True, "tmpdir": folder})
            book.set_properties({"title": facts.title, "comments": facts.description})
            sheets = _Sheets(book, columns, self._sheet_rows, self._sheet_bytes)
            for batch in batches:
                for piece in _pieces(batch):
                    sheets.add(piece)
            sheets.close()
            _about(book, facts, sheets)
            try:
                book.close()
            except FileSizeError as error:
                text = f"{facts.name} has more data than fit into a file of Excel (2 GiB). Ask for CSV, or narrow it."
                raise ReportError(ErrorCode.TOO_MANY_ROWS, text, retry=False) from error
        return sheets.rows


class _Sheet(Worksheet):  # type: ignore[misc]
    """A sheet whose rows are made elsewhere, and the only place that knows XlsxWriter from inside.

    In constant memory XlsxWriter keeps the XML of rows in a temporary file, and takes it from there in the end.
    """

    def __init__(self) -> None:
        super().__init__()
        self.rows = 0

    def append(self, xml: bytes, rows: int, columns: int) -> None:
        """Write the XML of the next rows."""
        self.rows += rows
        self.row_data_fh.buffer.write(xml)
        self._check_dimensions(0, 0)
        self._check_dimensions(self.rows - 1, columns - 1)

    @property
    def size(self) -> int:
        """The bytes of all rows."""
        return int(self.row_data_fh.buffer.tell())

    @staticmethod
    def style(cell_format: Any) -> int:
        """Return the number by which a cell names a format."""
        return int(cell_format._get_xf_index())


class _Sheets:
    """The data sheets, the last of which is being written."""

    def __init__(self, book: Workbook, columns: Sequence[Column], sheet_rows: int, sheet_bytes: int) -> None:
        self.rows = 0
        self._book = book
        self._sheet_bytes = sheet_bytes
        self._has_totals = any(column.total for column in columns)
        self._sheet_rows = sheet_rows - self._has_totals  # any sheet may be the last one
        header = {"bold": True, "bottom": 1, "bg_color": "#E8EDF3", "valign": "vcenter"}
        self._header = [
            _Sheet.style(book.add_format(header | ({"align": "right"} if column.is_number else {})))
            for column in columns
        ]
        self._columns = [
            ColumnCells(column, _Sheet.style(book.add_format(_number_format(column)))) for column in columns
        ]
        self._sheets: list[_Sheet] = []
        self._open()

    def add(self, rows: pa.RecordBatch) -> None:
        """Write rows, some of them on a new sheet if this one is full."""
        while rows.num_rows:
            if self._sheets[-1].rows >= self._sheet_rows or self._sheets[-1].size >= self._sheet_bytes:
                self._open()
            sheet = self._sheets[-1]
            fitting = rows.slice(0, self._sheet_rows - sheet.rows)
            cells = [
                column.cells(array, self.rows) for column, array in zip(self._columns, fitting.columns, strict=True)
            ]
            sheet.append(rows_xml(cells, sheet.rows + 1), fitting.num_rows, len(cells))
            self.rows += fitting.num_rows
            rows = rows.slice(fitting.num_rows)

    def close(self) -> None:
        """Give the sheets their filters, totals and widths."""
        for sheet in self._sheets:
            sheet.autofilter(0, 0, sheet.rows - 1, len(self._columns) - 1)
        if self._has_totals and self.rows:
            self._total()
        for sheet in self._sheets:
            for index, column in enumerate(self._columns):
                sheet.set_column(index, index, column.width)

    def count(self) -> str:
        """Return the number of rows, and of sheets if there are several."""
        return f"{self.rows:,}" + (f" on {len(self._sheets)} sheets" if len(self._sheets) > 1 else "")

    def notes(self) -> Iterator[tuple[str, str]]:
        """Return what the reader must know of the values, for the sheet About."""
        rounded = f"Excel holds {DIGITS} digits of a number; values with more are rounded. CSV has all digits."
        not_numbers = "NaN and infinite values are written as text, which Excel leaves out of sums."
        cut = "Excel holds milliseconds; what is finer is left out. CSV has it."
        yield from self._note("Rounded", [column for column in self._columns if column.rounded], rounded)
        yield from self._note("Not numbers", [column for column in self._columns if column.not_numbers], not_numbers)
        yield from self._note("Cut", [column for column in self._columns if column.cut], cut)

    def _note(self, title: str, columns: list[ColumnCells], text: str) -> Iterator[tuple[str, str]]:
        for start in range(0, len(columns), _NAMED):
            yield title, f"{', '.join(each.column.label for each in columns[start : start + _NAMED])}: {text}"

    def _open(self) -> None:
        name = f"Data {len(self._sheets) + 1}" if self._sheets else "Data"
        sheet: _Sheet = self._book.add_worksheet(name, _Sheet)
        self._sheets.append(sheet)
        sheet.freeze_panes(1, 0)
        sheet.repeat_rows(0)
        sheet.set_landscape()
        sheet.fit_to_pages(1, 0)
        cells = [_text_cell(each.column.label, style) for each, style in zip(self._columns, self._header, strict=True)]
        sheet.append(f'<row r="1" ht="18" customHeight="1">{"".join(cells)}</row>'.encode(), 1, len(cells))

    def _total(self) -> None:
        sheet = self._sheets[-1]
        of_one_sheet = len(self._sheets) == 1
        label = "Total" if of_one_sheet else "Total of all sheets"
        cells = []
        for index, each in enumerate(self._columns):
            style = _Sheet.style(self._book.add_format(_number_format(each.column) | {"bold": True, "top": 1}))
            if each.column.total:
                letters = xl_col_to_name(index)
                cells.append(each.total_cell(style, f"SUM({letters}2:{letters}{sheet.rows})" if of_one_sheet else None))
            else:
                cells.append(_text_cell(label, style) if label else f'<c s="{style}"/>')
                label = ""
        sheet.append(f'<row r="{sheet.rows + 1}">{"".join(cells)}</row>'.encode(), 1, len(cells))


def _about(book: Workbook, facts: ReportFacts, sheets: _Sheets) -> None:
    sheet: _Sheet = book.add_worksheet("About", _Sheet)
    bold = _Sheet.style(book.add_format({"bold": True, "valign": "top"}))
    title = _Sheet.style(book.add_format({"bold": True, "font_size": 14}))
    wrap = _Sheet.style(book.add_format({"text_wrap": True, "valign": "top"}))
    sheet.set_column(0, 0, 26)
    sheet.set_column(1, 1, _ABOUT_WIDTH)
    sheet.fit_to_pages(1, 0)
    lines = [
        ("Description", facts.description),
        *facts.parameters,
        ("Rows", sheets.count()),
        *sheets.notes(),
        ("Source", facts.source),
        ("Generated", f"{facts.generated_at:%Y-%m-%d %H:%M:%S} UTC"),
        ("Requested by", facts.requested_by),
        ("Request", str(facts.config_id)),
    ]
    rows = [f'<row r="1">{_text_cell(facts.title, title)}</row>']
    for number, (label, text) in enumerate(lines, start=3):
        height = _height(text)
        rows.append(f'<row r="{number}"{height}>{_text_cell(label, bold)}{_text_cell(text, wrap)}</row>')
    sheet.append("".join(rows).encode(), len(lines) + 2, 2)


def _height(text: str) -> str:
    """The attributes of a row for a text of several lines; not every program finds the height by itself."""
    lines = sum(len(textwrap.wrap(line, _ABOUT_WIDTH)) or 1 for line in text.splitlines())
    points = min(15 * lines, 409)  # Excel's highest row
    return f' ht="{points}" customHeight="1"' if points > 15 else ""


def _text_cell(text: str, style: int) -> str:
    return str(text_cells(pa.array([text]), style)[0])


def _number_format(column: Column) -> dict[str, str]:
    point = "." + "0" * column.decimals if column.decimals else ""
    pattern = {
        "integer": "#,##0",
        "decimal": f"#,##0{point}",
        "money": f"#,##0{point}",
        "percent": f"0{point}%",
        "date": "yyyy-mm-dd",
        "datetime": "yyyy-mm-dd hh:mm:ss",
    }.get(column.kind)
    # Excel puts dates to the right, against the texts of the next column and away from their own heading.
    left = {"align": "left"} if column.kind in ("date", "datetime") else {}
    return {"num_format": pattern} | left if pattern else {}


def _pieces(batch: pa.RecordBatch) -> Iterator[pa.RecordBatch]:
    """Cut a batch so that little of it is XML at a time."""
    by_cells = _PIECE_CELLS // max(batch.num_columns, 1)
    by_bytes = _PIECE_BYTES * batch.num_rows // max(batch.nbytes, 1)
    rows = max(1, min(by_cells, by_bytes))
    for start in range(0, batch.num_rows, rows):
        yield batch.slice(start, rows)
