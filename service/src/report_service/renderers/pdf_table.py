"""The table of the PDF: widths from the content, text by columns, numbers right-aligned and never cut."""

from __future__ import annotations

import datetime
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import pyarrow as pa
from reportlab.lib.colors import Color, HexColor
from reportlab.pdfgen.canvas import Canvas

from report_service.errors import ErrorCode, ReportError
from report_service.renderers.pdf_fonts import REGULAR, Typesetter
from report_service.renderers.renderer import Column

INK, HEAD, STRIPE, LINE = HexColor("#1F2933"), HexColor("#243B53"), HexColor("#F3F6F9"), HexColor("#BCCCDC")
PADDING = 4.0
SIZES = (8.5, 8.0, 7.5, 7.0, 6.5, 6.0, 5.5)
_HEADER_LINES = 3
_MINIMUM_TEXT = 34.0  # points that a text column keeps when space is short
_MAXIMUM_TEXT = 260.0

Cells = list[list[str]]  # one list of texts for each column


@dataclass(frozen=True)
class TableLayout:
    """Where the columns stand."""

    size: float
    widths: tuple[float, ...]

    @property
    def leading(self) -> float:
        """The height of a row."""
        return self.size * 1.55


def texts(batch: pa.RecordBatch, columns: Sequence[Column], typesetter: Typesetter) -> Cells:
    """Format a batch for reading."""
    cells: Cells = []
    for column, array in zip(columns, batch.columns, strict=True):
        if pa.types.is_timestamp(array.type) and array.type.unit == "ns":
            array = array.cast(pa.timestamp("us", array.type.tz), safe=False)
        form = _formatter(column)
        cells.append(["" if value is None else typesetter.clean(form(value)) for value in array.to_pylist()])
    return cells


def lay_out(columns: Sequence[Column], sample: Cells, width: float, typesetter: Typesetter) -> TableLayout | None:
    """Return the largest type in which the columns fit into `width` points, or None."""
    for size in SIZES:
        natural = [_natural(column, cells, size, typesetter) for column, cells in zip(columns, sample, strict=True)]
        floors = [
            full if column.is_number else min(full, _MINIMUM_TEXT)
            for column, full in zip(columns, natural, strict=True)
        ]
        if sum(natural) <= width:
            return TableLayout(size, tuple(full * width / sum(natural) for full in natural))
        if size <= 7.0 and sum(floors) <= width:
            return TableLayout(size, _squeezed(natural, floors, width))
    return None


def refuse(columns: Sequence[Column]) -> ReportError:
    """Say that the columns do not fit."""
    message = f"{len(columns)} columns do not fit on a page; ask for EXCEL or CSV."
    return ReportError(ErrorCode.QUERY_FAILED, message, retry=False)


class TablePainter:
    """Draws the header and the rows of one layout."""

    def __init__(self, columns: Sequence[Column], layout: TableLayout, typesetter: Typesetter, left: float) -> None:
        self._columns = columns
        self._layout = layout
        self._typesetter = typesetter
        self._lefts = [left + sum(layout.widths[:index]) for index in range(len(columns))]
        self._right = left + sum(layout.widths)
        self._left = left
        self._header = [self._header_lines(column, width) for column, width in zip(columns, layout.widths, strict=True)]
        self.header_height = layout.size * 1.25 * max(map(len, self._header), default=1) + 7

    def header(self, canvas: Canvas, top: float) -> float:
        """Draw the header below `top` and return where the rows begin."""
        size, bottom = self._layout.size, top - self.header_height
        canvas.setFillColor(HEAD)
        canvas.rect(self._left, bottom, self._right - self._left, self.header_height, stroke=0, fill=1)
        canvas.setFillColor(Color(1, 1, 1))
        bold = self._typesetter.bold
        text = canvas.beginText(self._left, bottom)
        for column, lines, left, width in zip(
            self._columns, self._header, self._lefts, self._layout.widths, strict=True
        ):
            y = bottom + 4.5 + size * 1.25 * (len(lines) - 1)
            for line in lines:
                right = left + width - PADDING - bold.width(line, size)
                text.setTextOrigin(right if column.is_number else left + PADDING, y)
                self._typesetter.draw(text, line, bold, size)
                y -= size * 1.25
        canvas.drawText(text)
        return bottom

    def rows(self, canvas: Canvas, top: float, page: Cells) -> float:
        """Draw one page's rows below `top` and return where they end."""
        count, leading = len(page[0]) if page else 0, self._layout.leading
        canvas.setFillColor(STRIPE)
        for row in range(1, count, 2):
            canvas.rect(self._left, top - (row + 1) * leading, self._right - self._left, leading, stroke=0, fill=1)
        canvas.setFillColor(INK)
        for index, cells in enumerate(page):
            self._column(canvas, index, cells, top - leading + self._layout.size * 0.45)
        bottom = top - count * leading
        canvas.setStrokeColor(LINE)
        canvas.setLineWidth(0.6)
        canvas.line(self._left, bottom, self._right, bottom)
        return bottom

    def _column(self, canvas: Canvas, index: int, cells: list[str], y: float) -> None:
        column, size = self._columns[index], self._layout.size
        left, room = self._lefts[index] + PADDING, self._layout.widths[index] - 2 * PADDING
        text = canvas.beginText(left, y)
        text.setFont(REGULAR, size, self._layout.leading)
        draw = self._number if column.is_number else self._text
        for cell in cells:
            draw(text, cell, left, y, room)
            y -= self._layout.leading
        canvas.drawText(text)

    def _number(self, text: Any, cell: str, left: float, y: float, room: float) -> None:
        width = self._typesetter.regular.width(cell, self._layout.size)
        if width > room:  # a number that was cut would be another number: it is made narrower
            text.setHorizScale(100 * room / width)
            text.setTextOrigin(left, y)
            text.textOut(cell)
            text.setHorizScale(100)
            return
        text.setTextOrigin(left + room - width, y)
        text.textOut(cell)

    def _text(self, text: Any, cell: str, left: float, y: float, room: float) -> None:
        if not cell:
            return
        size = self._layout.size
        cell = self._typesetter.fit(cell, self._typesetter.regular, size, room)
        text.setTextOrigin(left, y)
        if self._typesetter.is_plain(cell):
            text.textOut(cell)
            return
        self._typesetter.draw(text, cell, self._typesetter.regular, size)
        text.setFont(REGULAR, size, self._layout.leading)

    def _header_lines(self, column: Column, width: float) -> list[str]:
        label = self._typesetter.clean(column.label)
        return self._typesetter.wrap(
            label, self._typesetter.bold, self._layout.size, width - 2 * PADDING, _HEADER_LINES
        )


def _natural(column: Column, cells: list[str], size: float, typesetter: Typesetter) -> float:
    label = typesetter.clean(column.label)
    words = [typesetter.bold.width(word, size) for word in label.split()]
    widest = max((typesetter.regular.width(cell, size) for cell in _longest(cells)), default=0.0)
    if not column.is_number:
        widest = min(widest, _MAXIMUM_TEXT)
    return max(widest, max(words, default=0.0), typesetter.bold.width(label, size) / 2) + 2 * PADDING + 2


def _longest(cells: list[str]) -> list[str]:
    return sorted(cells, key=len, reverse=True)[:40]


def _squeezed(natural: Sequence[float], floors: Sequence[float], width: float) -> tuple[float, ...]:
    """Take what is missing from the columns in proportion to what they can give."""
    over = sum(natural) - width
    give = sum(natural) - sum(floors)
    return tuple(full - (full - floor) * over / give for full, floor in zip(natural, floors, strict=True))


def _formatter(column: Column) -> Callable[[Any], str]:
    places = column.decimals
    if column.kind == "date":
        return lambda value: f"{value:%Y-%m-%d}" if value.year >= 1000 else value.isoformat()[:10]
    if column.kind == "datetime":
        return lambda value: value.isoformat(sep=" ", timespec="seconds")
    if column.kind == "percent":
        return lambda value: f"{value * 100:,.{places}f}%"
    if column.is_number:
        return lambda value: f"{value:,.{places}f}"
    return _plain


def _plain(value: Any) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, Decimal | int | datetime.time):
        return f"{value:f}" if isinstance(value, Decimal) else str(value)
    return str(value)
