"""From Arrow batches to a file, one module a format."""

from __future__ import annotations

from report_service.catalogue import OutputFormat
from report_service.renderers.csv_file import CsvRenderer
from report_service.renderers.excel_file import ExcelRenderer
from report_service.renderers.pdf_file import PdfRenderer
from report_service.renderers.renderer import Column, Renderer, ReportFacts, resolve_columns

RENDERERS: dict[OutputFormat, Renderer] = {
    OutputFormat.CSV: CsvRenderer(),
    OutputFormat.EXCEL: ExcelRenderer(),
    OutputFormat.PDF: PdfRenderer(),
}

__all__ = ["RENDERERS", "Column", "Renderer", "ReportFacts", "resolve_columns"]
