"""The conflict updater over the real protocols: the Snowflake stand-in, and a real PostgreSQL."""

from __future__ import annotations

import pytest
from visit_world import World

from local.postgres import postgres
from tests.local.warehouse_server import warehouse


@pytest.fixture(scope="session")
def both(tmp_path_factory):
    """Both databases, started once."""
    with (
        warehouse(tmp_path_factory.mktemp("warehouse")) as running,
        postgres(tmp_path_factory.mktemp("postgres")) as server,
    ):
        made = World(running, server)
        made.set_up()
        yield made
        made.close()


@pytest.fixture
def world(both):
    """Both databases, empty."""
    both.empty()
    return both
