"""Delivery of finished reports: what the ledger says is due goes out, each recipient at most once."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from email.message import EmailMessage
from functools import partial
from pathlib import Path
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError, HTTPClientError, SSLError
from botocore.parsers import ResponseParserError
from snowflake.connector.errors import Error as SnowflakeError

from report_service import log
from report_service.catalogue import Catalogue
from report_service.errors import ReportError
from report_service.links import Link, Links
from report_service.queue.delivery_ledger import DeliveryLedger
from report_service.queue.rows import Due, Produced
from report_service.renderers import ReportFacts, facts_of, renderer_for
from report_service.requests import finished_request
from report_service.storage import Storage

_TRIES = 8
_RECORD_PAUSES = (0.5, 1.0, 2.0, 4.0)  # seconds: a lane, and a stop of the worker, wait for them
_FIRST_PAUSE = 10.0  # seconds between tries, then twice as many: the last is 21 minutes after the first


class DeliveryError(Exception):
    """A recipient that could not be reached, with a code for the ledger; `retry` says whether later may do."""

    def __init__(self, code: str, message: str, *, retry: bool = False) -> None:
        super().__init__(message)
        self.code = code
        self.retry = retry


class NoAnswerError(DeliveryError):
    """A message that was sent and not answered as it should be: it may have arrived."""


@dataclass(frozen=True)
class Parcel:
    """What a recipient gets: what the report is, and its file, or where that is too large to be sent along, a link."""

    facts: ReportFacts
    produced: Produced
    path: Path | None
    media_type: str
    link: Link | None = None


Channel = Callable[[Parcel, str], None]


class EmailChannel:
    """E-mail by Amazon SES, through a client that sends each message once, whatever comes back."""

    def __init__(self, ses: Any, *, sender: str | None) -> None:
        self._ses = ses
        self._sender = sender

    def __call__(self, parcel: Parcel, recipient: str) -> None:
        """Send one e-mail; raises DeliveryError."""
        if self._sender is None:
            raise DeliveryError(
                "NO_SENDER", "This environment has no mail sender; set [mail] sender in its environment file."
            )
        message = _message(parcel, self._sender, recipient)
        try:
            answer = self._ses.send_email(
                FromEmailAddress=self._sender,
                Destination={"ToAddresses": [recipient]},
                Content={"Raw": {"Data": message.as_bytes()}},
            )
        except ClientError as error:
            if _unknown(error):
                raise NoAnswerError("NO_ANSWER", f"SES failed; the e-mail may have arrived: {error}") from error
            raise DeliveryError("SEND_FAILED", f"SES did not take the e-mail: {error}", retry=_passes(error)) from error
        except (HTTPClientError, SSLError, ResponseParserError) as error:  # too late, cut off, or not to be understood
            raise NoAnswerError("NO_ANSWER", f"SES gave no answer; the e-mail may have arrived: {error}") from error
        except BotoCoreError as error:  # not a word was sent: no connection, no credentials
            raise DeliveryError("SEND_FAILED", f"SES could not be reached: {error}", retry=True) from error
        if not isinstance(answer, dict) or not answer.get("MessageId"):
            raise NoAnswerError("NO_ANSWER", "SES answered without a MessageId; the e-mail may have arrived.")


class Delivery:
    """Brings finished reports to their recipients; one that fails is told in the ledger and disturbs nobody."""

    def __init__(
        self,
        catalogue: Catalogue,
        storage: Storage,
        channels: dict[str, Channel],
        *,
        attachment_bytes: int,
        links: Links | None = None,
    ) -> None:
        self._catalogue = catalogue
        self._storage = storage
        self._channels = channels
        self._attachment_bytes = attachment_bytes
        self._links = links

    def deliver(
        self, ledger: DeliveryLedger, token: str, dues: Sequence[Due], *, stopping: Callable[[], bool] = lambda: False
    ) -> None:
        """Bring one report to those of its recipients that were claimed with `token`; with `stopping`, to no more."""
        with tempfile.TemporaryDirectory(prefix="delivery-") as folder:
            problem: DeliveryError | None = None
            try:
                parcel = self._parcel(dues[0], Path(folder))
            except DeliveryError as error:
                problem = error
            except Exception as error:  # noqa: BLE001 - nothing has been sent; the row says what it was
                log.error("delivery.internal_error", error, private=True, **_ids(dues[0]))
                problem = DeliveryError("INTERNAL_ERROR", f"{type(error).__name__}: {error}", retry=True)
            for due in dues:
                if stopping():
                    return
                if not ledger.sending(due, token):
                    continue
                try:
                    if problem:
                        raise problem
                    self._channel(due)(parcel, due.recipient)
                except DeliveryError as error:
                    _record(ledger, due, token, error)
                except Exception as error:  # noqa: BLE001 - a fault in one channel keeps no other recipient waiting
                    log.error("delivery.internal_error", error, private=True, **_ids(due))
                    _record(ledger, due, token, NoAnswerError("INTERNAL_ERROR", f"{type(error).__name__}: {error}"))
                else:
                    _insist(partial(ledger.sent, due, token))
                    log.info("delivery.sent", channel=due.channel, **_ids(due))

    def _channel(self, due: Due) -> Channel:
        if due.channel not in self._channels:
            allowed = ", ".join(self._channels)
            raise DeliveryError("UNKNOWN_CHANNEL", f"The channel is {due.channel!r}; allowed: {allowed}.")
        return self._channels[due.channel]

    def _parcel(self, due: Due, folder: Path) -> Parcel:
        if due.produced is None or due.made_at is None:
            raise DeliveryError(
                "NO_FILE", f"Row {due.config_id} has no file any more: it was deleted or changed by hand."
            )
        try:
            request = finished_request(due, self._catalogue)
        except ReportError as error:
            raise DeliveryError(error.code, error.message) from error
        facts = facts_of(request, config_id=due.config_id, requested_by=due.requested_by, generated_at=due.made_at)
        renderer = renderer_for(request.output)
        path = link = None
        try:
            if due.produced.bytes <= self._attachment_bytes:
                path = folder / f"{request.report.name}.{renderer.extension}"
                self._storage.fetch(due.produced.location, path, sha256=due.produced.sha256)
            elif self._links:
                link = self._links.link(due.config_id, due.produced.location, now=due.now())
        except ReportError as error:
            raise DeliveryError(error.code, error.message, retry=error.retry) from error
        return Parcel(facts, due.produced, path, renderer.media_type, link)


def _record(ledger: DeliveryLedger, due: Due, token: str, error: DeliveryError) -> None:
    tries = due.attempts + 1
    message = str(error)
    if isinstance(error, NoAnswerError):
        _insist(partial(ledger.uncertain, due, token, error.code, message))
    elif error.retry and tries < _TRIES:
        delay = _FIRST_PAUSE * 2**due.attempts
        _insist(partial(ledger.retry, due, token, error.code, message, delay_seconds=delay))
    else:
        _insist(partial(ledger.failed, due, token, error.code, message))
    # The reason may name the address: it stands in the ledger, not in the log.
    log.warning("delivery.failed", code=error.code, tries=tries, **_ids(due))


def _insist(record: Callable[[], None]) -> None:
    """Record what became of a message, over a short fault of Snowflake too: unrecorded, it would be UNCERTAIN."""
    for pause in _RECORD_PAUSES:
        try:
            record()
        except SnowflakeError as error:
            log.error("delivery.not_recorded", error, private=True, pause_seconds=pause)
            time.sleep(pause)
        else:
            return
    record()


def _passes(error: ClientError) -> bool:
    """Tell whether SES may take the same message later: it was too busy, or away."""
    status, code = _status(error), error.response.get("Error", {}).get("Code", "")
    return status in (429, 503) or "Throttl" in code or code in ("LimitExceededException", "RequestTimeout")


def _unknown(error: ClientError) -> bool:
    """Tell whether nobody knows if SES took the message: it broke while it was at it."""
    return _status(error) >= 500 and _status(error) != 503


def _status(error: ClientError) -> int:
    return int(error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))


def _message(parcel: Parcel, sender: str, recipient: str) -> EmailMessage:
    facts, produced = parcel.facts, parcel.produced
    message = EmailMessage()
    message["From"], message["To"], message["Subject"] = sender, recipient, facts.title
    lines = [
        facts.title,
        facts.description,
        "",
        *(f"{label}: {value}" for label, value in facts.parameters),
        f"Rows: {produced.rows:,}",
        f"Generated: {facts.generated_at:%Y-%m-%d %H:%M:%S} UTC",
        *_file(parcel),
        f"SHA-256: {produced.sha256}",
    ]
    message.set_content("\n".join(lines) + "\n")
    if parcel.path:
        kind, subtype = parcel.media_type.split(";")[0].split("/")
        content = parcel.path.read_bytes()
        message.add_attachment(content, maintype=kind, subtype=subtype, filename=parcel.path.name)
    return message


def _file(parcel: Parcel) -> list[str]:
    size, link = f"{parcel.produced.bytes:,} bytes", parcel.link
    if link:
        return [f"File: too large to attach, {size}, until {link.expires_at:%Y-%m-%d %H:%M} UTC at:", link.url]
    return [f"File: {'attached' if parcel.path else 'too large to attach'}, {size}, {parcel.produced.location}"]


def _ids(due: Due) -> dict[str, int]:
    return {"config_id": due.config_id, "delivery_id": due.delivery_id}
