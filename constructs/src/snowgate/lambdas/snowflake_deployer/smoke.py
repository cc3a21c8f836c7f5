"""The call that ends a deploy: through Snowflake, IAM and API Gateway to the waker and back."""

from __future__ import annotations

import re
import time
from typing import NamedTuple

from .connection import Session, StatementFailed
from .deadline import Deadline
from .statements import split

# A new role, trust or policy takes seconds to be known everywhere in IAM.
PATIENCE_SECONDS = 90.0
FIRST_PAUSE_SECONDS = 1.0
LONGEST_PAUSE_SECONDS = 15.0


class Hop(NamedTuple):
    """A place on the way where a call can fail, and what to look at there."""

    name: str
    passes: bool
    advice: str


TRUST = Hop("trust", True, "the role's trust policy must name the integration's IAM user and external id")
SIGNATURE = Hop("signature", True, "API Gateway did not accept the signature: the URL's region or stage may be wrong")
POLICY = Hop("policy", True, "the role's policy or the API's resource policy does not let this role call")
NETWORK = Hop("network", True, "the address of the external function could not be reached")
LAMBDA = Hop("Lambda", True, "the waker failed: its log has the cause")
REQUEST = Hop("request", False, "the other side understood the call and refused it")
ANSWER = Hop("answer", False, "the other side answered something that is no external-function batch")
INTEGRATION = Hop("integration", False, "the API integration is missing or disabled, or does not allow this URL")
SNOWFLAKE = Hop("Snowflake", False, "the statement itself failed, before anything was called")

# In this order: a refusal by IAM may also say 403, and an answer may hold anything. An ARN may hold "assumed-role".
_SIGNS = (
    (ANSWER, r"parsing JSON|returned rows"),
    (INTEGRATION, r"integration\b.*\b(disabled|not enabled|does not exist|not allowed)|not allowed by .*integration"),
    (TRUST, r"assuming\b.{0,20}role|sts:AssumeRole|external ?id"),
    (SIGNATURE, r"signature|InvalidClientTokenId|security token|credential should be scoped|key=value pair"),
    (POLICY, r"not authorized to perform|explicit deny|Missing Authentication Token|\b40[13]\b|Forbidden"),
    (LAMBDA, r"\b50[0234]\b|Internal server error|Endpoint request timed out"),
    (REQUEST, r"\b4\d\d\b"),
    # The texts of libcurl, with which Snowflake calls ("libcurl error codes").
    (
        NETWORK,
        r"resolve|connect|timed out|timeout was reached|unreachable|certificate|\bSSL\b|no headers, no data|\bpeer\b",
    ),
)


def run_smoke(session: Session, deadline: Deadline, text: str) -> None:
    """Run the smoke statements in order, each again while the failure may pass by itself, for 90 seconds in all.

    Raises:
        StatementFailed: one still fails; the message names the hop.
    """
    until = time.monotonic() + PATIENCE_SECONDS
    for statement in split("smoke", text):
        pause = FIRST_PAUSE_SECONDS
        while True:
            try:
                session.run(statement.text, f"smoke call {statement.text}")
                break
            except StatementFailed as error:
                hop = failed_hop(str(error))
                if not hop.passes or time.monotonic() + pause > until or deadline.seconds_left() < 2 * pause:
                    message = f"The call failed at the hop {hop.name}: {hop.advice}. What came back: {error}"
                    raise StatementFailed(message, error.errno) from error
            deadline.pause(pause)
            pause = min(pause * 1.6, LONGEST_PAUSE_SECONDS)


def failed_hop(message: str) -> Hop:
    """As far as Snowflake's message tells: where the call failed."""
    if not re.search(r"external function|remote service|\bintegration\b|AWS_ROLE", message, re.IGNORECASE):
        return SNOWFLAKE
    for hop, sign in _SIGNS:
        if re.search(sign, message, re.IGNORECASE):
            return hop
    return REQUEST
