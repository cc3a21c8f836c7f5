"""PDF: title, parameters, time and row count first, then a chart if there is one, then the table page by page.

Rows are drawn as they come; what is known only at the end (the number of rows and of pages) is a form that the pages
refer to and that is filled in last.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from io import BufferedIOBase

import pyarrow as pa
from reportlab import rl_config
from reportlab.graphics import renderPDF
from reportlab.lib.colors import HexColor
from reportlab.lib.pagesizes import A4, landscape
from reportlab.pdfgen.canvas import Canvas

from report_service.renderers import pdf_chart
from report_service.renderers.pdf_fonts import Face, Typesetter
from report_service.renderers.pdf_table import (
    INK,
    LINE,
    ColumnNeed,
    TableLayout,
    TablePainter,
    lay_out,
    measure,
    refuse,
)
from report_service.renderers.pdf_text import TextOperators
from report_service.renderers.pdf_values import Cells, Values
from report_service.renderers.renderer import Column, ReportFacts

_MARGIN = 40.0
_FOOTER = 12.0  # between the table and the footer
_LEAST_ROWS = 3  # below the head of the first page; if there is no room for them, the table begins on the next one
_LABEL = 130.0  # the widest label of a fact
_MUTED, _ACCENT = HexColor("#52606D"), HexColor("#2F6DB5")
_NOTE = 7.5  # the size of the note on the first page
_SAMPLE_ROWS = 2000  # the widths and the chart are taken from these
_GROWTH = 10  # a total has room if it is at most so many times the sample's
_SAVING = threading.Lock()  # the fonts are shared, and reportlab cuts out what is used for one document at a time

rl_config.useA85 = 0  # compressed pages as bytes: as ASCII they took a third of the time and a quarter more space


class PdfRenderer:
    """Writes .pdf by drawing on reportlab's canvas."""

    extension = "pdf"
    media_type = "application/pdf"

    def write(
        self, facts: ReportFacts, columns: Sequence[Column], batches: Iterator[pa.RecordBatch], file: BufferedIOBase
    ) -> int:
        """Write the document; raises ReportError if the columns do not fit on a page."""
        typesetter = Typesetter.create()
        values = Values(columns, typesetter)
        sample, first = _take(batches, _SAMPLE_ROWS)
        cells = _joined([values.texts(batch) for batch in first], len(columns))
        needs = measure(columns, cells, values.totals(times=_GROWTH), typesetter)
        document = _Document(facts, needs, typesetter, file)
        document.head(sample, whole=sample.num_rows == len(cells[0]))
        document.add(cells)
        for batch in batches:
            document.add(values.texts(batch))
        return document.close(values.totals())


class _Document:
    def __init__(
        self, facts: ReportFacts, needs: Sequence[ColumnNeed], typesetter: Typesetter, file: BufferedIOBase
    ) -> None:
        self._facts = facts
        self._columns = [need.column for need in needs]
        self._typesetter = typesetter
        page_size, layout = _page(needs)
        self._width, self._height = page_size
        self._leading = layout.leading
        self._canvas = Canvas(file, pagesize=page_size, pageCompression=1)
        self._canvas.setTitle(facts.title)
        self._canvas.setSubject(facts.description)
        self._canvas.setCreator("Snowgate")
        self._canvas.setAuthor(facts.requested_by)
        self._table = TablePainter(self._canvas, needs, layout, typesetter, _MARGIN)
        with self._form("TableHeader", self._table.header_height):
            self._table.header(0)
        with self._form("Footer", _MARGIN + 1):
            self._footer()
        self._rows = 0
        self._pages = 1
        self._waiting: Cells = [[] for _ in needs]
        self._top = self._height - _MARGIN

    def head(self, sample: pa.Table, *, whole: bool) -> None:
        """Draw what stands above the table on the first page; `whole` tells whether the sample is all rows."""
        canvas, facts = self._canvas, self._facts
        canvas.setFillColor(_ACCENT)
        canvas.rect(_MARGIN, self._top + 6, self._width - 2 * _MARGIN, 3, stroke=0, fill=1)
        self._top -= 20
        canvas.setFillColor(INK)
        self._line(facts.title, self._typesetter.bold, 18)
        self._top -= 4
        canvas.setFillColor(_MUTED)
        room = self._width - 2 * _MARGIN
        description = self._typesetter.clean(facts.description)
        for line in self._typesetter.regular.wrap(description, 9.5, room, 4):
            self._line(line, self._typesetter.regular, 9.5)
        self._top -= 6
        self._facts_block()
        drawing = facts.chart and pdf_chart.draw_chart(
            facts.chart, sample, self._columns, room, self._typesetter, whole=whole
        )
        if drawing:
            renderPDF.draw(drawing, canvas, _MARGIN, self._top - pdf_chart.HEIGHT)
            self._top -= pdf_chart.HEIGHT + 4
        self._top -= 6
        if self._room() < _LEAST_ROWS:
            self._next_page()

    def add(self, cells: Cells) -> None:
        """Take rows, and draw each page as soon as it is full."""
        for waiting, new in zip(self._waiting, cells, strict=True):
            waiting.extend(new)
        self._rows += len(cells[0])
        start, held = 0, len(self._waiting[0])
        while held - start > self._room():
            end = start + self._room()
            self._table_part([column[start:end] for column in self._waiting])
            self._next_page()
            start = end
        self._waiting = [column[start:] for column in self._waiting]

    def close(self, totals: Mapping[int, str]) -> int:
        """Draw the last page, fill in what is known only now and write the file; returns the number of rows."""
        if totals and len(self._waiting[0]) == self._room():
            self._table_part(self._waiting)
            self._next_page()
            self._waiting = [[] for _ in self._columns]
        bottom = self._table_part(self._waiting)
        regular, bold = self._typesetter.regular, self._typesetter.bold
        if not self._rows:
            self._canvas.setFillColor(_MUTED)
            self._run("No rows match these parameters.", regular, 9.5, _MARGIN + 4, bottom - 16, self._width)
        elif totals:
            self._table.total(bottom, totals)
        self._page_end()
        for name, text, face, size, color in (
            ("RowCount", f"{self._rows:,}", bold, 9.5, INK),
            ("PageCount", str(self._pages), regular, 8.0, _MUTED),
            ("Note", self._typesetter.note(), regular, _NOTE, _MUTED),
        ):
            with self._form(name, 14):
                self._canvas.setFillColor(color)
                self._run(text, face, size, 0, 0, self._width)
        with _SAVING:
            self._canvas.save()
        return self._rows

    def _room(self) -> int:
        """Return how many rows fit on the page that is next."""
        return int((self._top - self._table.header_height - _MARGIN - _FOOTER) // self._leading)

    def _table_part(self, page: Cells) -> float:
        """Draw the header and the rows of one page, and return where they end."""
        top = self._top - self._table.header_height
        self._place("TableHeader", 0, top)
        return self._table.rows(top, page)

    def _next_page(self) -> None:
        self._page_end()
        self._pages += 1
        self._top = self._height - _MARGIN

    def _page_end(self) -> None:
        self._canvas.doForm("Footer")
        self._canvas.setFillColor(_MUTED)
        label, y, regular = f"Page {self._pages} of ", _MARGIN - 12, self._typesetter.regular
        # The number of pages is not known yet: room for three digits.
        left = self._width - _MARGIN - regular.width(label + "000", 8)
        self._run(label, regular, 8, left, y, self._width)
        self._place("PageCount", left + regular.width(label, 8), y)
        self._canvas.showPage()

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
            self._run(labels[index], self._typesetter.regular, 9.5, left, y, indent - 4)
            self._canvas.setFillColor(INK)
            if value is None:
                self._place("RowCount", left + indent, y)
            else:
                self._run(value, self._typesetter.bold, 9.5, left + indent, y, half - indent - 6)
        self._top -= 14 * ((len(entries) + 1) // 2) + 8
        self._place("Note", _MARGIN, self._top)  # what it says is known when the last row is drawn
        self._top -= _NOTE

    def _footer(self) -> None:
        """Draw what is the same below all pages."""
        canvas = self._canvas
        canvas.setStrokeColor(LINE)
        canvas.setLineWidth(0.6)
        canvas.line(_MARGIN, _MARGIN, self._width - _MARGIN, _MARGIN)
        canvas.setFillColor(_MUTED)
        self._run(self._facts.title, self._typesetter.regular, 8, _MARGIN, _MARGIN - 12, self._width / 2)

    def _line(self, text: str, face: Face, size: float) -> None:
        self._run(text, face, size, _MARGIN, self._top, self._width - 2 * _MARGIN)
        self._top -= size * 1.4

    def _run(self, text: str, face: Face, size: float, left: float, y: float, room: float) -> None:
        """Draw one line of any characters, cut if it is wider than `room`."""
        line = face.fit(self._typesetter.clean(text), size, room)
        self._canvas.addLiteral(TextOperators(self._canvas, self._typesetter, face, size).left([line], left, y))

    def _place(self, form: str, left: float, y: float) -> None:
        self._canvas.saveState()
        self._canvas.translate(left, y)
        self._canvas.doForm(form)
        self._canvas.restoreState()

    @contextmanager
    def _form(self, name: str, height: float) -> Iterator[None]:
        """Make what is drawn meanwhile a form, which pages refer to by its name."""
        self._canvas.beginForm(name, lowerx=-2, lowery=-4, upperx=self._width, uppery=height)
        yield
        self._canvas.endForm()


def _page(needs: Sequence[ColumnNeed]) -> tuple[tuple[float, float], TableLayout]:
    """Choose upright or landscape: the first in which the columns fit in a readable size."""
    layouts = [(size, lay_out(needs, size[0] - 2 * _MARGIN)) for size in (A4, landscape(A4))]
    fitting = [(size, layout) for size, layout in layouts if layout]
    if not fitting:
        raise refuse(needs, landscape(A4)[0] - 2 * _MARGIN)
    return max(fitting, key=lambda found: found[1].size)


def _take(batches: Iterator[pa.RecordBatch], rows: int) -> tuple[pa.Table, list[pa.RecordBatch]]:
    """Take batches until there are more rows than these; returns the rows as a table, and the batches."""
    taken: list[pa.RecordBatch] = []
    count = 0
    for batch in batches:
        taken.append(batch)
        count += batch.num_rows
        if count > rows:
            break
    table = pa.Table.from_batches(taken).slice(0, rows) if taken else pa.table({})
    return table, taken


def _joined(parts: list[Cells], columns: int) -> Cells:
    return [[text for part in parts for text in part[index]] for index in range(columns)]
