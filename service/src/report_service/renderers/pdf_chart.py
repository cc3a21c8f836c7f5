"""The chart on the first page of the PDF."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import pyarrow as pa
from reportlab.graphics.charts.barcharts import VerticalBarChart
from reportlab.graphics.charts.legends import Legend
from reportlab.graphics.charts.linecharts import HorizontalLineChart
from reportlab.graphics.shapes import Drawing, String
from reportlab.lib.colors import HexColor

from report_service.catalogue import Chart
from report_service.errors import ErrorCode, ReportError
from report_service.renderers.pdf_fonts import BOLD, REGULAR, Typesetter, face
from report_service.renderers.renderer import Column

HEIGHT = 200.0
_COLORS = [
    HexColor(code) for code in ("#2F6DB5", "#E08E2B", "#3C9D6B", "#B8475B", "#7A5BA6", "#5F7482", "#A3922B", "#2BA3A3")
]
_MAX_CATEGORIES = 40
_LINE = 14.0
_SLANTED = 14.0  # points that a slanted label takes of the axis
_LONGEST = 66.0  # points; a longer slanted label would reach into the table
_SWATCH = 28.0  # what a label of the legend takes beside its text
_INK = HexColor("#1F2933")
_NULL = "(none)"  # a category or series without a value


def draw_chart(
    chart: Chart, rows: pa.Table, columns: Sequence[Column], width: float, typesetter: Typesetter, *, whole: bool
) -> Drawing | None:
    """Return the chart of the first `rows`, or None if there is nothing to draw.

    Its title says what it leaves out; rows that come after these, unless they are the `whole` result, too. Raises
    ReportError for values that are no numbers.
    """
    names = {column.name.upper(): index for index, column in enumerate(columns)}
    wanted = [chart.category, *chart.values, *([chart.series] if chart.series else [])]
    if rows.num_rows == 0 or any(name.upper() not in names for name in wanted):
        return None
    for name in chart.values:
        _refuse_what_is_no_number(name, rows.column(names[name.upper()]).type)
    categories, series, hidden = _series(chart, rows, columns, names)
    left_out = [] if whole else [f"of the first {rows.num_rows:,} rows"]
    if hidden:
        left_out.append(f"{hidden:,} values are behind later ones of their place")
    if len(categories) > _MAX_CATEGORIES:
        left_out.append(f"the first {_MAX_CATEGORIES} of {len(categories)}")
        categories = categories[:_MAX_CATEGORIES]
        series = {label: values[:_MAX_CATEGORIES] for label, values in series.items()}
    if len(series) > len(_COLORS):
        left_out.append(f"{len(_COLORS)} of {len(series)} series")
        series = dict(list(series.items())[: len(_COLORS)])
    drawing = Drawing(width, HEIGHT)
    title = f"{chart.title} ({', '.join(left_out)})" if left_out else chart.title
    font, (title,) = typesetter.in_one_font([title], BOLD)
    drawing.add(String(0, HEIGHT - 12, title, fontName=font, fontSize=10, fillColor=_INK))
    legend = _legend(*typesetter.in_one_font(list(series)), width)
    if face(font).width(title, 10) + _width(legend) > width:  # it goes below the title
        legend.y -= _LINE
    drawing.add(_plot(chart, *typesetter.in_one_font(categories), list(series.values()), width, legend.y - 24))
    drawing.add(legend)
    return drawing


def _refuse_what_is_no_number(name: str, kind: pa.DataType) -> None:
    if not (pa.types.is_integer(kind) or pa.types.is_decimal(kind) or pa.types.is_floating(kind)):
        text = f"The chart has column {name} in its values, which is of type {kind}; numbers are allowed."
        raise ReportError(ErrorCode.QUERY_FAILED, text, retry=False)


def _series(
    chart: Chart, rows: pa.Table, columns: Sequence[Column], names: dict[str, int]
) -> tuple[list[str], dict[str, list[float | None]], int]:
    """Return the categories, the values of each series, and how many of those another of the same place hides."""

    def values(name: str) -> list[Any]:
        listed: list[Any] = rows.column(names[name.upper()]).to_pylist()
        return listed

    given = _categories(values(chart.category))
    categories = list(dict.fromkeys(given))
    place = {category: index for index, category in enumerate(categories)}
    series: dict[str, list[float | None]] = {}
    hidden = 0
    for name in chart.values:
        label = columns[names[name.upper()]].label
        split = list(map(_name, values(chart.series))) if chart.series else [label] * len(given)
        for category, part, value in zip(given, split, values(name), strict=True):
            line = series.setdefault(part, [None] * len(categories))
            hidden += line[place[category]] is not None
            line[place[category]] = None if value is None or not math.isfinite(value) else float(value)
    return categories, series, hidden


def _categories(values: list[Any]) -> list[str]:
    """Return the texts of categories; days that are all the first of a month are months."""
    days = [value for value in values if value is not None]
    if days and all(getattr(value, "day", None) == 1 for value in days):
        return [_NULL if value is None else value.isoformat()[:7] for value in values]
    return list(map(_name, values))


def _name(value: Any) -> str:
    return _NULL if value is None else str(value)


def _plot(
    chart: Chart, font: str, categories: list[str], data: list[list[float | None]], width: float, top: float
) -> Any:
    plot = VerticalBarChart() if chart.kind == "bar" else HorizontalLineChart()
    slanted = sum(map(len, categories)) * 4.2 > width - 70
    bottom = 50 if slanted else 22
    plot.x, plot.y, plot.width, plot.height = 46, bottom, width - 56, top - bottom
    plot.data = data
    every = math.ceil(len(categories) * _SLANTED / plot.width) if slanted else 1
    plot.categoryAxis.categoryNames = [
        "" if index % every else face(font).fit(category, 7, _LONGEST) for index, category in enumerate(categories)
    ]
    plot.categoryAxis.labels.fontName, plot.valueAxis.labels.fontName = font, REGULAR
    plot.categoryAxis.labels.fontSize = plot.valueAxis.labels.fontSize = 7
    plot.categoryAxis.strokeColor = plot.valueAxis.strokeColor = HexColor("#9FB3C8")
    plot.categoryAxis.visibleTicks = 0
    if slanted:
        plot.categoryAxis.labels.angle, plot.categoryAxis.labels.boxAnchor = 40, "ne"
        plot.categoryAxis.labels.dy = -2
    numbers = [value for line in data for value in line if value is not None]
    axis = plot.valueAxis
    axis.valueMin, axis.valueMax, axis.valueStep = _scale(min([0.0, *numbers]), max([0.0, *numbers]))
    plot.valueAxis.labelTextFormat = _short
    plot.valueAxis.visibleGrid, plot.valueAxis.gridStrokeColor = 1, HexColor("#E4EBF1")
    parts = plot.bars if chart.kind == "bar" else plot.lines
    for index in range(len(data)):
        parts[index].strokeColor = None if chart.kind == "bar" else _COLORS[index]
        if chart.kind == "bar":
            parts[index].fillColor = _COLORS[index]
        else:
            parts[index].strokeWidth = 1.4
    if chart.kind == "bar":
        plot.groupSpacing, plot.barSpacing = 6, 0.5
    return plot


def _scale(low: float, high: float) -> tuple[float, float, float]:
    """Return least value, greatest value and step of an axis of round steps with room above the greatest value."""
    rough = (high - low) / 5 or 1.0
    power: float = 10.0 ** math.floor(math.log10(rough))
    step = next((factor * power for factor in (1, 2, 2.5, 5) if factor * power >= rough), 10 * power)
    top = (math.floor(high / step) + 1) * step if high > 0 or low == 0 else 0.0
    return math.floor(low / step) * step, top, step


def _legend(font: str, labels: list[str], width: float) -> Legend:
    legend = Legend()
    legend.x, legend.y, legend.boxAnchor = width, HEIGHT - 4, "ne"
    legend.fontName, legend.fontSize, legend.fillColor = font, 7.5, _INK
    legend.columnMaximum, legend.alignment = 1, "right"
    legend.dx = legend.dy = 6
    legend.deltax, legend.dxTextSpace, legend.autoXPadding = 10, 4, 8
    legend.strokeWidth, legend.strokeColor = 0, None  # a width of 0 alone is a hairline
    room = width / len(labels) - _SWATCH
    shown = [face(font).fit(label, legend.fontSize, room) for label in labels]
    legend.colorNamePairs = list(zip(_COLORS, shown, strict=False))
    return legend


def _width(legend: Legend) -> float:
    """Return an upper bound of a legend's width."""
    widths = (face(legend.fontName).width(label, legend.fontSize) + _SWATCH for _, label in legend.colorNamePairs)
    return sum(widths)


def _short(value: float) -> str:
    for limit, letter in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if abs(value) >= limit:
            return f"{value / limit:,.4g} {letter}"
    return f"{value:,.4g}"
