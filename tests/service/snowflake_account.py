"""The Snowflake stand-in with the queue's tables, and logins to it: a server process of its own."""

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
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import Any

import snowflake.connector
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from report_service.login import LoginSecret
from report_service.warehouse import Warehouse
from snowgate.lambdas.snowflake_deployer.statements import split
from tests import sql_lint

ROOT = Path(__file__).resolve().parents[2]


class SnowflakeAccount:
    """A running stand-in with the queue's tables, and logins to it."""

    def __init__(self, port: int, password: str, process: subprocess.Popen[bytes]) -> None:
        self.port, self.password, self.process = port, password, process
        key = rsa.generate_private_key(65537, 2048)
        self.private_key = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
        public = key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()
        self.public_key = "".join(public.splitlines()[1:-1])

    def secret(self, **changes: Any) -> dict[str, Any]:
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

    def get_secret_value(self, SecretId: str) -> dict[str, str]:  # noqa: N803 - as Secrets Manager's client has it
        """The login as Secrets Manager gives it."""
        return {"SecretString": json.dumps(self.secret())}

    def warehouse(self, purpose: str = "test", **limits: Any) -> Warehouse:
        """A session of the containers' user."""
        place = {"database": sql_lint.NAMES["database"], "schema": sql_lint.NAMES["config_schema"]}
        return Warehouse(LoginSecret("test", self), query_tag=purpose, **place, **limits)

    @cached_property
    def administrator(self) -> Any:
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

    def administer(self, *statements: str) -> None:
        """Run statements as the administrator."""
        with self.administrator.cursor() as cursor:
            for statement in statements:
                cursor.execute(statement)

    def empty_tables(self) -> None:
        """Delete all rows of the queue, and first end what killed processes left open: it holds the tables' locks."""
        self._end_transactions()
        place = f"{sql_lint.NAMES['database']}.{sql_lint.NAMES['config_schema']}"
        tables = ("REPORT_CONFIG", "REPORT_AUDIT_LOG", "REPORT_DELIVERY")
        self.administer(*(f"DELETE FROM {place}.{table}" for table in tables))

    def _end_transactions(self) -> None:
        """As Snowflake does by itself after minutes, which no test should wait."""
        until = time.monotonic() + 60
        with self.administrator.cursor() as cursor:
            while left := cursor.execute("SHOW TRANSACTIONS IN ACCOUNT").fetchall():
                for number, *_ in left:
                    try:
                        cursor.execute(f"SELECT SYSTEM$ABORT_TRANSACTION({number})")
                    except snowflake.connector.errors.ProgrammingError:
                        # It has just ended, or its last statement still runs, perhaps until another one of these ends.
                        if time.monotonic() > until:
                            raise

    def deploy(self) -> None:
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
            statements += [statement.text for statement in split(name, text)]
        unneeded = ("ON INTEGRATION", "RSA_PUBLIC_KEY", "EXECUTE TASK")
        self.administer(*(text for text in statements if not any(words in text for words in unneeded)))
        user, role = names["runner_user"], names["runner_role"]
        self.administer(
            "USE ROLE ACCOUNTADMIN",
            f"CREATE USER {user} TYPE = SERVICE RSA_PUBLIC_KEY = '{self.public_key}' DEFAULT_ROLE = {role}",
            f"GRANT ROLE {role} TO USER {user}",
        )


@contextmanager
def snowflake_account(folder: Path, sample: Path) -> Iterator[SnowflakeAccount]:
    """Start the stand-in in `folder`, with the tables of `sample` as SNOWFLAKE_SAMPLE_DATA, and the queue's tables."""
    port, password = _free_port(), secrets.token_urlsafe(12)
    python = ROOT / ".venv-warehouse" / "bin" / "python"
    options = ["--port", str(port), "--data", str(folder / "data"), "--task-interval", "1", "--sample", str(sample)]
    environment = os.environ | {"WAREHOUSE_ADMIN_PASSWORD": password}
    with (folder / "log").open("w") as log:
        process = subprocess.Popen(
            [python, "-m", "local.warehouse", *options], cwd=ROOT, env=environment, stdout=log, stderr=log
        )
    try:
        _wait(f"http://127.0.0.1:{port}/_warehouse/health", process, folder / "log")
        account = SnowflakeAccount(port, password, process)
        account.deploy()
        yield account
        account.administrator.close()
    finally:
        process.terminate()
        process.wait(10)


def generate_sample(folder: Path) -> None:
    """TPC-H at a hundredth of the size, one parquet file a table."""
    generator = Path(sys.executable).parent / "tpchgen-cli"
    subprocess.run([generator, "parquet", "-s", "0.01", "--output-dir", folder], check=True, capture_output=True)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _wait(url: str, process: subprocess.Popen[bytes], log: Path) -> None:
    until = time.monotonic() + 30
    while True:
        try:
            with urllib.request.urlopen(url, timeout=2):
                return
        except (urllib.error.URLError, ConnectionError):
            if process.poll() is not None or time.monotonic() > until:
                raise RuntimeError(f"the stand-in did not start:\n{log.read_text()[-3000:]}") from None
            time.sleep(0.05)
