"""Logins made through the Lambda's handlers: real stand-ins on both sides, Secrets Manager included."""

from __future__ import annotations

import json
from contextlib import contextmanager

import pytest
import snowflake.connector

from local.cloud.accounts import OPERATOR
from snowgate.lambdas.snowflake_deployer import handler
from snowgate.lambdas.snowflake_deployer.pem import new_private_key, public_key, read_private_key
from tests.local.cloud_server import REGION, cloud_server
from tests.local.warehouse_server import warehouse

STACK_ID = f"arn:aws:cloudformation:{REGION}:{OPERATOR.account_id}:stack/test-Secrets/1"
MARK = f"Managed by CloudFormation stack test-Secrets in {OPERATOR.account_id}/{REGION}"
TASKS = {"Principal": {"Service": "ecs-tasks.amazonaws.com"}}
ROLE_ARN = f"arn:aws:iam::{OPERATOR.account_id}:role/"
BOOTSTRAP = """
CREATE ROLE DEPLOYER; CREATE ROLE RUNNER; CREATE ROLE OTHER_RUNNER; CREATE WAREHOUSE WH; CREATE DATABASE DB;
GRANT CREATE USER ON ACCOUNT TO ROLE DEPLOYER;
GRANT OWNERSHIP ON ROLE RUNNER TO ROLE DEPLOYER;
GRANT OWNERSHIP ON ROLE OTHER_RUNNER TO ROLE DEPLOYER;
GRANT USAGE ON WAREHOUSE WH TO ROLE DEPLOYER;
GRANT USAGE ON WAREHOUSE WH TO ROLE RUNNER;
GRANT USAGE ON DATABASE DB TO ROLE RUNNER;
CREATE USER DEPLOYER TYPE = SERVICE DEFAULT_ROLE = DEPLOYER RSA_PUBLIC_KEY = '{key}';
GRANT ROLE DEPLOYER TO USER DEPLOYER;
CREATE USER ROBOT TYPE = SERVICE WORKLOAD_IDENTITY = (TYPE = AWS ARN = '{robot}');
GRANT ROLE DEPLOYER TO USER ROBOT;
GRANT ROLE DEPLOYER TO ROLE ACCOUNTADMIN
"""


class Context:
    """What Lambda says about its time: there is enough."""

    def get_remaining_time_in_millis(self):
        return 120_000


class Account:
    """A Snowflake account that an administrator has prepared, the AWS account beside it, and requests to a handler."""

    def __init__(self, cloud, account):
        self.cloud, self.account = cloud, account
        self.store = cloud.client("secretsmanager")
        self.deployer_key = new_private_key()
        text = BOOTSTRAP.format(key=public_key(self.deployer_key), robot=f"{ROLE_ARN}robot")
        with account.connect() as connection, connection.cursor() as cursor:
            for statement in text.split(";"):
                cursor.execute(statement)
        login = {"account": "LOCAL", "user": "DEPLOYER", "role": "DEPLOYER", "private_key": self.deployer_key}
        self.deployer_secret = self.store.create_secret(Name="deployer", SecretString=json.dumps(login))["ARN"]

    def request(self, kind, user, **changes):
        """Send a request for a login through the handler and give CloudFormation's answer."""
        properties = {"User": user, "Role": "RUNNER", "Warehouse": "WH", "Database": "DB", "Schema": "PUBLIC"}
        properties |= changes.pop("properties", {})
        event = {
            "RequestType": kind,
            "ResponseURL": "unused",
            "StackId": STACK_ID,
            "RequestId": "request",
            "LogicalResourceId": "Login",
            "ResourceType": "Custom::SnowflakeLogin",
            "ResourceProperties": properties,
        } | changes
        answers = []
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(handler, "send", lambda _event, outcome: answers.append(outcome))
            handler.handler(event, Context())
        return answers[0]

    def make(self, user, **properties):
        """Make a login with a key pair; gives its secret's ARN."""
        secret = self.store.create_secret(Name=f"login-{user}", SecretString="{}")["ARN"]
        outcome = self.request("Create", user, properties={"SecretArn": secret, **properties})
        assert not outcome.reason
        return secret

    def update(self, user, old=None, **properties):
        """Update a login that is there."""
        return self.request(
            "Update", user, PhysicalResourceId=user, OldResourceProperties={"User": user, **(old or {})},
            properties=properties,
        )  # fmt: skip

    def described(self, user):
        """A user's properties."""
        return {row[0]: row[1] for row in self.account.rows(f"DESC USER {user}")}

    def secret(self, arn):
        """What a login's secret holds."""
        return json.loads(self.store.get_secret_value(SecretId=arn)["SecretString"])

    @contextmanager
    def connect(self, fields):
        """Connect with the login of a secret."""
        key = read_private_key(fields["private_key"], None, "of the test")
        login = self.account.login(
            user=fields["user"], role=fields["role"], authenticator="SNOWFLAKE_JWT", private_key=key, password=None
        )
        with snowflake.connector.connect(**login) as connection:
            yield connection


@contextmanager
def prepared_account(tmp_path_factory):
    """Both stand-ins, prepared, with the IAM roles robot, stranger and worker."""
    with cloud_server(tmp_path_factory.mktemp("cloud")) as cloud:
        for name in ("robot", "stranger", "worker"):
            cloud.make_role(name, TASKS)
        environment = {"AWS_ENDPOINT_URL": cloud.endpoint, "AWS_CA_BUNDLE": str(cloud.bundle)}
        with warehouse(tmp_path_factory.mktemp("warehouse"), environment=environment) as account:
            yield Account(cloud, account)


def function_environment(prepared):
    """The environment of the Lambda: the deployer logs in by key pair, the stand-in's address is injected."""
    return {
        "AWS_ENDPOINT_URL": prepared.cloud.endpoint,
        "AWS_CA_BUNDLE": str(prepared.cloud.bundle),
        "AWS_DEFAULT_REGION": REGION,
        "AWS_REGION": REGION,
        "AWS_ACCESS_KEY_ID": OPERATOR.access_key_id,
        "AWS_SECRET_ACCESS_KEY": OPERATOR.secret_access_key,
        "SNOWFLAKE_SECRET_ARN": prepared.deployer_secret,
        "SNOWFLAKE_HOST": "127.0.0.1",
        "SNOWFLAKE_PORT": str(prepared.account.port),
        "SNOWFLAKE_PROTOCOL": "http",
        "SNOWFLAKE_WIF_ALLOWED_HOST_SUFFIXES": "127.0.0.1",
    }
