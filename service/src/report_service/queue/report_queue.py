"""The queue as the worker and the HTTP door use it."""

from __future__ import annotations

import datetime
import json
import uuid
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from report_service.errors import ErrorCode, KeyTakenError
from report_service.queue import statements
from report_service.queue.abandoned import AbandonedTransactions
from report_service.queue.outcome import Outcome
from report_service.queue.rows import Claim, Demand, Job, NewJob
from report_service.warehouse import Warehouse

_OVERDUE_SHARE = 4


class _NotAllError(Exception):
    """Of several outcomes at once not all could be entered."""


class ReportQueue:
    """REPORT_CONFIG over one session; `actor` is who the audit log says it was.

    A transaction that is half a lease old, and in the way, is taken for a killed worker's and ended.
    """

    def __init__(self, warehouse: Warehouse, *, actor: str, lease_seconds: int = 120) -> None:
        self._warehouse = warehouse
        self._actor = actor
        self._lease_seconds = lease_seconds
        self._abandoned = AbandonedTransactions(warehouse, seconds=lease_seconds / 2)
        self._asked = 0

    def demand(self) -> Demand:
        """Return what the queue holds, in one statement."""
        ((pending, busy, lost, deliveries, oldest, next_due_at, now),) = self._warehouse.rows(statements.DEMAND)
        counts = {"lost": int(lost or 0), "deliveries": int(deliveries or 0)}
        return Demand(int(pending or 0), int(busy or 0), next_due_at, now, oldest_due_at=oldest, **counts)

    def claim(self, limit: int) -> list[Claim]:
        """Take up to `limit` rows that are due.

        ADHOC ones come first, but for every fourth row that is asked for: it may be a SCHEDULED one that has waited for
        ten minutes, so that neither keeps the other waiting for ever.
        """
        overdue, self._asked = divmod(self._asked + limit, _OVERDUE_SHARE)
        return self._claim(statements.claim(limit, overdue))

    def claim_lost(self) -> list[Claim]:
        """Take one row whose worker lost its lease, if there is one."""
        return self._claim(statements.CLAIM_LOST)

    def heartbeat(self, claims: Sequence[Claim]) -> set[tuple[int, str]]:
        """Renew the leases of all `claims` and return the (CONFIG_ID, token) of those that are still held."""
        every = {(claim.config_id, claim.token) for claim in claims}
        if not every:
            return set()
        ids, tokens = zip(*sorted(every), strict=True)
        own = (json.dumps(ids), self._actor, json.dumps(sorted(set(tokens))))
        with self._abandoned.out_of_the_way():
            renewed = self._warehouse.change(statements.HEARTBEAT, (self._lease_seconds, *own))
        if renewed == len(every):
            return every
        return {(int(config_id), token) for config_id, token in self._warehouse.rows(statements.HELD, own)}

    def cancel_queries(self, session_id: int) -> None:
        """End whatever another session of this user runs."""
        self._warehouse.rows(statements.cancel_queries(session_id))

    def settle(self, outcomes: Sequence[Outcome]) -> bool:
        """Enter how attempts ended, all in one transaction; returns False if not all could be, and none is.

        That is so if a lease was lost. A completed one's recipients enter the ledger with it, and a recurring one's
        successor the table, once.
        """
        try:
            self._settle(outcomes)
        except _NotAllError:
            return False
        return True

    def is_settled(self, outcomes: Sequence[Outcome]) -> bool:
        """Return whether the rows stand as `outcomes` left them; of rows that are PENDING again nobody can tell."""
        tokens = json.dumps(sorted({outcome.claim.token for outcome in outcomes}))
        found = {
            (int(number), token, status) for number, token, status in self._warehouse.rows(statements.ENDED, (tokens,))
        }
        return found.issuperset((outcome.claim.config_id, outcome.claim.token, outcome.status) for outcome in outcomes)

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

    def submit_new(self, jobs: Sequence[NewJob]) -> dict[str, Job] | None:
        """Insert requests with keys of their own, all or none; returns the rows by key, None if a key is there."""
        records = [
            {
                "IDEMPOTENCY_KEY": job.key,
                "REPORT_NAME": job.report_name,
                "OUTPUT_FORMAT": job.output_format,
                "PARAMETERS": dict(job.parameters),
                "RECIPIENTS": list(job.recipients),
                "SOURCE": job.source,
            }
            for job in jobs
        ]
        keys = json.dumps([job.key for job in jobs])
        try:
            with self._warehouse.transaction():
                if self._warehouse.change(statements.SUBMIT_NEW, (json.dumps(records),)) != len(jobs):
                    raise _NotAllError
                self._warehouse.change(statements.AUDIT_SUBMITTED, (self._actor, keys))
                rows = self._warehouse.rows(statements.JOBS_BY_KEYS, (keys,))
        except _NotAllError:
            return None
        return {job.key: job for job in map(_job, rows) if job.key is not None}

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

    def _claim(self, statement: str) -> list[Claim]:
        token = str(uuid.uuid4())
        with self._abandoned.out_of_the_way(), self._warehouse.transaction():
            if not self._warehouse.change(statement, (self._actor, token, self._lease_seconds)):
                return []
            rows = self._warehouse.rows(statements.CLAIMED, (token,))
            self._warehouse.change(statements.AUDIT_CLAIMED, (token,))
        return _claims(rows)

    def _settle(self, outcomes: Sequence[Outcome]) -> None:
        records = json.dumps([outcome.record() for outcome in outcomes])
        deliveries = [delivery for outcome in outcomes for delivery in outcome.deliveries()]
        followed = sum(outcome.next_run_at is not None for outcome in outcomes)
        with self._abandoned.out_of_the_way(), self._warehouse.transaction():
            changed = self._warehouse.change(statements.SETTLE, (records,))
            # One that stands in the table more than once ends everywhere, alone.
            if changed != len(outcomes) and (len(outcomes) > 1 or not changed):
                raise _NotAllError
            self._warehouse.change(statements.AUDIT_SETTLED, (self._actor, records))
            if deliveries:
                self._warehouse.change(statements.DELIVERIES, (json.dumps(deliveries),))
            if followed:
                self._follow(records, followed, alone=len(outcomes) == 1)

    def _follow(self, records: str, followed: int, *, alone: bool) -> None:
        new = self._warehouse.change(statements.SUCCESSORS, (records,))
        if new == followed:
            self._warehouse.change(statements.AUDIT_SUCCESSORS, (self._actor, records))
        elif not alone:  # one has its successor already, being made a second time: which one shows when each goes alone
            raise _NotAllError

    def _audit(self, config_id: int, attempt: int, before: str | None, after: str, detail: str) -> None:
        self._warehouse.change(statements.AUDIT, (config_id, attempt, before, after, self._actor, detail))

    def _one(self, statement: str, value: Any) -> Job | None:
        rows = self._warehouse.rows(statement, (value,))
        return _job(rows[0]) if rows else None


def _claims(rows: Sequence[tuple[Any, ...]]) -> list[Claim]:
    """One claim a CONFIG_ID: Snowflake does not enforce its key, and rows that share one cannot be told apart."""
    found: dict[int, Claim] = {}
    for config_id, token, attempt, max_attempts, *rest in rows:
        claim = Claim(int(config_id), token, int(attempt), int(max_attempts), *rest)
        if claim.config_id in found:
            claim = replace(claim, error_code=ErrorCode.INVALID_ROW, error_message="CONFIG_ID is in the table twice.")
        found[claim.config_id] = claim
    return list(found.values())


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
