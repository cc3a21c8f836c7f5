"""What the bodies of functions may reach: the hosts, secrets and packages that are named for them."""

from __future__ import annotations

import json
import ssl
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
import snowflake.connector
from warehouse_server import Warehouse, warehouse

from local.cloud import certificates

HOST = "abc123.execute-api.us-east-1.amazonaws.com"
BUSY = "Device or resource busy"


class Api(BaseHTTPRequestHandler):
    """Answers with the path, host and token that came."""

    def do_GET(self) -> None:  # noqa: N802 - the base class's name
        seen = {"path": self.path, "host": self.headers["Host"], "token": self.headers.get("Authorization")}
        body = json.dumps(seen).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        """Say nothing."""


@pytest.fixture(scope="module")
def account(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Warehouse]:
    """A stand-in with a rule, secrets and an integration, beside an API that speaks TLS."""
    folder = tmp_path_factory.mktemp("egress")
    certificates.make(folder / "tls")
    server = ThreadingHTTPServer(("127.0.0.1", 0), Api)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "tls" / "tls.crt", folder / "tls" / "tls.key")
    server.socket = context.wrap_socket(server.socket, server_side=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    variables = {
        "AWS_ENDPOINT_URL": f"https://127.0.0.1:{server.server_port}",
        "AWS_CA_BUNDLE": str(folder / "tls" / "ca.pem"),
        "HTTPS_PROXY": "http://127.0.0.1:9",
    }
    with warehouse(folder, environment=variables) as running:
        with running.connect() as connection:
            for cursor in connection.execute_string(OBJECTS):
                cursor.close()
        yield running
    server.shutdown()
    server.server_close()


OBJECTS = f"""
CREATE WAREHOUSE WH;
CREATE DATABASE D;
CREATE SCHEMA D.S;
CREATE NETWORK RULE D.S.RULE TYPE = HOST_PORT MODE = EGRESS VALUE_LIST = ('{HOST}:443');
CREATE SECRET D.S.TOKEN TYPE = GENERIC_STRING SECRET_STRING = 'the-token';
CREATE SECRET D.S.LOGIN TYPE = PASSWORD USERNAME = 'who' PASSWORD = 'what';
CREATE SECRET D.S.FOREIGN_TOKEN TYPE = GENERIC_STRING SECRET_STRING = 'not-yours';
CREATE EXTERNAL ACCESS INTEGRATION EGRESS ALLOWED_NETWORK_RULES = (D.S.RULE)
  ALLOWED_AUTHENTICATION_SECRETS = (D.S.TOKEN, D.S.LOGIN) ENABLED = TRUE;
"""


@pytest.fixture
def run(account: Warehouse) -> Any:
    def run(sql: str) -> Any:
        return account.rows(sql, database="D", schema="S", warehouse="WH")[0][0]

    return run


def function(body: str, clauses: str = "EXTERNAL_ACCESS_INTEGRATIONS = (EGRESS)", packages: str = "'requests'") -> str:
    lines = "\n".join(f"    {line}" for line in body.splitlines())
    return f"""CREATE OR REPLACE FUNCTION F(X VARCHAR) RETURNS VARCHAR LANGUAGE PYTHON RUNTIME_VERSION = '3.11'
PACKAGES = ({packages}) HANDLER = 'f' {clauses}
AS $$
def f(x):
{lines}
$$"""


GET = "import requests\nreturn requests.get(x, timeout=5).text"


def test_an_allowed_host_is_reached_under_its_own_name(run: Any) -> None:
    run(function(GET))

    seen = json.loads(run(f"SELECT F('https://{HOST}/jobs?limit=1')"))

    assert seen == {"path": "/jobs?limit=1", "host": HOST, "token": None}


@pytest.mark.parametrize(
    "url",
    [
        "https://other123.execute-api.us-east-1.amazonaws.com/",
        f"https://{HOST}:8443/",
        f"http://{HOST}/",
        "https://127.0.0.1/",
        "https://localhost/",
    ],
)
def test_another_host_or_port_fails_as_a_name_that_does_not_resolve(run: Any, url: str) -> None:
    run(function(GET))

    with pytest.raises(snowflake.connector.errors.ProgrammingError, match=BUSY):
        run(f"SELECT F('{url}')")


def test_without_an_integration_nothing_is_reached(run: Any) -> None:
    run(function(GET, clauses=""))

    with pytest.raises(snowflake.connector.errors.ProgrammingError, match=BUSY):
        run(f"SELECT F('https://{HOST}/')")


def test_a_disabled_integration_opens_nothing(run: Any) -> None:
    run(function(GET))
    run("ALTER EXTERNAL ACCESS INTEGRATION EGRESS SET ENABLED = FALSE")
    try:
        with pytest.raises(snowflake.connector.errors.ProgrammingError, match=BUSY):
            run(f"SELECT F('https://{HOST}/')")
    finally:
        run("ALTER EXTERNAL ACCESS INTEGRATION EGRESS SET ENABLED = TRUE")
    assert run(f"SELECT F('https://{HOST}/')")


@pytest.mark.parametrize(
    "body",
    [
        "import socket\nsocket.create_connection(('127.0.0.1', 22), 1)",
        "import socket\ns = socket.socket()\ns.connect(('127.0.0.1', 22))",
        "import socket\nsocket.gethostbyname(x)",
        "import _socket\n_socket.getaddrinfo(x, 443)",
        "import socket\nsocket.getaddrinfo(x, 'https')",
        "import contextvars, socket\ncontextvars.Context().run(lambda: socket.create_connection(('127.0.0.1', 22), 1))",
        "import urllib.request\nurllib.request.urlopen('https://' + x)",
    ],
)
def test_a_socket_of_ones_own_is_no_way_round(run: Any, body: str) -> None:
    run(function(body))

    with pytest.raises(snowflake.connector.errors.ProgrammingError, match=BUSY):
        run("SELECT F('example.com')")


@pytest.mark.parametrize(
    "body",
    [
        "import _thread\n_thread.start_new_thread(print, ())",
        "import subprocess\nsubprocess.run(['true'])",
        "import os\nos.system('true')",
        "import os\nos.forkpty()",
        "import multiprocessing\nmultiprocessing.get_context('spawn').Process(target=print).start()",
    ],
)
def test_what_could_not_be_watched_is_refused(run: Any, body: str) -> None:
    run(function(body))

    with pytest.raises(snowflake.connector.errors.ProgrammingError, match="Unsupported feature"):
        run("SELECT F('')")


THREADS = "from concurrent.futures import ThreadPoolExecutor\nwith ThreadPoolExecutor(1) as pool:\n    "


def test_the_administrators_password_is_not_in_a_bodys_environment(run: Any) -> None:
    run(function("import os\nreturn str('WAREHOUSE_ADMIN_PASSWORD' in os.environ)"))

    assert run("SELECT F('')") == "False"


def test_a_body_that_wants_to_end_the_process_has_failed(run: Any) -> None:
    run(function("import sys\nsys.exit(3)"))
    run("""CREATE OR REPLACE PROCEDURE P() RETURNS VARCHAR LANGUAGE PYTHON RUNTIME_VERSION = '3.11'
PACKAGES = ('snowflake-snowpark-python') HANDLER = 'p' AS $$
def p(session):
    raise SystemExit(3)
$$""")

    for sql in ("SELECT F('')", "CALL P()"):
        with pytest.raises(snowflake.connector.errors.ProgrammingError, match="SystemExit: 3"):
            run(sql)


def test_a_thread_of_a_body_reaches_the_same_hosts_and_no_secret(run: Any) -> None:
    run(function(f"import requests\n{THREADS}return pool.submit(requests.get, x, timeout=5).result().text"))
    assert run(f"SELECT F('https://{HOST}/')")
    with pytest.raises(snowflake.connector.errors.ProgrammingError, match=BUSY):
        run("SELECT F('https://example.com/')")

    secrets = "EXTERNAL_ACCESS_INTEGRATIONS = (EGRESS) SECRETS = ('t' = D.S.TOKEN)"
    read = f"import _snowflake\n{THREADS}return pool.submit(_snowflake.get_generic_secret_string, 't').result()"
    run(function(read, clauses=secrets))
    with pytest.raises(snowflake.connector.errors.ProgrammingError, match="only be accessed from the main thread"):
        run("SELECT F('')")


def test_a_body_imports_only_the_packages_that_it_names(run: Any) -> None:
    run(function(GET, packages=""))

    with pytest.raises(snowflake.connector.errors.ProgrammingError, match="No module named 'requests'"):
        run(f"SELECT F('https://{HOST}/')")
    with pytest.raises(snowflake.connector.errors.ProgrammingError, match="boto3"):
        run(function("return 'x'", packages="'boto3'"))


def test_secrets_are_read_by_the_names_that_the_function_gives_them(run: Any) -> None:
    secrets = "EXTERNAL_ACCESS_INTEGRATIONS = (EGRESS) SECRETS = ('t' = D.S.TOKEN, 'l' = D.S.LOGIN)"
    body = """import _snowflake
login = _snowflake.get_username_password('l')
return ' '.join([_snowflake.get_generic_secret_string(x), login.username, login.password])"""
    run(function(body, clauses=secrets))

    assert run("SELECT F('t')") == "the-token who what"
    for name in ("TOKEN", "D.S.TOKEN"):
        with pytest.raises(snowflake.connector.errors.ProgrammingError, match="does not exist or not authorized"):
            run(f"SELECT F('{name}')")
    with pytest.raises(snowflake.connector.errors.ProgrammingError, match="TYPE = PASSWORD"):
        run("SELECT F('l')")


def test_a_changed_secret_is_read_at_the_next_call(run: Any) -> None:
    body = "import _snowflake\nreturn _snowflake.get_generic_secret_string('t')"
    run(function(body, clauses="EXTERNAL_ACCESS_INTEGRATIONS = (EGRESS) SECRETS = ('t' = D.S.TOKEN)"))
    run("ALTER SECRET D.S.TOKEN SET SECRET_STRING = 'rotated'")
    try:
        assert run("SELECT F('')") == "rotated"
    finally:
        run("ALTER SECRET D.S.TOKEN SET SECRET_STRING = 'the-token'")


@pytest.mark.parametrize(
    ("clauses", "says"),
    [("", "EXTERNAL_ACCESS_INTEGRATIONS"), ("EXTERNAL_ACCESS_INTEGRATIONS = (EGRESS)", "FOREIGN_TOKEN")],
)
def test_a_secret_that_no_integration_allows_is_refused_when_the_function_is_made(
    run: Any, clauses: str, says: str
) -> None:
    with pytest.raises(snowflake.connector.errors.ProgrammingError, match=says):
        run(function("return x", clauses=f"{clauses} SECRETS = ('t' = D.S.FOREIGN_TOKEN)"))


def test_a_function_without_secrets_reads_none(run: Any) -> None:
    run(function("import _snowflake\nreturn _snowflake.get_generic_secret_string('t')"))

    with pytest.raises(snowflake.connector.errors.ProgrammingError, match="SECRETS must name it"):
        run("SELECT F('')")


def test_arguments_by_name_and_a_null_variant(run: Any) -> None:
    run("""CREATE OR REPLACE FUNCTION G(A VARCHAR, B VARIANT DEFAULT NULL, C VARCHAR DEFAULT 'c') RETURNS VARCHAR
LANGUAGE PYTHON RUNTIME_VERSION = '3.11' HANDLER = 'g' AS $$
def g(a, b, c):
    return f"{a} {getattr(b, 'is_sql_null', False) or b} {c}"
$$""")

    assert run("SELECT G('a', c => 'z')") == "a True z"
    assert run("SELECT G(c => 'z', b => PARSE_JSON('{\"k\": 1}'), a => 'x')") == "x {'k': 1} z"
    with pytest.raises(snowflake.connector.errors.ProgrammingError, match="Invalid argument types"):
        run("SELECT G('a', d => 'z')")


def test_a_procedure_takes_arguments_by_name(run: Any) -> None:
    run("""CREATE OR REPLACE PROCEDURE P(A VARCHAR, B NUMBER DEFAULT 7, C VARCHAR DEFAULT 'c') RETURNS VARCHAR
LANGUAGE PYTHON RUNTIME_VERSION = '3.11' PACKAGES = ('snowflake-snowpark-python') HANDLER = 'p' AS $$
def p(session, a, b, c):
    return f"{a} {b} {c}"
$$""")

    assert run("CALL P('a', c => 'z')") == "a 7 z"
    assert run("CALL P(c => 'z', a => 'x')") == "x 7 z"
    with pytest.raises(snowflake.connector.errors.ProgrammingError, match="by name come after"):
        run("CALL P(a => 'x', 8)")
