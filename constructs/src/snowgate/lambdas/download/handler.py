"""Lead whoever holds a download link to the report's file, by an S3 URL that is signed anew at each click.

A link is ``/reports/{config_id}/download?token={expires}/{key}/{signature}``: ``expires`` in seconds since 1970, the
object's key, and a signature, which is HMAC-SHA256 in base64url without padding over ``{config_id}/{expires}/{key}``.
"""

from __future__ import annotations

import base64
import datetime
import hmac
import html
import json
import os
import re
import time
from typing import Any, NamedTuple

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

URL_SECONDS = 300  # within which a download begins; one that has begun goes on
READ_AGAIN_SECONDS = 300.0  # a key that was withdrawn is refused after this time at the latest
PAUSE_SECONDS = 10.0  # between two readings of the keys, however many wrong links come
RETRY_SECONDS = 30
REVOKED = {"Key": "download", "Value": "revoked"}  # the object's tag
# A versioned bucket keeps a delete marker, which has no tags to be asked for; and to who may not list a bucket S3 says
# of an object that is not there that access is denied ("GetObject" in the S3 API Reference, Permissions).
GONE = ("NoSuchKey", "MethodNotAllowed", "AccessDenied")

# What the parts may be keeps them apart in the signed text.
_ID = re.compile(r"-?[0-9]{1,38}")
_TOKEN = re.compile(r"([0-9]{1,12})/(.+)/([A-Za-z0-9_-]{43})")
# All calls together stay below the function's own time limit, so that there is an answer.
_CONFIG = Config(connect_timeout=1, read_timeout=2, retries={"mode": "standard", "total_max_attempts": 2})
# Otherwise botocore signs URLs of older regions as Signature Version 2, and all for the global host name, from which S3
# redirects new buckets of other regions elsewhere, where the signature does not hold.
_S3_CONFIG = _CONFIG.merge(Config(signature_version="s3v4", s3={"addressing_style": "virtual"}))
_HEADERS = {
    "cache-control": "no-store",
    "content-security-policy": "default-src 'none'",
    "content-type": "text/html; charset=utf-8",
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
}

_clients: dict[str, Any] = {}


class Refusal(Exception):
    """A link that leads nowhere: the answer's status, and what its page says."""

    def __init__(self, status: int, title: str, text: str) -> None:
        super().__init__(title)
        self.status, self.title, self.text = status, title, text


class Link(NamedTuple):
    """What a link says, not yet checked."""

    config_id: str
    expires: str
    key: str
    signature: str

    @property
    def signed_text(self) -> str:
        """What the signature is over."""
        return f"{self.config_id}/{self.expires}/{self.key}"


class Keys:
    """The keys that a link may be signed with: the secret's current one and the one before.

    They are read when the first link comes, and again when they are old or a signature is none of theirs.
    """

    def __init__(self) -> None:
        self._keys: list[bytes] = []
        self._read_at = float("-inf")

    def signed(self, link: Link) -> bool:
        """Tell whether one of them has signed a link; raises AWS's error if they cannot be read."""
        if self._age() >= READ_AGAIN_SECONDS:
            self._read()
        if self._fit(link):
            return True
        if self._age() >= PAUSE_SECONDS:
            self._read()
        return self._fit(link)

    def _fit(self, link: Link) -> bool:
        fits = [hmac.compare_digest(signature(key, link.signed_text), link.signature) for key in self._keys]
        return any(fits)

    def _age(self) -> float:
        return time.time() - self._read_at

    def _read(self) -> None:
        versions = map(_secret, ("AWSCURRENT", "AWSPREVIOUS"))
        self._keys = [text.encode() for text in versions if text]
        self._read_at = time.time()


_keys = Keys()


def handler(event: dict[str, Any], context: object) -> dict[str, Any]:
    """Answer API Gateway's GET or HEAD of a link (payload format 2.0): 302 to S3, or a page that says why not.

    403 for what is no link of ours, 410 for one that was right once, 404 for a file that is gone, 503 for now.
    A link changes nothing and may be followed any number of times, by the scanners of mailboxes too.
    """
    try:
        url = _follow(read_link(event), event["requestContext"]["http"]["method"])
    except Refusal as refusal:
        _say("info", event="download.refused", status=refusal.status, reason=refusal.title)
        return _page(refusal.status, refusal.title, refusal.text)
    except (ClientError, BotoCoreError) as error:
        _say("error", event="download.failed", message=str(error))
        text = "Nothing is wrong with your link. Please follow it again in a minute."
        return _page(503, "The report cannot be fetched at the moment", text, **{"retry-after": str(RETRY_SECONDS)})
    return {"statusCode": 302, "headers": {**_HEADERS, "location": url}, "body": ""}


def read_link(event: dict[str, Any]) -> Link:
    """Take a link apart.

    Raises:
        Refusal: it has not the form of one.
    """
    config_id = str((event.get("pathParameters") or {}).get("id", ""))
    token = str((event.get("queryStringParameters") or {}).get("token", ""))
    parts = _TOKEN.fullmatch(token)
    if parts is None or not _ID.fullmatch(config_id):
        raise _no_link()
    return Link(config_id, *parts.groups())


def signature(key: bytes, text: str) -> str:
    """The signature of a link's text, 43 characters; half a surrogate pair, which no link of ours has, fits none."""
    encoded = text.encode(errors="surrogatepass")
    return base64.urlsafe_b64encode(hmac.digest(key, encoded, "sha256")).decode().rstrip("=")


def _follow(link: Link, method: str) -> str:
    if not _keys.signed(link):
        raise _no_link()
    if int(link.expires) <= time.time():
        ended = datetime.datetime.fromtimestamp(int(link.expires), datetime.UTC)
        raise Refusal(410, "This link has expired", f"It was valid until {ended:%Y-%m-%d %H:%M} UTC. {_ask(link)}")
    if REVOKED in _tags(link):
        raise Refusal(410, "This link has been revoked", _ask(link))
    _say("info", event="download.signed", config_id=link.config_id, method=method)
    return _signed_url(link, method)


def _tags(link: Link) -> list[dict[str, str]]:
    """The object's tags; one request tells whether it is there and whether its links are revoked."""
    try:
        found = _client("s3").get_object_tagging(Bucket=os.environ["BUCKET"], Key=link.key)
    except ClientError as error:
        code = error.response.get("Error", {}).get("Code")
        if code not in GONE:
            raise
        _say("warning", event="download.gone", config_id=link.config_id, key=link.key, code=code)
        raise Refusal(404, "The file is not there any more", f"Files are kept for a time only. {_ask(link)}") from error
    return list(found["TagSet"])


def _signed_url(link: Link, method: str) -> str:
    """S3's signature is for one method alone."""
    wanted = {"Bucket": os.environ["BUCKET"], "Key": link.key}
    if method == "HEAD":
        return str(_client("s3").generate_presigned_url("head_object", Params=wanted, ExpiresIn=URL_SECONDS))
    name, dot, extension = link.key.rpartition("/")[2].rpartition(".")
    wanted["ResponseContentDisposition"] = f'attachment; filename="{name}-{link.config_id}{dot}{extension}"'
    return str(_client("s3").generate_presigned_url("get_object", Params=wanted, ExpiresIn=URL_SECONDS))


def _no_link() -> Refusal:
    text = "A part of it may have been lost. Copy the whole link from the e-mail, or ask whoever sent it for a new one."
    return Refusal(403, "This is not a valid link", text)


def _ask(link: Link) -> str:
    return f"Ask whoever requested report {link.config_id} for it to be made again."


def _page(status: int, title: str, text: str, **headers: str) -> dict[str, Any]:
    body = (
        f'<!doctype html><html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width">'
        f"<title>{html.escape(title)}</title><h1>{html.escape(title)}</h1><p>{html.escape(text)}</p></html>"
    )
    return {"statusCode": status, "headers": {**_HEADERS, **headers}, "body": body}


def _say(level: str, **fields: Any) -> None:
    print(json.dumps({"level": level, **fields}))


def _secret(stage: str) -> str | None:
    """The key at a stage; before the first rotation there is no previous one."""
    try:
        found = _client("secretsmanager").get_secret_value(SecretId=os.environ["KEY_SECRET_ARN"], VersionStage=stage)
    except ClientError as error:
        if stage == "AWSPREVIOUS" and error.response.get("Error", {}).get("Code") == "ResourceNotFoundException":
            return None
        raise
    return str(found["SecretString"])


def _client(service: str) -> Any:
    if service not in _clients:
        config = _S3_CONFIG if service == "s3" else _CONFIG
        _clients[service] = boto3.client(service, config=config)  # type: ignore[call-overload]  # known at run time
    return _clients[service]
