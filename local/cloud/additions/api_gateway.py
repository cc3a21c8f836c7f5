"""The host names of APIs."""

from __future__ import annotations

import re

from local.cloud.additions.patching import require

# What AWS names an API, with or without the stand-in's port: <id>.execute-api.<region>.amazonaws.com
HOST = re.compile(r"^([a-z0-9]+)\.execute-api\.[\w.-]+?(?::\d+)?$")


def apply() -> None:
    """ministack knows an API by a host name of its own, AWS by <id>.execute-api.<region>.amazonaws.com: both now."""
    from ministack import app

    require(app, "_EXECUTE_API_RE")
    app._EXECUTE_API_RE = HOST
