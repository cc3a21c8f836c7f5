"""The container's health check; it imports nothing heavy, because it runs every half minute beside the reports."""

from __future__ import annotations

import os
import tempfile
import time
import urllib.request
from pathlib import Path

WORKER_FILE = Path(tempfile.gettempdir()) / "report-service-worker-alive"
_WORKER_SILENCE = 90.0  # seconds without a round: longer than the longest pause between two


def check_health() -> bool:
    """Tell whether the role in this container works: by the worker's last round, else by the web role's GET /health."""
    try:
        touched = Path(os.environ.get("HEALTH_FILE") or WORKER_FILE).stat().st_mtime
    except FileNotFoundError:
        return _web_answers()
    return time.time() - touched < _WORKER_SILENCE


def _web_answers() -> bool:
    url = f"http://127.0.0.1:{os.environ.get('PORT') or '8000'}/health"
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(url, timeout=4) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False
