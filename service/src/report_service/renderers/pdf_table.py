"""The table of the PDF: widths from the content, text by columns, numbers right-aligned and never cut."""

from __future__ import annotations

import heapq
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from reportlab.lib.colors import HexColor, white
from reportlab.pdfgen.canvas import Canvas

from report_service.errors import ErrorCode, ReportError
from report_service.renderers.pdf_fonts import Typesetter
from report_service.renderers.pdf_text import TextOperators
from report_service.renderers.pdf_values import Cells
from report_service.renderers.renderer import Column

INK, HEAD, STRIPE, LINE = HexColor("#1F2933"), HexColor("#243B53"), HexColor("#F3F6F9"), HexColor("#BCCCDC")
PADDING = 4.0
SIZES = (8.5, 8.0, 7.5, 7.0, 6.5, 6.0, 5.5)
TOTAL = "Total"
_HEADER_LINES = 3
_MINIMUM_TEXT = 34.0  # points that a text column keeps when space is short
_MAXIMUM_TEXT = 260.0
_MEASURED = 40  # the longest texts of a column
_NAMED = 5  # columns in a refusal


@dataclass(frozen=True)
class TableLayout:
    """Where the columns stand."""

    size: float
    widths: tuple[float, ...]

    @property
    def leading(self) -> float:
        """The height of a row."""
        return self.size * 1.55


@dataclass(frozen=True)
class ColumnNeed:
    """What a column takes: the widths of its cells and of its label, in points a point of size."""

    column: Column
    label: str
    cells_width: float
    label_width: float

    def natural(self, size: float) -> float:
        """Return the width in which nothing is cut."""
        cells = self.cells_width * size if self.column.is_number else min(self.cells_width * size, _MAXIMUM_TEXT)
        return max(cells, self.label_width * size) + 2 * PADDING + 2

    def floor(self, size: float) -> float:
        """Return the least width: numbers are not cut, text may be."""
        natural = self.natural(size)
        return natural if self.column.is_number else min(natural, _MINIMUM_TEXT)


def measure(
    columns: Sequence[Column], sample: Cells, totals: Mapping[int, str], typesetter: Typesetter
) -> list[ColumnNeed]:
    """Take the needs of columns from some of their cells and from their totals."""
    regular, bold = typesetter.regular, typesetter.bold
    needs = []
    bottom = total_row(columns, totals)
    for index, (column, cells) in enumerate(zip(columns, sample, strict=True)):
        label = typesetter.clean(column.label)
        longest = heapq.nlargest(_MEASURED, cells, key=len)
        cells_width = max([bold.width(bottom.get(index, ""), 1), *(regular.width(cell, 1) for cell in longest)])
        label_width = max([bold.width(label, 1) / 2, *(bold.width(word, 1) for word in label.split())])
        needs.append(ColumnNeed(column, label, cells_width, label_width))
    return needs


def lay_out(needs: Sequence[ColumnNeed], width: float) -> TableLayout | None:
    """Return the largest type in which the columns fit into `width` points, or None."""
    for size in SIZES:
        natural = [need.natural(size) for need in needs]
        floors = [need.floor(size) for need in needs]
        if sum(natural) <= width:
            return TableLayout(size, tuple(full * width / sum(natural) for full in natural))
        if size <= 7.0 and sum(floors) <= width:
            return TableLayout(size, _squeezed(natural, floors, width))
    return None


def refuse(needs: Sequence[ColumnNeed], width: float) -> ReportError:
    """Say that the columns do not fit into `width` points, and name the widest, without which the others would."""
    size = SIZES[-1]
    over = sum(need.floor(size) for need in needs) - width
    by_width, widest = sorted(needs, key=lambda need: need.floor(size)), []
    while over > 0:
        widest.append(by_width.pop())
        over -= widest[-1].floor(size)
    names = [need.column.name for need in needs if need in widest]
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    message = (
        f"{len(needs)} columns do not fit on a page; there is no room for {', '.join(names[:_NAMED])}{more}. "
        "Ask for EXCEL or CSV, or leave columns out of query.sql."
    )
    return ReportError(ErrorCode.QUERY_FAILED, message, retry=False)


class TablePainter:
    """Draws the header, the rows and the totals of one layout on a canvas, its left edge at `left`."""

    def __init__(
        self, canvas: Canvas, needs: Sequence[ColumnNeed], layout: TableLayout, typesetter: Typesetter, left: float
    ) -> None:
        self._canvas = canvas
        self._columns = [need.column for need in needs]
        self._layout = layout
        self._typesetter = typesetter
        self._lefts = [left + sum(layout.widths[:index]) for index in range(len(needs))]
        self._left, self._width = left, sum(layout.widths)
        self._regular = TextOperators(canvas, typesetter, typesetter.regular, layout.size, layout.leading)
        self._bold = TextOperators(canvas, typesetter, typesetter.bold, layout.size, layout.size * 1.25)
        self._labels = [
            typesetter.bold.wrap(need.label, layout.size, self._room(index), _HEADER_LINES)
            for index, need in enumerate(needs)
        ]
        self.header_height = layout.size * 1.25 * max(map(len, self._labels)) + 7

    def header(self, bottom: float) -> None:
        """Draw the header above `bottom`."""
        canvas, size = self._canvas, self._layout.size
        canvas.setFillColor(HEAD)
        canvas.rect(self._left, bottom, self._width, self.header_height, stroke=0, fill=1)
        canvas.setFillColor(white)
        for index, (column, lines) in enumerate(zip(self._columns, self._labels, strict=True)):
            baseline = bottom + 4.5 + size * 1.25 * (len(lines) - 1)
            self._write(self._bold, index, lines, baseline, right=column.is_number)

    def rows(self, top: float, page: Cells) -> float:
        """Draw one page's rows below `top` and return where they end."""
        leading, count = self._layout.leading, len(page[0])
        bottom = top - leading * count
        if count > 1:
            self._stripes(top - leading, bottom)
        self._canvas.setFillColor(INK)
        for index, (column, cells) in enumerate(zip(self._columns, page, strict=True)):
            if not column.is_number:
                room = self._room(index)
                cells = [self._typesetter.regular.fit(cell, self._layout.size, room) for cell in cells]
            self._write(self._regular, index, cells, self._baseline(top), right=column.is_number)
        self._rule(bottom, LINE)
        return bottom

    def total(self, top: float, totals: Mapping[int, str]) -> None:
        """Draw the row of totals below `top`."""
        self._rule(top, INK)
        self._canvas.setFillColor(INK)
        for index, text in sorted(total_row(self._columns, totals).items()):
            self._write(self._bold, index, [text], self._baseline(top), right=index in totals)

    def _stripes(self, top: float, bottom: float) -> None:
        """Draw every second row's ground: all of them are the dashes of one broad line."""
        canvas, middle = self._canvas, self._left + self._width / 2
        canvas.setStrokeColor(STRIPE)
        canvas.setLineWidth(self._width)
        canvas.setDash([self._layout.leading])
        canvas.line(middle, top, middle, bottom)
        canvas.setDash()

    def _rule(self, y: float, color: HexColor) -> None:
        self._canvas.setStrokeColor(color)
        self._canvas.setLineWidth(0.6)
        self._canvas.line(self._left, y, self._left + self._width, y)

    def _write(self, text: TextOperators, index: int, lines: Sequence[str], baseline: float, *, right: bool) -> None:
        left = self._lefts[index] + PADDING
        shown = text.right(lines, left, baseline, self._room(index)) if right else text.left(lines, left, baseline)
        self._canvas.addLiteral(shown)

    def _room(self, index: int) -> float:
        return self._layout.widths[index] - 2 * PADDING

    def _baseline(self, top: float) -> float:
        return top - self._layout.leading + self._layout.size * 0.45


def total_row(columns: Sequence[Column], totals: Mapping[int, str]) -> dict[int, str]:
    """Return the cells of the row of totals: its name stands in the first column that has none, or before its sum."""
    if not totals:
        return {}
    named = next((index for index in range(len(columns)) if index not in totals), 0)
    return {**totals, named: f"{TOTAL} {totals.get(named, '')}".rstrip()}


def _squeezed(natural: Sequence[float], floors: Sequence[float], width: float) -> tuple[float, ...]:
    """Take what is missing from the columns in proportion to what they can give."""
    over = sum(natural) - width
    give = sum(natural) - sum(floors)
    return tuple(full - (full - floor) * over / give for full, floor in zip(natural, floors, strict=True))
