"""Puts the web role together from the environment and serves it."""

from __future__ import annotations

import signal

import uvicorn

from weather_warehouse import log
from weather_warehouse.settings import WebSettings
from weather_warehouse.web.app import make_app
from weather_warehouse.web.database import Database

_KEEP_ALIVE_SECONDS = 75  # longer than a load balancer keeps a connection idle (60 s), or requests meet a closed one


def run_web(settings: WebSettings) -> None:
    """Serve until SIGTERM, after which requests that are under way have STOP_SECONDS."""
    log.start(settings.log_level)
    app = make_app(Database(settings), environment=settings.environment)
    log.info("web.started", port=settings.port)
    # uvicorn ends gracefully and then raises its signal again, which would cut off what follows.
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: None)
    uvicorn.run(
        app,
        host=settings.web_host,
        port=settings.port,
        log_config=None,
        access_log=False,
        server_header=False,
        timeout_keep_alive=_KEEP_ALIVE_SECONDS,
        timeout_graceful_shutdown=settings.stop_seconds,
    )
    log.info("web.stopped")
