"""Delivery of a finished report to its recipients, each once, each with a row of its own in REPORT_DELIVERY."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from email.message import EmailMessage
from pathlib import Path
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from report_service import log
from report_service.queue.report_queue import ReportQueue
from report_service.queue.rows import Claim, Produced
from report_service.renderers.renderer import ReportFacts


class DeliveryError(Exception):
    """A recipient that could not be reached, with a code for the ledger."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


@dataclass(frozen=True)
class Parcel:
    """What a recipient gets: the file, and what it is."""

    facts: ReportFacts
    produced: Produced
    path: Path
    media_type: str


Channel = Callable[[Parcel, str], None]


class EmailChannel:
    """E-mail by Amazon SES: the file attached up to `attachment_bytes`, else its place in S3."""

    def __init__(self, ses: Any, *, sender: str | None, attachment_bytes: int) -> None:
        self._ses = ses
        self._sender = sender
        self._attachment_bytes = attachment_bytes

    def __call__(self, parcel: Parcel, recipient: str) -> None:
        """Send one e-mail; raises DeliveryError."""
        if self._sender is None:
            raise DeliveryError(
                "NO_SENDER", "This environment has no mail sender; set [mail] sender in its environment file."
            )
        message = self._message(parcel, self._sender, recipient)
        try:
            self._ses.send_email(
                FromEmailAddress=self._sender,
                Destination={"ToAddresses": [recipient]},
                Content={"Raw": {"Data": message.as_bytes()}},
            )
        except (BotoCoreError, ClientError) as error:
            raise DeliveryError("SEND_FAILED", f"SES did not take the e-mail: {error}") from error

    def _message(self, parcel: Parcel, sender: str, recipient: str) -> EmailMessage:
        facts, produced = parcel.facts, parcel.produced
        attach = produced.bytes <= self._attachment_bytes
        message = EmailMessage()
        message["From"], message["To"], message["Subject"] = sender, recipient, facts.title
        lines = [
            facts.title,
            facts.description,
            "",
            *(f"{label}: {value}" for label, value in facts.parameters),
            f"Rows: {produced.rows:,}",
            f"Generated: {facts.generated_at:%Y-%m-%d %H:%M:%S} UTC",
            f"File: {'attached' if attach else 'too large to attach'}, {produced.bytes:,} bytes, {produced.location}",
            f"SHA-256: {produced.sha256}",
        ]
        message.set_content("\n".join(lines) + "\n")
        if attach:
            kind, subtype = parcel.media_type.split(";")[0].split("/")
            content = parcel.path.read_bytes()
            message.add_attachment(content, maintype=kind, subtype=subtype, filename=parcel.path.name)
        return message


class Delivery:
    """Works off the ledger of one finished report; a recipient that fails is told there and disturbs nobody."""

    def __init__(self, channels: dict[str, Channel]) -> None:
        self._channels = channels

    def deliver(self, queue: ReportQueue, claim: Claim, parcel: Parcel) -> None:
        """Try every recipient that nobody has tried."""
        for delivery_id, channel, recipient in queue.deliveries(claim):
            try:
                self._channels[channel](parcel, recipient)
            except DeliveryError as error:
                queue.not_delivered(delivery_id, error.code, str(error))
                # The reason may name the address: it stands in the ledger, not in the log.
                log.warning("delivery.failed", code=error.code, config_id=claim.config_id, delivery_id=delivery_id)
            else:
                queue.delivered(delivery_id)
                log.info("delivery.sent", config_id=claim.config_id, delivery_id=delivery_id, channel=channel)
