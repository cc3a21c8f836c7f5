"""The images as real containers, over the real protocols: the Snowflake stand-in and the AWS stand-in beside them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hardened import Containers

from local.container_engine import Engine
from local.images import IMAGES
from tests.local.cloud_server import CloudServer, cloud_server
from tests.service.fleet import container_environment
from tests.service.snowflake_account import SnowflakeAccount, generate_sample, snowflake_account

REPORT_SERVICE = "snowgate-report-service:local"
BUCKET = "containers"


@pytest.fixture(scope="session")
def report_service(engine: Engine) -> str:
    """The report service's image, built."""
    engine.build(REPORT_SERVICE, IMAGES[REPORT_SERVICE].folder)
    return REPORT_SERVICE


@pytest.fixture(scope="session")
def account(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SnowflakeAccount]:
    """The Snowflake stand-in with the queue's tables and TPC-H at a hundredth of the size."""
    sample = tmp_path_factory.mktemp("tpch")
    generate_sample(sample)
    with snowflake_account(tmp_path_factory.mktemp("snowflake"), sample) as account:
        yield account


@pytest.fixture(scope="session")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[CloudServer]:
    """The AWS stand-in, IAM enforced."""
    with cloud_server(tmp_path_factory.mktemp("cloud")) as server:
        yield server


@pytest.fixture(scope="session")
def settings(cloud: CloudServer, account: SnowflakeAccount) -> dict[str, str]:
    """What a task of either role is given."""
    variables = container_environment(cloud, account, BUCKET)
    del variables["PATH"]  # the image's own
    return variables | {"AWS_CA_BUNDLE": "/run/ca.pem", "STOP_SECONDS": "20"}


@pytest.fixture
def containers(engine: Engine, report_service: str, settings: dict[str, str], cloud: Any) -> Iterator[Containers]:
    """Starts containers of the report service as Fargate would; they are gone at the end."""
    made = Containers(engine, report_service, settings, {cloud.bundle: Path("/run/ca.pem")})
    yield made
    made.remove()
