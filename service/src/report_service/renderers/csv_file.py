"""CSV as RFC 4180 has it: UTF-8, CRLF, text in quotes, NULL empty and an empty text as "".

Text that a spreadsheet may take for a formula gets an apostrophe before it, as OWASP's "CSV Injection" page advises: it
begins with a tab, CR or LF, or with = + - @ (full-width ones too), be there blanks before it or not. Numbers are never
touched, so -5 in a number column stays -5.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as arrow_csv

from report_service.renderers.renderer import Column, ReportFacts

_FORMULA = r"\A(?:[\t\r\n]|[\s\p{Z}\p{Cf}]*[=+\-@＝＋－＠])"
_OPTIONS = arrow_csv.WriteOptions(include_header=False, batch_size=8192)


class CsvRenderer:
    """Writes CSV by Arrow's own writer."""

    extension = "csv"
    media_type = "text/csv; charset=utf-8; header=present"

    def write(
        self, facts: ReportFacts, columns: Sequence[Column], batches: Iterator[pa.RecordBatch], path: Path
    ) -> int:
        """Write a header of column names and all rows."""
        rows = 0
        with path.open("wb") as file:
            file.write(_header(columns))
            for batch in batches:
                rows += batch.num_rows
                file.write(_lines(_harmless(batch)))
        return rows


def _header(columns: Sequence[Column]) -> bytes:
    names = [column.name for column in columns]
    return _lines(_harmless(pa.RecordBatch.from_arrays([pa.array([name]) for name in names], names=names)))


def _harmless(batch: pa.RecordBatch) -> pa.RecordBatch:
    arrays = []
    for array in batch.columns:
        if pa.types.is_string(array.type) or pa.types.is_large_string(array.type):
            formula = pc.match_substring_regex(array, _FORMULA)
            if pc.any(formula).as_py():
                escaped = pc.binary_join_element_wise(pa.scalar("'", array.type), array, pa.scalar("", array.type))
                array = pc.if_else(formula, escaped, array)
        arrays.append(array)
    return pa.RecordBatch.from_arrays(arrays, names=batch.schema.names)


def _lines(batch: pa.RecordBatch) -> bytes:
    """Write a batch with CRLF between the rows; line feeds inside a text stay what they are."""
    mark = ""
    while any(_holds(array, mark or "\n") for array in batch.columns):
        mark += "\ue001" if mark else "\ue000\ue001"  # it never overlaps with itself, so what follows a text is found
    if mark:
        arrays = [pc.replace_substring(array, "\n", mark) if _is_text(array) else array for array in batch.columns]
        batch = pa.RecordBatch.from_arrays(arrays, names=batch.schema.names)
    sink = pa.BufferOutputStream()
    arrow_csv.write_csv(batch, sink, _OPTIONS)
    lines: bytes = sink.getvalue().to_pybytes().replace(b"\n", b"\r\n")
    return lines.replace(mark.encode(), b"\n") if mark else lines


def _is_text(array: pa.Array) -> bool:
    return bool(pa.types.is_string(array.type) or pa.types.is_large_string(array.type))


def _holds(array: pa.Array, text: str) -> bool:
    return _is_text(array) and bool(pc.any(pc.match_substring(array, text)).as_py())
