"""From Arrow batches to a file, one module a format."""

from __future__ import annotations

import importlib
from functools import cache

from report_service.catalogue import OutputFormat
from report_service.renderers.renderer import Column, Renderer, ReportFacts, facts_of, resolve_columns

_RENDERERS = {
    OutputFormat.CSV: ("csv_file", "CsvRenderer"),
    OutputFormat.EXCEL: ("excel_file", "ExcelRenderer"),
    OutputFormat.PDF: ("pdf_file", "PdfRenderer"),
}


@cache
def renderer_for(output: OutputFormat) -> Renderer:
    """Return the renderer of a format; its libraries are loaded now, for a worker that wakes must claim first."""
    module, name = _RENDERERS[output]
    renderer: Renderer = getattr(importlib.import_module(f"{__name__}.{module}"), name)()
    return renderer


__all__ = ["Column", "Renderer", "ReportFacts", "facts_of", "renderer_for", "resolve_columns"]
