"""Answer CloudFormation: one PUT to the address that the request came with."""

from __future__ import annotations

import json
import os
import ssl
import time
import urllib.request
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

# "Custom resource response objects" in the CloudFormation guide: 4096 bytes with all fields.
LARGEST = 4096
SHORTEST_REASON = 100
ATTEMPTS = 4


class Outcome(NamedTuple):
    """What became of a request; no reason means success."""

    physical_id: str
    data: Mapping[str, str]
    reason: str = ""


def body(event: Mapping[str, Any], outcome: Outcome) -> bytes:
    """The answer as JSON; a long reason is cut in its middle, because cause and next step stand at its ends.

    Data that do not fit are a failure, and said to be one: an answer that is too long would never be taken.
    """
    answer, length = _encode(event, outcome, outcome.reason), len(outcome.reason)
    while len(answer) >= LARGEST and length > SHORTEST_REASON:
        length = max(SHORTEST_REASON, length * 3 // 4)
        answer = _encode(event, outcome, _cut(outcome.reason, length))
    if len(answer) < LARGEST:
        return answer
    reason = f"The Data of {event['LogicalResourceId']} are too large: an answer has less than {LARGEST} bytes."
    return _encode(event, Outcome(outcome.physical_id, {}, reason), reason)


def send(event: Mapping[str, Any], outcome: Outcome, pause: Callable[[float], None] = time.sleep) -> None:
    """Send the answer, again if the network fails: without one the deploy hangs until its service timeout."""
    # urllib has no setting for the CA bundle that the AWS SDK uses; the address is S3's, so the same CA holds.
    trust = ssl.create_default_context(cafile=os.environ.get("AWS_CA_BUNDLE"))
    data = body(event, outcome)
    for attempt in range(1, ATTEMPTS + 1):
        # The URL is signed for an empty content type.
        request = urllib.request.Request(event["ResponseURL"], data=data, method="PUT", headers={"content-type": ""})
        try:
            with urllib.request.urlopen(request, timeout=5, context=trust):
                return
        except OSError as error:
            if attempt == ATTEMPTS:
                raise
            print(json.dumps({"level": "warning", "message": f"Answer not taken, attempt {attempt}: {error}"}))
            pause(0.5 * attempt)


def _encode(event: Mapping[str, Any], outcome: Outcome, reason: str) -> bytes:
    answer = {
        "Status": "FAILED" if outcome.reason else "SUCCESS",
        "Reason": reason,
        "PhysicalResourceId": outcome.physical_id,
        "StackId": event["StackId"],
        "RequestId": event["RequestId"],
        "LogicalResourceId": event["LogicalResourceId"],
        "Data": dict(outcome.data),
    }
    return json.dumps(answer).encode()


def _cut(text: str, length: int) -> str:
    if len(text) <= length:
        return text
    head = length * 2 // 3
    return f"{text[:head]} […] {text[len(text) - (length - head) :]}"
