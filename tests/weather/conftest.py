"""The weather warehouse over a real PostgreSQL, with station files cut from the real ones."""

from __future__ import annotations

import pytest
from weather_process import ROOT

from local.postgres import postgres


@pytest.fixture(scope="session")
def server(tmp_path_factory):
    """PostgreSQL, started once."""
    with postgres(tmp_path_factory.mktemp("postgres")) as started:
        yield started


@pytest.fixture
def database(server, monkeypatch):
    """A session with an empty database, to which the environment's variables lead, and no others of ours."""
    for name in ("WEATHER_BUCKET", "WEATHER_PREFIX", "INGEST_RUN_ID", "PORT"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("DATABASE_URL", server.url())
    monkeypatch.setenv("DATABASE_SSLMODE", "disable")
    with server.connect() as session:
        session.execute("DROP SCHEMA public CASCADE")
        session.execute("CREATE SCHEMA public")
        yield session


@pytest.fixture(scope="session")
def real_files():
    """The folder of the twelve real station files."""
    return ROOT / "weather" / "wx_data"


@pytest.fixture
def stations(real_files, tmp_path, monkeypatch):
    """A folder with the last years of three real stations, to which WEATHER_FOLDER leads."""
    folder = tmp_path / "stations"
    folder.mkdir()
    for name in ("USC00116738", "USC00126705", "USC00134142"):
        lines = (real_files / f"{name}.txt").read_bytes().splitlines(keepends=True)
        (folder / f"{name}.txt").write_bytes(b"".join(lines[-800:]))
    monkeypatch.setenv("WEATHER_FOLDER", str(folder))
    return folder
