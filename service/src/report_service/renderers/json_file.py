"""JSON: one object a line (JSON Lines), UTF-8; every column is in every object, NULL as null.

Numbers have all their digits, also those that a reader with doubles cannot hold. Dates and times are texts as ISO 8601
has them. JSON has no NaN and no infinity (RFC 8259): they are the texts "NaN", "Infinity" and "-Infinity".
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from decimal import Decimal
from io import BufferedIOBase
from typing import Any

import orjson
import pyarrow as pa
import pyarrow.compute as pc

from report_service.renderers.renderer import Column, ReportFacts


class JsonRenderer:
    """Writes .jsonl by orjson."""

    extension = "jsonl"
    media_type = "application/jsonl"

    def write(
        self, facts: ReportFacts, columns: Sequence[Column], batches: Iterator[pa.RecordBatch], file: BufferedIOBase
    ) -> int:
        """Write one line a row."""
        rows = 0
        names = [column.name for column in columns]
        for batch in batches:
            values = zip(*(_values(array) for array in batch.columns), strict=True)
            lines = [
                orjson.dumps(dict(zip(names, row, strict=True)), default=_other, option=orjson.OPT_APPEND_NEWLINE)
                for row in values
            ]
            file.write(b"".join(lines))
            rows += batch.num_rows
        return rows


def _values(array: pa.Array) -> list[Any]:
    kind = array.type
    if pa.types.is_timestamp(kind):
        moments = pc.replace_substring(array.cast(pa.timestamp(kind.unit)).cast(pa.string()), " ", "T")
        array = pc.binary_join_element_wise(moments, "Z" if kind.tz else "", "")
    elif pa.types.is_date(kind) or pa.types.is_time(kind):  # Python's own end with microseconds
        array = array.cast(pa.string())
    values: list[Any] = array.to_pylist()
    if pa.types.is_floating(kind) and not pc.all(pc.is_finite(array), min_count=0).as_py():
        return [value if value is None or math.isfinite(value) else _word(value) for value in values]
    return values


def _word(value: float) -> str:
    return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"


def _other(value: Any) -> Any:
    if isinstance(value, Decimal):
        return orjson.Fragment(f"{value:f}")
    raise TypeError(f"JSON for {type(value).__name__} is not defined.")
