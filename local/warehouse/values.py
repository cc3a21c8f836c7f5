"""Values between SQL, JSON and Python, by their Snowflake types."""

from __future__ import annotations

import datetime
import json
from decimal import Decimal
from typing import Any

import pyarrow as pa

from local.warehouse.duck import JSON_MARK
from local.warehouse.errors import SnowflakeError, unsupported
from local.warehouse.programs_grammar import signature_type

_JSON_TYPES = ("VARIANT", "OBJECT", "ARRAY")


def to_python(value: Any, type_: str) -> Any:
    """A value out of DuckDB as a handler gets it: VARIANT as dict, list or scalar; whole NUMBERs as int."""
    if value is None:
        return None
    if signature_type(type_) in _JSON_TYPES:
        return json.loads(value) if isinstance(value, str) else value
    if isinstance(value, Decimal) and value == value.to_integral_value() and "," not in type_:
        return int(value)
    return value


def from_json(value: Any, type_: str) -> Any:
    """A value out of a packed JSON argument list as a handler gets it."""
    if value is None:
        return None
    base = signature_type(type_)
    if base == "NUMBER":
        number = Decimal(str(value))
        return int(number) if number == number.to_integral_value() and "," not in type_ else number
    if base == "DATE":
        return datetime.date.fromisoformat(value)
    if base.startswith("TIMESTAMP"):
        return datetime.datetime.fromisoformat(value)
    if base == "BINARY":
        raise unsupported("BINARY arguments")
    return value


def to_arrow(value: Any, type_: str) -> pa.Array:
    """A handler's answer as the one row of a result.

    Raises 100078-like errors for a value that the type cannot hold.
    """
    base = signature_type(type_)
    try:
        if base in _JSON_TYPES:
            return pa.array([None if value is None else json.dumps(value, default=str)], pa.string())
        if value is None:
            return pa.array([None], pa.string())
        if base == "VARCHAR":
            return pa.array([value if isinstance(value, str) else str(value)], pa.string())
        if base == "NUMBER":
            return pa.array([int(value)], pa.int64()) if "," not in type_ else pa.array([Decimal(str(value))])
        if base == "FLOAT":
            return pa.array([float(value)], pa.float64())
        if base == "BOOLEAN":
            return pa.array([bool(value)], pa.bool_())
        return pa.array([value])
    except (TypeError, ValueError, pa.ArrowInvalid) as error:
        raise SnowflakeError(
            100357, "P0000", f"The handler's answer {value!r} is no {type_}: {error}. Return a value of that type."
        ) from error


def to_table(name: str, value: Any, type_: str) -> pa.Table:
    """A handler's answer as a result of one row and one column."""
    variant = signature_type(type_) in _JSON_TYPES
    column = to_arrow(value, type_)
    return pa.Table.from_arrays(
        [column], schema=pa.schema([pa.field(name, column.type, metadata=JSON_MARK if variant else None)])
    )


def from_binding(binding: dict[str, Any]) -> Any:
    """A bound value of the protocol as Python. fakesnow's own turns TIMESTAMP_NTZ into UTC instants and decimals into
    errors.
    """
    type_, value = binding["type"], binding["value"]
    if value is None:
        return None
    if type_ == "FIXED":
        number = Decimal(value)
        return int(number) if number == number.to_integral_value() and "." not in value else number
    if type_ == "REAL":
        return float(value)
    if type_ == "BOOLEAN":
        return value.lower() in ("true", "1")
    if type_ == "DATE":
        return (datetime.datetime(1970, 1, 1) + datetime.timedelta(milliseconds=int(value))).date()
    if type_ == "TIME":
        return (datetime.datetime(1970, 1, 1) + datetime.timedelta(microseconds=int(value) // 1000)).time()
    if type_ == "TIMESTAMP_NTZ":
        return datetime.datetime(1970, 1, 1) + datetime.timedelta(microseconds=int(value) // 1000)
    if type_ in ("TIMESTAMP_LTZ", "TIMESTAMP_TZ"):
        epoch = datetime.datetime(1970, 1, 1, tzinfo=datetime.UTC)
        return epoch + datetime.timedelta(microseconds=int(str(value).split(" ")[0]) // 1000)
    if type_ == "BINARY":
        return bytes.fromhex(value)
    if type_ in ("TEXT", "VARIANT", "OBJECT", "ARRAY"):
        return value
    raise unsupported(f"binding of type {type_}")
