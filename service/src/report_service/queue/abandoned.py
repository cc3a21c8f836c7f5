"""Transactions that killed workers left open, and with them their locks."""

from __future__ import annotations

import datetime
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from snowflake.connector.errors import Error as SnowflakeError

from report_service import log
from report_service.queue import statements
from report_service.warehouse import Warehouse, waited_for_a_lock


class AbandonedTransactions:
    """Ends those of the session's own user that are older than `seconds`; ours take less.

    Snowflake itself ends them after five minutes at the earliest. Whoever has to wait for a lock does it here.
    """

    def __init__(self, warehouse: Warehouse, *, seconds: float) -> None:
        self._warehouse = warehouse
        self._age = datetime.timedelta(seconds=seconds)

    @contextmanager
    def out_of_the_way(self) -> Iterator[None]:
        """End them if what is done inside had to wait for a lock too long; its error is raised in any case."""
        try:
            yield
        except SnowflakeError as error:
            if waited_for_a_lock(error):
                try:
                    self._end()
                except Exception as why:  # noqa: BLE001 - the lock is what the caller has to know of
                    log.error("queue.transactions_not_ended", why)
            raise

    def _end(self) -> None:
        ((now,),) = self._warehouse.rows(statements.NOW)
        for number, _, session, _, started, *_ in self._warehouse.rows(statements.TRANSACTIONS):
            age = now - _utc(started)
            if age > self._age:
                try:
                    self._warehouse.rows(statements.abort_transaction(number))
                except SnowflakeError as error:  # it has ended meanwhile, perhaps by another worker
                    log.warning("queue.transaction_not_ended", session=session, reason=str(error)[:300])
                    continue
                log.warning("queue.transaction_ended", session=session, seconds=round(age.total_seconds()))


def _utc(time: Any) -> datetime.datetime:
    """A time of SHOW: an object with a zone, or text."""
    found = time if isinstance(time, datetime.datetime) else datetime.datetime.fromisoformat(str(time))
    return found.astimezone(datetime.UTC).replace(tzinfo=None)
