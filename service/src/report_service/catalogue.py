"""The report catalogue: reports/<name>/report.toml and query.sql, all of them checked when they are loaded."""

from __future__ import annotations

import difflib
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, ValidationInfo, field_validator, model_validator

from report_service.errors import ErrorCode, RequestError
from report_service.parameters import Parameter
from report_service.query_text import QueryText, parse_query, qualified_names

_NAME = re.compile(r"[a-z][a-z0-9]*(_[a-z0-9]+)*")
ColumnKind = Literal["text", "integer", "decimal", "money", "percent", "date", "datetime"]
SUMMED: tuple[ColumnKind, ...] = ("integer", "decimal", "money")  # a sum of percentages says nothing


class CatalogueError(Exception):
    """Every wrong report folder of a catalogue, a line each: file, key, what was given, what is allowed."""


class OutputFormat(StrEnum):
    """The file formats that there are renderers for."""

    CSV = "CSV"
    EXCEL = "EXCEL"
    JSON = "JSON"
    PARQUET = "PARQUET"
    PDF = "PDF"


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class Column(_Part):
    """How a result column is shown in EXCEL and PDF: `label` defaults to its name in words, `total` is a sum below."""

    label: str | None = None
    kind: ColumnKind | None = None
    decimals: int | None = Field(default=None, ge=0, le=10)
    total: bool = False

    @field_validator("total")
    @classmethod
    def _of_numbers(cls, total: bool, others: ValidationInfo) -> bool:
        kind = others.data.get("kind", SUMMED[0])  # a wrong one is told by itself
        if total and kind not in SUMMED:
            raise ValueError(f"is true, and kind is {kind or 'missing'}; a total needs one of {', '.join(SUMMED)}")
        return total


class Chart(_Part):
    """A chart on the PDF's first page: a category column and value columns, or one value column split by `series`."""

    kind: Literal["bar", "line"]
    title: str
    category: str
    values: tuple[str, ...] = Field(min_length=1, max_length=4, strict=False)
    series: str | None = None

    @model_validator(mode="after")
    def _one_value_when_split(self) -> Chart:
        if self.series and len(self.values) != 1:
            raise ValueError("a chart with series has exactly one column in values")
        return self


class CsvForm(_Part):
    """How CSV is written; `utf-8-sig` is UTF-8 with a byte order mark, by which Excel knows it."""

    delimiter: Literal[",", ";", "\t", "|"] = ","
    encoding: Literal["utf-8", "utf-8-sig", "utf-16", "windows-1252", "iso-8859-1"] = "utf-8"

    @property
    def marked(self) -> bool:
        """Whether the file begins with a byte order mark."""
        return self.encoding in ("utf-8-sig", "utf-16")

    @property
    def unmarked(self) -> str:
        """Python's name of the encoding of what follows the mark."""
        return {"utf-8-sig": "utf-8", "utf-16": "utf-16-le"}.get(self.encoding, self.encoding)


class Limits(_Part):
    """What a report may take: rows of its result, bytes of its file, seconds from claim to file.

    A report beyond it fails with TOO_MANY_ROWS, FILE_TOO_LARGE or TOO_SLOW; it is never cut.
    """

    rows: int = Field(default=5_000_000, ge=1)
    pdf_rows: int = Field(default=20_000, ge=1)
    bytes: int = Field(default=5_000_000_000, ge=1, le=80_000_000_000)
    seconds: float = Field(default=3600, gt=0, le=86_400, strict=False)


class Definition(_Part):
    """The form of a report.toml."""

    # One line: it is the subject of e-mails too.
    title: str = Field(min_length=1, max_length=120, pattern=r"^[^\p{Cc}\p{Zl}\p{Zp}]*$")
    description: str = Field(min_length=1, max_length=500)
    source: str = Field(pattern=r"^[A-Za-z_][\w$]*(\.[A-Za-z_][\w$]*){1,2}$")
    formats: tuple[Annotated[OutputFormat, Field(strict=False)], ...] = Field(
        default=tuple(OutputFormat), min_length=1, strict=False
    )
    parameters: tuple[Parameter, ...] = Field(default=(), strict=False)
    columns: dict[str, Column] = Field(default_factory=dict)
    chart: Chart | None = None
    csv: CsvForm = CsvForm()
    limits: Limits = Limits()

    @field_validator("columns")
    @classmethod
    def _column_names_in_capitals(cls, columns: dict[str, Column]) -> dict[str, Column]:
        return {name.upper(): column for name, column in columns.items()}

    @model_validator(mode="after")
    def _names_are_known(self) -> Definition:
        names = [parameter.name for parameter in self.parameters]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise ValueError(f"parameters declares {', '.join(twice)} more than once")
        dates = {parameter.name for parameter in self.parameters if parameter.type == "date"}
        for parameter in self.parameters:
            if parameter.not_after and parameter.not_after not in dates - {parameter.name}:
                raise ValueError(
                    f"not_after of {parameter.name} is {parameter.not_after!r}; no other date parameter has that name"
                )
        return self


@dataclass(frozen=True)
class Report:
    """One report of the catalogue."""

    name: str
    definition: Definition
    query: QueryText

    def row_limit(self, output: OutputFormat) -> int:
        """Return the most rows that a file of this format may have."""
        limits = self.definition.limits
        return min(limits.rows, limits.pdf_rows) if output is OutputFormat.PDF else limits.rows


class Catalogue(Mapping[str, Report]):
    """All reports by name."""

    def __init__(self, reports: dict[str, Report]) -> None:
        self._reports = reports

    def __getitem__(self, name: str) -> Report:
        """Return the report of exactly this name."""
        return self._reports[name]

    def __iter__(self) -> Any:
        """Iterate over the names."""
        return iter(self._reports)

    def __len__(self) -> int:
        """Return the number of reports."""
        return len(self._reports)

    def find(self, given: Any) -> Report:
        """Return the report that a request names, in any case; raises RequestError with what there is."""
        name = given.strip().lower() if isinstance(given, str) else ""
        if name in self._reports:
            return self._reports[name]
        near = difflib.get_close_matches(name, self._reports, n=1)
        hint = f" Did you mean {near[0]}?" if near else ""
        raise RequestError(
            ErrorCode.UNKNOWN_REPORT,
            f"There is no report {str(given)[:80]!r}; there are {', '.join(self._reports)}.{hint}",
            field="REPORT_NAME",
        )


def load_catalogue(directory: Path) -> Catalogue:
    """Load every report folder of `directory`; raises CatalogueError with all that is wrong at once."""
    if not directory.is_dir():
        raise CatalogueError(f"{directory} is not a directory; it must hold one folder for each report.")
    reports: dict[str, Report] = {}
    wrong: list[str] = []
    for folder in sorted(
        path for path in directory.iterdir() if path.is_dir() and not path.name.startswith((".", "__"))
    ):
        try:
            reports[folder.name] = _load_report(folder)
        except CatalogueError as error:
            wrong.append(str(error))
    if not reports and not wrong:
        wrong.append(f"{directory} holds no report; at least one folder with report.toml and query.sql is needed.")
    if wrong:
        raise CatalogueError("\n".join(wrong))
    return Catalogue(reports)


def _load_report(folder: Path) -> Report:
    if not _NAME.fullmatch(folder.name):
        raise CatalogueError(f"{folder}: the name of a report is lower snake case, like sales_report.")
    toml, sql = folder / "report.toml", folder / "query.sql"
    try:
        definition = Definition.model_validate(tomllib.loads(_read(toml)))
    except tomllib.TOMLDecodeError as error:
        raise CatalogueError(f"{toml}: {error}") from None
    except ValidationError as error:
        raise CatalogueError("\n".join(_line(toml, details) for details in error.errors())) from None
    try:
        query = parse_query(_read(sql))
    except ValueError as error:
        raise CatalogueError(f"{sql}: {error}") from None
    _check_query(definition, query, toml, sql)
    return Report(folder.name, definition, query)


def _check_query(definition: Definition, query: QueryText, toml: Path, sql: Path) -> None:
    declared = {parameter.name for parameter in definition.parameters}
    used = set(query.names)
    if used - declared:
        raise CatalogueError(f"{sql}: :{min(used - declared)} is not declared under parameters in {toml.name}.")
    if declared - used:
        raise CatalogueError(
            f"{toml}: parameters: {min(declared - used)} is never used in {sql.name} as :{min(declared - used)}."
        )
    chart = definition.chart
    for key, name in [
        *(("columns", name) for name in definition.columns),
        *(("chart", name) for name in ((chart.category, *chart.values, chart.series) if chart else ()) if name),
    ]:
        if not re.search(rf"\b{re.escape(name)}\b", query.sql, re.IGNORECASE):
            raise CatalogueError(f"{toml}: {key}: {sql.name} has no column {name}.")
    if f"{definition.source}.".upper() not in query.sql.upper():
        raise CatalogueError(
            f"{toml}: source: {sql.name} does not read {definition.source}; it names tables in full, "
            f"as in FROM {definition.source}.NAME."
        )
    for name in qualified_names(query.sql):
        if not f"{name}.".upper().startswith(f"{definition.source}.".upper()):
            raise CatalogueError(f"{toml}: source: {sql.name} reads {name}, which is not in {definition.source}.")


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise CatalogueError(f"{path} is missing; a report has report.toml and query.sql.") from None
    except UnicodeDecodeError as error:
        raise CatalogueError(f"{path} is not UTF-8: {error}.") from None


def _line(path: Path, details: Any) -> str:
    key = ".".join(str(part) for part in details["loc"]) or "(whole file)"
    message = details["msg"].removeprefix("Value error, ")
    if details["type"] == "missing":
        return f"{path}: {key}: is missing; it is required."
    if details["type"] == "value_error":
        return f"{path}: {key}: {message.removesuffix('.')}."
    if details["type"] == "extra_forbidden":
        return f"{path}: {key}: no such key is allowed here."
    return f"{path}: {key}: is {str(details['input'])[:80]!r}; {message[:1].lower()}{message[1:]}."
