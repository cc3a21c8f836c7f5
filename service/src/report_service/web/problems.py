"""Errors as application/problem+json (RFC 9457): no traceback, no secret, the field that is wrong."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from http import HTTPStatus
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from snowflake.connector.errors import Error as SnowflakeError
from starlette.exceptions import HTTPException

from report_service import log
from report_service.errors import RequestError, encodable
from report_service.login import LoginError
from report_service.warehouse import BusyError, TransactionTooLongError
from report_service.web.models import Problem
from report_service.web.tokens import NotReadError

MEDIA_TYPE = "application/problem+json"

# What an answer of a status has beside its body.
_HEADERS = {
    401: {"WWW-Authenticate": "Bearer"},
    429: {"Retry-After": "1"},  # a bucket gains at least one request a second
    503: {"Retry-After": "5"},
}
# What a caller sent for a column of REPORT_CONFIG, which the checks name.
_SENT = {
    "REPORT_NAME": "job_type",
    "OUTPUT_FORMAT": "input_data.format",
    "PARAMETERS": "input_data",
    "RECIPIENTS": "input_data.recipients",
}
_UNAVAILABLE = {
    SnowflakeError: "Snowflake does not answer as it should; try again later.",
    TransactionTooLongError: "Snowflake took too long; nothing was written, try again later.",
    LoginError: "The login to Snowflake cannot be used; try again later.",
    ClientError: "A secret that is needed cannot be read; try again later.",
    BotoCoreError: "A secret that is needed cannot be read; try again later.",
    NotReadError: "The tokens cannot be read; try again later.",
    BusyError: "All sessions to Snowflake are taken; try again later.",
}


def as_sent(part: str) -> str:
    """Return where in a request over HTTP stands what the checks call so: a column, or a parameter."""
    return _SENT.get(part, f"input_data.{part}")


def responses(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """Return these errors as a route's `responses`."""
    return {status: _response(status) for status in statuses}


def _response(status: int) -> dict[str, Any]:
    headers = {name: {"schema": {"const": value}, "required": True} for name, value in _HEADERS.get(status, {}).items()}
    return {"model": Problem} | ({"headers": headers} if headers else {})


def problem(status: int, detail: str, headers: Mapping[str, str] | None = None, **more: str | None) -> JSONResponse:
    """Return an error response."""
    texts = {name: encodable(text) for name, text in (more | {"detail": detail}).items() if text is not None}
    body = Problem(title=HTTPStatus(status).phrase, status=status, **texts).model_dump(exclude_none=True)
    headers = {**_HEADERS.get(status, {}), **(headers or {})}
    return JSONResponse(body, status, headers, media_type=MEDIA_TYPE)


def install(app: FastAPI) -> None:
    """Answer every error of `app` as a problem."""

    @app.exception_handler(RequestError)
    async def _wrong_request(_: Request, error: RequestError) -> JSONResponse:
        message, column = error.message, error.field
        # Only where the message begins with it: further on it may be the caller's own word.
        if column in _SENT and message.startswith(f"{column} "):
            message = _SENT[column] + message.removeprefix(column)
        return problem(422, message, field=column and as_sent(column), code=error.code.value)

    @app.exception_handler(RequestValidationError)
    async def _wrong_form(_: Request, error: RequestValidationError) -> JSONResponse:
        first = error.errors()[0]
        if first["type"] == "json_invalid":  # its place is a number of characters, not a field
            why = f"{first['ctx']['error']} at character {first['loc'][-1]}"
            return problem(422, f"The body is no valid JSON: {why}.", field="body")
        field = ".".join(str(part) for part in first["loc"][1:]) or str(first["loc"][0])
        return problem(422, f"{field}: {first['msg'].removeprefix('Value error, ')}", field=field)

    @app.exception_handler(HTTPException)
    async def _http(_: Request, error: HTTPException) -> JSONResponse:
        return problem(error.status_code, str(error.detail), error.headers)

    for kind, detail in _UNAVAILABLE.items():
        app.add_exception_handler(kind, _unavailable(detail))

    @app.exception_handler(Exception)
    async def _unexpected(request: Request, error: Exception) -> JSONResponse:
        log.error("web.internal_error", error, path=request.url.path)
        return problem(500, "Something went wrong here; the log says what.")


def _unavailable(detail: str) -> Callable[[Request, Exception], Awaitable[JSONResponse]]:
    async def answer(request: Request, error: Exception) -> JSONResponse:
        log.error("web.unavailable", error, path=request.url.path)
        return problem(503, detail)

    return answer
