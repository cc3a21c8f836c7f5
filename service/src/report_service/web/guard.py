"""What stands before the routes: the token, and a limit on the size of a body."""

from __future__ import annotations

from typing import Annotated

from fastapi import Depends
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from report_service.web.problems import problem
from report_service.web.tokens import Tokens

_bearer = HTTPBearer(auto_error=False, description="The API token of this environment.")


class TokenGuard:
    """A dependency that lets only the bearer of a right token pass."""

    def __init__(self, tokens: Tokens) -> None:
        self._tokens = tokens

    def __call__(self, given: Annotated[HTTPAuthorizationCredentials | None, Depends(_bearer)]) -> None:
        """Raise 401 unless the token is right."""
        if given is None or not self._tokens.accepts(given.credentials):
            raise HTTPException(401, "A valid token is needed: Authorization: Bearer <token>.")


class BodyLimit:
    """Middleware that refuses a body of more than `limit` bytes, also one that does not say its length."""

    def __init__(self, app: ASGIApp, limit: int) -> None:
        self._app = app
        self._limit = limit

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, or answer 413."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        messages: list[Message] = []
        size = 0
        while True:
            message = await receive()
            messages.append(message)
            size += len(message.get("body", b""))
            if size > self._limit:
                await problem(413, f"The body is larger than {self._limit:,} bytes.")(scope, receive, send)
                return
            if message["type"] != "http.request" or not message.get("more_body"):
                break

        async def replay() -> Message:
            return messages.pop(0) if messages else await receive()

        await self._app(scope, replay, send)
