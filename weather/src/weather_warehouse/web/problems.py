"""Errors as application/problem+json (RFC 9457): no traceback, no secret, the field that is wrong."""

from __future__ import annotations

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

import psycopg
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

from weather_warehouse import log
from weather_warehouse.web.models import Problem

MEDIA_TYPE = "application/problem+json"
_RETRY_AFTER = {"Retry-After": "5"}


def responses(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """Return these errors as a route's `responses`."""
    retry_after = {name: {"schema": {"const": value}, "required": True} for name, value in _RETRY_AFTER.items()}
    return {status: {"model": Problem} | ({"headers": retry_after} if status == 503 else {}) for status in statuses}


def name_media_type(document: dict[str, Any]) -> None:
    """Put the media type of errors into an OpenAPI document: FastAPI knows one a route, that of its good answers."""
    for path in document["paths"].values():
        for operation in path.values():
            for status, response in operation["responses"].items():
                if int(status) >= 400:
                    response["content"] = {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}}


def install(app: FastAPI) -> None:
    """Answer every error of `app` as a problem."""

    @app.exception_handler(RequestValidationError)
    async def _wrong_request(request: Request, error: RequestValidationError) -> JSONResponse:
        first = error.errors()[0]
        field = str(first["loc"][1])  # a query has no fields within fields; what comes after is Pydantic's own
        unknown = first["type"] == "extra_forbidden"
        reason = f"{request.url.path} has no filter of this name; /docs lists them" if unknown else first["msg"]
        return _problem(422, f"{field}: {reason}", field=field)

    @app.exception_handler(HTTPException)
    async def _http(_: Request, error: HTTPException) -> JSONResponse:
        return _problem(error.status_code, str(error.detail), error.headers)

    @app.exception_handler(psycopg.OperationalError)
    async def _unavailable(request: Request, error: psycopg.OperationalError) -> JSONResponse:
        log.error("web.unavailable", error, path=request.url.path)
        return _problem(503, "The database does not answer in time; try again later.", _RETRY_AFTER)

    @app.exception_handler(Exception)
    async def _unexpected(request: Request, error: Exception) -> JSONResponse:
        log.error("web.internal_error", error, path=request.url.path)
        return _problem(500, "Something went wrong here; the log says what.")


def _problem(
    status: int, detail: str, headers: Mapping[str, str] | None = None, field: str | None = None
) -> JSONResponse:
    body = Problem(title=HTTPStatus(status).phrase, status=status, detail=detail, field=field)
    return JSONResponse(body.model_dump(exclude_none=True), status, headers, media_type=MEDIA_TYPE)
