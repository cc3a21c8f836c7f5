"""The HTTP door's routes."""

from __future__ import annotations

import asyncio
import datetime
from collections.abc import Mapping
from typing import Annotated, Any

from fastapi import APIRouter, Depends, FastAPI, Query
from fastapi.openapi.docs import get_swagger_ui_html
from fastapi.responses import HTMLResponse, PlainTextResponse
from fastapi.routing import APIRoute
from fastapi.staticfiles import StaticFiles
from pydantic.json_schema import SkipJsonSchema
from starlette.exceptions import HTTPException

from report_service.catalogue import Catalogue
from report_service.errors import ErrorCode, KeyTakenError, RequestError
from report_service.parameters import check_parameters
from report_service.queue.rows import Job, NewJob
from report_service.recipients import RecipientRules
from report_service.requests import check_format
from report_service.web import prometheus
from report_service.web.document import document
from report_service.web.guard import BodyLimit, Places, TokenGuard, bearer, timed_route
from report_service.web.models import (
    Health,
    JobAccepted,
    JobId,
    JobRequest,
    Jobs,
    JobStatus,
    Ready,
    Status,
    job_status,
    utc,
)
from report_service.web.problems import as_sent, install, responses
from report_service.web.readiness import Readiness
from report_service.web.submissions import OpenQueue, Submissions

_USUAL_DURATION = datetime.timedelta(minutes=5)  # with a worker that must be woken first

_LINK: dict[str, Any] = {"parameters": {"job_id": "$response.body#/job_id"}}


def make_app(
    *,
    catalogue: Catalogue,
    rules: RecipientRules,
    open_queue: OpenQueue,
    environment: str,
    bucket: str,
    guard: TokenGuard,
    body_bytes: int,
    connections: int = 4,
    answer_seconds: float = 25,
) -> FastAPI:
    """Return the application; `open_queue` lends a queue for one request, which takes `answer_seconds` at the most.

    It is asked for `connections` at once; a fifth of its time a request may wait for that.
    """
    app = FastAPI(
        title="Snowgate report service",
        version="1",
        description="Ask for reports and follow them. Every route but health, ready and docs needs the token.",
        docs_url=None,
        redoc_url=None,
        swagger_ui_oauth2_redirect_url=None,
        generate_unique_id_function=lambda route: route.name,
        redirect_slashes=False,  # behind a load balancer to http://, and the caller's token with it
    )
    app.add_middleware(BodyLimit, limit=body_bytes, seconds=answer_seconds)
    install(app)
    _add_docs(app)
    app.include_router(_open_routes(timed_route(answer_seconds), open_queue, environment))
    submissions = Submissions(open_queue, answer_seconds=answer_seconds)
    app.include_router(_submit_route(timed_route(answer_seconds, guard), catalogue, rules, submissions, bucket))
    guarded = timed_route(answer_seconds, guard, Places(connections, seconds=answer_seconds / 5))
    app.include_router(_job_routes(guarded, open_queue))
    document(app, catalogue, rules)
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
            swagger_ui_parameters={"tryItOutEnabled": True, "persistAuthorization": True, "filter": True},
        )


def _open_routes(kind: type[APIRoute], open_queue: OpenQueue, environment: str) -> APIRouter:
    router = APIRouter(tags=["operations"], route_class=kind, responses=responses(408, 413))
    readiness = Readiness(open_queue)

    # Not in a thread of the pool: requests that wait for Snowflake may have them all, and the load balancer asks this.
    @router.get("/health")
    async def health() -> Health:
        """Tell that the process answers."""
        return Health(environment=environment, timestamp=datetime.datetime.now(datetime.UTC))

    @router.get("/ready", responses=responses(503))
    def ready() -> Ready:
        """Tell that the queue in Snowflake answers."""
        readiness.check()
        return Ready()

    return router


def _guarded(kind: type[APIRoute]) -> APIRouter:
    # The kind of route asks for the token; what it depends on here only tells the OpenAPI document so.
    return APIRouter(route_class=kind, dependencies=[Depends(bearer)], responses=responses(401, 408, 413, 429, 503))


def _submit_route(
    kind: type[APIRoute], catalogue: Catalogue, rules: RecipientRules, submissions: Submissions, bucket: str
) -> APIRouter:
    router = _guarded(kind)
    links = {name: _LINK | {"operationId": name} for name in ("status", "cancel")}

    @router.post(
        "/process-job", status_code=202, tags=["jobs"], responses={202: {"links": links}, **responses(400, 409, 422)}
    )
    async def process_job(request: JobRequest) -> JobAccepted:
        """Ask for a report; wrong input, and the job_id of another request (409), are refused: nothing is written."""
        wanted = _new_job(request, catalogue, rules)
        try:
            job, new = await asyncio.wrap_future(submissions.put(wanted))
        except KeyTakenError as error:
            differing = " and ".join(map(as_sent, error.columns))
            raise HTTPException(
                409, f"Job {request.job_id} is there already and differs in {differing}; take a new job_id."
            ) from None
        return _accepted(job, new, bucket)

    return router


def _job_routes(kind: type[APIRoute], open_queue: OpenQueue) -> APIRouter:
    router = _guarded(kind)

    @router.get("/job/{job_id}/status", tags=["jobs"], responses=responses(404, 422))
    def status(job_id: JobId) -> JobStatus:
        """Tell where a job stands; a row without a job_id of its own goes by its CONFIG_ID."""
        with open_queue() as queue:
            return job_status(_found(queue.job(job_id), job_id))

    @router.get("/jobs", tags=["jobs"], responses=responses(422))
    def jobs(limit: Annotated[int, Query(ge=1, le=500)] = 50, status: Status | SkipJsonSchema[None] = None) -> Jobs:
        """List the newest jobs, of one status if it is given."""
        with open_queue() as queue:
            return Jobs(jobs=[job_status(job) for job in queue.jobs(limit, status)])

    @router.post("/job/{job_id}/cancel", tags=["jobs"], responses=responses(404, 409, 422))
    def cancel(job_id: JobId) -> JobStatus:
        """Cancel a job that has not ended; one that has is left as it is (409)."""
        with open_queue() as queue:
            job = _found(queue.job(job_id), job_id)
            cancelled = queue.cancel(job)
            job = _found(queue.job(job_id), job_id)
        if not cancelled and job.status != "CANCELLED":
            raise HTTPException(409, f"Job {job_id} is {job.status} and can no longer be cancelled.")
        return job_status(job)

    @router.get("/metrics", tags=["operations"], response_class=PlainTextResponse)
    def metrics() -> str:
        """Return the figures of the queue in Prometheus' text format."""
        with open_queue() as queue:
            return prometheus.text(queue.counts(), queue.demand(), queue.metrics())

    return router


def _new_job(request: JobRequest, catalogue: Catalogue, rules: RecipientRules) -> NewJob:
    """Check a request as the worker would, so that the caller hears at once what is wrong."""
    report = catalogue.find(request.job_type)
    data = _by_name(request.input_data)
    output = check_format(data.pop("format", None), report)
    recipients = rules.check(data.pop("recipients", None))
    check_parameters(report.definition.parameters, data, report.name)
    listed = [{"channel": recipient.channel, "to": recipient.address} for recipient in recipients]
    return NewJob(request.job_id, report.name, output.value, request.source, data, listed)


def _by_name(given: Mapping[str, Any]) -> dict[str, Any]:
    """The given values by lower-case name; raises RequestError for two of one name, of which only one would count."""
    by_name: dict[str, Any] = {}
    for name, value in given.items():
        lower = name.lower()
        if lower in by_name:
            message = f"input_data has {lower[:60]!r} twice, names count in any case; once is allowed."
            raise RequestError(ErrorCode.INVALID_PARAMETER, message, field=lower)
        by_name[lower] = value
    return by_name


def _accepted(job: Job, new: bool, bucket: str) -> JobAccepted:
    created = utc(job.created_at) or datetime.datetime.now(datetime.UTC)
    return JobAccepted(
        job_id=job.job_id,
        message=f"{job.report_name} is queued." if new else f"This job was there before; it is {job.status}.",
        tracking_id=f"ECS_TRACK_{job.job_id}_{int(created.timestamp())}",
        estimated_completion=utc(job.finished_at) or created + _USUAL_DURATION,
        s3_output_location=job.location or f"s3://{bucket}/reports/{job.report_name.lower()}/",
        status_url=f"/job/{job.job_id}/status",
    )


def _found(job: Job | None, job_id: str) -> Job:
    if job is None:
        raise HTTPException(404, f"There is no job {job_id}.")
    return job
