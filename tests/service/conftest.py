"""The report service over the real protocols: the Snowflake stand-in with TPC-H data, and the AWS stand-in."""

from __future__ import annotations

import pytest
import snowflake_account as stand_in

from report_service.catalogue import load_catalogue
from report_service.queue import ReportQueue
from tests.local.cloud_server import cloud_server


@pytest.fixture(scope="session")
def sample_data(tmp_path_factory):
    """TPC-H at a hundredth of the size, one parquet file a table."""
    folder = tmp_path_factory.mktemp("tpch")
    stand_in.generate_sample(folder)
    return folder


@pytest.fixture(scope="session")
def snowflake_account(sample_data, tmp_path_factory):
    """The Snowflake stand-in, started once."""
    with stand_in.snowflake_account(tmp_path_factory.mktemp("snowflake"), sample_data) as account:
        yield account


@pytest.fixture(scope="session")
def session(snowflake_account):
    """A session of the containers' user; a login for each test would take a quarter of all tests' time."""
    with snowflake_account.warehouse() as opened:
        yield opened


@pytest.fixture
def warehouse(snowflake_account, session):
    """A session on empty tables."""
    snowflake_account.empty_tables()
    return session


@pytest.fixture
def queue(warehouse):
    """The queue of a worker named one."""
    return ReportQueue(warehouse, actor="one", lease_seconds=60)


@pytest.fixture(scope="session")
def catalogue():
    """The catalogue as it is shipped."""
    return load_catalogue(stand_in.ROOT / "service" / "reports")


@pytest.fixture(scope="session")
def cloud(tmp_path_factory):
    """The AWS stand-in, started once, IAM enforced."""
    with cloud_server(tmp_path_factory.mktemp("cloud")) as server:
        yield server
