"""Serving ministack's ASGI application over TLS, with a stop that takes a second."""

from __future__ import annotations

import asyncio
import logging
import signal
from pathlib import Path
from typing import Any

from hypercorn.asyncio import serve
from hypercorn.config import Config

TLS_GOODBYE = 0.2  # seconds that a closing connection waits for the client's answer; asyncio's default is 30
LAST_REQUESTS = 1.0  # seconds that requests under way have to end


class QuickTlsLoop(asyncio.SelectorEventLoop):
    """An event loop whose servers end at once.

    asyncio's wait half a minute for an idle client's TLS goodbye, and from Python 3.12 on until all connections ended.
    """

    async def create_server(self, *args: Any, **options: Any) -> asyncio.Server:
        """Listen as asyncio does, with a short end."""
        if options.get("ssl") is not None:
            options.setdefault("ssl_shutdown_timeout", TLS_GOODBYE)
        server: asyncio.Server = await super().create_server(*args, **options)
        # hypercorn waits for its connections itself, as long as graceful_timeout says.
        server.wait_closed = _nothing  # type: ignore[method-assign]
        return server


async def _nothing() -> None:
    return


def run(application: Any, *, port: int, certificate: Path, key: Path) -> None:
    """Serve on 127.0.0.1 until SIGTERM or SIGINT; the application saves its state before this returns.

    Not ministack's own `main`: that one opens port 443 as well and leaves files in the system's temporary folder.
    """
    config = Config()
    config.bind = [f"127.0.0.1:{port}"]
    config.certfile, config.keyfile = str(certificate), str(key)
    config.keep_alive_timeout = 75
    config.graceful_timeout = LAST_REQUESTS
    config.loglevel = "WARNING"
    logging.getLogger("hypercorn.error").setLevel(logging.WARNING)
    # Never closed: closing an event loop waits for threads that wait for Lambdas. The process ends right after this.
    loop = QuickTlsLoop()
    asyncio.set_event_loop(loop)
    loop.run_until_complete(_serve(application, config))


async def _serve(application: Any, config: Config) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for name in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(name, stop.set)
    await serve(application, config, shutdown_trigger=stop.wait)
