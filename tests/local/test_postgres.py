"""The PostgreSQL that stands in for Amazon RDS."""

from __future__ import annotations

from collections.abc import Iterator

import psycopg
import pytest

from local import postgres


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[postgres.Postgres]:
    with postgres.postgres(tmp_path_factory.mktemp("postgres")) as server:
        yield server


def test_it_is_the_version_that_the_library_makes_by_default(server: postgres.Postgres) -> None:
    with server.connect() as session:
        assert session.info.server_version // 10_000 == postgres.VERSION


def test_a_wrong_password_is_refused(server: postgres.Postgres) -> None:
    with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
        psycopg.connect(postgres.Postgres(server.port, "wrong").url())
