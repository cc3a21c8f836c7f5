"""The report service over the real protocols: the Snowflake stand-in with TPC-H data, and the AWS stand-in."""

from __future__ import annotations

import json
import os
import secrets
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from functools import cached_property
from pathlib import Path

import pytest
import snowflake.connector
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from report_service.catalogue import load_catalogue
from report_service.login import LoginSecret
from report_service.queue import ReportQueue
from report_service.warehouse import Warehouse
from tests import sql_lint
from tests.local.cloud_server import cloud_server

ROOT = Path(__file__).resolve().parents[2]


class SnowflakeAccount:
    """A running stand-in with the queue's tables, and logins to it."""

    def __init__(self, port, password):
        self.port, self.password = port, password
        key = rsa.generate_private_key(65537, 2048)
        self.private_key = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
        public = key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()
        self.public_key = "".join(public.splitlines()[1:-1])

    def secret(self, **changes):
        """The JSON login of the containers, as CloudFormation's custom resource writes it."""
        return {
            "account": "LOCAL",
            "user": sql_lint.NAMES["runner_user"],
            "private_key": self.private_key,
            "database": sql_lint.NAMES["database"],
            "warehouse": sql_lint.NAMES["warehouse"],
            "schema": sql_lint.NAMES["config_schema"],
            "role": sql_lint.NAMES["runner_role"],
            "host": "127.0.0.1",
            "port": self.port,
            "protocol": "http",
        } | changes

    def get_secret_value(self, SecretId):  # noqa: N803 - as Secrets Manager's client has it
        """The login as Secrets Manager gives it."""
        return {"SecretString": json.dumps(self.secret())}

    def warehouse(self, purpose="test", **limits):
        """A session of the containers' user."""
        place = {"database": sql_lint.NAMES["database"], "schema": sql_lint.NAMES["config_schema"]}
        return Warehouse(LoginSecret("test", self), query_tag=purpose, **place, **limits)

    @cached_property
    def administrator(self):
        """A session of the administrator."""
        return snowflake.connector.connect(
            account="LOCAL",
            user="ADMIN",
            password=self.password,
            role="ACCOUNTADMIN",
            host="127.0.0.1",
            port=self.port,
            protocol="http",
            login_timeout=10,
            enable_server_session_keep_alive_auto_detection=False,
        )

    def administer(self, *statements):
        """Run statements as the administrator."""
        with self.administrator.cursor() as cursor:
            for statement in statements:
                cursor.execute(statement)

    def empty_tables(self):
        """Delete all rows of the queue."""
        place = f"{sql_lint.NAMES['database']}.{sql_lint.NAMES['config_schema']}"
        tables = ("REPORT_CONFIG", "REPORT_AUDIT_LOG", "REPORT_DELIVERY")
        self.administer(*(f"DELETE FROM {place}.{table}" for table in tables))

    def deploy(self):
        """Run the project's own SQL files, as far as the queue needs them."""
        names = sql_lint.NAMES
        statements = []
        for name in (
            "bootstrap.sql",
            "010_schemas.sql",
            "020_tables.sql",
            "030_views.sql",
            "070_grants.sql",
        ):
            text = sql_lint.render((sql_lint.SQL_FILES / name).read_text(), names)
            statements += [statement.text for statement in sql_lint.split(name, text)]
        unneeded = ("ON INTEGRATION", "RSA_PUBLIC_KEY", "EXECUTE TASK")
        self.administer(*(text for text in statements if not any(words in text for words in unneeded)))
        user, role = names["runner_user"], names["runner_role"]
        self.administer(
            "USE ROLE ACCOUNTADMIN",
            f"CREATE USER {user} TYPE = SERVICE RSA_PUBLIC_KEY = '{self.public_key}' DEFAULT_ROLE = {role}",
            f"GRANT ROLE {role} TO USER {user}",
        )


@pytest.fixture(scope="session")
def sample_data(tmp_path_factory):
    """TPC-H at a hundredth of the size, one parquet file a table."""
    folder = tmp_path_factory.mktemp("tpch")
    generator = Path(sys.executable).parent / "tpchgen-cli"
    subprocess.run([generator, "parquet", "-s", "0.01", "--output-dir", folder], check=True, capture_output=True)
    return folder


@pytest.fixture(scope="session")
def snowflake_account(sample_data, tmp_path_factory):
    """The Snowflake stand-in, started once."""
    folder = tmp_path_factory.mktemp("snowflake")
    port, password = _free_port(), secrets.token_urlsafe(12)
    python = ROOT / ".venv-warehouse" / "bin" / "python"
    options = ["--port", str(port), "--data", folder / "data", "--task-interval", "1", "--sample", sample_data]
    environment = os.environ | {"WAREHOUSE_ADMIN_PASSWORD": password}
    with (folder / "log").open("w") as log:
        process = subprocess.Popen(
            [python, "-m", "local.warehouse", *options], cwd=ROOT, env=environment, stdout=log, stderr=log
        )
    try:
        _wait(f"http://127.0.0.1:{port}/_warehouse/health", process, folder / "log")
        account = SnowflakeAccount(port, password)
        account.deploy()
        yield account
        account.administrator.close()
    finally:
        process.terminate()
        process.wait(10)


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
    return load_catalogue(ROOT / "service" / "reports")


@pytest.fixture(scope="session")
def cloud(tmp_path_factory):
    """The AWS stand-in, started once, IAM enforced."""
    with cloud_server(tmp_path_factory.mktemp("cloud")) as server:
        yield server


def _free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def _wait(url, process, log):
    until = time.monotonic() + 30
    while True:
        try:
            with urllib.request.urlopen(url, timeout=2):
                return
        except (urllib.error.URLError, ConnectionError):
            if process.poll() is not None or time.monotonic() > until:
                raise RuntimeError(f"the stand-in did not start:\n{log.read_text()[-3000:]}") from None
            time.sleep(0.05)
