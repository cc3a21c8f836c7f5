"""A report's result as it streams from Snowflake: Arrow batches of known types, counted against the report's limit."""

from __future__ import annotations

import datetime
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.compute as pc
from snowflake.connector.errors import Error as SnowflakeError

from report_service.errors import ErrorCode, ReportError
from report_service.requests import Request
from report_service.warehouse import UnreadableError, Warehouse, session_is_gone

_FIRST_DAY, _LAST_DAY = (
    (day - datetime.date(1970, 1, 1)).days for day in (datetime.date.min, datetime.date.max)
)  # as Arrow counts
_TICKS = {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}  # of a timestamp, a second
_WIDER = "like ::TIMESTAMP_NTZ(6) for times after 2262 or ::VARCHAR for long numbers"
# What a renderer takes at a time, several times as large on its way into a file.
_BATCH_ROWS, _BATCH_BYTES = 10_000, 16 * 1024**2


@dataclass(frozen=True)
class Result:
    """Columns, and the batches that can be read once: one at least, without rows if there are none."""

    schema: pa.Schema
    batches: Iterator[pa.RecordBatch]


@contextmanager
def open_result(
    warehouse: Warehouse, request: Request, *, query_tag: str, still_wanted: Callable[[], None]
) -> Iterator[Result]:
    """Run a request's query and yield its result; `still_wanted` is called before each batch and may raise.

    Raises ReportError QUERY_FAILED with Snowflake's or the connector's message, and TOO_MANY_ROWS as soon as the limit
    is passed.
    """
    query = request.report.query
    try:
        with warehouse.batches(query.sql, query.values(request.parameters), query_tag=query_tag) as tables:
            first = next(tables)
            schema = _schema(first.schema, request.report.name)
            yield Result(schema, _batches(first, tables, schema, request, still_wanted))
    except UnreadableError as error:
        which = f"cast {', '.join(error.columns)}" if error.columns else "cast it"
        message = f"The result of {request.report.name} cannot be read: {error} query.sql must {which}, {_WIDER}."
        raise ReportError(ErrorCode.QUERY_FAILED, message, retry=False) from error
    except SnowflakeError as error:
        reason = "the session with Snowflake was lost." if session_is_gone(error) else _message(error)
        raise ReportError(ErrorCode.QUERY_FAILED, f"The query of {request.report.name} failed: {reason}") from error


def _batches(
    first: pa.Table, rest: Iterator[pa.Table], schema: pa.Schema, request: Request, still_wanted: Callable[[], None]
) -> Iterator[pa.RecordBatch]:
    limit = request.report.row_limit(request.output)
    count = 0
    if not first.num_rows:
        yield pa.RecordBatch.from_pylist([], schema)  # of a table without rows Arrow makes no batch
    for table in _chain(first, rest):
        still_wanted()
        count += table.num_rows
        if count > limit:
            raise ReportError(ErrorCode.TOO_MANY_ROWS, _too_many(request, limit), retry=False)
        _check_years(table, request.report.name)
        yield from _cut(_cast(table, schema, request.report.name))


def _cut(table: pa.Table) -> list[pa.RecordBatch]:
    """Cut a table so that a batch is small, be it of many rows or of long ones."""
    rows = _BATCH_BYTES * table.num_rows // max(table.nbytes, 1)
    batches: list[pa.RecordBatch] = table.to_batches(max_chunksize=max(1, min(_BATCH_ROWS, rows)))
    return batches


def _cast(table: pa.Table, schema: pa.Schema, report: str) -> pa.Table:
    """Give a table the types of the first: the connector takes those of whole numbers and times from their values."""
    columns = []
    for field, column in zip(schema, table.columns, strict=True):
        try:
            columns.append(column.cast(field.type))
        except pa.ArrowInvalid as error:
            raise ReportError(
                ErrorCode.QUERY_FAILED,
                f"Column {field.name} of {report} begins as {field.type} and goes on as {column.type}: {error}; "
                f"query.sql must cast it, {_WIDER}.",
                retry=False,
            ) from error
    return pa.Table.from_arrays(columns, schema=schema)


def _check_years(table: pa.Table, report: str) -> None:
    """Refuse a date that no calendar of a reader has: Snowflake computes beyond the years that it documents."""
    for name, column in zip(table.schema.names, table.columns, strict=True):
        if pa.types.is_date32(column.type):
            counts, a_day = pa.int32(), 1
        elif pa.types.is_timestamp(column.type):
            counts, a_day = pa.int64(), 86_400 * _TICKS[column.type.unit]
        else:
            continue
        low, high = pc.min_max(column.cast(counts)).as_py().values()
        if low is not None and not _FIRST_DAY * a_day <= low <= high < (_LAST_DAY + 1) * a_day:
            raise ReportError(
                ErrorCode.QUERY_FAILED,
                f"Column {name} of {report} holds a date outside of the years 1 to 9999; query.sql must leave it out.",
                retry=False,
            )


def _too_many(request: Request, limit: int) -> str:
    report = request.report
    roomier = [output for output in report.definition.formats if report.row_limit(output) > limit]
    other = f", or ask for {' or '.join(roomier)}, up to {report.row_limit(roomier[0]):,}" if roomier else ""
    return f"{report.name} as {request.output} has more than {limit:,} rows, its limit; narrow its parameters{other}."


def _chain(first: pa.Table, rest: Iterator[pa.Table]) -> Iterator[pa.Table]:
    yield first
    yield from rest


def _schema(schema: pa.Schema, report: str) -> pa.Schema:
    """Widen what differs between batches, and refuse what no file format can hold."""
    twice = [name for name in schema.names if schema.names.count(name) > 1]
    if twice:
        raise ReportError(
            ErrorCode.QUERY_FAILED,
            f"{report} has two columns {twice[0]}; query.sql must give each a name of its own (AS …).",
            retry=False,
        )
    fields = []
    for field in schema:
        kind = field.type
        if pa.types.is_integer(kind):
            kind = pa.int64()
        elif pa.types.is_timestamp(kind) and kind.tz:
            kind = pa.timestamp(kind.unit, "UTC")  # the same moment, whatever zone the session has
        elif pa.types.is_nested(kind) or pa.types.is_binary(kind) or pa.types.is_large_binary(kind):
            raise ReportError(
                ErrorCode.QUERY_FAILED,
                f"Column {field.name} of {report} is of type {kind}; query.sql must cast it to VARCHAR.",
                retry=False,
            )
        fields.append(pa.field(field.name, kind))
    return pa.schema(fields)


def _message(error: SnowflakeError) -> str:
    return f"{error.raw_msg or error} (query {error.sfqid})" if error.sfqid else str(error.raw_msg or error)
