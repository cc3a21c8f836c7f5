"""The host names and paths of APIs."""

from __future__ import annotations

import re

from local.cloud.additions.patching import require

# What AWS names an API, with or without the stand-in's port: <id>.execute-api.<region>.amazonaws.com
HOST = re.compile(r"^([a-z0-9]+)\.execute-api\.[\w.-]+?(?::\d+)?$")


def apply() -> None:
    """ministack knows an API by a host name of its own, AWS by <id>.execute-api.<region>.amazonaws.com: both now.

    It also answers /health of every host itself, which on AWS is the API's own path.
    """
    from ministack import app

    require(app, "_EXECUTE_API_RE", "_HEALTH_PATHS")
    app._EXECUTE_API_RE = HOST
    app._HEALTH_PATHS = tuple(path for path in app._HEALTH_PATHS if path.startswith("/_"))
