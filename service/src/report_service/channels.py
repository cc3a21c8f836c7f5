"""The channels that a message goes out by. Each sends it once: none has a token by which a second one is known."""

from __future__ import annotations

import html
import json
import re
import threading
import time
from collections.abc import Callable, Mapping
from email.message import EmailMessage
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError, HTTPClientError, SSLError
from botocore.parsers import ResponseParserError

from report_service.message import Message

_SUBJECT = re.compile(r"[A-Za-z0-9!-/:-@\[-`{-~][ -~]{0,98}")  # Amazon SNS, "Publish": what a subject may be
_KEPT_SECONDS = 300.0  # so long are the destinations' URLs held before their secret is read again
_STATUS = re.compile(r"error=(\d{3})")


class DeliveryError(Exception):
    """A recipient that could not be reached, with a code for the ledger; `retry` says whether later may do."""

    def __init__(self, code: str, message: str, *, retry: bool = False) -> None:
        super().__init__(message)
        self.code = code
        self.retry = retry


class NoAnswerError(DeliveryError):
    """A message that was sent and not answered as it should be: it may have arrived."""


Channel = Callable[[Message, str], None]


class EmailChannel:
    """E-mail by Amazon SES, through a client that sends each message once, whatever comes back."""

    def __init__(self, ses: Any, *, sender: str | None) -> None:
        self._ses = ses
        self._sender = sender

    def __call__(self, message: Message, recipient: str) -> None:
        """Send one e-mail; raises DeliveryError."""
        if self._sender is None:
            raise DeliveryError(
                "NO_SENDER", "This environment has no mail sender; set [mail] sender in its environment file."
            )
        raw = _mime(message, self._sender, recipient).as_bytes()
        call = {
            "FromEmailAddress": self._sender,
            "Destination": {"ToAddresses": [recipient]},
            "Content": {"Raw": {"Data": raw}},
        }
        _send("SES", lambda: self._ses.send_email(**call))


class SnsChannel:
    """A message to an SNS topic, through a client that sends it once; the file is not in it."""

    def __init__(self, sns: Any) -> None:
        self._sns = sns

    def __call__(self, message: Message, recipient: str) -> None:
        """Publish to the topic with the ARN `recipient`; raises DeliveryError."""
        subject = {"Subject": message.subject} if _SUBJECT.fullmatch(message.subject) else {}
        _send("SNS", lambda: self._sns.publish(TopicArn=recipient, Message=message.text, **subject))


class AppriseChannel:
    """Slack, Teams and whatever else apprise can reach; the file is not in the message.

    A recipient is a name in a secret: one JSON object of names and apprise's URLs, which hold the tokens. Without the
    secret there are none.
    """

    def __init__(self, secrets: Any, secret_arn: str | None) -> None:
        self._secrets = secrets
        self._secret_arn = secret_arn
        self._urls: Mapping[str, str] = {}
        self._read_at = float("-inf")
        self._one_at_a_time = threading.Lock()  # apprise says why it failed in its log only

    def __call__(self, message: Message, recipient: str) -> None:
        """Notify one destination; raises DeliveryError."""
        import apprise  # only now: it takes half a second, and most workers never need it

        with self._one_at_a_time:
            plugin = apprise.Apprise.instantiate(self._url(recipient), suppress_exceptions=True)
            if plugin is None:
                raise DeliveryError(
                    "INVALID_DESTINATION", f"apprise knows no service for the URL of {recipient!r} in the secret."
                )
            # Not the plugin's own `notify`: to one that speaks HTML, like Telegram's, our text would be markup.
            notifier = apprise.Apprise(plugin)
            if plugin.notify_format == apprise.NotifyFormat.MARKDOWN:  # apprise takes text for Markdown as it is
                plugin.notify_format = apprise.NotifyFormat.TEXT
            # Slack reads <!channel> and <url|text> in plain text too (its page "Formatting message text").
            text = html.escape(message.text, quote=False) if plugin.secure_protocol == "slack" else message.text
            with apprise.LogCapture(level=apprise.logging.WARNING) as told:  # type: ignore[no-untyped-call]
                if notifier.notify(title=message.subject, body=text, body_format=apprise.NotifyFormat.TEXT):
                    return
                reason = " ".join(told.getvalue().split()) or "apprise did not say why"
        status = int(found[1]) if (found := _STATUS.search(reason)) else None
        if status is None or (status >= 500 and status != 503):
            raise NoAnswerError("NO_ANSWER", f"{recipient} gave no answer; it may have arrived: {reason}")
        raise DeliveryError("SEND_FAILED", f"{recipient} did not take it: {reason}", retry=status in (429, 503))

    def _url(self, recipient: str) -> str:
        if recipient not in self._urls or time.monotonic() - self._read_at > _KEPT_SECONDS:  # it may be a new one
            self._urls = self._read()
            self._read_at = time.monotonic()
        if recipient not in self._urls:
            known = ", ".join(self._urls) or "none"
            raise DeliveryError("UNKNOWN_DESTINATION", f"There is no destination {recipient!r}; there are: {known}.")
        return self._urls[recipient]

    def _read(self) -> Mapping[str, str]:
        if self._secret_arn is None:
            return {}
        try:
            urls = json.loads(self._secrets.get_secret_value(SecretId=self._secret_arn)["SecretString"])
        except (BotoCoreError, ClientError, ResponseParserError) as error:
            raise DeliveryError("NO_DESTINATIONS", f"Their secret could not be read: {error}", retry=True) from error
        except ValueError:
            urls = None
        if not isinstance(urls, dict) or not all(isinstance(url, str) for url in urls.values()):
            raise DeliveryError(
                "NO_DESTINATIONS", 'Their secret is no JSON object of names and URLs, like {"finance": "slack://…"}.'
            )
        return urls


def _send(service: str, call: Callable[[], Any]) -> None:
    """Make a call that sends a message, and turn what comes back into a DeliveryError unless it was taken."""
    try:
        answer = call()
    except ClientError as error:
        if _unknown(error):
            raise NoAnswerError("NO_ANSWER", f"{service} failed; the message may have arrived: {error}") from error
        text = f"{service} did not take the message: {error}"
        raise DeliveryError("SEND_FAILED", text, retry=_passes(error)) from error
    except (HTTPClientError, SSLError, ResponseParserError) as error:  # too late, cut off, or not to be understood
        raise NoAnswerError("NO_ANSWER", f"{service} gave no answer; it may have arrived: {error}") from error
    except BotoCoreError as error:  # not a word was sent: no connection, no credentials
        raise DeliveryError("SEND_FAILED", f"{service} could not be reached: {error}", retry=True) from error
    if not isinstance(answer, dict) or not answer.get("MessageId"):
        raise NoAnswerError("NO_ANSWER", f"{service} answered without a MessageId; the message may have arrived.")


def _passes(error: ClientError) -> bool:
    """Tell whether the same message may be taken later: the service was too busy, or away."""
    status, code = _status(error), error.response.get("Error", {}).get("Code", "")
    return status in (429, 503) or "Throttl" in code or code in ("LimitExceededException", "RequestTimeout")


def _unknown(error: ClientError) -> bool:
    """Tell whether nobody knows if the message was taken: the service broke while it was at it."""
    return _status(error) >= 500 and _status(error) != 503


def _status(error: ClientError) -> int:
    return int(error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))


def _mime(message: Message, sender: str, recipient: str) -> EmailMessage:
    mail = EmailMessage()
    mail["From"], mail["To"], mail["Subject"] = sender, recipient, message.subject
    mail.set_content(message.text)
    if message.path:
        told = EmailMessage()
        told["Content-Type"] = message.media_type
        kind, subtype = told.get_content_type().split("/")
        parameters = dict(told["Content-Type"].params)  # the charset of a CSV
        mail.add_attachment(
            message.path.read_bytes(), maintype=kind, subtype=subtype, filename=message.path.name, params=parameters
        )
    return mail
