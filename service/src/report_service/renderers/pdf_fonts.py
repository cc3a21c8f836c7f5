"""The fonts of the PDF, and text that never becomes a box.

Roboto is embedded: Latin with all accents, Greek, Cyrillic. Chinese, Japanese and Korean use the fonts that PDF readers
have for them (Adobe's standard CID fonts), and the document says so. Any other character is written as its code point,
like [U+1F600], and counted.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from reportlab.pdfbase import pdfmetrics
from reportlab.pdfbase.cidfonts import UnicodeCIDFont
from reportlab.pdfbase.ttfonts import TTFont

_FONTS = Path(__file__).parent / "fonts"
REGULAR, BOLD = "Roboto", "Roboto-Bold"
ELLIPSIS = "…"

# Which code page has a character decides which CID font shows it. Kana and Hangul belong to one language each.
_CID_FONTS = (
    ("cp932", "HeiseiKakuGo-W5"),
    ("gbk", "STSong-Light"),
    ("cp950", "MSung-Light"),
    ("cp949", "HYGothic-Medium"),
)
_CID_BY_SCRIPT = {"HIRAGANA": "HeiseiKakuGo-W5", "KATAKANA": "HeiseiKakuGo-W5", "HANGUL": "HYGothic-Medium"}


class Face:
    """One embedded font with the widths of its characters."""

    def __init__(self, name: str, file: str) -> None:
        font = TTFont(name, str(_FONTS / file))
        pdfmetrics.registerFont(font)
        self.name = name
        self._widths: dict[str, float] = {chr(code): width for code, width in font.face.charWidths.items()}
        self._known = frozenset(chr(code) for code in font.face.charToGlyph if code >= 32)

    def width(self, text: str, size: float) -> float:
        """Return the width of `text` in points; characters of other fonts count as a full square."""
        return sum(map(self._width, text)) * size / 1000

    def knows(self, character: str) -> bool:
        """Tell whether the font has a glyph for `character`."""
        return character in self._known

    def _width(self, character: str) -> float:
        return self._widths.get(character, 1000.0)


@dataclass
class Typesetter:
    """Prepares text for one document and counts what it had to write as code points."""

    regular: Face
    bold: Face
    replaced: int = 0
    not_embedded: bool = False

    @classmethod
    def create(cls) -> Typesetter:
        """Register the fonts."""
        return cls(Face(REGULAR, "Roboto-Regular.ttf"), Face(BOLD, "Roboto-Bold.ttf"))

    def clean(self, text: str) -> str:
        """Return `text` on one line, with every character that no font has written as its code point."""
        if text.isascii() and text.isprintable():
            return text
        characters = unicodedata.normalize("NFC", " ".join(text.split()))
        return "".join(map(self._visible, characters))

    def runs(self, text: str) -> Iterator[tuple[str, str]]:
        """Split cleaned text into (font, part); mostly it is one part in Roboto."""
        font, part = REGULAR, ""
        for character in text:
            wanted = REGULAR if self.regular.knows(character) else _cid_font(character) or REGULAR
            if wanted != font and part:
                yield font, part
                part = ""
            font = wanted
            part += character
        if part:
            yield font, part

    def notes(self) -> Iterator[str]:
        """Say what a reader must know about the characters of this document."""
        if self.replaced:
            yield (
                "Characters without a glyph in this document's fonts are written as [U+…], "
                f"{self.replaced:,} times; EXCEL and CSV hold them unchanged."
            )
        if self.not_embedded:
            yield "Chinese, Japanese and Korean text is shown in the fonts of the program that opens this file."

    def is_plain(self, text: str) -> bool:
        """Tell whether all of `text` is in Roboto."""
        return text.isascii() or all(map(self.regular.knows, text))

    def fit(self, text: str, face: Face, size: float, width: float) -> str:
        """Return `text`, cut with an ellipsis if it is wider than `width`."""
        if len(text) * size <= width or face.width(text, size) <= width:
            return text
        room = width - face.width(ELLIPSIS, size)
        end = 0
        while end < len(text) and (room := room - face.width(text[end], size)) >= 0:
            end += 1
        return text[:end].rstrip() + ELLIPSIS

    def wrap(self, text: str, face: Face, size: float, width: float, lines: int) -> list[str]:
        """Break `text` at spaces into at most `lines` lines; what is left over is cut with an ellipsis."""
        result: list[str] = [""]
        for word in text.split():
            longer = f"{result[-1]} {word}".strip()
            if not result[-1] or face.width(longer, size) <= width:
                result[-1] = longer
            else:
                result.append(word)
        if len(result) > lines:
            result = [*result[: lines - 1], " ".join(result[lines - 1 :])]
        return [self.fit(line, face, size, width) for line in result]

    def _visible(self, character: str) -> str:
        if self.regular.knows(character):
            return character
        if _cid_font(character):
            self.not_embedded = True
            return character
        if unicodedata.category(character) in ("Cc", "Cf"):  # controls and joiners have no picture
            return ""
        self.replaced += 1
        return f"[U+{ord(character):04X}]"


def _cid_font(character: str) -> str | None:
    if ord(character) < 0x2E80 or ord(character) > 0xFFFF:
        return None
    script = unicodedata.name(character, "").split(" ")[0].split("-")[0]
    font = _CID_BY_SCRIPT.get(script) or next((name for page, name in _CID_FONTS if _in_page(character, page)), None)
    if font and font not in pdfmetrics.getRegisteredFontNames():
        pdfmetrics.registerFont(UnicodeCIDFont(font))
    return font


def _in_page(character: str, page: str) -> bool:
    try:
        character.encode(page)
    except UnicodeEncodeError:
        return False
    return True
