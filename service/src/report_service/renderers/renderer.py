"""What every renderer takes, and the one method that it has."""

from __future__ import annotations

import datetime
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from io import BufferedIOBase
from typing import Protocol

import pyarrow as pa

from report_service.catalogue import SUMMED, Chart, ColumnKind, Definition
from report_service.parameters import Value
from report_service.requests import Request


@dataclass(frozen=True)
class Column:
    """A result column and how people read it."""

    name: str
    label: str
    kind: ColumnKind
    decimals: int
    total: bool = False

    @property
    def is_number(self) -> bool:
        """Tell whether values are right-aligned numbers."""
        return self.kind in ("integer", "decimal", "money", "percent")


@dataclass(frozen=True)
class ReportFacts:
    """What a file says about itself."""

    name: str
    title: str
    description: str
    source: str
    parameters: tuple[tuple[str, str], ...]
    generated_at: datetime.datetime  # UTC
    requested_by: str
    config_id: int
    chart: Chart | None = None


_NUMBERS: tuple[ColumnKind, ...] = ("integer", "decimal", "money", "percent", "text")
_FITTING: dict[ColumnKind, tuple[ColumnKind, ...]] = {
    "integer": _NUMBERS,
    "decimal": _NUMBERS,
    "date": ("date",),
    "datetime": ("datetime", "date"),
    "text": ("text",),
}


class Renderer(Protocol):
    """Writes one file format."""

    extension: str

    @property
    def media_type(self) -> str:
        """The file's type, for S3 and for the e-mail that it is attached to."""

    def write(
        self, facts: ReportFacts, columns: Sequence[Column], batches: Iterator[pa.RecordBatch], file: BufferedIOBase
    ) -> int:
        """Write all batches, one at least, to `file`, which cannot seek, and return the number of rows."""


def resolve_columns(definition: Definition, schema: pa.Schema) -> list[Column]:
    """Join a report's column formats with the columns that its query really returned."""
    columns = []
    for field in schema:
        declared = definition.columns.get(field.name.upper())
        natural = _natural_kind(field.type)
        wanted = declared.kind if declared else None
        # A format that does not fit the values is of no use; the values decide.
        kind = wanted if wanted in _FITTING[natural] else natural
        label = (declared and declared.label) or field.name.replace("_", " ").capitalize()
        decimals = declared.decimals if declared and declared.decimals is not None else _decimals(kind, field.type)
        total = bool(declared and declared.total) and kind in SUMMED
        columns.append(Column(field.name, label, kind, decimals, total))
    return columns


def facts_of(request: Request, *, config_id: int, requested_by: object, generated_at: datetime.datetime) -> ReportFacts:
    """Return what a report says about itself, in its file and in the message that brings it."""
    report = request.report
    return ReportFacts(
        name=report.name,
        title=report.definition.title,
        description=report.definition.description,
        source=report.definition.source,
        parameters=shown_parameters(request),
        generated_at=generated_at,
        requested_by=str(requested_by or "unknown"),
        config_id=config_id,
        chart=report.definition.chart,
    )


def shown_parameters(request: Request) -> tuple[tuple[str, str], ...]:
    """Return title and value of each parameter, as people read them."""
    declared = request.report.definition.parameters
    return tuple((parameter.title, _shown(request.parameters[parameter.name])) for parameter in declared)


def _shown(value: Value) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return str(value).removesuffix(".0") if isinstance(value, float) else str(value)


def _natural_kind(kind: pa.DataType) -> ColumnKind:
    if pa.types.is_integer(kind):
        return "integer"
    if pa.types.is_decimal(kind):
        return "decimal" if kind.scale else "integer"
    if pa.types.is_floating(kind):
        return "decimal"
    if pa.types.is_date(kind):
        return "date"
    return "datetime" if pa.types.is_timestamp(kind) else "text"


def _decimals(kind: ColumnKind, arrow: pa.DataType) -> int:
    if kind == "decimal":
        return min(arrow.scale, 6) if pa.types.is_decimal(arrow) else 2
    return {"money": 2, "percent": 1}.get(kind, 0)
