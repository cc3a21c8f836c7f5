"""One local platform for all end-to-end tests, deployed with the real CDK CLI."""

from __future__ import annotations

import io
from collections.abc import Iterator
from typing import Any

import pytest
import snowflake.connector
from analyst import Requests
from rich.console import Console

from local.demo import Demo
from local.platform import Platform


@pytest.fixture(scope="session")
def platform(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Platform]:
    """A platform with everything deployed to it and the worker asleep; stopped at the end."""
    platform = Platform(tmp_path_factory.mktemp("platform"))
    try:
        demo = Demo(platform, Console(file=io.StringIO()))
        demo.deploy()
        demo.wait_for_sleep(60)
        yield platform
    finally:
        platform.stop()


@pytest.fixture
def cursor(platform: Platform) -> Iterator[snowflake.connector.cursor.SnowflakeCursor]:
    """A cursor of the administrator in the reports' schema; rows come as dictionaries."""
    with platform.connect() as connection:
        yield connection.cursor(snowflake.connector.DictCursor)


@pytest.fixture
def requests(cursor: Any) -> Requests:
    """Requests reports and follows them."""
    return Requests(cursor)


@pytest.fixture(scope="session")
def mail_sender(platform: Platform) -> str:
    """The environment's sender, which the platform's bootstrap made an identity of SES."""
    assert platform.environment.sender
    return platform.environment.sender
