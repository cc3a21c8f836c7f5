"""What stands before the routes: the token, how often it may come, the size of a body, the time for an answer."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager, nullcontext
from functools import lru_cache
from typing import Any

from aiolimiter import AsyncLimiter
from fastapi import Request, Response
from fastapi.routing import APIRoute
from fastapi.security import HTTPBearer
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from report_service.web.problems import problem
from report_service.web.tokens import Tokens

_TOKENS = 16  # that are counted at once; right are three at most

bearer = HTTPBearer(auto_error=False, description="The API token of this environment.")


class TokenGuard:
    """Lets the bearer of a right token pass, so many times a second on average and up to `burst` at once.

    Each token has a bucket of its own; a wrong one has none, so that it takes nothing from those who have a right one.
    """

    def __init__(self, tokens: Tokens, *, per_second: float, burst: int) -> None:
        self._tokens = tokens
        self._bucket = lru_cache(_TOKENS)(lambda _: AsyncLimiter(burst, burst / per_second))

    async def __call__(self, request: Request) -> None:
        """Raise 401 unless the token is right, and 429 if it comes too often."""
        given = await bearer(request)
        if given is None or not await self._tokens.accepts(given.credentials):
            raise HTTPException(401, "A valid token is needed: Authorization: Bearer <token>.")
        bucket = self._bucket(hashlib.sha256(given.credentials.encode(errors="surrogatepass")).digest())
        if not bucket.has_capacity():
            raise HTTPException(429, "This token comes too often; wait for Retry-After, then try again.")
        await bucket.acquire()  # at once, for there is room


class Places:
    """So many requests at once; others wait on the event loop, in the order in which they came, for `seconds` at most.

    Who would wait longer is refused while there is time to come again. Else, when more come than can be served, each
    would begin when its time is nearly up, and all work would be for callers that have gone.
    """

    def __init__(self, count: int, *, seconds: float) -> None:
        self._free, self._seconds = asyncio.Semaphore(count), seconds

    @asynccontextmanager
    async def one(self) -> AsyncIterator[None]:
        """Hold a place; raises 503 if none becomes free in time."""
        try:
            async with asyncio.timeout(self._seconds):
                await self._free.acquire()
        except TimeoutError:
            raise HTTPException(503, "More requests come than can be served; try again later.") from None
        try:
            yield
        finally:
            self._free.release()


def timed_route(seconds: float, guard: TokenGuard | None = None, places: Places | None = None) -> type[APIRoute]:
    """Return a kind of route that answers within `seconds`, 503 if what it waits for has not ended by then.

    It asks the guard before it reads a body, so that not even what is no JSON gets by without a token.
    """

    class TimedRoute(APIRoute):
        def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
            handle = super().get_route_handler()

            async def timed(request: Request) -> Response:
                try:
                    async with asyncio.timeout(seconds):
                        if guard:
                            await guard(request)
                        async with places.one() if places else nullcontext():
                            return await handle(request)
                except TimeoutError:
                    raise HTTPException(503, f"There was no answer within {seconds:g} s; try again later.") from None

            return timed

    return TimedRoute


class BodyLimit:
    """Middleware that refuses a body of more than `limit` bytes, also one that does not say its length.

    FastAPI's own limit answers in plain text. A body that has not come after `seconds` is refused too: the server would
    wait for it for ever.
    """

    def __init__(self, app: ASGIApp, limit: int, seconds: float) -> None:
        self._app = app
        self._limit = limit
        self._seconds = seconds

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, or answer 413 or 408."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        try:
            async with asyncio.timeout(self._seconds):
                messages = await self._read(receive)
        except TimeoutError:
            late = problem(408, f"The body did not come within {self._seconds:g} s.", {"Connection": "close"})
            await late(scope, receive, send)
            return
        if messages is None:
            await problem(413, f"The body is larger than {self._limit:,} bytes.")(scope, receive, send)
            return

        async def replay() -> Message:
            return messages.pop(0) if messages else await receive()

        await self._app(scope, replay, send)

    async def _read(self, receive: Receive) -> list[Message] | None:
        """The messages that the body came in; None as soon as it is too large."""
        messages: list[Message] = []
        size = 0
        while True:
            message = await receive()
            messages.append(message)
            size += len(message.get("body", b""))
            if size > self._limit:
                return None
            if message["type"] != "http.request" or not message.get("more_body"):
                return messages
