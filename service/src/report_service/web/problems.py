"""Errors as application/problem+json (RFC 9457): no traceback, no secret, the field that is wrong."""

from __future__ import annotations

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
from report_service.web.models import Problem

RESPONSES: dict[int | str, dict[str, Any]] = {
    status: {"model": Problem, "content": {"application/problem+json": {}}} for status in (401, 413, 422, 503)
}


def problem(status: int, detail: str, **more: str | None) -> JSONResponse:
    """Return an error response."""
    texts = {name: encodable(text) for name, text in (more | {"detail": detail}).items() if text is not None}
    body = Problem(title=HTTPStatus(status).phrase, status=status, **texts).model_dump(exclude_none=True)
    headers = {"WWW-Authenticate": "Bearer"} if status == HTTPStatus.UNAUTHORIZED else None
    return JSONResponse(body, status, headers, media_type="application/problem+json")


def install(app: FastAPI) -> None:
    """Answer every error of `app` as a problem."""

    @app.exception_handler(RequestError)
    async def _wrong_request(_: Request, error: RequestError) -> JSONResponse:
        return problem(422, error.message, field=error.field, code=error.code.value)

    @app.exception_handler(RequestValidationError)
    async def _wrong_form(_: Request, error: RequestValidationError) -> JSONResponse:
        first = error.errors()[0]
        field = ".".join(str(part) for part in first["loc"][1:]) or str(first["loc"][0])
        return problem(422, f"{field}: {first['msg']}", field=field)

    @app.exception_handler(HTTPException)
    async def _http(_: Request, error: HTTPException) -> JSONResponse:
        return problem(error.status_code, str(error.detail))

    @app.exception_handler(SnowflakeError)
    async def _snowflake(request: Request, error: SnowflakeError) -> JSONResponse:
        log.error("web.snowflake_failed", error, path=request.url.path)
        return problem(503, "Snowflake does not answer as it should; try again later.")

    @app.exception_handler(ClientError)
    @app.exception_handler(BotoCoreError)
    async def _aws(request: Request, error: Exception) -> JSONResponse:
        log.error("web.aws_failed", error, path=request.url.path)
        return problem(503, "A secret that is needed cannot be read; try again later.")

    @app.exception_handler(Exception)
    async def _unexpected(request: Request, error: Exception) -> JSONResponse:
        log.error("web.internal_error", error, path=request.url.path)
        return problem(500, "Something went wrong here; the log says what.")
