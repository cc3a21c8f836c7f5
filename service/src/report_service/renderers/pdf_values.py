"""Values as the reader of the PDF sees them, and the sums of columns that have a total."""

from __future__ import annotations

import decimal
import functools
from collections.abc import Callable, Sequence
from decimal import Decimal
from typing import Any

import pyarrow as pa

from report_service.renderers.pdf_fonts import Typesetter
from report_service.renderers.renderer import Column

Cells = list[list[str]]  # one list of texts for each column

# A sum of floats has some 320 digits before the point and 1,074 behind it; NaN and infinity stay what they are.
_EXACT = decimal.Context(prec=2000, traps=[])


class Values:
    """Formats the batches of one table for reading, and adds up its columns that have a total."""

    def __init__(self, columns: Sequence[Column], typesetter: Typesetter) -> None:
        self._columns = columns
        self._typesetter = typesetter
        self._formats = [_format(column) for column in columns]
        self._sums = {index: Decimal() for index, column in enumerate(columns) if column.total and column.is_number}

    def texts(self, batch: pa.RecordBatch) -> Cells:
        """Return the cells of a batch, cleaned; NULL is an empty text."""
        return [self._column(index, array) for index, array in enumerate(batch.columns)]

    def totals(self, times: int = 1) -> dict[int, str]:
        """Return the sum so far, or a multiple of it, of each column that has a total, by its index."""
        return {index: self._formats[index](_EXACT.multiply(total, times)) for index, total in self._sums.items()}

    def _column(self, index: int, array: pa.Array) -> list[str]:
        if pa.types.is_timestamp(array.type) and array.type.unit == "ns":
            array = array.cast(pa.timestamp("us", array.type.tz), safe=False)
        values = array.to_pylist()
        if index in self._sums:
            given = (Decimal(value) for value in values if value is not None)
            self._sums[index] = functools.reduce(_EXACT.add, given, self._sums[index])
        form = self._formats[index]
        texts = ["" if value is None else form(value) for value in values]
        together = "".join(texts)
        if together.isascii() and together.isprintable():
            return texts
        return list(map(self._typesetter.clean, texts))


def _format(column: Column) -> Callable[[Any], str]:
    if column.kind == "date":
        return lambda value: value.isoformat()[:10]
    if column.kind == "datetime":
        return lambda value: value.isoformat(sep=" ", timespec="seconds")
    if column.is_number:
        form = f",.{column.decimals}{'%' if column.kind == 'percent' else 'f'}"
        return lambda value: _number(Decimal(value), form)
    return _plain


def _number(value: Decimal, form: str) -> str:
    """Format exactly: an int, or a float in percent, would lose digits on the way."""
    return format(value if value.is_finite() else float(value), form)


def _plain(value: Any) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{value:f}" if isinstance(value, Decimal) else str(value)
