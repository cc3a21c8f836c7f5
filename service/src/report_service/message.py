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
    facts: ReportFacts, produced: Produced, path: Path | None, media_type: str, link: Link | None
) -> Message:
    """Tell that a report is made, and by which link it can be had: not every channel brings the file along."""
    lines = [
        facts.title,
        facts.description,
        "",
        *(f"{label}: {value}" for label, value in facts.parameters),
        f"Rows: {produced.rows:,}",
        f"Generated: {facts.generated_at:%Y-%m-%d %H:%M:%S} UTC",
        *_file(produced, path, link),
        f"SHA-256: {produced.sha256}",
    ]
    return Message(facts.title, _text(lines), path, media_type)


def _file(produced: Produced, path: Path | None, link: Link | None) -> list[str]:
    size = f"{'attached to e-mails, ' if path else ''}{produced.bytes:,} bytes"
    if link:
        return [f"File: {size}, until {link.expires_at:%Y-%m-%d %H:%M} UTC at:", link.url]
    return [f"File: {size}, {produced.location}"]


def failure_message(due: Due, undelivered: Sequence[Undelivered]) -> Message:
    """Tell the requester that a report could not be made, or whom it did not reach."""
    name = " ".join(str(due.report_name).split())[:80]  # whatever the row holds: no header has line breaks
    if due.status == "FAILED":
        subject = f"The report {name} could not be made"
        lines = [f"{subject}.", "", f"{due.error_code}: {due.error_message}", ""]
        again = f"or, once another cause is mended, for the same with the procedure RERUN_REPORT({due.config_id})"
        lines.append(f"Request: {due.config_id}. Ask again with what is allowed, {again}.")
    else:
        subject = f"The report {name} did not reach everybody"
        lines = [f"{subject}.", "", *(_line(each) for each in undelivered), ""]
        lines.append(f"Request: {due.config_id}. Its file: {due.produced.location if due.produced else 'none'}")
    return Message(subject, _text(lines))


def _line(each: Undelivered) -> str:
    return f"{each.channel} {each.recipient}: {each.status}, {each.error_code}: {each.error_message}"


def _text(lines: Sequence[str]) -> str:
    return "\n".join(lines) + "\n"
