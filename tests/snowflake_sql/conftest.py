"""A deployed Snowflake side: the real stand-in, the real connector, the real deploy Lambda."""

import io
import json
import os
import secrets
import socket
import subprocess
import time
import urllib.error
import urllib.request
import uuid
import zipfile
from contextlib import contextmanager

import boto3
import pytest
import snowflake.connector
from fake_aws import FakeAws
from killing import Killer

from snowgate.lambdas.snowflake_deployer import handler
from snowgate.lambdas.snowflake_deployer.pem import read_private_key
from stacks.snowflake_bootstrap import make_key_pair
from tests import sql_lint

TOKEN_SECRET = "arn:aws:secretsmanager:eu-west-1:111122223333:secret:api-token"
TOKEN = "CANARY-token-of-the-service"
STACK_ID = "arn:aws:cloudformation:eu-west-1:111122223333:stack/test-Snowflake/0d5c"
DEPLOYER_SECRET = "arn:aws:secretsmanager:eu-west-1:111122223333:secret:deployer"
ROLE_ARN = "arn:aws:iam::111122223333:role/snowflake-calls"
PYTHON = sql_lint.ROOT / ".venv-warehouse" / "bin" / "python"


class Context:
    """What Lambda says about its time."""

    def __init__(self, seconds=120.0):
        self.until = time.monotonic() + seconds

    def get_remaining_time_in_millis(self):
        return int((self.until - time.monotonic()) * 1000)


class Warehouse:
    """The running stand-in and who may log in to it."""

    def __init__(self, port, password, log):
        self.port, self.password, self.log = port, password, log

    @contextmanager
    def connect(self, **options):
        login = {"user": "ADMIN", "password": self.password, "role": "ACCOUNTADMIN"} | options
        with snowflake.connector.connect(
            account="LOCAL",
            host="127.0.0.1",
            port=self.port,
            protocol="http",
            login_timeout=10,
            enable_server_session_keep_alive_auto_detection=False,
            **login,
        ) as connection:
            yield connection

    def run(self, *statements, **options):
        """Run statements as the administrator and give the rows of the last one as dicts."""
        with self.connect(**options) as connection, connection.cursor(snowflake.connector.DictCursor) as cursor:
            for statement in statements:
                cursor.execute(statement)
            return cursor.fetchall()


class Deployment:
    """One system with names of its own in the shared account, deployed through the Lambda's handler."""

    def __init__(self, warehouse, aws, **names):
        suffix = uuid.uuid4().hex[:6].upper()
        unique = {
            name: f"{sql_lint.NAMES[name]}_{suffix}"
            for name in (
                *("database", "warehouse", "owner_role", "runner_role", "runner_user", "api_integration"),
                *("web_user", "external_access"),
            )
        }
        self.warehouse, self.aws, self.suffix = warehouse, aws, suffix
        self.aws.secrets.setdefault(TOKEN_SECRET, TOKEN)
        self.names = sql_lint.NAMES | unique | {"trigger_url": "${trigger_url}"} | names
        self.config = f"{self.names['database']}.{self.names['config_schema']}"
        self.reporting = f"{self.names['database']}.{self.names['reporting_schema']}"
        self.files = {path.name: path.read_text() for path in sql_lint.sql_files() if path.name[0].isdigit()}
        self.smoke = f"SELECT {self.config}.TRIGGER_ECS_SERVICE(0, 0); CALL {self.config}.SEND_ECS_TRIGGER()"
        self.sent = {}

    def bootstrap(self, public_key):
        text = sql_lint.render(
            (sql_lint.SQL_FILES / "bootstrap.sql").read_text(), self.names | {"public_key": public_key}
        )
        # The sample data are another test's: this server holds none.
        self.warehouse.run(
            *(s.text for s in sql_lint.split("bootstrap.sql", text) if "IMPORTED PRIVILEGES" not in s.text)
        )

    def remove(self):
        """Take it out of the account, for tests that make a hundred: SHOW and the like take longer with each.

        The empty database stays: it is the current one of sessions whose client was killed.
        """
        database = self.names["database"]
        schemas = self.warehouse.run(f"SHOW SCHEMAS IN DATABASE {database}")
        kinds = {
            "INTEGRATION": ("api_integration", "external_access"),
            "USER": ("runner_user", "web_user"),
            "ROLE": ("owner_role", "runner_role"),
            "WAREHOUSE": ("warehouse",),
        }
        self.warehouse.run(
            *(f"DROP SCHEMA {database}.{row['name']}" for row in schemas if row["name"] != "INFORMATION_SCHEMA"),
            *(f"DROP {kind} IF EXISTS {self.names[name]}" for kind, names in kinds.items() for name in names),
        )

    def request(self, kind, resource, properties, context=None, **changes):
        """Send one request through the handler and give CloudFormation's answer."""
        event = self.event(kind, resource, properties, **changes)
        handler.handler(event, context or Context())
        return self.aws.answers.pop(event["RequestId"])

    def event(self, kind, resource, properties, **changes):
        """What CloudFormation sends."""
        request = changes.pop("RequestId", uuid.uuid4().hex)
        return {
            "RequestType": kind,
            "ResponseURL": f"{self.aws.url}/answer",
            "StackId": STACK_ID,
            "RequestId": request,
            "LogicalResourceId": resource,
            "ResourceType": f"Custom::Snowflake{resource}",
            "ResourceProperties": properties,
        } | changes

    def login_properties(self):
        return {
            "SecretArn": f"arn:secret:{self.names['runner_user']}",
            "User": self.names["runner_user"],
            "Role": self.names["runner_role"],
            "Database": self.names["database"],
            "Schema": self.names["config_schema"],
            "Warehouse": self.names["warehouse"],
        }

    def integration_properties(self):
        return {
            "Name": self.names["api_integration"],
            "RoleArn": ROLE_ARN,
            "AllowedPrefixes": ["https://abc123.execute-api.eu-west-1.amazonaws.com/prod/"],
            "Comment": "test",
        }

    def rendered(self, files=None):
        """The files as synth renders them; ``files`` go over the project's, None takes one out."""
        texts = self.files | (files or {})
        return {name: sql_lint.render(text, self.names) for name, text in texts.items() if text is not None}

    def scripts_properties(self, files=None, **changes):
        """Put the files, as synth renders them, into the asset store and name them; ``files`` go over the project's."""
        content = io.BytesIO()
        with zipfile.ZipFile(content, "w") as archive:
            for name, text in self.rendered(files).items():
                archive.writestr(name, text)
        key = f"assets/{uuid.uuid4().hex}.zip"
        self.aws.objects[key] = content.getvalue()
        return {
            "Bucket": "assets",
            "Key": key.partition("/")[2],
            "Database": self.names["database"],
            "Schema": self.names["config_schema"],
            "Warehouse": self.names["warehouse"],
            "Role": self.names["deployer_role"],
            "Values": {"trigger_url": "https://abc123.execute-api.eu-west-1.amazonaws.com/prod/trigger"},
            "Secrets": {"api_token": TOKEN_SECRET},
            "Smoke": self.smoke,
        } | changes

    def resources(self):
        """All three resources with their properties, in the order of a deploy."""
        yield "Login", self.login_properties()
        yield "ApiIntegration", self.integration_properties()
        yield "Scripts", self.scripts_properties()

    def deploy(self):
        """Create all three resources; a failure fails the test."""
        for resource, properties in self.resources():
            answer = self.request("Create", resource, properties)
            assert answer["Status"] == "SUCCESS", answer["Reason"]
            self.sent[resource] = (properties, answer)
        return self

    def update(self, resource, properties, context=None, **changes):
        """Send an Update with what was sent before as the old properties."""
        old, answer = self.sent[resource]
        return self.request(
            "Update",
            resource,
            properties,
            context,
            OldResourceProperties=old,
            PhysicalResourceId=answer["PhysicalResourceId"],
            **changes,
        )

    def run(self, *statements, **options):
        """Run statements in the reports' schema."""
        place = {"database": self.names["database"], "schema": self.names["config_schema"]}
        return self.warehouse.run(*statements, **(place | {"warehouse": self.names["warehouse"]} | options))

    def runner(self):
        """The arguments with which the containers' login connects."""
        secret = json.loads(self.aws.secrets[f"arn:secret:{self.names['runner_user']}"])
        key = read_private_key(secret["private_key"], None, "of the runner")
        return {"user": secret["user"], "password": None, "authenticator": "SNOWFLAKE_JWT", "private_key": key} | {
            "role": secret["role"]
        }


@pytest.fixture(autouse=True)
def own_session(monkeypatch):
    """Let each test's AWS clients read the environment anew: boto3 keeps the credentials that it found first."""
    monkeypatch.setattr(boto3, "DEFAULT_SESSION", None)


@pytest.fixture(scope="session")
def warehouse(aws, tmp_path_factory):
    """The Snowflake stand-in, started once; its AWS calls go to the fake."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    folder = tmp_path_factory.mktemp("warehouse")
    password = secrets.token_urlsafe(12)
    command = ["-m", "local.warehouse", "--port", str(port), "--data", folder / "data", "--task-interval", "1"]
    environment = os.environ | {"WAREHOUSE_ADMIN_PASSWORD": password, "AWS_ENDPOINT_URL": aws.url}
    environment |= {"AWS_REGION": "eu-west-1", "AWS_DEFAULT_REGION": "eu-west-1"}
    with (folder / "log").open("w") as log:
        process = subprocess.Popen(
            [PYTHON, *command], cwd=sql_lint.ROOT, env=environment, stdout=log, stderr=subprocess.STDOUT
        )
    try:
        _wait_until_healthy(process, port, folder / "log")
        yield Warehouse(port, password, folder / "log")
    finally:
        process.terminate()
        process.wait(10)


@pytest.fixture(scope="session")
def aws():
    """The fake of AWS."""
    fake = FakeAws()
    yield fake
    fake.close()


@pytest.fixture(scope="session")
def deployer_key(aws, warehouse):
    """The deployer's public key; its login lies in the secret."""
    pem, public_key = make_key_pair()
    user = sql_lint.NAMES["deployer_user"]
    login = {"account": "LOCAL", "user": user, "role": user, "private_key": pem}
    address = {"host": "127.0.0.1", "port": warehouse.port, "protocol": "http"}
    aws.secrets[DEPLOYER_SECRET] = json.dumps(login | address)
    return public_key


@pytest.fixture
def prepared(warehouse, aws, deployer_key, monkeypatch):
    """Make systems that an administrator has prepared for, with names of their own."""
    _lead_to(aws, monkeypatch)

    def prepare(**names):
        deployment = Deployment(warehouse, aws, **names)
        deployment.bootstrap(deployer_key)
        return deployment

    return prepare


@pytest.fixture(scope="session")
def killer(aws):
    """A process whose forks deploy, and are killed after a given statement."""
    killer = Killer(_settings(aws))
    yield killer
    killer.close()


@pytest.fixture
def deployed(prepared):
    """A system of the test's own, with its task stopped."""
    return prepared(tasks_enabled=False).deploy()


@pytest.fixture(scope="session")
def shared(warehouse, aws, deployer_key):
    """A system for all tests that leave it as it was."""
    with pytest.MonkeyPatch.context() as monkeypatch:
        _lead_to(aws, monkeypatch)
        deployment = Deployment(warehouse, aws, tasks_enabled=False)
        deployment.bootstrap(deployer_key)
        return deployment.deploy()


@pytest.fixture
def system(shared, aws, monkeypatch):
    """The shared system with empty tables and an empty stream."""
    _lead_to(aws, monkeypatch)
    shared.run("CALL SEND_ECS_TRIGGER()", "DELETE FROM REPORT_CONFIG", "DELETE FROM TRIGGER_LOG")
    aws.calls.clear()
    return shared


def _settings(aws):
    """The environment by which the deploy Lambda's code finds the fake, as it finds AWS in Lambda."""
    return {
        "AWS_ENDPOINT_URL": aws.url,
        "AWS_DEFAULT_REGION": "eu-west-1",
        "AWS_ACCESS_KEY_ID": "fake",
        "AWS_SECRET_ACCESS_KEY": "fake",
        "SNOWFLAKE_SECRET_ARN": DEPLOYER_SECRET,
    }


def _lead_to(aws, monkeypatch):
    for name, value in _settings(aws).items():
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("AWS_CA_BUNDLE", raising=False)
    aws.calls.clear()
    aws.replies.clear()


def _wait_until_healthy(process, port, log):
    for _ in range(600):
        if process.poll() is not None:
            break
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/_warehouse/health", timeout=2):
                return
        except (urllib.error.URLError, ConnectionError, TimeoutError):
            time.sleep(0.05)
    raise AssertionError(f"The Snowflake stand-in did not start:\n{log.read_text()}")
