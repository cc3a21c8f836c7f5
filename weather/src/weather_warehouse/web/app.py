"""The API's routes."""

from __future__ import annotations

import datetime
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Annotated, Any
from urllib.parse import urlencode

from fastapi import FastAPI, Query, Request
from fastapi.openapi.docs import get_swagger_ui_html
from starlette.responses import HTMLResponse
from starlette.staticfiles import StaticFiles

from weather_warehouse import queries
from weather_warehouse.web.database import Database
from weather_warehouse.web.models import (
    Health,
    Observation,
    ObservationQuery,
    Observations,
    Ready,
    Statistics,
    StatisticsPage,
    StatisticsQuery,
)
from weather_warehouse.web.problems import install, name_media_type, responses


def make_app(database: Database, *, environment: str) -> FastAPI:
    """Return the application; it opens and closes `database` with itself."""

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        database.open()
        yield
        database.close()

    app = FastAPI(
        title="Snowgate weather warehouse",
        version="1",
        description="Daily observations of weather stations, and their statistics by year.",
        lifespan=lifespan,
        docs_url=None,
        redoc_url=None,
        swagger_ui_oauth2_redirect_url=None,
        generate_unique_id_function=lambda route: route.name,
        redirect_slashes=False,  # behind a load balancer to http://
    )
    install(app)
    _add_docs(app)
    _add_operations(app, database, environment)
    _add_weather(app, database)
    generate = app.openapi

    def openapi() -> dict[str, Any]:
        if app.openapi_schema is None:
            name_media_type(generate())  # FastAPI keeps what it generates
        return app.openapi_schema or {}

    app.openapi = openapi  # type: ignore[method-assign]  # as FastAPI's documentation has it: "Extending OpenAPI"
    return app


def _add_docs(app: FastAPI) -> None:
    """Serve Swagger UI at /docs out of the image."""
    app.mount("/swagger", StaticFiles(packages=[("fastapi_swagger", "resources")]))

    # Paths without a scheme: TLS ends before the container, and a browser takes no http:// script into such a page.
    @app.get("/docs", include_in_schema=False)
    def docs() -> HTMLResponse:
        return get_swagger_ui_html(
            openapi_url="/openapi.json",
            title=app.title,
            swagger_js_url="/swagger/swagger-ui-bundle.js",
            swagger_css_url="/swagger/swagger-ui.css",
            swagger_favicon_url="/swagger/favicon-32x32.png",
        )


def _add_operations(app: FastAPI, database: Database, environment: str) -> None:
    # Not in a thread: requests that wait for the database may have them all, and the load balancer asks this.
    @app.get("/api/health", tags=["operations"])
    async def health() -> Health:
        """Tell that the process answers."""
        return Health(environment=environment, timestamp=datetime.datetime.now(datetime.UTC))

    @app.get("/api/ready", tags=["operations"], responses=responses(503))
    def ready() -> Ready:
        """Tell that the database answers."""
        with database.session() as session:
            session.execute("SELECT")
        return Ready()


def _add_weather(app: FastAPI, database: Database) -> None:
    @app.get("/api/weather", tags=["weather"], responses=responses(422, 503))
    def weather(query: Annotated[ObservationQuery, Query()], request: Request) -> Observations:
        """List observations by station and date."""
        after = _place(query.after)
        start = (after[0], datetime.date.fromordinal(after[1])) if after else None
        with database.session() as session:
            total, found = queries.observations(session, _choice(query), start, query.limit + 1)
        shown = found[: query.limit]
        more = f"{shown[-1].station}~{shown[-1].date.toordinal()}" if len(found) > query.limit else None
        return Observations(total=total, next=_link(request, more), items=[_observation(row) for row in shown])

    @app.get("/api/weather/stats", tags=["weather"], responses=responses(422, 503))
    def statistics(query: Annotated[StatisticsQuery, Query()], request: Request) -> StatisticsPage:
        """List averages and sums by station and year; date, from and to say which days of it count."""
        with database.session() as session:
            choice = _choice(query, query.year)
            total, found = queries.years(session, choice, _place(query.after), query.limit + 1)
        shown = found[: query.limit]
        more = f"{shown[-1].station}~{shown[-1].year}" if len(found) > query.limit else None
        return StatisticsPage(total=total, next=_link(request, more), items=[_statistics(row) for row in shown])


def _choice(query: ObservationQuery | StatisticsQuery, year: int | None = None) -> queries.Choice:
    return queries.Choice(query.station, query.date, query.first, query.last, year)


def _place(after: str | None) -> tuple[str, int] | None:
    station, _, number = (after or "").partition("~")
    return (station, int(number)) if after else None


def _link(request: Request, after: str | None) -> str | None:
    return f"{request.url.path}?{urlencode(dict(request.query_params) | {'after': after})}" if after else None


def _observation(row: queries.ObservationRow) -> Observation:
    return Observation(
        station=row.station,
        date=row.date,
        max_temperature_c=_quotient(row.max_temperature, 10),
        min_temperature_c=_quotient(row.min_temperature, 10),
        precipitation_mm=_quotient(row.precipitation, 10),
    )


def _statistics(row: queries.YearRow) -> Statistics:
    return Statistics(
        station=row.station,
        year=row.year,
        avg_max_temperature_c=_quotient(row.max_temperature, 10 * row.max_temperature_days),
        avg_min_temperature_c=_quotient(row.min_temperature, 10 * row.min_temperature_days),
        total_precipitation_cm=_quotient(row.precipitation, 100),
        max_temperature_days=row.max_temperature_days,
        min_temperature_days=row.min_temperature_days,
        precipitation_days=row.precipitation_days,
    )


def _quotient(tenths: int | None, divisor: int) -> float | None:
    """The float that is nearest to the exact quotient, which Python's division of whole numbers gives."""
    return None if tenths is None else tenths / divisor
