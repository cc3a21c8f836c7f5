"""Starts the weather warehouse's roles as processes of their own, and reads what they tell."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from contextlib import contextmanager
from pathlib import Path

from local.processes import free_port

ROOT = Path(__file__).resolve().parents[2]
ROWS = "SELECT * FROM observation ORDER BY station, date"


def ingest(*options, **changes):
    """Run an ingestion to its end; gives its exit code and the entries of its log."""
    command = [sys.executable, "-m", "weather_warehouse", "ingest", *options]
    run = subprocess.run(command, env=os.environ | changes, capture_output=True, text=True, timeout=120)
    assert not run.stderr, run.stderr
    return run.returncode, [json.loads(line) for line in run.stdout.splitlines()]


def entry(log, event):
    """The one entry of an event."""
    (found,) = (line for line in log if line["event"] == event)
    return found


@contextmanager
def web(folder, **changes):
    """The web role's process, by its address; it must end well after SIGTERM, and its log is in `folder`."""
    port = free_port()
    environment = os.environ | {"PORT": str(port), "WEB_HOST": "127.0.0.1"} | changes
    with (folder / "web.log").open("w") as output:
        command = [sys.executable, "-m", "weather_warehouse", "web"]
        process = subprocess.Popen(command, env=environment, stdout=output, stderr=subprocess.STDOUT)
    try:
        _wait(f"http://127.0.0.1:{port}/api/health", process, folder / "web.log")
        yield f"http://127.0.0.1:{port}"
        process.send_signal(signal.SIGTERM)
        assert process.wait(40) == 0, (folder / "web.log").read_text()[-3000:]
    finally:
        process.kill()
        process.wait()


def _wait(url, process, log):
    until = time.monotonic() + 30
    while True:
        try:
            urllib.request.urlopen(url, timeout=5).close()
            return
        except (urllib.error.URLError, ConnectionError):
            if process.poll() is not None or time.monotonic() > until:
                raise RuntimeError(f"the web role did not start:\n{log.read_text()[-3000:]}") from None
            time.sleep(0.05)
