"""The log: one JSON object per line on standard output."""

from __future__ import annotations

import json
import logging
import sys
import time
from typing import Any

_LOGGER = logging.getLogger("weather_warehouse")


class _JsonLines(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, Any] = {
            "time": time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created)) + f".{int(record.msecs):03d}Z",
            "level": record.levelname,
            "event": record.getMessage(),
        }
        if record.name != _LOGGER.name:
            line["logger"] = record.name
        line.update(getattr(record, "fields", {}))
        if record.exc_info:
            line["traceback"] = self.formatException(record.exc_info)
        return json.dumps(line, default=str, ensure_ascii=False)


def start(level: str) -> None:
    """Send the log of this process, libraries included, to standard output from `level` on."""
    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(_JsonLines())
    logging.basicConfig(level=logging.WARNING, handlers=[handler], force=True)
    _LOGGER.setLevel(level)


def info(event: str, **fields: Any) -> None:
    """Log an event of the normal course."""
    _LOGGER.info(event, extra={"fields": fields})


def warning(event: str, **fields: Any) -> None:
    """Log an event that somebody may have to look at."""
    _LOGGER.warning(event, extra={"fields": fields})


def error(event: str, error: BaseException, **fields: Any) -> None:
    """Log a failure with its type and its message; the traceback only at level DEBUG."""
    trace = error if _LOGGER.isEnabledFor(logging.DEBUG) else None
    fields |= {"error": type(error).__name__, "message": str(error).strip()}
    _LOGGER.error(event, exc_info=trace, extra={"fields": fields})
