"""What recipients are told: that their report is there, or why it is not."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from report_service.links import Link
from report_service.queue.rows import Due, Produced, Undelivered
from report_service.renderers import ReportFacts


@dataclass(frozen=True)
class Message:
    """A message for any channel; `path` is the report's file where it is small enough to be sent along."""

    subject: str
    text: str
    path: Path | None = None
    media_type: str = "application/octet-stream"


def report_message(
    facts: ReportFacts, produced: Produced, path: Path | None, media_type: str, link: Link | None, *, by_email: bool
) -> Message:
    """Tell that a report is made, and by which link or where it can be had, unless all get the file itself.

    `by_email` says whether every recipient is told by e-mail: no other channel brings the file along.
    """
    lines = [
        facts.title,
        facts.description,
        "",
        *(f"{label}: {value}" for label, value in facts.parameters),
        f"Rows: {produced.rows:,}",
        f"Generated: {facts.generated_at:%Y-%m-%d %H:%M:%S} UTC",
        *_file(produced, link, attached=path is not None, by_email=by_email),
        f"SHA-256: {produced.sha256}",
    ]
    return Message(facts.title, _text(lines), path, media_type)


def _file(produced: Produced, link: Link | None, *, attached: bool, by_email: bool) -> list[str]:
    if attached and by_email:
        return [f"File: attached, {produced.bytes:,} bytes"]
    size = f"{'attached to e-mails, ' if attached else ''}{produced.bytes:,} bytes"
    if link:
        return [f"File: {size}, until {link.expires_at:%Y-%m-%d %H:%M} UTC at:", link.url]
    return [f"File: {size}, {produced.location}"]


def failure_message(due: Due, parameters: Sequence[tuple[str, str]], undelivered: Sequence[Undelivered]) -> Message:
    """Tell the requester that a report could not be made, or whom it did not reach.

    `parameters` are labels and values, by which the requester knows it among others of its name.
    """
    name = " ".join(str(due.report_name).split())[:80]  # whatever the row holds: no header has line breaks
    asked = [f"{label}: {value}" for label, value in parameters]
    if due.status == "FAILED":
        subject = f"The report {name} could not be made"
        lines = [f"{subject}.", *asked, "", f"{due.error_code}: {due.error_message}", ""]
        again = f"or, once another cause is mended, for the same with the procedure RERUN_REPORT({due.config_id})"
        lines.append(f"Request: {due.config_id}. Ask again with what is allowed, {again}.")
    else:
        subject = f"The report {name} did not reach everybody"
        lines = [f"{subject}.", *asked, "", *(_line(each) for each in undelivered), ""]
        lines.append(f"Request: {due.config_id}. Its file: {due.produced.location if due.produced else 'none'}")
    return Message(subject, _text(lines))


def _line(each: Undelivered) -> str:
    return f"{each.channel} {each.recipient}: {each.status}, {each.error_code}: {each.error_message}"


def _text(lines: Sequence[str]) -> str:
    return "\n".join(lines) + "\n"
