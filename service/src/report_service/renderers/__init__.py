"""From Arrow batches to a file, one module a format."""

from __future__ import annotations

import importlib

from report_service.catalogue import Definition, OutputFormat
from report_service.renderers.renderer import Column, Renderer, ReportFacts, facts_of, resolve_columns, shown_parameters

_RENDERERS = {
    OutputFormat.CSV: ("csv_file", "CsvRenderer"),
    OutputFormat.EXCEL: ("excel_file", "ExcelRenderer"),
    OutputFormat.JSON: ("json_file", "JsonRenderer"),
    OutputFormat.PARQUET: ("parquet_file", "ParquetRenderer"),
    OutputFormat.PDF: ("pdf_file", "PdfRenderer"),
}


def renderer_for(output: OutputFormat, definition: Definition) -> Renderer:
    """Return the renderer of a format; its libraries are loaded now, for a worker that wakes must claim first."""
    module, name = _RENDERERS[output]
    kind = getattr(importlib.import_module(f"{__name__}.{module}"), name)
    renderer: Renderer = kind(definition.csv) if output is OutputFormat.CSV else kind()
    return renderer


__all__ = ["Column", "Renderer", "ReportFacts", "facts_of", "renderer_for", "resolve_columns", "shown_parameters"]
