"""AWS clients with time limits and retries of their own."""

from __future__ import annotations

from typing import Any

import boto3
from botocore.config import Config

_CONFIG = Config(connect_timeout=5, read_timeout=30, retries={"mode": "standard", "max_attempts": 4})


def client(service: str) -> Any:
    """Return a client for `service` with the credentials and the region of the environment."""
    return boto3.client(service, config=_CONFIG)  # type: ignore[call-overload]
