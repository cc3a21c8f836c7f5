"""Calls to AWS that are refused only until IAM has taken up what the same deploy has just granted."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

from botocore.exceptions import ClientError

from .deadline import Deadline

PATIENCE_SECONDS = 60.0
PAUSE_SECONDS = 3.0
REFUSALS = ("AccessDenied", "AccessDeniedException")

Answer = TypeVar("Answer")


def once_allowed(call: Callable[[], Answer], deadline: Deadline) -> Answer:
    """Make the call, and again while it is refused, for a minute at most."""
    until = time.monotonic() + PATIENCE_SECONDS
    while True:
        try:
            return call()
        except ClientError as error:
            refused = error.response.get("Error", {}).get("Code") in REFUSALS
            if not refused or time.monotonic() > until or deadline.seconds_left() < 2 * PAUSE_SECONDS:
                raise
        deadline.pause(PAUSE_SECONDS)
