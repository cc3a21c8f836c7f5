"""One attempt at one report: check, query, write, upload, finish, deliver."""

from __future__ import annotations

import datetime
import random
import tempfile
import threading
from dataclasses import dataclass
from pathlib import Path

from snowflake.connector.errors import Error as SnowflakeError

from report_service import log
from report_service.catalogue import Catalogue
from report_service.delivery import Delivery, Parcel
from report_service.errors import ErrorCode, LeaseLostError, ReportError, RequestError, presentable
from report_service.queue.report_queue import ReportQueue
from report_service.queue.rows import Claim, Produced
from report_service.renderers import ReportFacts, renderer_for, resolve_columns
from report_service.renderers.renderer import shown_parameters
from report_service.requests import Request, check_request, is_recurring, next_time
from report_service.results import open_result
from report_service.storage import Storage, file_key
from report_service.warehouse import Warehouse

_LONGEST_RETRY = 900.0  # seconds


class HandedBackError(Exception):
    """The worker is stopping: what it cannot finish goes back into the queue."""


@dataclass(frozen=True)
class Attempt:
    """A claim at work; the events are set by the heartbeat (lost) and by the worker (stopped)."""

    claim: Claim
    lost: threading.Event
    stopped: threading.Event

    def still_wanted(self) -> None:
        """Raise LeaseLostError or HandedBackError if going on is of no use."""
        if self.lost.is_set():
            raise LeaseLostError(f"Row {self.claim.config_id} was taken over or cancelled.")
        if self.stopped.is_set():
            raise HandedBackError("handed back: the worker is stopping")


class Workshop:
    """Makes reports; holds nothing of any one of them, so threads may share it."""

    def __init__(
        self, catalogue: Catalogue, storage: Storage, delivery: Delivery, *, retry_seconds: float = 10
    ) -> None:
        self._catalogue = catalogue
        self._storage = storage
        self._delivery = delivery
        self._retry_seconds = retry_seconds

    def carry_out(self, attempt: Attempt, warehouse: Warehouse, queue: ReportQueue) -> None:
        """Bring a claimed row to its next state; raises only if Snowflake does not take that state."""
        try:
            self._carry_out(attempt, warehouse, queue)
        except LeaseLostError as error:
            self._lost(attempt.claim, error)
        except HandedBackError as error:
            self._hand_back(attempt.claim, queue, str(error))
        except ReportError as error:
            self._refuse(attempt.claim, queue, error)
        except Exception as error:  # noqa: BLE001 - one report's bug must not stop the others; the row says what it was
            log.error("report.internal_error", error, config_id=attempt.claim.config_id)
            reason = f"A fault of the report service, not of the request: {type(error).__name__}: {error}"
            self._refuse(attempt.claim, queue, ReportError(ErrorCode.INTERNAL_ERROR, reason))

    def _carry_out(self, attempt: Attempt, warehouse: Warehouse, queue: ReportQueue) -> None:
        claim = attempt.claim
        request = check_request(claim, self._catalogue)
        recurring = is_recurring(claim)
        if recurring and claim.run_at is None:
            run_at = next_time(claim, claim.now())
            queue.plan(claim, run_at)
            log.info("report.planned", config_id=claim.config_id, report=request.report.name, run_at=run_at)
            return
        if recurring:
            next_time(claim, claim.now())  # a wrong schedule is told before any work is done
        if claim.attempt > claim.max_attempts:
            last = f"That was attempt {claim.attempt - 1} of {claim.max_attempts}; insert the request again."
            raise ReportError(ErrorCode.LEASE_LOST, f"{claim.error_message or 'No attempt ended.'} {last}", retry=False)
        attempt.still_wanted()
        with tempfile.TemporaryDirectory(prefix="report-") as folder:
            facts, produced, path = self._make(attempt, request, warehouse, Path(folder))
            attempt.still_wanted()
            next_run_at = next_time(claim, claim.now()) if recurring else None
            recipients = [(recipient.channel, recipient.address) for recipient in request.recipients]
            queue.finish(claim, produced, recipients=recipients, next_run_at=next_run_at)
            log.info(
                "report.completed",
                config_id=claim.config_id,
                report=request.report.name,
                rows=produced.rows,
                bytes=produced.bytes,
                location=produced.location,
                next_run_at=next_run_at,
            )
            if recipients:
                media_type = renderer_for(request.output).media_type
                self._deliver(claim, queue, Parcel(facts, produced, path, media_type))

    def _make(
        self, attempt: Attempt, request: Request, warehouse: Warehouse, folder: Path
    ) -> tuple[ReportFacts, Produced, Path]:
        claim, report, renderer = attempt.claim, request.report, renderer_for(request.output)
        now = claim.now()
        facts = ReportFacts(
            name=report.name,
            title=report.definition.title,
            description=report.definition.description,
            source=report.definition.source,
            parameters=shown_parameters(report.definition, request.parameters),
            generated_at=now,
            requested_by=str(claim.requested_by or "unknown"),
            config_id=claim.config_id,
            chart=report.definition.chart,
        )
        path = folder / f"{report.name}.{renderer.extension}"
        tag = f"snowgate:{report.name}:{claim.config_id}:{claim.attempt}"
        with open_result(warehouse, request, query_tag=tag, still_wanted=attempt.still_wanted) as result:
            columns = resolve_columns(report.definition, result.schema)
            rows = renderer.write(facts, columns, result.batches, path)
        attempt.still_wanted()
        key = file_key(
            report.name, renderer.extension, config_id=claim.config_id, attempt=claim.attempt, day=now.date()
        )
        stored = self._storage.store(path, key, media_type=renderer.media_type)
        return facts, Produced(stored.location, rows, stored.bytes, stored.sha256), path

    def _deliver(self, claim: Claim, queue: ReportQueue, parcel: Parcel) -> None:
        try:
            self._delivery.deliver(queue, claim, parcel)
        except SnowflakeError as error:  # the report is finished; its ledger keeps PENDING for those not reached
            log.error("delivery.interrupted", error, config_id=claim.config_id)

    def _refuse(self, claim: Claim, queue: ReportQueue, error: ReportError) -> None:
        facts: dict[str, object] = {"config_id": claim.config_id, "code": error.code}
        if not isinstance(error, RequestError):  # its message repeats what was asked, addresses too; the row has it
            facts["message"] = presentable(error.message)
        try:
            if error.retry and claim.attempt < claim.max_attempts:
                delay = min(self._retry_seconds * 2 ** min(claim.attempt - 1, 20), _LONGEST_RETRY) * random.uniform(
                    0.8, 1.2
                )
                queue.retry(claim, error.code, error.message, delay_seconds=delay)
                log.warning("report.retry", delay_seconds=round(delay, 1), **facts)
            else:
                queue.fail(claim, error.code, error.message, next_run_at=_next_run_at(claim))
                log.warning("report.failed", **facts)
        except LeaseLostError as lost:
            self._lost(claim, lost)

    def _hand_back(self, claim: Claim, queue: ReportQueue, reason: str) -> None:
        try:
            queue.release(claim, reason)
        except LeaseLostError as lost:
            self._lost(claim, lost)

    def _lost(self, claim: Claim, error: LeaseLostError) -> None:
        log.warning("report.lease_lost", config_id=claim.config_id, attempt=claim.attempt, reason=str(error))


def _next_run_at(claim: Claim) -> datetime.datetime | None:
    """Return when a recurring report that failed comes again; one with a wrong schedule never does."""
    if not is_recurring(claim):
        return None
    try:
        return next_time(claim, claim.now())
    except RequestError:
        return None
