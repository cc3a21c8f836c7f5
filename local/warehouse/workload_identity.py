"""Workload identity federation with AWS: who a client is, told by STS and by nobody else.

The client sends a GetCallerIdentity request that it has signed and not sent ("Workload identity federation" in the
Snowflake documentation). The stand-in sends it to the AWS stand-in, which checks the signature, and reads who that is.
"""

from __future__ import annotations

import base64
import binascii
import json
import os
import re
import ssl
import urllib.error
import urllib.request
import xml.etree.ElementTree as ElementTree
from typing import Any
from urllib.parse import parse_qs, urlsplit

from local.warehouse.catalog import Record
from local.warehouse.errors import SnowflakeError

AUDIENCE = "snowflakecomputing.com"
_STS = re.compile(r"sts(\.[a-z0-9-]+)?\.amazonaws\.com(\.cn)?")
_SIGNED = re.compile(r"SignedHeaders=([^,\s]+)")
_SESSION = re.compile(r"arn:(?P<partition>aws[a-z-]*):sts::(?P<account>\d{12}):assumed-role/(?P<role>[^/]+)/.+")
_ROLE = re.compile(r"arn:aws[a-z-]*:iam::\d{12}:(role|user)/.+")
_TIMEOUT = 10  # seconds


def refusal(reason: str) -> SnowflakeError:
    """390144 as a login with workload identity gets it; the reason is the stand-in's own wording."""
    return SnowflakeError(390144, "08001", f"Workload identity federation authentication failed: {reason}")


def caller(provider: str, token: str) -> str:
    """The ARN of the user or role that signed the request in a login's token. Raises a refusal."""
    if provider != "AWS":
        raise refusal(f"the local stand-in has no provider {provider!r}, only AWS.")
    url, headers = _request(token)
    return identity(_ask_sts(url, headers))


def identity(arn: str) -> str:
    """The ARN that CREATE USER names for a caller: a role's session becomes its role."""
    match = _SESSION.fullmatch(arn)
    return f"arn:{match['partition']}:iam::{match['account']}:role/{match['role']}" if match else arn


def is_arn(text: str) -> bool:
    """Whether CREATE USER takes this as WORKLOAD_IDENTITY's ARN."""
    return _ROLE.fullmatch(text) is not None


def methods(user: Record) -> list[list[Any]]:
    """The rows of SHOW USER WORKLOAD IDENTITY AUTHENTICATION METHODS.

    Columns: name, type, comment, last_used, created_on, additional_info.
    """
    if not user.get("WORKLOAD_IDENTITY"):
        return []
    _, partition, _, _, account, resource = user["WORKLOAD_IDENTITY"]["ARN"].split(":", 5)
    kind, _, name = resource.partition("/")
    info = {
        "awsPartition": partition,
        "awsAccount": account,
        "type": f"IAM_{kind.upper()}",
        "iamRole": name.rsplit("/", 1)[-1],
    }
    return [["DEFAULT", "AWS", "", None, user["created_on"], json.dumps(info)]]


def _request(token: str) -> tuple[str, dict[str, str]]:
    """URL and headers of the signed request; nothing but GetCallerIdentity of STS, signed for Snowflake, is sent."""
    try:
        wish = json.loads(base64.b64decode(token, validate=True))
        url, headers = urlsplit(wish["url"]), {str(k).lower(): str(v) for k, v in wish["headers"].items()}
        method = wish["method"]
    except (binascii.Error, ValueError, KeyError, TypeError, AttributeError):
        raise refusal("the token is no signed request.") from None
    if url.scheme != "https" or not _STS.fullmatch(url.netloc) or headers.get("host") != url.netloc:
        raise refusal(f"the request is for {url.netloc}; allowed are sts.amazonaws.com and sts.<region>.amazonaws.com.")
    if method != "POST" or parse_qs(url.query).get("Action") != ["GetCallerIdentity"] or url.path != "/":
        raise refusal("the request is not POST GetCallerIdentity.")
    if any(character in value for value in headers.values() for character in "\r\n"):
        raise refusal("a header has several lines.")
    signed = _SIGNED.findall(headers.get("authorization", ""))
    names = set(signed[0].split(";")) if len(signed) == 1 else set()
    if "x-snowflake-audience" not in names or headers.get("x-snowflake-audience") != AUDIENCE:
        raise refusal(f"the signature does not cover the audience {AUDIENCE}.")
    if not names <= headers.keys():
        raise refusal("a signed header is missing.")
    return f"/?{url.query}", {name: headers[name] for name in [*names, "authorization"]}


def _ask_sts(path: str, headers: dict[str, str]) -> str:
    """Send the request to the AWS stand-in under its own host name, and read the caller's ARN."""
    endpoint = os.environ.get("AWS_ENDPOINT_URL")
    if not endpoint:
        raise refusal("the stand-in was started without AWS_ENDPOINT_URL, so it can ask no STS.")
    bundle = os.environ.get("AWS_CA_BUNDLE") or None
    context = ssl.create_default_context(cafile=bundle) if endpoint.startswith("https") else None
    request = urllib.request.Request(endpoint + path, data=b"", headers=headers, method="POST")
    try:
        with urllib.request.urlopen(request, timeout=_TIMEOUT, context=context) as answer:
            body = answer.read()
    except urllib.error.HTTPError as error:
        raise refusal(f"AWS STS answered {error.code}: {_text(error.read(), 'Message')}") from None
    except OSError as error:
        raise refusal(f"AWS STS does not answer: {error}") from None
    return _text(body, "Arn")


def _text(body: bytes, tag: str) -> str:
    """The first element of this name; AWS's answer is XML with a namespace."""
    try:
        found = next((e.text for e in ElementTree.fromstring(body).iter() if e.tag.rpartition("}")[2] == tag), None)
    except ElementTree.ParseError:
        found = None
    if not found:
        raise refusal(f"AWS STS gave no {tag}.")
    return found
