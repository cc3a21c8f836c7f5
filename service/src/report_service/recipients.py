"""Who gets a report: `[{"channel": "email", "to": "name@example.com"}]`."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any, NoReturn

from email_validator import EmailNotValidError, validate_email

from report_service.errors import ErrorCode, RequestError

CHANNELS = ("email",)
MAX_RECIPIENTS = 50
_EXAMPLE = '{"channel": "email", "to": "name@example.com"}'


@dataclass(frozen=True)
class Recipient:
    """One recipient: a channel, and the address there."""

    channel: str
    address: str


def check_recipients(given: Any) -> tuple[Recipient, ...]:
    """Return the recipients of a request, each once; raises RequestError naming the entry that is wrong."""
    if given is None:
        return ()
    if not isinstance(given, list):
        _refuse(f"RECIPIENTS is {_shown(given)}; a list is allowed, like [{_EXAMPLE}].")
    if len(given) > MAX_RECIPIENTS:
        _refuse(f"RECIPIENTS has {len(given)} entries; at most {MAX_RECIPIENTS} are allowed.")
    return tuple(dict.fromkeys(_recipient(number, entry) for number, entry in enumerate(given, start=1)))


def _recipient(number: int, entry: Any) -> Recipient:
    if not isinstance(entry, dict) or {str(key).lower() for key in entry} != {"channel", "to"}:
        _refuse(f"Recipient {number} is {_shown(entry)}; an object with channel and to is allowed, {_EXAMPLE}.")
    fields = {str(key).lower(): value for key, value in entry.items()}
    channel = str(fields["channel"]).lower()
    if channel not in CHANNELS:
        _refuse(f"Recipient {number} has the channel {_shown(fields['channel'])}; allowed: {', '.join(CHANNELS)}.")
    try:
        address = validate_email(fields["to"], check_deliverability=False).normalized
    except (EmailNotValidError, TypeError, AttributeError) as error:
        _refuse(f"Recipient {number} is {_shown(fields['to'])}, which is no e-mail address: {error}")
    return Recipient(channel, address)


def _refuse(message: str) -> NoReturn:
    raise RequestError(ErrorCode.INVALID_RECIPIENT, message, field="RECIPIENTS")


def _shown(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False, default=str)
    return text if len(text) <= 80 else text[:79] + "…"
