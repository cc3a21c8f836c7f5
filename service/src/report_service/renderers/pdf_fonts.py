"""The fonts of the PDF, and text that never becomes a blank or a box.

Both fonts are embedded, as far as a document uses them: Noto Sans for Latin, Greek and Cyrillic, WenQuanYi Micro Hei
for Chinese, Japanese and Korean. Any other character is written as its code point, like [U+1F600], and counted: so are
the scripts whose letters must be joined or reordered, which reportlab does not do.
"""

from __future__ import annotations

import importlib
import importlib.resources
import threading
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cache
from io import BytesIO
from itertools import accumulate, repeat, takewhile

from reportlab.pdfbase import pdfmetrics
from reportlab.pdfbase.ttfonts import TTFont

REGULAR, BOLD, CJK = "NotoSans", "NotoSans-Bold", "WenQuanYiMicroHei"
ELLIPSIS = "…"
_MARK = "\0"  # before a code point until it is counted; as a control it is in no cleaned text

# Hebrew, Arabic, the scripts of India and of Southeast Asia.
_UNSHAPED = (range(0x0590, 0x10A0), range(0x1780, 0x1800), range(0x1CD0, 0x1D00), range(0xA8E0, 0xA900))
_LOADING = threading.Lock()


class Face:
    """One embedded font with the widths of its characters."""

    def __init__(self, name: str, content: bytes) -> None:
        font = TTFont(name, BytesIO(content), asciiReadable=True)
        pdfmetrics.registerFont(font)
        self.name = name
        self._widths: dict[str, float] = {chr(code): width for code, width in font.face.charWidths.items()}
        start = font.face.glyphPos
        self._known = frozenset(
            chr(code)
            for code, glyph in font.face.charToGlyph.items()
            if glyph and (code == 32 or start[glyph] < start[glyph + 1]) and not any(code in s for s in _UNSHAPED)
        )

    def width(self, text: str, size: float) -> float:
        """Return the width of `text` in points; characters of other fonts count as a full square."""
        return self.units(text) * size / 1000

    def units(self, text: str) -> float:
        """Return the width of `text` in thousandths of its size."""
        return sum(self._each(text))

    def knows(self, character: str) -> bool:
        """Tell whether the font shows `character`: a glyph that is empty, like the Hangul filler's, does not."""
        return character in self._known

    def fit(self, text: str, size: float, width: float) -> str:
        """Return `text`, cut with an ellipsis if it is wider than `width` points."""
        if self.width(text, size) <= width:
            return text
        room = (width - self.width(ELLIPSIS, size)) * 1000 / size
        end = sum(1 for _ in takewhile(room.__ge__, accumulate(self._each(text))))
        return text[:end].rstrip() + ELLIPSIS

    def wrap(self, text: str, size: float, width: float, lines: int) -> list[str]:
        """Break `text` at spaces into at most `lines` lines; what is left over is cut with an ellipsis."""
        result: list[str] = [""]
        for word in text.split():
            longer = f"{result[-1]} {word}".strip()
            if not result[-1] or self.width(longer, size) <= width:
                result[-1] = longer
            else:
                result.append(word)
        if len(result) > lines:
            result = [*result[: lines - 1], " ".join(result[lines - 1 :])]
        return [self.fit(line, size, width) for line in result]

    def _each(self, text: str) -> Iterator[float]:
        return map(self._widths.get, text, repeat(1000.0))


def face(name: str) -> Face:
    """Return an embedded font, read once in a process: Micro Hei only when a text needs it, for it has 5 MB."""
    with _LOADING:
        return _face(name)


@cache
def _face(name: str) -> Face:
    if name == CJK:
        package = importlib.resources.files("paperang_p2_fonts_cjk")
        return Face(name, package.joinpath("fonts", "wqy-microhei.ttc").read_bytes())
    module = {REGULAR: "NotoSans_Regular", BOLD: "NotoSans_Bold"}[name]
    return Face(name, importlib.import_module(f"pymupdf_fonts.{module}").fontbuffer)


class _Shown(dict[int, str]):
    """What a document shows for each character, looked up once."""

    def __init__(self, regular: Face) -> None:
        self._regular = regular

    def __missing__(self, code: int) -> str:
        character = chr(code)
        if unicodedata.category(character) in ("Cc", "Cf"):  # controls and joiners have no picture
            character = ""
        elif not self._regular.knows(character) and not face(CJK).knows(character):
            character = _code_point(character)
        self[code] = character
        return character


def _code_point(character: str) -> str:
    return f"{_MARK}U+{ord(character):04X}]"


@dataclass
class Typesetter:
    """Prepares text for one document and counts what it had to write as code points."""

    regular: Face
    bold: Face
    replaced: int = 0
    _shown: _Shown = field(init=False)

    def __post_init__(self) -> None:
        self._shown = _Shown(self.regular)

    @classmethod
    def create(cls) -> Typesetter:
        """Load the fonts."""
        return cls(face(REGULAR), face(BOLD))

    def clean(self, text: str) -> str:
        """Return `text` on one line, with every character that no font has written as its code point."""
        if text.isascii() and text.isprintable():
            return text
        return self._counted(unicodedata.normalize("NFC", " ".join(text.split())).translate(self._shown))

    def runs(self, text: str, font: str = REGULAR) -> Iterator[tuple[str, str]]:
        """Split cleaned text into (font, part); mostly it is one part in `font`, REGULAR or BOLD."""
        current, part = font, ""
        for character in text:
            wanted = font if self.regular.knows(character) else CJK
            if wanted != current and part:
                yield current, part
                part = ""
            current = wanted
            part += character
        if part:
            yield current, part

    def note(self) -> str:
        """Say what a reader must know about the characters of this document, or nothing."""
        if not self.replaced:
            return ""
        return (
            "Characters without a glyph in this document's fonts are written as [U+…], "
            f"{self.replaced:,} times; EXCEL and CSV hold them unchanged."
        )

    def is_plain(self, text: str) -> bool:
        """Tell whether all of `text` is in Noto Sans."""
        return text.isascii() or all(map(self.regular.knows, text))

    def in_one_font(self, texts: Sequence[str], font: str = REGULAR) -> tuple[str, list[str]]:
        """Clean `texts` for where all of them stand in one font, as in a chart; returns that font and the texts."""
        cleaned = [self.clean(text) for text in texts]
        if all(map(self.is_plain, cleaned)):
            return font, cleaned
        knows = face(CJK).knows  # it has Latin, Greek and Cyrillic too, if not all of their accents
        marked = ["".join(part if knows(part) else _code_point(part) for part in text) for text in cleaned]
        return CJK, list(map(self._counted, marked))

    def _counted(self, text: str) -> str:
        self.replaced += text.count(_MARK)
        return text.replace(_MARK, "[")
