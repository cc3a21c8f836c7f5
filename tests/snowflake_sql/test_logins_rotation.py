"""Rotation of keys and tokens: the function's four steps, killed anywhere, and a service that goes on."""

from __future__ import annotations

import json

import pytest
from botocore.exceptions import ClientError
from login_account import ROLE_ARN, Context, function_environment, prepared_account
from snowflake.connector.errors import DatabaseError

from local.cloud.accounts import OPERATOR
from report_service.login import LoginSecret
from report_service.warehouse import Warehouse
from snowgate.lambdas.snowflake_deployer import patience, rotation, rotation_versions
from snowgate.lambdas.snowflake_deployer.connection import Session
from snowgate.lambdas.snowflake_deployer.rotation import RotationFailed

STEPS = ("createSecret", "setSecret", "testSecret", "finishSecret")
# A rotation's first step fails, so that it is left to the test to do them.
IDLE = "def handler(event, context):\n    raise RuntimeError('left to the test')\n"


@pytest.fixture(scope="module")
def prepared(tmp_path_factory):
    with prepared_account(tmp_path_factory) as account:
        account.cloud.make_role("idle", {"Principal": {"Service": "lambda.amazonaws.com"}})
        account.idle = account.cloud.make_function("idle", f"{ROLE_ARN}idle", IDLE)
        account.cloud.client("lambda").add_permission(
            FunctionName="idle",
            StatementId="rotate",
            Action="lambda:InvokeFunction",
            Principal="secretsmanager.amazonaws.com",
            SourceAccount=OPERATOR.account_id,
        )
        yield account


@pytest.fixture
def account(prepared, monkeypatch):
    """The account, with the Lambda's environment."""
    for name, value in function_environment(prepared).items():
        monkeypatch.setenv(name, value)
    return prepared


@pytest.fixture
def key_pair(account):
    """A login with a key pair, tagged as the construct does it; gives its secret's ARN."""
    user = f"ROTATED{len(account.account.rows('SHOW USERS'))}"
    secret = account.make(user)
    account.store.tag_resource(SecretId=secret, Tags=[{"Key": "snowgate:rotates", "Value": "key-pair"}])
    return secret


def begin(account, secret):
    """Begin a rotation; gives the id of its pending version."""
    return account.store.rotate_secret(SecretId=secret, RotationLambdaARN=account.idle)["VersionId"]


def step(name, secret, token):
    """Run one step, as Secrets Manager calls the function."""
    rotation.handler({"Step": name, "SecretId": secret, "ClientRequestToken": token}, Context())


def rotate(account, secret):
    """A whole rotation; gives the id of the version that is current after it."""
    token = begin(account, secret)
    for name in STEPS:
        step(name, secret, token)
    return token


def works(account, fields):
    """Whether one can log in with what a secret held."""
    try:
        with account.connect(fields):
            return True
    except DatabaseError:
        return False


def test_the_key_before_works_until_the_next_rotation(account, key_pair):
    first = account.secret(key_pair)
    rotate(account, key_pair)
    second = account.secret(key_pair)
    assert (works(account, first), works(account, second)) == (True, True)
    assert first | {"private_key": ""} == second | {"private_key": ""}
    assert first["private_key"] != second["private_key"]

    rotate(account, key_pair)
    third = account.secret(key_pair)
    assert [works(account, fields) for fields in (first, second, third)] == [False, True, True]


def test_a_running_service_goes_on_over_two_rotations(account, key_pair, monkeypatch):
    user = account.secret(key_pair)["user"]
    address = {"host": "127.0.0.1", "port": account.account.port, "protocol": "http"}
    source = LoginSecret(key_pair, account.store, address=address)

    def work():
        with Warehouse(source, database="DB", schema="PUBLIC", query_tag="test") as session:
            return session.rows("SELECT CURRENT_USER()")

    with Warehouse(source, database="DB", schema="PUBLIC", query_tag="long") as long_one:
        for _ in range(2):
            assert work() == long_one.rows("SELECT CURRENT_USER()") == [(user,)]
            rotate(account, key_pair)
        assert work() == long_one.rows("SELECT CURRENT_USER()") == [(user,)]


class Killed(BaseException):
    """The function's process ends here."""


def killed_at(monkeypatch, number):
    """Let the function die at its nth call of AWS's store or of Snowflake, after the call was done."""
    left = [number]

    def dying(original):
        def call(*arguments, **options):
            answer = original(*arguments, **options)
            left[0] -= 1
            if left[0] == 0:
                raise Killed
            return answer

        return call

    versions = rotation_versions.Versions
    for owner, name in ((versions, "put"), (versions, "promote"), (Session, "run")):
        monkeypatch.setattr(owner, name, dying(getattr(owner, name)))
    return left


def test_a_rotation_that_is_killed_anywhere_ends_as_one_that_was_not(account, key_pair, monkeypatch):
    before = account.secret(key_pair)
    number, killed = 1, True
    while killed:
        token = begin(account, key_pair)
        with monkeypatch.context() as patch:
            left = killed_at(patch, number)
            try:
                for name in STEPS:
                    step(name, key_pair, token)
            except Killed:
                pass
            killed = left[0] <= 0
        assert works(account, account.secret(key_pair))  # whatever is current works at every moment
        for name in STEPS:  # Secrets Manager tries again
            step(name, key_pair, token)
        after = account.secret(key_pair)
        assert (works(account, before), works(account, after)) == (True, True)
        assert account.store.get_secret_value(SecretId=key_pair)["VersionId"] == token
        before, number = after, number + 1
    assert number > 5  # put, DESC, ALTER, SELECT, promote


def test_a_locked_key_gets_a_locked_successor(account, key_pair):
    from snowgate.lambdas.snowflake_deployer.pem import new_private_key, public_key

    fields = account.secret(key_pair)
    locked = new_private_key("open")
    account.account.rows(f"ALTER USER {fields['user']} SET RSA_PUBLIC_KEY = '{public_key(locked, 'open')}'")
    fields |= {"private_key": locked, "private_key_passphrase": "open"}
    account.store.put_secret_value(SecretId=key_pair, SecretString=json.dumps(fields))
    rotate(account, key_pair)
    after = account.secret(key_pair)
    assert after["private_key"].startswith("-----BEGIN ENCRYPTED PRIVATE KEY-----")
    assert after["private_key"] != locked


def test_a_key_that_does_not_log_in_stays_pending_and_shows_nowhere(account, key_pair, capsys):
    before, token = account.secret(key_pair), begin(account, key_pair)
    step("createSecret", key_pair, token)  # and setSecret is left out
    with pytest.raises(RotationFailed, match="testSecret of secret") as failed:
        step("testSecret", key_pair, token)
    assert account.secret(key_pair) == before
    pending = json.loads(account.store.get_secret_value(SecretId=key_pair, VersionStage="AWSPENDING")["SecretString"])
    shown = str(failed.value) + "".join(capsys.readouterr())
    for line in (*before["private_key"].splitlines()[1:-1], *pending["private_key"].splitlines()[1:-1]):
        assert line not in shown
    for name in STEPS:
        step(name, key_pair, token)


def test_a_trial_without_a_pending_value_logs_in_with_the_current_key(account, key_pair):
    token = begin(account, key_pair)
    step("testSecret", key_pair, token)


def test_a_trial_waits_for_rights_that_the_same_deploy_has_just_granted(account, key_pair, monkeypatch):
    versions, refused = rotation.Versions, []

    def not_yet(*arguments):
        if len(refused) < 2:
            refused.append(1)
            raise ClientError({"Error": {"Code": "AccessDeniedException", "Message": "no"}}, "DescribeSecret")
        return versions(*arguments)

    monkeypatch.setattr(patience, "PAUSE_SECONDS", 0.01)
    monkeypatch.setattr(rotation, "Versions", not_yet)
    step("testSecret", key_pair, begin(account, key_pair))
    assert len(refused) == 2


def test_a_version_that_is_not_rotated_is_refused(account, key_pair):
    with pytest.raises(RotationFailed, match="neither pending nor current"):
        step("createSecret", key_pair, "0" * 32)


def test_a_secret_without_a_tag_is_not_rotated(account):
    secret = account.store.create_secret(Name="untagged", SecretString="{}")["ARN"]
    with pytest.raises(RotationFailed, match="snowgate:rotates is None"):
        step("createSecret", secret, begin(account, secret))


# --- tokens


@pytest.fixture
def token_secret(account):
    """A token, and the SECRET in Snowflake that holds it too; the deployer reaches it through the owner's role."""
    number = len(account.store.list_secrets()["SecretList"])
    for statement in (
        "CREATE ROLE IF NOT EXISTS OWNER",
        "GRANT ROLE OWNER TO ROLE DEPLOYER",
        "GRANT USAGE ON DATABASE DB TO ROLE OWNER",
        "GRANT USAGE ON DATABASE DB TO ROLE DEPLOYER",
        "GRANT USAGE ON SCHEMA DB.PUBLIC TO ROLE OWNER",
        f"CREATE SECRET DB.PUBLIC.TOKEN{number} TYPE = GENERIC_STRING SECRET_STRING = 'old'",
        f"GRANT OWNERSHIP ON SECRET DB.PUBLIC.TOKEN{number} TO ROLE OWNER",
    ):
        account.account.rows(statement)
    tags = {"snowgate:rotates": "token", "snowgate:snowflake-secret": f"DB.PUBLIC.TOKEN{number}"}
    return account.store.create_secret(
        Name=f"token{number}",
        SecretString="old-token-of-the-test",
        Tags=[{"Key": name, "Value": value} for name, value in tags.items()],
    )["ARN"]


def in_snowflake(account, secret):
    """What the SECRET in Snowflake holds: no statement tells it, so the stand-in's own file does."""
    tags = account.store.describe_secret(SecretId=secret)["Tags"]
    name = next(tag["Value"] for tag in tags if tag["Key"] == "snowgate:snowflake-secret").rsplit(".", 1)[1]
    text = (account.account.folder / "data" / "catalog.json").read_text()
    return list(_strings(json.loads(text), name))


def _strings(value, name):
    """Every SECRET_STRING of the record with this name."""
    if isinstance(value, dict):
        if "SECRET_STRING" in value and name in str(value.get("key", value.get("name"))):
            yield value["SECRET_STRING"]
        for item in value.values():
            yield from _strings(item, name)
    elif isinstance(value, list):
        for item in value:
            yield from _strings(item, name)


def text(account, secret, stage="AWSCURRENT"):
    return account.store.get_secret_value(SecretId=secret, VersionStage=stage)["SecretString"]


def test_a_new_token_is_in_snowflake_before_it_is_current(account, token_secret, capsys):
    token = begin(account, token_secret)
    step("createSecret", token_secret, token)
    step("setSecret", token_secret, token)
    pending = text(account, token_secret, "AWSPENDING")
    assert in_snowflake(account, token_secret) == [pending]
    assert text(account, token_secret) == "old-token-of-the-test"
    step("testSecret", token_secret, token)
    step("finishSecret", token_secret, token)
    assert (text(account, token_secret), text(account, token_secret, "AWSPREVIOUS")) == (
        pending,
        "old-token-of-the-test",
    )
    assert (len(pending), pending.isalnum()) == (48, True)
    assert pending not in "".join(capsys.readouterr())


def test_a_deploy_that_puts_the_old_token_back_meanwhile_does_not_last(account, token_secret):
    token = begin(account, token_secret)
    for name in STEPS[:3]:
        step(name, token_secret, token)
    number = token_secret.rsplit("token", 1)[1].split("-")[0]
    account.account.rows("GRANT ROLE OWNER TO ROLE ACCOUNTADMIN")
    account.account.rows(f"ALTER SECRET DB.PUBLIC.TOKEN{number} SET SECRET_STRING = 'old'")
    for _ in range(2):  # and a step that is tried again
        step("finishSecret", token_secret, token)
    assert in_snowflake(account, token_secret) == [text(account, token_secret)]


def test_a_token_whose_snowflake_secret_is_not_there_is_rotated_all_the_same(account):
    tags = {"snowgate:rotates": "token", "snowgate:snowflake-secret": "DB.PUBLIC.NOT_YET"}
    secret = account.store.create_secret(
        Name="early", SecretString="x" * 20, Tags=[{"Key": k, "Value": v} for k, v in tags.items()]
    )["ARN"]
    rotate(account, secret)
    assert text(account, secret) != "x" * 20
