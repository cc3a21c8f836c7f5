"""Who gets a report: `[{"channel": "email", "to": "name@example.com"}]`."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NoReturn

from email_validator import EmailNotValidError, validate_email

from report_service.errors import ErrorCode, RequestError

MAX_RECIPIENTS = 50
_EXAMPLE = '{"channel": "email", "to": "name@example.com"}'
DESTINATION = r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}"  # its name


@dataclass(frozen=True)
class Recipient:
    """One recipient: a channel, and the address there."""

    channel: str
    address: str


@dataclass(frozen=True)
class RecipientRules:
    """Whom an environment may tell.

    E-mail: addresses in `domains`, or any if there are none. SNS: `topics` by their ARNs. Apprise: names in a secret,
    which are looked up when a message leaves, if there is one. With `requesters` whoever asked hears of failures, and
    `failures_to` in the place of those who are no e-mail address.
    """

    domains: tuple[str, ...] = ()
    topics: tuple[str, ...] = ()
    destinations: bool = False
    requesters: bool = True
    failures_to: str | None = None

    def check(self, given: Any) -> tuple[Recipient, ...]:
        """Return the recipients of a request, each once; raises RequestError naming the entry that is wrong."""
        if given is None:
            return ()
        if not isinstance(given, list):
            _refuse(f"RECIPIENTS is {_shown(given)}; a list is allowed, like [{_EXAMPLE}].")
        if len(given) > MAX_RECIPIENTS:
            _refuse(f"RECIPIENTS has {len(given)} entries; at most {MAX_RECIPIENTS} are allowed.")
        return tuple(dict.fromkeys(self._recipient(number, entry) for number, entry in enumerate(given, start=1)))

    def requester(self, requested_by: Any) -> Recipient | None:
        """Return who is told that a request failed: REQUESTED_BY where that is an allowed e-mail address."""
        if not self.requesters:
            return None
        try:
            return Recipient("email", self._email(requested_by))
        except ValueError:
            return Recipient("email", self.failures_to) if self.failures_to else None

    def _recipient(self, number: int, entry: Any) -> Recipient:
        if not isinstance(entry, dict) or {str(key).lower() for key in entry} != {"channel", "to"}:
            _refuse(f"Recipient {number} is {_shown(entry)}; an object with channel and to is allowed, {_EXAMPLE}.")
        fields = {str(key).lower(): value for key, value in entry.items()}
        channels: dict[str, Callable[[Any], str]] = {
            "email": self._email,
            "sns": self._topic,
            "apprise": self._destination,
        }
        channel = str(fields["channel"]).lower()
        if channel not in channels:
            _refuse(f"Recipient {number} has the channel {_shown(fields['channel'])}; allowed: {', '.join(channels)}.")
        try:
            return Recipient(channel, channels[channel](fields["to"]))
        except ValueError as error:
            _refuse(f"Recipient {number} is {_shown(fields['to'])}, {error}")

    def _email(self, given: Any) -> str:
        try:
            found = validate_email(given, check_deliverability=False, allow_smtputf8=False)
        except (EmailNotValidError, TypeError, AttributeError) as error:
            raise ValueError(f"which is no e-mail address: {error}") from None
        if self.domains and found.domain.lower() not in self.domains:
            raise ValueError(f"whose domain gets no reports; allowed: {', '.join(self.domains)}.")
        return str(found.ascii_email)  # SES takes a domain in Punycode only ("SendEmail" in its API Reference)

    def _topic(self, given: Any) -> str:
        for topic in self.topics:
            if given in (topic, topic.rpartition(":")[2]):
                return topic
        if not self.topics:
            raise ValueError("but this environment has no topics; set [notify] topic_arns for it.")
        raise ValueError(f"which is no topic of this environment; allowed: {_names(self.topics)}.")

    def _destination(self, given: Any) -> str:
        if not self.destinations:
            raise ValueError("but this environment has no destinations; set [notify] destinations_secret_arn for it.")
        if not isinstance(given, str) or not re.fullmatch(DESTINATION, given):
            raise ValueError("which is no name of a destination: letters, digits, _ . and -, at most 64.")
        return given


def _names(topics: Sequence[str]) -> str:
    return ", ".join(topic.rpartition(":")[2] for topic in topics)


def _refuse(message: str) -> NoReturn:
    raise RequestError(ErrorCode.INVALID_RECIPIENT, message, field="RECIPIENTS")


def _shown(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False, default=str)
    return text if len(text) <= 80 else text[:79] + "…"
