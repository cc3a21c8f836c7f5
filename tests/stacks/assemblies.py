"""The names of what the application synthesises."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

STACKS = ("Network", "Secrets", "Image", "ReportService", "Trigger", "Snowflake")
ENVIRONMENTS = ("dev", "local", "prod", "staging")

Synthesise = Callable[..., Path]
