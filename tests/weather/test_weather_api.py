"""The API in this process over a real PostgreSQL."""

import datetime
from fractions import Fraction
from pathlib import Path

import polars
import pytest
from fastapi.testclient import TestClient

from weather_warehouse.ingestion import Tally, ingest
from weather_warehouse.settings import WebSettings, load
from weather_warehouse.sources import Folder
from weather_warehouse.web.app import make_app
from weather_warehouse.web.database import Database

STATIONS = ("USC00116738", "USC00126705", "USC00134142")


def client():
    app = make_app(Database(load(WebSettings)), environment="test")
    return TestClient(app, raise_server_exceptions=False)


@pytest.fixture
def api(database, stations):
    ingest(database, Folder(stations), "run", Tally())
    with client() as opened:
        yield opened


def pages(api, path):
    """All entries of all pages, and the totals that each page told."""
    items, totals = [], set()
    while path:
        answer = api.get(path)
        assert answer.status_code == 200, answer.text
        body = answer.json()
        items, path = [*items, *body["items"]], body["next"]
        totals.add(body["total"])
    return items, totals


def test_an_observation_is_in_degrees_and_millimetres_and_null_was_not_measured(api, database):
    database.execute("UPDATE observation SET max_temperature = NULL WHERE date = '2014-12-30'")
    body = api.get("/api/weather?station=USC00116738&from=2014-12-30").json()
    assert body == {
        "total": 2,
        "next": None,
        "items": [
            {"station": "USC00116738", "date": "2014-12-30", "max_temperature_c": None, "min_temperature_c": -10.0,
             "precipitation_mm": 0.0},
            {"station": "USC00116738", "date": "2014-12-31", "max_temperature_c": -5.6, "min_temperature_c": -14.4,
             "precipitation_mm": 0.0},
        ],
    }  # fmt: skip


@pytest.mark.parametrize(
    ("filters", "count"),
    [
        ("", 2400),
        ("station=USC00126705", 800),
        ("station=USC99999999", 0),
        ("date=2014-03-01", 3),
        ("station=USC00116738&date=2014-03-01", 1),
        ("from=2014-12-01", 93),
        ("from=2014-12-01&to=2014-12-02", 6),
        ("from=2014-12-02&to=2014-12-01", 0),
        ("date=2014-12-01&to=2014-11-30", 0),
    ],
)
def test_filters_hold_together(api, filters, count):
    body = api.get(f"/api/weather?limit=1000&{filters}").json()
    assert body["total"] == count
    assert len(body["items"]) == min(count, 1000)


@pytest.mark.parametrize("limit", [1, 7, 93, 94])
def test_pages_together_are_every_row_once_in_order(api, limit):
    items, totals = pages(api, f"/api/weather?from=2014-12-01&limit={limit}")
    assert totals == {93}
    places = [(item["station"], item["date"]) for item in items]
    days = [str(datetime.date(2014, 12, day)) for day in range(1, 32)]
    assert places == [(station, day) for station in STATIONS for day in days]


def test_a_row_that_comes_meanwhile_moves_no_other_to_another_page(api, database):
    first = api.get("/api/weather?from=2014-12-01&limit=10").json()
    database.execute("INSERT INTO observation VALUES ('A', '2014-12-01', 1, 1, 1)")
    second, _ = pages(api, first["next"])
    places = [(item["station"], item["date"]) for item in first["items"] + second]
    assert len(places) == len(set(places)) == 93


def test_statistics_go_by_pages_and_filters_too(api):
    items, totals = pages(api, "/api/weather/stats?limit=2")
    years = [(item["station"], item["year"]) for item in items]
    assert totals == {len(years)}
    assert years == sorted(set(years))
    assert {station for station, _ in years} == set(STATIONS)
    (one,) = api.get("/api/weather/stats?station=USC00126705&year=2014&from=2014-06-29&to=2014-07-02").json()["items"]
    assert (one["year"], one["precipitation_days"]) == (2014, 4)
    assert api.get("/api/weather/stats?year=1").json() == {"total": 0, "next": None, "items": []}


def test_statistics_of_the_twelve_real_files_are_exact(database, real_files):
    """By whole numbers and fractions, and by polars' own means; no float of ours is near, each is the nearest."""
    ingest(database, Folder(real_files), "run", Tally())
    with client() as api:
        found, _ = pages(api, "/api/weather/stats?limit=1000")
    expected = _statistics(real_files)
    assert len(found) == len(expected) > 300
    for ours, theirs in zip(found, expected, strict=True):
        assert (ours["station"], ours["year"]) == (theirs["station"], theirs["year"])
        for name in ("max", "min"):
            days, mean = ours[f"{name}_temperature_days"], ours[f"avg_{name}_temperature_c"]
            assert days == theirs[f"{name}_days"]
            assert mean == (float(Fraction(theirs[f"{name}_sum"], 10 * days)) if days else None)
            assert mean == pytest.approx(theirs[f"{name}_mean"], rel=1e-12)
        assert ours["precipitation_days"] == theirs["rain_days"]
        rain = float(Fraction(theirs["rain_sum"], 100)) if theirs["rain_days"] else None
        assert ours["total_precipitation_cm"] == rain


def _statistics(folder: Path):
    values = ["max", "min", "rain"]
    frames = [
        polars.read_csv(
            path.read_text().replace(" ", "").encode(),
            separator="\t", has_header=False, new_columns=["date", *values], null_values="-9999",
        ).with_columns(station=polars.lit(path.stem), year=polars.col("date") // 10_000)
        for path in folder.glob("*.txt")
    ]  # fmt: skip
    columns = [polars.col(name).sum().alias(f"{name}_sum") for name in values]
    columns += [polars.col(name).count().alias(f"{name}_days") for name in values]
    columns += [(polars.col(name) / 10).mean().alias(f"{name}_mean") for name in values]
    return polars.concat(frames).group_by("station", "year").agg(columns).sort("station", "year").to_dicts()


def test_a_year_without_any_value_has_no_statistics(api, database):
    database.execute("INSERT INTO observation VALUES ('EMPTY', '1999-12-31', NULL, NULL, NULL)")
    (one,) = api.get("/api/weather/stats?station=EMPTY").json()["items"]
    assert one == {
        "station": "EMPTY", "year": 1999, "avg_max_temperature_c": None, "avg_min_temperature_c": None,
        "total_precipitation_cm": None, "max_temperature_days": 0, "min_temperature_days": 0, "precipitation_days": 0,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("limit=0", "limit"),
        ("limit=1001", "limit"),
        ("date=1388534400", "date"),
        ("date=2014-02-30", "date"),
        ("from=2014-01-01T00:00:00", "from"),
        ("station=A'; DROP TABLE observation", "station"),
        ("station=%00", "station"),
        ("station=", "station"),
        ("after=USC00116738", "after"),
        ("after=USC00116738~0", "after"),
        ("statoin=USC00116738", "statoin"),
    ],
)
@pytest.mark.parametrize("path", ["/api/weather", "/api/weather/stats"])
def test_a_wrong_filter_is_told_by_name(api, path, query, field):
    answer = api.get(f"{path}?{query}")
    assert answer.status_code == 422
    assert answer.headers["content-type"] == "application/problem+json"
    body = answer.json()
    assert (body["status"], body["field"], body["title"]) == (422, field, "Unprocessable Entity")
    assert body["detail"].startswith(f"{field}: ")


@pytest.mark.parametrize(("method", "path", "status"), [("GET", "/nowhere", 404), ("POST", "/api/weather", 405)])
def test_what_is_not_there_is_a_problem_too(api, method, path, status):
    answer = api.request(method, path)
    assert (answer.status_code, answer.headers["content-type"]) == (status, "application/problem+json")
    assert answer.json()["status"] == status


def test_an_empty_database_gets_its_tables_and_has_nothing_to_show(database):
    with client() as api:
        assert api.get("/api/ready").json() == {"status": "ready"}
        assert api.get("/api/weather").json() == {"total": 0, "next": None, "items": []}


def test_without_a_database_it_is_alive_and_not_ready(monkeypatch, caplog):
    monkeypatch.setenv("DATABASE_URL", "postgresql://user:hunter2@127.0.0.1:1/none")
    with client() as api:
        health = api.get("/api/health")
        assert health.status_code == 200
        assert health.json().keys() == {"status", "service", "environment", "timestamp"}
        for path in ("/api/ready", "/api/weather", "/api/weather/stats"):
            answer = api.get(path)
            assert (answer.status_code, answer.headers["retry-after"]) == (503, "5")
            assert "hunter2" not in answer.text
    assert "hunter2" not in caplog.text


def test_a_query_that_takes_too_long_is_given_up(database, server, monkeypatch):
    monkeypatch.setenv("WEB_ANSWER_SECONDS", "1")
    with client() as api:
        assert api.get("/api/ready").status_code == 200
        with server.connect() as other, other.transaction():
            other.execute("LOCK TABLE observation")
            assert api.get("/api/weather").status_code == 503
        assert api.get("/api/weather").status_code == 200


def test_sessions_that_were_ended_are_replaced(api, database):
    assert api.get("/api/ready").status_code == 200
    ended = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'weather_warehouse'"
    assert database.execute(ended).fetchall()
    assert api.get("/api/weather").status_code == 200


def test_a_session_of_the_api_cannot_write(database):
    source = Database(load(WebSettings))
    source.open()
    with source.session() as session, pytest.raises(Exception, match="read-only transaction"):
        session.execute("DELETE FROM observation")
    source.close()
