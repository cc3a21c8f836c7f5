"""The file that an ACCOUNTADMIN runs, and the deployer's login."""

import json
import subprocess
import sys
from types import SimpleNamespace

import boto3
import pytest
from botocore.stub import ANY, Stubber

from stacks import snowflake_bootstrap as bootstrap
from stacks.environment import read_environment
from tests import sql_lint

ROOT = sql_lint.ROOT
PROD = read_environment(ROOT / "environments" / "prod.toml")
ENVIRONMENT = PROD.model_copy(
    update={
        "snowflake": PROD.snowflake.model_copy(
            update={"login": "key_pair", "account": None, "login_secret": "snowgate/test/deployer"}
        )
    }
)
DEPLOYER = "SNOWGATE_DEPLOYER"
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
    assert f"ALTER USER SNOWGATE_DEPLOYER SET RSA_PUBLIC_KEY = '{public}';" in text
    assert "{{" not in text
    assert pem.splitlines()[1] not in text


def test_without_a_key_the_file_says_how_to_register_one():
    text = bootstrap.render(ENVIRONMENT, None)
    assert "\n-- ALTER USER SNOWGATE_DEPLOYER SET RSA_PUBLIC_KEY" in text


def test_with_a_workload_identity_there_is_no_key():
    text = bootstrap.render(PROD, None)
    arn = "arn:aws:iam::111122223333:role/snowgate-prod-deployer"
    assert f"ALTER USER {DEPLOYER} SET WORKLOAD_IDENTITY = (TYPE = AWS ARN = '{arn}');" in text
    assert "RSA_PUBLIC_KEY" not in text


def test_every_grant_says_which_statement_needs_it():
    lines = bootstrap.render(ENVIRONMENT, None).splitlines()
    for number, line in enumerate(lines):
        if line.startswith("GRANT "):
            above = next(before for before in reversed(lines[:number]) if not before.startswith("GRANT "))
            assert above.startswith("-- "), line


def test_the_file_parses_as_snowflakes(tmp_path):
    for environment, key in ((PROD, None), (ENVIRONMENT, "MIIB"), (ENVIRONMENT, None)):
        statements = sql_lint.split("bootstrap.sql", bootstrap.render(environment, key))
        assert [finding for one in statements for finding in sql_lint.check_statement(one.text)] == []


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
    assert login == {"account": "ORG-ACC", "user": DEPLOYER, "role": DEPLOYER}
    assert public.startswith("MII")


def test_a_login_that_is_there_keeps_its_key_and_is_not_written_again(secrets):
    pem, public = bootstrap.make_key_pair()
    holds(secrets, {"account": "ORG-ACC", "user": DEPLOYER, "role": DEPLOYER, "private_key": pem})
    assert bootstrap.make_login(ENVIRONMENT, {"account": None}, secrets.client) == public


def test_another_address_is_written_beside_the_same_key(secrets):
    pem, public = bootstrap.make_key_pair()
    held = {"account": "LOCAL", "user": DEPLOYER, "role": DEPLOYER, "private_key": pem, "port": 1}
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


def command(*arguments):
    done = subprocess.run(
        [sys.executable, "-m", "stacks.snowflake_bootstrap", *arguments],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    return done.returncode, done.stdout, done.stderr


def test_the_command_writes_the_file_and_says_what_to_do(tmp_path):
    output = tmp_path / "b.sql"
    code, said, errors = command("prod", "--output", str(output))
    warning = (
        "environments/prod.toml still names the example accounts 111122223333 and MYORG-MYACCOUNT: put yours in before "
        "anybody runs this file."
    )
    assert errors == f"Warning: {warning}\n"
    assert code == 0
    assert said.splitlines()[0] == f"{output}: run it once as ACCOUNTADMIN, then deploy."
    assert output.read_text() == f"-- {warning}\n\n{bootstrap.render(PROD, None)}"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["prod", "--make-login", "--account", "A-B"], 'says login = "workload_identity", so the deployer has no key'),
        (["nowhere"], "nowhere.toml cannot be used"),
    ],
)
def test_the_command_refuses_what_does_not_fit(arguments, said):
    code, _, error = command(*arguments)
    assert code == 1
    assert said in error
    assert "Traceback" not in error


def test_the_cdk_is_not_needed():
    code = "import stacks.snowflake_bootstrap, sys; sys.exit('aws_cdk' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=False).returncode == 0
