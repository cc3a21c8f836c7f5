"""Text as operators of a PDF page, a whole column at once: reportlab's own calls, one a cell, took most of the time.

This is the one place that leans on the inside of reportlab: a canvas holds its document in `_doc`, and a font's first
subset in a document has ASCII under its own codes. The operators are those of ISO 32000-1, 9.4 "Text Objects".
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from reportlab.pdfbase import pdfmetrics
from reportlab.pdfgen.canvas import Canvas

from report_service.renderers.pdf_fonts import Face, Typesetter

_BEYOND_ASCII = re.compile(r"[^\n -~]+")


class TextOperators:
    """Writes cleaned lines in one face, one below the other; `size` in points, and `leading`, by default 1.2 sizes."""

    def __init__(
        self, canvas: Canvas, typesetter: Typesetter, face: Face, size: float, leading: float | None = None
    ) -> None:
        self._document = canvas._doc
        self._typesetter = typesetter
        self._face = face
        self._size = size
        self._leading = leading or size * 1.2
        self._home = self._selected(face.name, 0)
        self._letters: dict[str, str] = {}

    def left(self, lines: Sequence[str], left: float, baseline: float) -> str:
        """Return operators for lines that begin at `left`, the first of them on `baseline`."""
        return self._block("(" + ")Tj T*\n(".join(self._strings(lines)) + ")Tj", left, baseline)

    def right(self, lines: Sequence[str], left: float, baseline: float, room: float) -> str:
        """Return operators for lines that end `room` points right of `left`; one that is wider is made narrower."""
        ems, shown = room * 1000 / self._size, []
        for width, string in zip(map(self._face.units, lines), self._strings(lines), strict=True):
            if width > ems:
                shown.append(f"{100 * ems / width:.4g} Tz({string})Tj 100 Tz")
            else:
                shown.append(f"[{width - ems:.0f}]TJ({string})Tj")
        return self._block(" T*\n".join(shown), left, baseline)

    def _strings(self, lines: Sequence[str]) -> list[str]:
        """Return what stands in the (string) of each line."""
        text = "\n".join(lines).replace("\\", r"\\").replace("(", r"\(").replace(")", r"\)")
        if not text.isascii():
            text = _BEYOND_ASCII.sub(self._beyond_ascii, text)
        return text.split("\n") if lines else []

    def _block(self, shown: str, left: float, baseline: float) -> str:
        # What is selected here must not last: the canvas believes that its own font is still the selected one.
        place = f"{self._leading:g} TL 1 0 0 1 {left:.2f} {baseline:.2f} Tm"
        return f"q BT {self._home} {place}\n{shown} ET Q"

    def _beyond_ascii(self, match: re.Match[str]) -> str:
        run = match.group()
        if run in self._letters:
            return self._letters[run]
        shown = "".join(self._switched(run))
        if len(run) == 1:  # an accented letter between others, which comes again and again
            self._letters[run] = shown
        return shown

    def _switched(self, run: str) -> Iterator[str]:
        """Yield what shows `run` inside a (string), with a way into other fonts and back."""
        for name, part in self._typesetter.runs(run, self._face.name):
            for subset, codes in pdfmetrics.getFont(name).splitString(part, self._document):
                selected, shown = self._selected(name, subset), "".join(f"\\{code:03o}" for code in codes)
                yield shown if selected == self._home else f")Tj {selected}({shown})Tj {self._home}("

    def _selected(self, name: str, subset: int) -> str:
        return f"{pdfmetrics.getFont(name).getSubsetInternalName(subset, self._document)} {self._size:g} Tf"
