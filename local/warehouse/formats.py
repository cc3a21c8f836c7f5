"""Snowflake's date and time formats in the form of strftime."""

from __future__ import annotations

import re

from local.warehouse.errors import unsupported

_ELEMENTS = {
    "YYYY": "%Y", "YY": "%y", "MMMM": "%B", "MON": "%b", "MM": "%m", "DD": "%d", "DY": "%a", "HH24": "%H", "HH12": "%I",
    "AM": "%p", "PM": "%p", "MI": "%M", "SS": "%S", "FF3": "%g", "FF6": "%f", "FF9": "%n", "FF": "%n",
}  # fmt: skip
_PATTERN = re.compile("|".join(sorted(_ELEMENTS, key=len, reverse=True)) + r'|"[^"]*"|[^A-Za-z0-9]', re.IGNORECASE)


def to_strftime(text: str) -> str:
    """The format for strftime. Raises 000002 for an element that is not known here, numeric formats among them."""
    found, at = [], 0
    while at < len(text):
        match = _PATTERN.match(text, at)
        if match is None:
            raise unsupported(f"format element '{text[at:]}'")
        element = match[0]
        if element.startswith('"'):
            found.append(element[1:-1].replace("%", "%%"))
        else:
            found.append(_ELEMENTS.get(element.upper(), element.replace("%", "%%")))
        at = match.end()
    return "".join(found)
