"""Puts the web role together from the environment and serves it."""

from __future__ import annotations

import math
import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import uvicorn

from report_service import aws, log
from report_service.catalogue import load_catalogue
from report_service.login import login_source
from report_service.queue.report_queue import ReportQueue
from report_service.settings import WebSettings
from report_service.warehouse import BusyError, Warehouse, Warehouses
from report_service.web.app import make_app
from report_service.web.guard import TokenGuard
from report_service.web.tokens import FixedToken, Tokens, TokenSecret
from report_service.worker_role import open_warehouse

_KEEP_ALIVE_SECONDS = 75  # longer than a load balancer keeps a connection idle (60 s), or requests meet a closed one
_CLOSE_SECONDS = 3.0  # after the last answer; together with STOP_SECONDS less than Fargate's 30 s


def run_web(settings: WebSettings) -> None:
    """Serve until SIGTERM; Snowflake is reached with the first request that needs it, so /health answers at once."""
    catalogue = load_catalogue(settings.reports_directory)
    secret = login_source(settings)

    def connect() -> Warehouse:
        return open_warehouse(settings, secret, "web", query_seconds=math.ceil(settings.web_answer_seconds))

    warehouses = Warehouses(connect)
    places = threading.BoundedSemaphore(settings.web_connections)

    @contextmanager
    def open_queue() -> Iterator[ReportQueue]:
        # Nobody waits here but for threads whose caller has gone, which must not do so for ever.
        if not places.acquire(timeout=settings.web_answer_seconds):
            raise BusyError(
                f"None of {settings.web_connections} sessions came back in {settings.web_answer_seconds:g} s."
            )
        try:
            with warehouses.borrow() as warehouse:
                yield ReportQueue(warehouse, actor="web")
        finally:
            places.release()

    app = make_app(
        catalogue=catalogue,
        rules=settings.recipient_rules,
        open_queue=open_queue,
        environment=settings.environment,
        bucket=settings.report_bucket,
        guard=TokenGuard(_tokens(settings), per_second=settings.web_requests_per_second, burst=settings.web_burst),
        body_bytes=settings.body_bytes,
        connections=settings.web_connections,
        answer_seconds=settings.web_answer_seconds,
    )
    log.info("web.started", port=settings.port, reports=list(catalogue))
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
        timeout_graceful_shutdown=int(settings.stop_seconds),
    )
    # A session that Snowflake keeps waiting may keep its close waiting too; whoever asked has gone.
    end = threading.Timer(_CLOSE_SECONDS, _leave)
    end.daemon = True
    end.start()
    warehouses.close()
    log.info("web.stopped")


def _leave() -> None:
    log.warning("web.stopped_late", reason="Snowflake did not answer in time.")
    os._exit(0)  # nothing is lost


def _tokens(settings: WebSettings) -> Tokens:
    if settings.api_token is not None:
        return FixedToken(settings.api_token.get_secret_value())
    return TokenSecret(settings.api_token_secret_arn or "", aws.client("secretsmanager"))
