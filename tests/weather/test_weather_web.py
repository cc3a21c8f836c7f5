"""The web role's own process: it ends well, and Schemathesis finds nothing that is not as its OpenAPI document says.

Half a minute in `make test`, the same requests each time; longer with SNOWGATE_SOAK=1, others each time.
"""

import json
import os
import re
import socket
import subprocess
import sys
import time
import urllib.parse
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from weather_process import ingest, web

from tests.local.cloud_server import cloud_server
from tests.service.fleet import cloud_environment

HERE = Path(__file__).parent
SOAK = os.environ.get("SNOWGATE_SOAK") == "1"
EXAMPLES = "2000" if SOAK else "50"  # of a route


def get(url):
    with urllib.request.urlopen(url, timeout=20) as answer:
        return json.load(answer)


@pytest.mark.soak
@pytest.mark.timeout(3600 if SOAK else 240)
def test_schemathesis_finds_nothing(database, stations, tmp_path):
    ingest()
    with web(tmp_path) as address:
        command = [Path(sys.executable).parent / "schemathesis", "--config-file", HERE / "weather_schemathesis.toml"]
        options = ["--url", address, "--max-examples", EXAMPLES, *([] if SOAK else ["--seed", "1"])]
        found = subprocess.run(
            [*command, "run", f"{address}/openapi.json", *options], cwd=tmp_path, capture_output=True, text=True
        )
        print(found.stdout)
        assert found.returncode == 0, found.stdout[-20_000:] + found.stderr
    log = [json.loads(line) for line in (tmp_path / "web.log").read_text().splitlines()]
    assert log[-1]["event"] == "web.stopped"
    assert not [line for line in log if line["level"] == "ERROR"]


def test_a_request_under_way_is_answered_after_sigterm(database, server, stations, tmp_path):
    ingest()
    with ThreadPoolExecutor(2) as pool, server.connect() as other:
        with web(tmp_path) as address:
            assert get(f"{address}/api/ready") == {"status": "ready"}
            other.execute("BEGIN; LOCK TABLE observation")
            asked = pool.submit(get, f"{address}/api/weather")
            waiting = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'"
            _until(lambda: database.execute(waiting).fetchone()[0])
            pool.submit(_let_go_when_closed, urllib.parse.urlsplit(address).port, other)
        assert asked.result()["total"] == 2400


def test_a_new_password_of_the_database_is_read_with_the_next_session(server, database, tmp_path):
    """RDS exchanges it every week: no request may notice."""
    database.execute("DROP ROLE IF EXISTS weather_user")
    database.execute("CREATE ROLE weather_user LOGIN PASSWORD 'first'")
    database.execute("GRANT ALL ON SCHEMA public TO weather_user")
    with cloud_server(tmp_path) as cloud:
        manager = cloud.client("secretsmanager")
        held = json.dumps({"username": "weather_user", "password": "first"})
        arn = manager.create_secret(Name="login", SecretString=held)["ARN"]
        place = {"DATABASE_URL": "", "DATABASE_HOST": server.host, "DATABASE_PORT": str(server.port)}
        login = {"DATABASE_NAME": "postgres", "DATABASE_SECRET_ARN": arn} | cloud_environment(cloud)
        with web(tmp_path, **place, **login) as address:
            assert get(f"{address}/api/ready") == {"status": "ready"}
            manager.put_secret_value(SecretId=arn, SecretString=held.replace("first", "second"))
            database.execute("ALTER ROLE weather_user PASSWORD 'second'")
            database.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'weather_user'")
            assert get(f"{address}/api/ready") == {"status": "ready"}
        told = (tmp_path / "web.log").read_text()
    assert "first" not in told
    assert "second" not in told


def test_the_page_of_the_api_names_its_parts_without_a_scheme(database, tmp_path):
    with web(tmp_path) as address, urllib.request.urlopen(f"{address}/docs", timeout=20) as answer:
        page = answer.read().decode()
    assert "/swagger/swagger-ui-bundle.js" in page
    assert "http://" not in page


def _let_go_when_closed(port, session):
    _until(lambda: _refuses(port))
    session.execute("COMMIT")


def _refuses(port):
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) != 0


def _until(true):
    end = time.monotonic() + 20
    while not true():
        assert time.monotonic() < end
        time.sleep(0.02)


def test_the_image_asks_the_health_route_and_fails_without_it(database, tmp_path, root):
    (check,) = re.findall(r"^HEALTHCHECK .*\n *CMD (.*)$", (root / "weather" / "Dockerfile").read_text(), re.M)
    check = [sys.executable, *json.loads(check)[1:]]
    with web(tmp_path) as address:
        port = str(urllib.parse.urlsplit(address).port)
        assert subprocess.run(check, env=os.environ | {"PORT": port}).returncode == 0
    assert subprocess.run(check, env=os.environ | {"PORT": port}, stderr=subprocess.DEVNULL).returncode == 1


def test_the_page_of_the_document_needs_no_third_party(database, tmp_path):
    with web(tmp_path) as address, urllib.request.urlopen(f"{address}/docs", timeout=20) as answer:
        assert "https://" not in answer.read().decode()
