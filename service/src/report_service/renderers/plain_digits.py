"""Numbers in decimal as texts of digits alone."""

from __future__ import annotations

from decimal import Decimal

import pyarrow as pa
import pyarrow.compute as pc

WITH_EXPONENT = 7  # digits after the point from which on Arrow's cast may write one, as in 1E-7


def plain_digits(numbers: pa.Array) -> pa.Array:
    """Return each number of a decimal array with all its digits and without an exponent."""
    texts = numbers.cast(pa.string())
    if numbers.type.scale < WITH_EXPONENT:
        return texts
    tiny = pc.match_substring(texts, "E").fill_null(False)
    if not pc.any(tiny).as_py():
        return texts
    values = numbers.filter(tiny).cast(pa.decimal256(60, numbers.type.scale))
    # One more than such a number is written without an exponent, and differs in its first digit only.
    one_more = pc.add(pc.abs(values), pa.scalar(Decimal(1), pa.decimal256(1))).cast(pa.string())
    starts = pc.if_else(pc.less(values, pa.scalar(Decimal(0), values.type)), "-0", "0")
    return pc.replace_with_mask(
        texts, tiny, pc.binary_join_element_wise(starts, pc.utf8_slice_codeunits(one_more, 1), "")
    )
