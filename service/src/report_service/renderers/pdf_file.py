"""PDF: title, parameters, time and row count first, then a chart if there is one, then the table page by page.

Rows are drawn as they come; what is known only at the end (the number of rows and of pages) is a form that the pages
refer to and that is filled in last.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from io import BufferedIOBase
from typing import Any

import pyarrow as pa
from reportlab.graphics import renderPDF
from reportlab.lib.colors import HexColor
from reportlab.lib.pagesizes import A4, landscape
from reportlab.pdfgen.canvas import Canvas

from report_service.renderers import pdf_chart
from report_service.renderers.pdf_fonts import BOLD, REGULAR, Typesetter
from report_service.renderers.pdf_table import INK, LINE, Cells, TableLayout, TablePainter, lay_out, refuse, texts
from report_service.renderers.renderer import Column, ReportFacts

_MARGIN = 40.0
_FOOTER = 34.0
_LABEL = 130.0  # the widest label of a fact
_MUTED, _ACCENT = HexColor("#52606D"), HexColor("#2F6DB5")
_NOTE = 7.5  # the size of the note on the first page
_SAMPLE_ROWS = 2000  # the widths and the chart are taken from these
_SAVING = threading.Lock()  # the fonts are shared, and reportlab cuts out what is used for one document at a time


class PdfRenderer:
    """Writes .pdf by drawing on reportlab's canvas."""

    extension = "pdf"
    media_type = "application/pdf"

    def write(
        self, facts: ReportFacts, columns: Sequence[Column], batches: Iterator[pa.RecordBatch], file: BufferedIOBase
    ) -> int:
        """Write the document; raises ReportError if the columns do not fit on a page."""
        typesetter = Typesetter.create()
        sample, first = _take(batches, _SAMPLE_ROWS)
        cells = _joined([texts(batch, columns, typesetter) for batch in first], len(columns))
        document = _Document(facts, columns, cells, typesetter, file)
        document.head(sample)
        document.add(cells)
        for batch in batches:
            document.add(texts(batch, columns, typesetter))
        return document.close()


class _Document:
    def __init__(
        self, facts: ReportFacts, columns: Sequence[Column], sample: Cells, typesetter: Typesetter, file: BufferedIOBase
    ) -> None:
        self._facts = facts
        self._columns = columns
        self._typesetter = typesetter
        self._page_size, layout = _page(columns, sample, typesetter)
        self._width, self._height = self._page_size
        self._table = TablePainter(columns, layout, typesetter, _MARGIN)
        self._leading = layout.leading
        self._canvas = Canvas(file, pagesize=self._page_size, pageCompression=1)
        self._canvas.setTitle(facts.title)
        self._canvas.setSubject(facts.description)
        self._canvas.setCreator("Snowgate")
        self._canvas.setAuthor(facts.requested_by)
        self._rows = 0
        self._pages = 0
        self._waiting: Cells = [[] for _ in columns]
        self._top = self._height - _MARGIN

    def head(self, sample: pa.Table) -> None:
        """Draw what stands above the table on the first page."""
        canvas, facts = self._canvas, self._facts
        canvas.setFillColor(_ACCENT)
        canvas.rect(_MARGIN, self._top + 6, self._width - 2 * _MARGIN, 3, stroke=0, fill=1)
        self._top -= 20
        canvas.setFillColor(INK)
        self._line(facts.title, BOLD, 18)
        self._top -= 4
        canvas.setFillColor(_MUTED)
        room = self._width - 2 * _MARGIN
        description = self._typesetter.clean(facts.description)
        for line in self._typesetter.wrap(description, self._typesetter.regular, 9.5, room, 4):
            self._line(line, REGULAR, 9.5)
        self._top -= 6
        self._facts_block()
        drawing = facts.chart and pdf_chart.draw_chart(facts.chart, sample, self._columns, room, self._typesetter)
        if drawing:
            renderPDF.draw(drawing, canvas, _MARGIN, self._top - pdf_chart.HEIGHT)
            self._top -= pdf_chart.HEIGHT + 4
        self._top -= 6

    def add(self, cells: Cells) -> None:
        """Take rows, and draw each page as soon as it is full."""
        for waiting, new in zip(self._waiting, cells, strict=True):
            waiting.extend(new)
        count = len(cells[0]) if cells else 0
        self._rows += count
        start, held = 0, len(self._waiting[0]) if self._waiting else 0
        while held - start > self._room():
            end = start + self._room()
            self._draw_page([column[start:end] for column in self._waiting])
            start = end
        self._waiting = [column[start:] for column in self._waiting]

    def close(self) -> int:
        """Draw the last page, fill in the totals and write the file; returns the number of rows."""
        self._draw_page(self._waiting, last=True)
        self._canvas.showPage()
        self._form("RowCount", f"{self._rows:,}", BOLD, 9.5, INK)
        self._form("PageCount", str(self._pages), REGULAR, 8, _MUTED)
        self._form("Note", self._typesetter.note(), REGULAR, _NOTE, _MUTED)
        with _SAVING:
            self._canvas.save()
        return self._rows

    def _room(self) -> int:
        """Return how many rows fit on the page that is next."""
        free = self._top - self._table.header_height - _MARGIN - _FOOTER
        return max(int(free // self._leading), 1)

    def _draw_page(self, page: Cells, *, last: bool = False) -> None:
        self._pages += 1
        top = self._table.header(self._canvas, self._top)
        bottom = self._table.rows(self._canvas, top, page)
        if last and not self._rows:
            self._canvas.setFont(REGULAR, 9.5)
            self._canvas.setFillColor(_MUTED)
            self._canvas.drawString(_MARGIN + 4, bottom - 16, "No rows match these parameters.")
        self._footer()
        if not last:
            self._canvas.showPage()
            self._top = self._height - _MARGIN

    def _facts_block(self) -> None:
        facts = self._facts
        entries = [
            *facts.parameters,
            ("Generated", f"{facts.generated_at:%Y-%m-%d %H:%M:%S} UTC"),
            ("Rows", None),
            ("Source", facts.source),
            ("Requested by", f"{facts.requested_by}, request {facts.config_id}"),
        ]
        half = (self._width - 2 * _MARGIN) / 2
        labels = [self._typesetter.clean(label) for label, _ in entries]
        indent = min(max(self._typesetter.regular.width(label, 9.5) for label in labels) + 12, _LABEL)
        for index, (_, value) in enumerate(entries):
            left, y = _MARGIN + half * (index % 2), self._top - 14 * (index // 2) - 10
            self._canvas.setFillColor(_MUTED)
            self._run(labels[index], REGULAR, 9.5, left, y, indent - 4)
            self._canvas.setFillColor(INK)
            if value is None:
                self._place("RowCount", left + indent, y)
            else:
                self._run(value, BOLD, 9.5, left + indent, y, half - indent - 6)
        self._top -= 14 * ((len(entries) + 1) // 2) + 8
        self._place("Note", _MARGIN, self._top)  # what it says is known when the last row is drawn
        self._top -= _NOTE

    def _footer(self) -> None:
        canvas, y = self._canvas, _MARGIN - 12
        canvas.setStrokeColor(LINE)
        canvas.setLineWidth(0.6)
        canvas.line(_MARGIN, y + 12, self._width - _MARGIN, y + 12)
        canvas.setFillColor(_MUTED)
        self._run(self._facts.title, REGULAR, 8, _MARGIN, y, self._width / 2)
        label = f"Page {self._pages} of "
        # The number of pages is not known yet: room for four digits.
        left = self._width - _MARGIN - self._typesetter.regular.width(label + "0000", 8)
        canvas.setFont(REGULAR, 8)
        canvas.drawString(left, y, label)
        self._place("PageCount", left + self._typesetter.regular.width(label, 8), y)

    def _line(self, text: str, font: str, size: float) -> None:
        self._run(text, font, size, _MARGIN, self._top, self._width - 2 * _MARGIN)
        self._top -= size * 1.4

    def _run(self, text: str, font: str, size: float, left: float, y: float, room: float) -> None:
        """Draw one line of any characters, cut if it is too long."""
        typesetter = self._typesetter
        face = typesetter.bold if font == BOLD else typesetter.regular
        line = self._canvas.beginText(left, y)
        typesetter.draw(line, typesetter.fit(typesetter.clean(text), face, size, room), face, size)
        self._canvas.drawText(line)

    def _place(self, form: str, left: float, y: float) -> None:
        self._canvas.saveState()
        self._canvas.translate(left, y)
        self._canvas.doForm(form)
        self._canvas.restoreState()

    def _form(self, name: str, text: str, font: str, size: float, color: Any) -> None:
        self._canvas.beginForm(name, lowerx=-2, lowery=-4, upperx=self._width, uppery=14)
        self._canvas.setFont(font, size)
        self._canvas.setFillColor(color)
        self._canvas.drawString(0, 0, text)
        self._canvas.endForm()


def _page(columns: Sequence[Column], sample: Cells, typesetter: Typesetter) -> tuple[tuple[float, float], TableLayout]:
    """Choose upright or landscape: the first in which the columns fit in a readable size."""
    layouts = [(size, lay_out(columns, sample, size[0] - 2 * _MARGIN, typesetter)) for size in (A4, landscape(A4))]
    fitting = [(size, layout) for size, layout in layouts if layout]
    if not fitting:
        raise refuse(columns)
    return max(fitting, key=lambda found: found[1].size)


def _take(batches: Iterator[pa.RecordBatch], rows: int) -> tuple[pa.Table, list[pa.RecordBatch]]:
    taken: list[pa.RecordBatch] = []
    count = 0
    for batch in batches:
        taken.append(batch)
        count += batch.num_rows
        if count >= rows:
            break
    table = pa.Table.from_batches(taken).slice(0, rows) if taken else pa.table({})
    return table, taken


def _joined(parts: list[Cells], columns: int) -> Cells:
    return [[text for part in parts for text in part[index]] for index in range(columns)]
