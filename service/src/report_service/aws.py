"""AWS clients with time limits and retries of their own.

They are botocore's: importing boto3 takes a worker that wakes a tenth of a second, before it has claimed anything.
"""

from __future__ import annotations

import os
import threading
from functools import cached_property
from typing import Any

import botocore.session
from botocore.config import Config

_CONFIG = Config(
    connect_timeout=5,
    read_timeout=30,
    retries={"mode": "standard", "max_attempts": 4},
    s3={"payload_signing_enabled": False},  # TLS and a checksum guard a file's parts; no SHA-256 of each besides
)
# For calls that must not be made twice: without an answer nobody knows whether they were done.
_ONCE = Config(connect_timeout=5, read_timeout=60, retries={"mode": "standard", "total_max_attempts": 1})
_SESSION = botocore.session.get_session()
_MAKING = threading.Lock()  # a session makes one client at a time


def client(service: str, *, once: bool = False) -> Any:
    """Return a client for `service` with the environment's credentials and region; with `once` it never retries."""
    with _MAKING:
        config = _ONCE if once else _CONFIG
        return _SESSION.create_client(service, region_name=os.environ.get("AWS_REGION"), config=config)


class LateClient:
    """A client for `service` that is made when it is first used, for a worker that may never need it."""

    def __init__(self, service: str, *, once: bool = False) -> None:
        self._service = service
        self._once = once

    def __getattr__(self, name: str) -> Any:
        """Return what the client has under `name`."""
        return getattr(self._client, name)

    @cached_property
    def _client(self) -> Any:
        return client(self._service, once=self._once)
