"""Results on the wire: Arrow tables in Snowflake's layout, in chunks when they are large; rows of DML as JSON.

What fakesnow sends is not enough: struct children of a NULL timestamp were not nullable (connector 5.x rejects that),
time zones other than UTC failed, and everything came in one answer, so a client's memory grew with the result.
"""

from __future__ import annotations

import base64
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from local.warehouse.errors import unsupported

CHUNK_ROWS = 20_000
FIRST_CHUNK_ROWS = 5_000
SELECT, DML, DDL = 0x1000, 0x3000, 0x6000
INSERT, UPDATE, DELETE, MERGE = DML + 0x100, DML + 0x200, DML + 0x300, DML + 0x400


@dataclass
class Result:
    """The answer to a statement: an Arrow table in DuckDB's types, and what kind of statement it answers."""

    table: pa.Table
    type_id: int = DDL
    query_id: str = ""
    rowtype: list[dict[str, Any]] = field(default_factory=list)

    @property
    def rows(self) -> list[tuple[Any, ...]]:
        """The rows as Python values."""
        columns = [column.to_pylist() for column in self.table.columns]
        return list(zip(*columns, strict=True)) if columns else []

    @property
    def affected(self) -> int:
        """How many rows a DML statement changed."""
        first = self.rows[0] if self.table.num_rows else ()
        return sum(
            int(value) for value, name in zip(first, self.table.column_names, strict=False) if "multi" not in name
        )


def text_result(names: list[str], rows: list[list[Any]], type_id: int = DDL) -> Result:
    """A result of text columns, as SHOW and DDL answer."""
    columns = [
        pa.array([None if row[i] is None else str(row[i]) for row in rows], pa.string()) for i in range(len(names))
    ]
    return Result(pa.Table.from_arrays(columns, names=names), type_id)


def status(message: str) -> Result:
    """The one row that DDL answers."""
    return text_result(["status"], [[message]])


def _column(name: str, kind: str, precision: int | None, scale: int | None, length: int | None) -> dict[str, Any]:
    return {
        "name": name,
        "database": "",
        "schema": "",
        "table": "",
        "nullable": True,
        "type": kind,
        "precision": precision,
        "scale": scale,
        "length": length,
        "byteLength": length,
        "collation": None,
    }


def _describe(field_: pa.Field) -> dict[str, Any]:
    kind, name = field_.type, field_.name
    if (field_.metadata or {}).get(b"duckdb") == b"JSON":
        return _column(name, "variant", None, None, 16777216)
    if pa.types.is_decimal(kind):
        return _column(name, "fixed", kind.precision, kind.scale, None)
    if pa.types.is_integer(kind):
        return _column(name, "fixed", 38, 0, None)
    if pa.types.is_floating(kind):
        return _column(name, "real", None, None, None)
    if pa.types.is_boolean(kind):
        return _column(name, "boolean", None, None, None)
    if pa.types.is_date(kind):
        return _column(name, "date", None, None, None)
    if pa.types.is_time(kind):
        return _column(name, "time", 0, 9, None)
    if pa.types.is_timestamp(kind):
        return _column(name, "timestamp_ltz" if kind.tz else "timestamp_ntz", 0, 9, None)
    if pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_null(kind):
        return _column(name, "text", None, None, 16777216)
    if pa.types.is_binary(kind) or pa.types.is_large_binary(kind):
        return _column(name, "binary", None, None, 8388608)
    raise unsupported(f"result column {name} of DuckDB type {kind}")


def describe(table: pa.Table) -> list[dict[str, Any]]:
    """Snowflake's description of every column."""
    return [_describe(field_) for field_ in table.schema]


def _timestamp(column: pa.Array) -> pa.Array:
    """Snowflake's struct of epoch seconds and nanoseconds, NULL as a whole and in its children."""
    micros = column.cast(pa.timestamp("us", column.type.tz)).cast(pa.int64())
    whole = pc.divide(micros, 1_000_000)
    below = pc.less(pc.subtract(micros, pc.multiply(whole, 1_000_000)), 0)
    seconds = pc.if_else(below, pc.subtract(whole, 1), whole)
    fraction = pc.multiply(pc.subtract(micros, pc.multiply(seconds, 1_000_000)), 1000).cast(pa.int32())
    fields = [pa.field("epoch", pa.int64()), pa.field("fraction", pa.int32())]
    return pa.StructArray.from_arrays([seconds, fraction], fields=fields, mask=column.is_null())


def _wire_column(column: pa.ChunkedArray) -> pa.Array:
    array = column.combine_chunks()
    if isinstance(array, pa.ChunkedArray):
        array = array.chunk(0) if array.num_chunks else pa.array([], array.type)
    if pa.types.is_timestamp(array.type):
        return _timestamp(array)
    if pa.types.is_time(array.type):
        return pc.multiply(array.cast(pa.int64()), 1000)
    if pa.types.is_null(array.type):
        return array.cast(pa.string())
    if pa.types.is_integer(array.type):
        return array.cast(pa.int64())
    if pa.types.is_floating(array.type):
        return array.cast(pa.float64())
    return array


def wire_table(table: pa.Table, rowtype: list[dict[str, Any]]) -> pa.Table:
    """The table in the layout that Snowflake's connectors read."""
    arrays = [_wire_column(column) for column in table.columns]
    fields = [
        pa.field(
            info["name"],
            array.type,
            metadata={
                "logicalType": info["type"].upper(),
                "precision": str(info["precision"] or 38),
                "scale": str(info["scale"] or 0),
                "charLength": str(info["length"] or 0),
            },
        )
        for array, info in zip(arrays, rowtype, strict=True)
    ]
    return pa.Table.from_arrays(arrays, schema=pa.schema(fields))


def stream_bytes(table: pa.Table) -> bytes:
    """An Arrow stream."""
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    return bytes(sink.getvalue())


def inline(table: pa.Table) -> str:
    """An Arrow stream in base64, as the first chunk travels."""
    return base64.b64encode(stream_bytes(table)).decode()


def chunks(table: pa.Table) -> tuple[pa.Table, list[pa.Table]]:
    """(what travels in the answer, what the client fetches afterwards)."""
    first = table.slice(0, FIRST_CHUNK_ROWS)
    rest = [table.slice(at, CHUNK_ROWS) for at in range(FIRST_CHUNK_ROWS, table.num_rows, CHUNK_ROWS)]
    return first, rest


def json_value(value: Any) -> str | None:
    """A value as a JSON rowset has it."""
    if value is None:
        return None
    if isinstance(value, bool):
        return "1" if value else "0"
    return str(value)
