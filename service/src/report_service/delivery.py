"""Delivery of finished reports: what the ledger says is due goes out, each recipient at most once."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TypeVar

from snowflake.connector.errors import Error as SnowflakeError

from report_service import log
from report_service.catalogue import Catalogue
from report_service.channels import Channel, DeliveryError, NoAnswerError
from report_service.errors import ReportError, presentable
from report_service.links import Links
from report_service.message import Message, failure_message, report_message
from report_service.queue.delivery_ledger import DeliveryLedger
from report_service.queue.rows import Due
from report_service.recipients import RecipientRules
from report_service.renderers import facts_of, renderer_for, shown_parameters
from report_service.requests import finished_request
from report_service.storage import Storage

_TRIES = 8
_RECORD_PAUSES = (0.5, 1.0, 2.0, 4.0)  # seconds: a lane, and a stop of the worker, wait for them
_FIRST_PAUSE = 10.0  # seconds between tries, then twice as many: the last is 21 minutes after the first

Recorded = TypeVar("Recorded")


class Delivery:
    """Brings finished reports to their recipients; one that fails is told in the ledger and disturbs nobody.

    Whoever asked for the report is told too, if `rules` have an address for it.
    """

    def __init__(
        self,
        catalogue: Catalogue,
        storage: Storage,
        channels: Mapping[str, Channel],
        *,
        rules: RecipientRules,
        attachment_bytes: int,
        links: Links | None = None,
    ) -> None:
        self._catalogue = catalogue
        self._storage = storage
        self._channels = channels
        self._rules = rules
        self._attachment_bytes = attachment_bytes
        self._links = links

    def give_up_lost(self, ledger: DeliveryLedger) -> None:
        """Say of what dead workers were sending that nobody knows, in the ledger and to whoever asked for it."""
        for config_id, requested_by in ledger.give_up_lost():
            if requester := self._rules.requester(requested_by):
                ledger.tell_requester(config_id, requester.channel, requester.address)

    def deliver(
        self, ledger: DeliveryLedger, token: str, dues: Sequence[Due], *, stopping: Callable[[], bool] = lambda: False
    ) -> None:
        """Bring one report to those of its recipients that were claimed with `token`; with `stopping`, to no more."""
        reports = [due for due in dues if due.kind != "FAILURE"]
        notices = [due for due in dues if due.kind == "FAILURE"]
        with tempfile.TemporaryDirectory(prefix="delivery-") as folder:
            if reports:
                self._send(ledger, token, reports, lambda: self._report(reports, Path(folder)), stopping)
            if notices:
                self._send(ledger, token, notices, lambda: self._notice(ledger, notices[0]), stopping)

    def _send(
        self,
        ledger: DeliveryLedger,
        token: str,
        dues: Sequence[Due],
        message_of: Callable[[], Message],
        stopping: Callable[[], bool],
    ) -> None:
        problem: DeliveryError | None = None
        try:
            message = message_of()
        except DeliveryError as error:
            problem = error
        except Exception as error:  # noqa: BLE001 - nothing has been sent; the row says what it was
            log.error("delivery.internal_error", error, private=True, **_ids(dues[0]))
            problem = DeliveryError("INTERNAL_ERROR", f"{type(error).__name__}: {error}", retry=True)
        for due in dues:
            if stopping():
                return
            if not _insist(partial(ledger.sending, due, token)):
                continue
            try:
                if problem:
                    raise problem
                self._channel(due)(message, due.recipient)
            except DeliveryError as error:
                self._record(ledger, due, token, error)
            except Exception as error:  # noqa: BLE001 - a fault in one channel keeps no other recipient waiting
                log.error("delivery.internal_error", error, private=True, **_ids(due))
                self._record(ledger, due, token, NoAnswerError("INTERNAL_ERROR", f"{type(error).__name__}: {error}"))
            else:
                _insist(partial(ledger.sent, due, token))
                log.info("delivery.sent", channel=due.channel, **_ids(due))

    def _channel(self, due: Due) -> Channel:
        if due.channel not in self._channels:
            allowed = ", ".join(self._channels)
            raise DeliveryError("UNKNOWN_CHANNEL", f"The channel is {due.channel!r}; allowed: {allowed}.")
        return self._channels[due.channel]

    def _report(self, dues: Sequence[Due], folder: Path) -> Message:
        due, by_email = dues[0], [due.channel == "email" for due in dues]
        if due.produced is None or due.made_at is None:
            raise DeliveryError(
                "NO_FILE", f"Row {due.config_id} has no file any more: it was deleted or changed by hand."
            )
        try:
            request = finished_request(due, self._catalogue)
        except ReportError as error:
            raise DeliveryError(error.code, error.message) from error
        facts = facts_of(request, config_id=due.config_id, requested_by=due.requested_by, generated_at=due.made_at)
        renderer = renderer_for(request.output, request.report.definition)
        attached = any(by_email) and due.produced.bytes <= self._attachment_bytes
        path = link = None
        try:
            if attached:
                path = folder / f"{request.report.name}.{renderer.extension}"
                self._storage.fetch(due.produced.location, path, sha256=due.produced.sha256)
            if self._links and not (attached and all(by_email)):
                link = self._links.link(due.config_id, due.produced.location, now=due.now())
        except ReportError as error:
            raise DeliveryError(error.code, error.message, retry=error.retry) from error
        return report_message(facts, due.produced, path, renderer.media_type, link, by_email=all(by_email))

    def _notice(self, ledger: DeliveryLedger, due: Due) -> Message:
        try:
            parameters = shown_parameters(finished_request(due, self._catalogue))
        except ReportError:  # perhaps that is why there is no report
            parameters = (("Parameters", presentable(due.parameters)),) if due.parameters else ()
        return failure_message(due, parameters, ledger.undelivered(due.config_id))

    def _record(self, ledger: DeliveryLedger, due: Due, token: str, error: DeliveryError) -> None:
        tries = due.attempts + 1
        message = str(error)
        if error.retry and tries < _TRIES:
            delay = _FIRST_PAUSE * 2**due.attempts
            _insist(partial(ledger.retry, due, token, error.code, message, delay_seconds=delay))
        else:
            record = ledger.uncertain if isinstance(error, NoAnswerError) else ledger.failed
            _insist(partial(record, due, token, error.code, message))
            requester = self._rules.requester(due.requested_by)
            if requester and due.kind != "FAILURE" and requester.address != due.recipient:
                _insist(partial(ledger.tell_requester, due.config_id, requester.channel, requester.address))
        # The reason may name the address: it stands in the ledger, not in the log.
        log.warning("delivery.failed", code=error.code, tries=tries, **_ids(due))


def _insist(record: Callable[[], Recorded]) -> Recorded:
    """Record how far a message is, over a short fault of Snowflake too: unrecorded, it would be UNCERTAIN."""
    for pause in _RECORD_PAUSES:
        try:
            return record()
        except SnowflakeError as error:
            log.error("delivery.not_recorded", error, private=True, pause_seconds=pause)
            time.sleep(pause)
    return record()


def _ids(due: Due) -> dict[str, int]:
    return {"config_id": due.config_id, "delivery_id": due.delivery_id}
