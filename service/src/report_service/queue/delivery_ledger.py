"""REPORT_DELIVERY as the worker uses it: who is to have a finished report, and how far that is."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from typing import Any

from report_service.errors import presentable
from report_service.queue import statements
from report_service.queue.abandoned import AbandonedTransactions
from report_service.queue.rows import Due, Produced, Undelivered
from report_service.warehouse import Warehouse


class DeliveryLedger:
    """The ledger over one session; `actor` is the worker's name.

    A transaction that is `abandoned_seconds` old, and in the way, is taken for a killed worker's and ended.

    `lease_seconds` run from the claim, and again from the moment a message leaves: longer than any channel's call.

    A recipient is told once at most: the row becomes SENDING before the message leaves, and a row that stays so,
    because its worker died, becomes UNCERTAIN; nobody sends it again by itself. No channel has an idempotency token
    (Amazon SES, SendEmail) that would allow more.
    """

    def __init__(
        self, warehouse: Warehouse, *, actor: str, lease_seconds: int = 300, abandoned_seconds: float = 60
    ) -> None:
        self._warehouse = warehouse
        self._actor = actor
        self._lease_seconds = lease_seconds
        self._abandoned = AbandonedTransactions(warehouse, seconds=abandoned_seconds)

    def give_up_lost(self) -> list[tuple[int, Any]]:
        """Make UNCERTAIN what dead workers were sending; returns (CONFIG_ID, REQUESTED_BY) of those to be told.

        What another worker makes so meanwhile is that worker's to tell.
        """
        told: dict[int, Any] = {}
        for delivery_id, config_id, requested_by in self._warehouse.rows(statements.LOST_DELIVERIES):
            if self._change(statements.UNCERTAIN, (delivery_id,)) and config_id is not None:
                told[int(config_id)] = requested_by
        return list(told.items())

    def claim(self, limit: int) -> tuple[str, list[Due]]:
        """Take up to `limit` deliveries that are due; returns the token that `sending` and `release` ask for."""
        token = str(uuid.uuid4())
        if not self._change(statements.claim_deliveries(limit), (self._actor, token, self._lease_seconds)):
            return token, []
        return token, [_due(row) for row in self._warehouse.rows(statements.CLAIMED_DELIVERIES, (token,))]

    def sending(self, due: Due, token: str) -> bool:
        """Record that a message leaves now; returns whether it may, for somebody else may have taken it over."""
        return self._change(statements.SENDING, (self._lease_seconds, due.delivery_id, token)) > 0

    def sent(self, due: Due, token: str) -> None:
        """Record that a recipient has the report."""
        self._change(statements.SENT, (due.delivery_id, token))

    def retry(self, due: Due, token: str, code: str, message: str, *, delay_seconds: float) -> None:
        """Record why a recipient does not have the report yet, and when it is tried again."""
        self._not_sent(due, token, "PENDING", code, message, int(delay_seconds * 1000))

    def failed(self, due: Due, token: str, code: str, message: str) -> None:
        """Record why a recipient will not have the report."""
        self._not_sent(due, token, "FAILED", code, message, None)

    def uncertain(self, due: Due, token: str, code: str, message: str) -> None:
        """Record why nobody knows whether a recipient has the report."""
        self._not_sent(due, token, "UNCERTAIN", code, message, None)

    def undelivered(self, config_id: int) -> list[Undelivered]:
        """Return whom a report did not reach, or perhaps not."""
        return [Undelivered(*row) for row in self._warehouse.rows(statements.UNDELIVERED, (config_id,))]

    def tell_requester(self, config_id: int, channel: str, recipient: str) -> None:
        """Have `recipient` told whom the report did not reach."""
        self._change(statements.TELL_REQUESTER, (channel, recipient, config_id))

    def release(self, token: str, config_id: int) -> None:
        """Give back what was claimed of a report and not begun."""
        self._change(statements.RELEASE_DELIVERIES, (token, config_id))

    def _change(self, statement: str, values: Sequence[Any] = ()) -> int:
        with self._abandoned.out_of_the_way():
            return self._warehouse.change(statement, values)

    def _not_sent(self, due: Due, token: str, status: str, code: str, message: str, delay_ms: int | None) -> None:
        values = (status, code, presentable(message), delay_ms, due.delivery_id, token)
        self._change(statements.NOT_SENT, values)


def _due(row: tuple[Any, ...]) -> Due:
    delivery_id, config_id, kind, channel, recipient, attempts, *request = row[:13]
    name, parameters, output, requested_by, status, error_code, error_message = request
    location, rows, size, digest, made_at, claimed_at = row[13:]
    return Due(
        delivery_id=int(delivery_id),
        config_id=int(config_id or 0),  # a row that somebody put in by hand has perhaps no report
        kind=kind,
        channel=channel,
        recipient=recipient,
        attempts=int(attempts or 0),
        report_name=name,
        parameters=parameters,
        output_format=output,
        requested_by=requested_by,
        status=status,
        error_code=error_code,
        error_message=error_message,
        produced=Produced(location, int(rows or 0), int(size or 0), digest or "") if location else None,
        made_at=made_at,
        claimed_at=claimed_at,
    )
