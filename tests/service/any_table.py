"""Tables of any types that a result of Snowflake has, as Arrow brings them."""

import datetime
from decimal import Context, Decimal

import pyarrow as pa
from fuzzing import NASTY
from hypothesis import strategies as st

_TEXTS = st.one_of(
    st.sampled_from(NASTY),
    st.text(max_size=30),
    st.sampled_from(["x", "é", "😀", '"', "\n", "="]).map(lambda one: one * 32_000),
)
_FIRST, _LAST = datetime.datetime(1, 1, 1), datetime.datetime(9999, 12, 31, 23, 59, 59, 999999)
# Nanoseconds in 64 bits reach from 1677 to 2262.
_NANOSECONDS = st.integers(-(2**63) + 1, 2**63 - 1) | st.integers(-(10**18), 10**18)
_ZONES = st.sampled_from([None, "UTC"])


def _decimals(precision, scale):
    most = 10**precision - 1
    near = st.sampled_from([0, 1, -1, most, -most])
    exact = Context(prec=60)
    return (near | st.integers(-most, most)).map(lambda number: Decimal(number).scaleb(-scale, exact))


@st.composite
def _types(draw):
    """A type of a column, and its values."""
    unit, zone = draw(st.sampled_from(["s", "ms", "us"])), draw(_ZONES)
    moments = st.datetimes(_FIRST + datetime.timedelta(days=2), _LAST - datetime.timedelta(days=2))
    per_second = {"s": 1, "ms": 1000, "us": 10**6}[unit]
    ticks = moments.map(lambda moment: int((moment - datetime.datetime(1970, 1, 1)).total_seconds()) * per_second)
    precision = draw(st.integers(1, 38))
    scale = draw(st.integers(0, precision))
    return draw(
        st.sampled_from(
            [
                (pa.string(), _TEXTS),
                (pa.int64(), st.integers(-(2**63), 2**63 - 1)),
                (pa.decimal128(precision, scale), _decimals(precision, scale)),
                (pa.float64(), st.floats()),
                (pa.bool_(), st.booleans()),
                (pa.date32(), st.dates()),
                (pa.timestamp(unit, zone), ticks),
                (pa.timestamp("ns", zone), _NANOSECONDS),
                (pa.time64("ns"), st.integers(0, 86_400 * 10**9 - 1)),
            ]
        )
    )


@st.composite
def tables(draw, *, most_columns=6):
    """Tables of a few rows and columns, some with hundreds of columns; every column may hold nulls."""
    rows = draw(st.integers(0, 5))
    columns = {}
    for index in range(draw(st.integers(1, most_columns))):
        kind, values = draw(_types())
        column = draw(st.lists(st.none() | values, min_size=rows, max_size=rows))
        columns[f"C{index}"] = pa.array(column, pa.int64()).cast(kind) if _is_ticks(kind) else pa.array(column, kind)
    table = pa.table(columns)
    if draw(st.integers(0, 19)) == 0:
        table = pa.table({f"C{index}": table.column(index % table.num_columns) for index in range(500)})
    return table


def _is_ticks(kind):
    return pa.types.is_timestamp(kind) or pa.types.is_time(kind)
