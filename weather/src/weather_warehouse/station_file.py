"""One station's file: a line a day, and what is wrong with those that are none.

A line is date, maximum, minimum, rain with tabs between; numbers may have spaces before them. The date is yyyymmdd; the
temperatures are tenths of a degree Celsius, the rain tenths of a millimetre, and -9999 is a value that is missing.
"""

from __future__ import annotations

import datetime
import re
from collections.abc import Callable, Iterable, Iterator
from functools import lru_cache

_MISSING = -9999
_MOST_BYTES = 64  # of a line; right ones have about 26
_MOST_WRONG = 20  # lines that are told before the rest of a file is not read
_FIRST, _LAST = datetime.date(1700, 1, 1), datetime.date(2199, 12, 31)  # a byte for each tells whether it came before
_NUMBER = re.compile(rb" {0,9}(-?[0-9]{1,5})[ \r]{0,9}")

WrongLine = tuple[int, str]


class WrongFile(Exception):
    """A file that cannot be taken; `lines` are its first wrong lines, by number from 1, with reasons."""

    def __init__(self, lines: list[WrongLine]) -> None:
        super().__init__("; ".join(f"line {number}: {reason}" for number, reason in lines))
        self.lines = lines


class Conversion:
    """Turns the bytes of a file into rows of COPY's text format; `count` are the rows so far."""

    def __init__(self) -> None:
        self.count = 0

    def blocks(self, chunks: Iterable[bytes]) -> Iterator[bytes]:
        """Yield the rows: date, maximum, minimum, rain, one block for each chunk, whose size they about have.

        Raises:
            WrongFile: after the last line, or the twentieth wrong one.
        """
        number, wrong = 0, list[WrongLine]()
        days = bytearray((_LAST - _FIRST).days + 1)
        for lines in _lines(chunks):
            rows = []
            for number, line in enumerate(lines, start=number + 1):  # noqa: B020 - it goes on where the last block ended
                try:
                    rows.append(_row(line, days))
                except ValueError as error:
                    wrong.append((number, str(error)))
                    if len(wrong) == _MOST_WRONG:
                        raise WrongFile(wrong) from None
            self.count += len(rows)
            yield b"".join(rows)
        if wrong:
            raise WrongFile(wrong)


def _lines(chunks: Iterable[bytes]) -> Iterator[list[bytes]]:
    """Yield the lines that end in each chunk; of one that does not end in time only the beginning, and nothing more."""
    rest = b""
    for chunk in chunks:
        *lines, rest = (rest + chunk).split(b"\n")
        if len(rest) > _MOST_BYTES:
            yield [*lines, rest]
            return
        yield lines
    if rest:
        yield [rest]


def _row(line: bytes, days: bytearray) -> bytes:
    if len(line) > _MOST_BYTES:
        raise ValueError(f"more than {_MOST_BYTES} bytes; date, maximum, minimum and rain are allowed")
    fields = line.split(b"\t")
    if len(fields) != 4:
        raise ValueError(f"{_shown(line)} has {len(fields)} of 4 fields; date, maximum, minimum and rain are allowed")
    day = _day(fields[0])
    row = b"%b\t%b\t%b\t%b\n" % (fields[0], _maximum(fields[1]), _minimum(fields[2]), _rain(fields[3]))
    if days[day]:
        raise ValueError(f"the date {_shown(fields[0])} came before; each day once is allowed")
    days[day] = True
    return row


# What a file has over and over is looked at once; each of these keeps no more than so many different texts.
@lru_cache(20_000)
def _day(text: bytes) -> int:
    """The number of a day, 0 for the first that is allowed."""
    year = text[:4] if len(text) == 8 and text.isdigit() else b"0"
    try:
        day = datetime.date(int(year), int(text[4:6]), int(text[6:]))
    except ValueError:
        day = datetime.date.min
    if not _FIRST <= day <= _LAST:
        allowed = f"a day as yyyymmdd from {_FIRST.year} to {_LAST.year}"
        raise ValueError(f"the date is {_shown(text)}; {allowed} is allowed")
    return (day - _FIRST).days


def _tenths(name: str, low: int, high: int, unit: str) -> Callable[[bytes], bytes]:
    @lru_cache(20_000)
    def convert(text: bytes) -> bytes:
        number = _NUMBER.fullmatch(text)
        value = int(number[1]) if number else None
        if value == _MISSING:
            return rb"\N"
        if value is None or not low <= value <= high:
            allowed = f"a whole number of tenths of a {unit} from {low} to {high}, or {_MISSING},"
            raise ValueError(f"the {name} is {_shown(text)}; {allowed} is allowed")
        return b"%d" % value

    return convert


# Beyond what was ever measured on Earth (-89.2 and 56.7 degrees, 1,825 mm in a day): what is there is a mistake.
_maximum = _tenths("maximum", -1000, 1000, "degree Celsius")
_minimum = _tenths("minimum", -1000, 1000, "degree Celsius")
_rain = _tenths("rain", 0, 20_000, "millimetre")


def _shown(text: bytes) -> str:
    return repr(text.decode("ascii", "backslashreplace"))
