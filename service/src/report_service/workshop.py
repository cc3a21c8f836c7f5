"""One attempt at one report: check, query, write, upload; what comes of it is an outcome."""

from __future__ import annotations

import datetime
import random

from report_service import log
from report_service.attempt import Attempt, HandedBackError
from report_service.catalogue import Catalogue
from report_service.errors import ErrorCode, LeaseLostError, ReportError, RequestError, exhaustion
from report_service.queue.outcome import Outcome, completed, failed, planned, released, retried
from report_service.queue.rows import Claim, Produced
from report_service.recipients import RecipientRules
from report_service.renderers import facts_of, renderer_for, resolve_columns
from report_service.requests import Request, check_request, is_recurring, missed_by, next_time
from report_service.results import open_result
from report_service.storage import Storage, file_key
from report_service.warehouse import Warehouse

_LONGEST_RETRY = 900.0  # seconds


class Workshop:
    """Makes reports; holds nothing of any one of them, so threads may share it."""

    def __init__(
        self,
        catalogue: Catalogue,
        storage: Storage,
        *,
        rules: RecipientRules = RecipientRules(),  # noqa: B008 - it cannot be changed
        retry_seconds: float = 10,
    ) -> None:
        self._catalogue = catalogue
        self._storage = storage
        self._rules = rules
        self._retry_seconds = retry_seconds

    def carry_out(self, attempt: Attempt, warehouse: Warehouse) -> Outcome | None:
        """Make a claimed row's report and return how that ended; None if the row is no longer this attempt's."""
        claim = attempt.claim
        try:
            try:
                return self._carry_out(attempt, warehouse)
            except Exception:
                attempt.still_wanted()  # a query that was cancelled from outside fails too
                raise
        except LeaseLostError as error:
            log.warning("report.lease_lost", config_id=claim.config_id, attempt=claim.attempt, reason=str(error))
            return None
        except HandedBackError as error:
            return released(claim, str(error))
        except ReportError as error:
            return self._refused(claim, error)
        except Exception as error:  # noqa: BLE001 - one report's bug must not stop the others; the row says what it was
            if known := exhaustion(error):
                return self._refused(claim, known)
            log.error("report.internal_error", error, config_id=claim.config_id)
            reason = f"A fault of the report service, not of the request: {type(error).__name__}: {error}"
            return self._refused(claim, ReportError(ErrorCode.INTERNAL_ERROR, reason))

    def _carry_out(self, attempt: Attempt, warehouse: Warehouse) -> Outcome:
        claim = attempt.claim
        request = check_request(claim, self._catalogue, self._rules)
        recurring = is_recurring(claim)
        if recurring and claim.run_at is None:
            return planned(claim, next_time(claim, claim.now()))
        if recurring and (late := missed_by(claim)):
            return planned(claim, next_time(claim, claim.now()), f"missed by {late}, skipped; planned")
        if recurring:
            next_time(claim, claim.now())  # a wrong schedule is told before any work is done
        if claim.attempt > claim.max_attempts:
            last = f"That was attempt {claim.attempt - 1} of {claim.max_attempts}; insert the request again."
            raise ReportError(ErrorCode.LEASE_LOST, f"{claim.error_message or 'No attempt ended.'} {last}", retry=False)
        attempt.still_wanted()
        produced = self._make(attempt, request, warehouse)
        attempt.still_wanted()
        # Times that passed while this one was made are not made up for: the report of then is this one.
        next_run_at = next_time(claim, claim.now()) if recurring else None
        recipients = [(recipient.channel, recipient.address) for recipient in request.recipients]
        return completed(claim, produced, recipients=recipients, next_run_at=next_run_at)

    def _make(self, attempt: Attempt, request: Request, warehouse: Warehouse) -> Produced:
        claim, report, renderer = attempt.claim, request.report, renderer_for(request.output, request.report.definition)
        now = claim.now()
        facts = facts_of(request, config_id=claim.config_id, requested_by=claim.requested_by, generated_at=now)
        key = file_key(
            report.name, renderer.extension, config_id=claim.config_id, attempt=claim.attempt, day=now.date()
        )
        limits = report.definition.limits
        attempt.limit(limits.seconds)
        with self._storage.writing(key, media_type=renderer.media_type, limit=limits.bytes) as upload:
            tag = f"snowgate:{report.name}:{claim.config_id}:{claim.attempt}"
            with (
                attempt.querying(warehouse),
                open_result(warehouse, request, query_tag=tag, still_wanted=attempt.still_wanted) as result,
            ):
                columns = resolve_columns(report.definition, result.schema)
                rows = renderer.write(facts, columns, result.batches, upload)
            attempt.still_wanted()
            stored = upload.finish()
        return Produced(stored.location, rows, stored.bytes, stored.sha256)

    def _refused(self, claim: Claim, error: ReportError) -> Outcome:
        if error.retry and claim.attempt < claim.max_attempts:
            longest = min(self._retry_seconds * 2 ** min(claim.attempt - 1, 20), _LONGEST_RETRY)
            return retried(claim, error, delay_seconds=longest * random.uniform(0.8, 1.2))
        requester = self._rules.requester(claim.requested_by)
        notice = (requester.channel, requester.address) if requester else None
        return failed(claim, error, next_run_at=_next_run_at(claim), notice=notice)


def _next_run_at(claim: Claim) -> datetime.datetime | None:
    """Return when a recurring report that failed comes again; one with a wrong schedule never does."""
    if not is_recurring(claim):
        return None
    try:
        return next_time(claim, claim.now())
    except RequestError:
        return None
