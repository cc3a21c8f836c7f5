"""The file that an ACCOUNTADMIN runs, and the deployer's login."""

import json
from types import SimpleNamespace

import boto3
import pytest
from botocore.stub import ANY, Stubber

from stacks import snowflake_bootstrap as bootstrap
from tests import sql_lint

ENVIRONMENT = SimpleNamespace(
    account="111122223333",
    region="eu-west-1",
    snowflake=SimpleNamespace(
        login_secret="snowgate/test/deployer", deployer_role="DEPLOYER", runner_role="RUNNER", warehouse="WH"
    ),
)
SECRET = ENVIRONMENT.snowflake.login_secret
ARN = f"arn:aws:secretsmanager:eu-west-1:111122223333:secret:{SECRET}-abcdef"


@pytest.fixture
def secrets():
    """A stubbed Secrets Manager and its client."""
    client = boto3.client(
        "secretsmanager",
        region_name="eu-west-1",
        aws_access_key_id="x",
        aws_secret_access_key="x",  # noqa: S106
    )
    with Stubber(client) as stubber:
        yield SimpleNamespace(client=client, stub=stubber)
        stubber.assert_no_pending_responses()


def holds(secrets, login):
    text = login if isinstance(login, str) else json.dumps(login)
    secrets.stub.add_response("get_secret_value", {"ARN": ARN, "SecretString": text}, {"SecretId": SECRET})


def test_the_file_makes_the_deployer_and_registers_its_key():
    pem, public = bootstrap.make_key_pair()
    text = bootstrap.render(ENVIRONMENT, public)
    assert f"ALTER USER DEPLOYER SET RSA_PUBLIC_KEY = '{public}';" in text
    assert "{{" not in text
    assert pem.splitlines()[1] not in text


def test_without_a_key_the_file_says_how_to_register_one():
    text = bootstrap.render(ENVIRONMENT, None)
    assert "\n-- ALTER USER DEPLOYER SET RSA_PUBLIC_KEY" in text


def test_every_privilege_says_which_statement_needs_it():
    lines = bootstrap.render(ENVIRONMENT, None).splitlines()
    grants = [number for number, line in enumerate(lines) if "ON ACCOUNT TO ROLE" in line]
    assert len(grants) == 6
    assert all(lines[number - 1].startswith("-- ") for number in grants)


def test_the_file_parses_as_snowflakes():
    findings = list(sql_lint.check_file(sql_lint.SQL_FILES / "bootstrap.sql"))
    assert findings == []


@pytest.mark.parametrize("spell", [str, lambda pem: pem.replace("\n", "\\n")])
def test_the_public_key_follows_from_either_half(spell):
    pem, public = bootstrap.make_key_pair()
    framed = f"-----BEGIN PUBLIC KEY-----\n{public}\n-----END PUBLIC KEY-----\n"
    assert bootstrap.public_key_of(spell(pem)) == bootstrap.public_key_of(framed) == public


def test_a_file_that_is_no_key_is_refused():
    with pytest.raises(bootstrap.BootstrapError, match="no PEM key"):
        bootstrap.public_key_of("ssh-rsa AAAA")


def test_a_login_is_made_where_there_is_none(secrets):
    secrets.stub.add_client_error("get_secret_value", "ResourceNotFoundException")
    secrets.stub.add_response("create_secret", {"ARN": ARN}, {"Name": SECRET, "SecretString": ANY, "Description": ANY})
    made = {}
    secrets.client.meta.events.register(
        "provide-client-params.secrets-manager.CreateSecret", lambda params, **_: made.update(params)
    )
    public = bootstrap.make_login(ENVIRONMENT, {"account": "ORG-ACC", "host": None}, secrets.client)
    login = json.loads(made["SecretString"])
    assert login.pop("private_key").startswith("-----BEGIN PRIVATE KEY-----")
    assert login == {"account": "ORG-ACC", "user": "DEPLOYER", "role": "DEPLOYER"}
    assert public.startswith("MII")


def test_a_login_that_is_there_keeps_its_key_and_is_not_written_again(secrets):
    pem, public = bootstrap.make_key_pair()
    holds(secrets, {"account": "ORG-ACC", "user": "DEPLOYER", "role": "DEPLOYER", "private_key": pem})
    assert bootstrap.make_login(ENVIRONMENT, {"account": None}, secrets.client) == public


def test_another_address_is_written_beside_the_same_key(secrets):
    pem, public = bootstrap.make_key_pair()
    held = {"account": "LOCAL", "user": "DEPLOYER", "role": "DEPLOYER", "private_key": pem, "port": 1}
    holds(secrets, held)
    secrets.stub.add_response(
        "put_secret_value", {"ARN": ARN}, {"SecretId": SECRET, "SecretString": json.dumps(held | {"port": 2})}
    )
    assert bootstrap.make_login(ENVIRONMENT, {"port": 2}, secrets.client) == public


def test_a_login_without_an_account_asks_for_it(secrets):
    secrets.stub.add_client_error("get_secret_value", "ResourceNotFoundException")
    with pytest.raises(bootstrap.BootstrapError, match="Give --account"):
        bootstrap.make_login(ENVIRONMENT, {"account": None}, secrets.client)


@pytest.mark.parametrize("text", ["not JSON", "[]", '{"password": "CANARY"}'])
def test_a_secret_that_holds_something_else_is_not_touched(secrets, text):
    holds(secrets, text)
    with pytest.raises(bootstrap.BootstrapError, match="holds no login") as refused:
        bootstrap.make_login(ENVIRONMENT, {"account": "A"}, secrets.client)
    assert "CANARY" not in str(refused.value)


def test_the_cdk_is_not_needed():
    import subprocess
    import sys

    code = "import stacks.snowflake_bootstrap, sys; sys.exit('aws_cdk' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=bootstrap.ROOT, check=False).returncode == 0
