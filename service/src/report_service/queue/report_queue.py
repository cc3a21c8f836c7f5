"""The queue as the worker and the HTTP door use it."""

from __future__ import annotations

import datetime
import json
import uuid
from collections.abc import Iterable, Sequence
from typing import Any

from report_service.errors import ErrorCode, KeyTakenError, LeaseLostError, presentable
from report_service.queue import statements
from report_service.queue.rows import Claim, Demand, Job, NewJob, Produced
from report_service.warehouse import Warehouse

_OVERDUE_SHARE = 4


class ReportQueue:
    """REPORT_CONFIG over one session; `actor` is who the audit log says it was."""

    def __init__(self, warehouse: Warehouse, *, actor: str, lease_seconds: int = 120) -> None:
        self._warehouse = warehouse
        self._actor = actor
        self._lease_seconds = lease_seconds
        self._asked = 0

    def demand(self) -> Demand:
        """Return what the queue holds, in one statement."""
        ((pending, busy, next_due_at, now),) = self._warehouse.rows(statements.DEMAND)
        return Demand(int(pending or 0), int(busy or 0), next_due_at, now)

    def claim(self, limit: int) -> list[Claim]:
        """Take up to `limit` rows that are due, expired leases included.

        ADHOC ones come first, but for every fourth row that is asked for: it may be a SCHEDULED one that has waited for
        ten minutes, so that neither keeps the other waiting for ever.
        """
        token = str(uuid.uuid4())
        overdue, self._asked = divmod(self._asked + limit, _OVERDUE_SHARE)
        with self._warehouse.transaction():
            values = (self._actor, token, self._lease_seconds)
            if not self._warehouse.change(statements.claim(limit, overdue), values):
                return []
            rows = self._warehouse.rows(statements.CLAIMED, (token,))
            self._warehouse.change(statements.AUDIT_CLAIMED, (token,))
        return [_claim(row) for row in rows]

    def heartbeat(self, claims: Sequence[Claim]) -> set[tuple[int, str]]:
        """Renew the leases of all `claims` and return the (CONFIG_ID, token) of those that are still held."""
        tokens = sorted({claim.token for claim in claims})
        if not tokens:
            return set()
        every = {(claim.config_id, claim.token) for claim in claims}
        values = (self._lease_seconds, self._actor, *tokens)
        if self._warehouse.change(statements.heartbeat(len(tokens)), values) >= len(every):
            return every
        rows = self._warehouse.rows(statements.held(len(tokens)), (self._actor, *tokens))
        return {(int(config_id), token) for config_id, token in rows}

    def finish(
        self,
        claim: Claim,
        produced: Produced,
        *,
        recipients: Iterable[tuple[str, str]] = (),
        next_run_at: datetime.datetime | None = None,
    ) -> None:
        """Complete a row, enter its recipients into the ledger and insert its successor; raises LeaseLostError."""
        with self._warehouse.transaction():
            values = (produced.location, produced.rows, produced.bytes, produced.sha256)
            self._fenced(claim, statements.FINISH, values, "COMPLETED", f"{produced.rows} rows, {produced.bytes} bytes")
            for channel, recipient in recipients:
                self._warehouse.change(statements.DELIVERY, (claim.config_id, channel, recipient))
            self._insert_successor(claim, next_run_at)

    def fail(
        self, claim: Claim, code: ErrorCode, message: str, *, next_run_at: datetime.datetime | None = None
    ) -> None:
        """End a row with a reason and insert its successor; raises LeaseLostError."""
        text = presentable(message)
        with self._warehouse.transaction():
            self._fenced(claim, statements.FAIL, (code.value, text), "FAILED", f"{code}: {text}")
            self._insert_successor(claim, next_run_at)

    def retry(self, claim: Claim, code: ErrorCode, message: str, *, delay_seconds: float) -> None:
        """Put a row back for another attempt after `delay_seconds`; raises LeaseLostError."""
        text = presentable(message)
        detail = f"{code}: {text} Again in {delay_seconds:.0f} s."
        with self._warehouse.transaction():
            self._fenced(claim, statements.RETRY, (int(delay_seconds * 1000), code.value, text), "PENDING", detail)

    def release(self, claim: Claim, reason: str) -> None:
        """Hand a row back as if it had never been claimed; raises LeaseLostError."""
        with self._warehouse.transaction():
            self._fenced(claim, statements.RELEASE, (), "PENDING", reason)

    def plan(self, claim: Claim, run_at: datetime.datetime) -> None:
        """Give a recurring row its time (UTC) and hand it back until then; raises LeaseLostError."""
        with self._warehouse.transaction():
            self._fenced(claim, statements.PLAN, (run_at,), "PENDING", f"planned for {run_at:%Y-%m-%d %H:%M:%S} UTC")

    def deliveries(self, claim: Claim) -> list[tuple[int, str, str]]:
        """Return the deliveries of a finished row that nobody has tried: id, channel, recipient."""
        rows = self._warehouse.rows(statements.DELIVERIES, (claim.config_id,))
        return [(int(delivery_id), channel, recipient) for delivery_id, channel, recipient in rows]

    def delivered(self, delivery_id: int) -> None:
        """Record that a recipient has the report."""
        self._warehouse.change(statements.DELIVERED, (delivery_id,))

    def not_delivered(self, delivery_id: int, code: str, message: str) -> None:
        """Record why a recipient does not have the report."""
        self._warehouse.change(statements.NOT_DELIVERED, (code, presentable(message), delivery_id))

    def submit(self, job: NewJob) -> tuple[Job, bool]:
        """Insert a request unless one with its key exists; returns the row, and whether it is new.

        Raises KeyTakenError if the key is that of another request.
        """
        values = (
            job.key,
            job.report_name,
            job.output_format,
            json.dumps(dict(job.parameters)),
            json.dumps(list(job.recipients)),
            job.source,
        )
        with self._warehouse.transaction():
            new = self._warehouse.change(statements.SUBMIT, values) > 0
            found = self._one(statements.JOB_BY_KEY, job.key)
            if found is None:
                raise RuntimeError(f"The row of job {job.key} is not there after it was inserted.")
            if new:
                self._audit(found.config_id, 0, None, "PENDING", f"submitted by {job.source}")
            else:
                self._check_same(job)
        return found, new

    def cancel(self, job: Job) -> bool:
        """Cancel a row that has not ended; returns whether it was cancelled by this call."""
        for status in ("PENDING", "PROCESSING"):
            with self._warehouse.transaction():
                if self._warehouse.change(statements.CANCEL, (job.config_id, status)):
                    self._audit(job.config_id, job.attempts, status, "CANCELLED", "cancelled")
                    return True
        return False

    def job(self, job_id: str) -> Job | None:
        """Return the row of a job: by the requester's id, else by CONFIG_ID."""
        found = self._one(statements.JOB_BY_KEY, job_id)
        if found is None and job_id.isascii() and job_id.isdigit() and len(job_id) <= 18:
            found = self._one(statements.JOB_BY_ID, int(job_id))
        return found

    def jobs(self, limit: int, status: str | None = None) -> list[Job]:
        """Return the newest rows, of one status if it is given."""
        values = (status,) if status else ()
        return [_job(row) for row in self._warehouse.rows(statements.jobs(limit, by_status=bool(status)), values)]

    def counts(self) -> dict[str, int]:
        """Return the number of rows by status."""
        return {str(status): int(count) for status, count in self._warehouse.rows(statements.COUNTS)}

    def metrics(self) -> list[tuple[str, str | None, datetime.datetime | None, float | None]]:
        """Return V_REPORT_METRICS: metric, label, hour, value."""
        rows = self._warehouse.rows(statements.METRICS)
        return [(name, label, hour, None if value is None else float(value)) for name, label, hour, value in rows]

    def _check_same(self, job: NewJob) -> None:
        (row,) = self._warehouse.rows(statements.REQUEST_BY_KEY, (job.key,))
        wanted = (job.report_name.upper(), job.output_format, dict(job.parameters), list(job.recipients))
        columns = ("REPORT_NAME", "OUTPUT_FORMAT", "PARAMETERS", "RECIPIENTS")
        differing = [name for name, a, b in zip(columns, wanted, _request(row), strict=True) if a != b]
        if differing:
            raise KeyTakenError(job.key, differing)

    def _fenced(self, claim: Claim, statement: str, values: Sequence[Any], to_status: str, detail: str) -> None:
        if not self._warehouse.change(statement, (*values, claim.config_id, claim.token)):
            raise LeaseLostError(f"Row {claim.config_id} is no longer held by {self._actor}.")
        self._audit(claim.config_id, claim.attempt, "PROCESSING", to_status, detail)

    def _insert_successor(self, claim: Claim, run_at: datetime.datetime | None) -> None:
        if run_at is None:
            return
        key = f"successor-of-{claim.config_id}"
        parent = claim.config_id
        if self._warehouse.change(statements.SUCCESSOR, (run_at, key, parent, key, parent)):
            ((config_id,),) = self._warehouse.rows(statements.SUCCESSOR_ID, (key, parent))
            detail = f"follows {parent}, planned for {run_at:%Y-%m-%d %H:%M:%S} UTC"
            self._audit(int(config_id), 0, None, "PENDING", detail)

    def _audit(self, config_id: int, attempt: int, before: str | None, after: str, detail: str) -> None:
        self._warehouse.change(statements.AUDIT, (config_id, attempt, before, after, self._actor, detail))

    def _one(self, statement: str, value: Any) -> Job | None:
        rows = self._warehouse.rows(statement, (value,))
        return _job(rows[0]) if rows else None


def _claim(row: tuple[Any, ...]) -> Claim:
    config_id, token, attempt, max_attempts, *rest = row
    return Claim(int(config_id), token, int(attempt), int(max_attempts), *rest)


def _request(row: tuple[Any, ...]) -> tuple[str, str, Any, Any]:
    """A row's request as NewJob has it: what is NULL there has the default's value."""
    name, output, parameters, recipients = row
    return (
        str(name).upper(),
        str(output or "PDF").upper(),
        json.loads(parameters) if parameters else {},
        json.loads(recipients) if recipients else [],
    )


def _job(row: tuple[Any, ...]) -> Job:
    config_id, key, name, trigger, output, status, attempts, location, rows, size, *rest = row
    counts: list[Any] = [None if number is None else int(number) for number in (rows, size)]
    return Job(int(config_id), key, name, trigger, output, status, int(attempts or 0), location, *counts, *rest)
