"""CSV as RFC 4180 has it: CRLF, text in quotes, NULL empty and an empty text as "".

UTF-8 and commas, if the report's [csv] says nothing else. Text that a spreadsheet may take for a formula gets an
apostrophe before it, as OWASP's "CSV Injection" page advises: it begins with a tab, CR or LF, or with = + - @
(full-width ones too), be there blanks before it or not. Numbers are never touched, so -5 in a number column stays -5;
those in decimal have all their digits and no exponent.
"""

from __future__ import annotations

import collections
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from io import BufferedIOBase

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as arrow_csv

from report_service.catalogue import CsvForm
from report_service.errors import ErrorCode, ReportError
from report_service.renderers.plain_digits import WITH_EXPONENT, plain_digits
from report_service.renderers.renderer import Column, ReportFacts

_FORMULA = r"\A(?:[\t\r\n]|[\s\p{Z}\p{Cf}]*[=+\-@＝＋－＠])"
_FORMULA_BYTES = (b"=", b"+", b"-", b"@", b"\t", b"\r", b"\n", b"\xef\xbc")  # one of which a formula must hold
_AT_ONCE = 2  # batches that are being written: Arrow does it without Python's lock


class CsvRenderer:
    """Writes CSV by Arrow's own writer."""

    extension = "csv"

    def __init__(self, form: CsvForm | None = None) -> None:
        self._form = form or CsvForm()
        self._options = arrow_csv.WriteOptions(include_header=False, batch_size=8192, delimiter=self._form.delimiter)

    @property
    def media_type(self) -> str:
        """The type with its encoding (RFC 7111: a UTF-8 byte order mark is no encoding of its own)."""
        return f"text/csv; charset={self._form.encoding.removesuffix('-sig')}; header=present"

    def write(
        self, facts: ReportFacts, columns: Sequence[Column], batches: Iterator[pa.RecordBatch], file: BufferedIOBase
    ) -> int:
        """Write a header of column names and all rows; raises ReportError for a text that the encoding has not."""
        rows = 0
        pending: collections.deque[Future[bytes]] = collections.deque()
        file.write(self._start(columns))
        with ThreadPoolExecutor(_AT_ONCE, thread_name_prefix="csv") as pool:
            for batch in batches:
                if len(pending) > _AT_ONCE:
                    file.write(pending.popleft().result())
                pending.append(pool.submit(self._lines, batch))
                rows += batch.num_rows
            while pending:
                file.write(pending.popleft().result())
        return rows

    def _start(self, columns: Sequence[Column]) -> bytes:
        names = [column.name for column in columns]
        # As a row of its own, so that a name is treated as a text is.
        header = self._lines(pa.RecordBatch.from_arrays([pa.array([name]) for name in names], names=names))
        return "\ufeff".encode(self._form.unmarked) + header if self._form.marked else header

    def _lines(self, batch: pa.RecordBatch) -> bytes:
        lines = _terminated(_no_empty_line(_harmless(batch)), self._options)
        if self._form.unmarked == "utf-8":
            return lines
        try:
            return lines.decode().encode(self._form.unmarked)
        except UnicodeEncodeError as error:
            raise self._refused(batch, error.object[error.start]) from None

    def _refused(self, batch: pa.RecordBatch, character: str) -> ReportError:
        holding = [
            name for name, array in zip(batch.schema.names, batch.columns, strict=True) if _holds(array, character)
        ]
        return ReportError(
            ErrorCode.QUERY_FAILED,
            f"Column {holding[0]} holds {character!r} (U+{ord(character):04X}), which {self._form.encoding} does not "
            'have; set encoding = "utf-8" under [csv] in report.toml, or replace it in query.sql.',
            retry=False,
        )


def _no_empty_line(batch: pa.RecordBatch) -> pa.RecordBatch:
    """A NULL in the only column would be an empty line, which readers skip: there it is an empty text."""
    if batch.num_columns != 1 or not batch.column(0).null_count:
        return batch
    (array,) = batch.columns
    texts = pc.fill_null(plain_digits(array) if _may_have_exponents(array) else array.cast(pa.string()), "")
    return pa.RecordBatch.from_arrays([texts], names=batch.schema.names)


def _harmless(batch: pa.RecordBatch) -> pa.RecordBatch:
    arrays = []
    for array in batch.columns:
        content = _content(array)
        if any(mark in content for mark in _FORMULA_BYTES):
            formula = pc.match_substring_regex(array, _FORMULA)
            if pc.any(formula).as_py():
                escaped = pc.binary_join_element_wise(pa.scalar("'", array.type), array, pa.scalar("", array.type))
                array = pc.if_else(formula, escaped, array)
        arrays.append(array)
    return pa.RecordBatch.from_arrays(arrays, names=batch.schema.names)


def _terminated(batch: pa.RecordBatch, options: arrow_csv.WriteOptions) -> bytes:
    """Write a batch with CRLF between the rows and without exponents, neither of which Arrow can.

    Line feeds inside a text stay what they are; numbers without exponents are texts to Arrow, which it puts in quotes.
    """
    feed = number = ""
    if any(_holds(array, "\n") for array in batch.columns):
        feed = _not_in(batch, "\ue000\ue001")  # it never overlaps with itself, so what follows a text is found
    if any(map(_may_have_exponents, batch.columns)):
        number = _not_in(batch, "\ue002")
    arrays = []
    for array in batch.columns:
        if feed and _is_text(array):
            array = pc.replace_substring(array, "\n", feed)
        elif number and _may_have_exponents(array):
            array = pc.binary_join_element_wise(number, plain_digits(array), number, "")
        arrays.append(array)
    sink = pa.BufferOutputStream()
    arrow_csv.write_csv(pa.RecordBatch.from_arrays(arrays, names=batch.schema.names), sink, options)
    lines: bytes = sink.getvalue().to_pybytes().replace(b"\n", b"\r\n")
    if number:
        lines = lines.replace(f'"{number}'.encode(), b"").replace(f'{number}"'.encode(), b"")
    return lines.replace(feed.encode(), b"\n") if feed else lines


def _not_in(batch: pa.RecordBatch, mark: str) -> str:
    """Return `mark`, made so long that no text has it."""
    while any(_holds(array, mark) for array in batch.columns):
        mark += mark[-1]
    return mark


def _may_have_exponents(array: pa.Array) -> bool:
    return bool(pa.types.is_decimal(array.type) and array.type.scale >= WITH_EXPONENT)


def _is_text(array: pa.Array) -> bool:
    return bool(pa.types.is_string(array.type) or pa.types.is_large_string(array.type))


def _content(array: pa.Array) -> bytes:
    """The bytes of all texts of `array`, one after the other; none if it has no texts."""
    if not (_is_text(array) and len(array)):
        return b""
    _, offsets, texts = array.buffers()
    if texts is None:
        return b""
    ends = memoryview(offsets).cast("q" if pa.types.is_large_string(array.type) else "i")
    first, last = ends[array.offset], ends[array.offset + len(array)]
    content: bytes = texts.slice(first, last - first).to_pybytes()
    return content


def _holds(array: pa.Array, text: str) -> bool:
    return text.encode() in _content(array) and bool(pc.any(pc.match_substring(array, text)).as_py())
