"""The containers' logins, made through the Lambda's handler."""

from __future__ import annotations

import json
import time

import pytest
from login_account import MARK, ROLE_ARN, function_environment, prepared_account
from snowflake.connector.errors import DatabaseError, ProgrammingError


@pytest.fixture(scope="module")
def prepared(tmp_path_factory):
    with prepared_account(tmp_path_factory) as account:
        yield account


@pytest.fixture
def account(prepared, monkeypatch):
    """The account, with the Lambda's environment."""
    for name, value in function_environment(prepared).items():
        monkeypatch.setenv(name, value)
    return prepared


@pytest.fixture
def become(account, monkeypatch):
    """Let the function log in as an IAM role, in the place of a key pair."""

    def become(role):
        arn = f"{ROLE_ARN}{role}"
        found = account.cloud.client("sts").assume_role(RoleArn=arn, RoleSessionName="fargate-test")["Credentials"]
        monkeypatch.delenv("SNOWFLAKE_SECRET_ARN")
        monkeypatch.setenv("SNOWFLAKE_ACCOUNT", "ORG-LOCAL")
        monkeypatch.setenv("SNOWFLAKE_USER", "ROBOT")
        monkeypatch.setenv("SNOWFLAKE_ROLE", "DEPLOYER")
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", found["AccessKeyId"])
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", found["SecretAccessKey"])
        monkeypatch.setenv("AWS_SESSION_TOKEN", found["SessionToken"])

    return become


def changes(capsys):
    """What the function ran since the last look, without what only looks."""
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines() if line.startswith("{")]
    looks = ("describe user", "roles of", "workload identity of")
    return [line["ran"] for line in lines if "ran" in line and not line["ran"].startswith(looks)]


def test_a_login_is_a_user_with_a_key_that_only_its_secret_holds(account):
    fields = account.secret(account.make("FIRST"))
    assert set(fields) == {"account", "user", "private_key", "role", "warehouse", "database", "schema"}
    with account.connect(fields) as connection, connection.cursor() as cursor:
        who = cursor.execute("SELECT CURRENT_USER(), CURRENT_ROLE(), CURRENT_WAREHOUSE()").fetchall()
    assert who == [("FIRST", "RUNNER", "WH")]
    told = account.described("FIRST")
    assert (told["TYPE"], told["COMMENT"], told["DEFAULT_NAMESPACE"]) == ("SERVICE", MARK, "DB.PUBLIC")


def test_a_login_that_is_as_it_should_be_is_left_alone(account, capsys):
    secret = account.make("SECOND")
    before = account.store.get_secret_value(SecretId=secret)["VersionId"]
    changes(capsys)
    assert not account.update("SECOND", SecretArn=secret, Recheck="2026-11-21T10:00:00Z").reason
    assert changes(capsys) == []
    assert account.store.get_secret_value(SecretId=secret)["VersionId"] == before


def test_what_differs_is_repaired_and_nothing_else(account, capsys):
    secret = account.make("DRIFTED")
    fields = account.secret(secret)
    account.account.rows("ALTER USER DRIFTED SET DEFAULT_ROLE = PUBLIC")
    account.account.rows("REVOKE ROLE RUNNER FROM USER DRIFTED")
    account.account.rows("ALTER USER DRIFTED UNSET RSA_PUBLIC_KEY")
    changes(capsys)
    outcome = account.update("DRIFTED", old={"SecretArn": secret}, SecretArn=secret)
    assert outcome.data["Drift"] == (
        "USER DRIFTED had lost role RUNNER; USER DRIFTED: DEFAULT_ROLE was PUBLIC; "
        "USER DRIFTED: RSA_PUBLIC_KEY was another key"
    )
    assert changes(capsys) == ["login DRIFTED", "login DRIFTED"]  # ALTER USER, GRANT ROLE
    assert account.described("DRIFTED")["DEFAULT_ROLE"] == "RUNNER"
    with account.connect(fields):
        pass


def test_a_disabled_user_is_reported_and_stays_disabled(account, capsys):
    secret = account.make("PAUSED")
    account.account.rows("ALTER USER PAUSED SET DISABLED = TRUE")
    changes(capsys)
    outcome = account.update("PAUSED", SecretArn=secret)
    assert outcome.data["Drift"] == (
        "USER PAUSED is disabled: it cannot log in; ALTER USER PAUSED SET DISABLED = FALSE brings it back"
    )
    assert changes(capsys) == []
    account.account.rows("ALTER USER PAUSED SET DISABLED = FALSE")
    assert account.update("PAUSED", SecretArn=secret).data["Drift"] == "none"


def test_a_user_that_was_dropped_is_made_again_and_named(account):
    secret = account.make("DROPPED")
    account.account.rows("DROP USER DROPPED")
    assert account.update("DROPPED", SecretArn=secret).data["Drift"] == "USER DROPPED was missing"


def test_another_role_replaces_the_one_before(account):
    secret = account.make("MOVED")
    assert not account.update("MOVED", old={"Role": "RUNNER"}, SecretArn=secret, Role="OTHER_RUNNER").reason
    held = account.account.rows("SHOW GRANTS TO USER MOVED")
    assert [row[1] for row in held] == ["OTHER_RUNNER"]
    assert account.described("MOVED")["DEFAULT_ROLE"] == "OTHER_RUNNER"
    assert account.secret(secret)["role"] == "OTHER_RUNNER"


@pytest.mark.parametrize("comment", ["a person's", "Managed by CloudFormation stack other in 111122223333/eu-west-1"])
def test_a_user_of_somebody_else_is_not_touched(account, comment):
    name = f"FOREIGN{len(comment)}"
    account.account.rows(f"CREATE USER {name} TYPE = SERVICE COMMENT = '{comment.replace(chr(39), chr(39) * 2)}'")
    account.account.rows(f"GRANT OWNERSHIP ON USER {name} TO ROLE DEPLOYER")
    before = account.described(name)
    secret = account.store.create_secret(Name=f"login-{name}", SecretString="{}")["ARN"]
    outcome = account.request("Create", name, properties={"SecretArn": secret})
    assert f"User {name} is there already" in outcome.reason
    assert outcome.physical_id.startswith("not-made")
    assert account.described(name) == before
    assert account.secret(secret) == {}


def test_a_user_that_the_deployer_may_not_see_is_not_touched(account):
    account.account.rows("CREATE USER HIDDEN TYPE = SERVICE")
    outcome = account.request("Create", "HIDDEN", properties={"IdentityArn": f"{ROLE_ARN}worker"})
    assert "HIDDEN is there" in outcome.reason
    assert outcome.physical_id.startswith("not-made")
    assert not account.request("Delete", "HIDDEN", PhysicalResourceId=outcome.physical_id).reason
    assert account.described("HIDDEN")


def test_a_missing_role_is_told_with_the_next_step(account):
    outcome = account.request(
        "Create", "ROLELESS", properties={"IdentityArn": f"{ROLE_ARN}x", "Role": "NOBODY_MADE_IT"}
    )
    assert "Role NOBODY_MADE_IT cannot be granted" in outcome.reason
    assert "make snowflake-bootstrap" in outcome.reason
    assert not account.request("Delete", "ROLELESS", PhysicalResourceId=outcome.physical_id).reason


def test_a_changed_address_of_the_deployer_reaches_the_logins_secret(account, monkeypatch):
    secret = account.make("FOLLOWS")
    login = account.secret(account.deployer_secret) | {"host": "127.0.0.1"}
    moved = account.store.create_secret(Name="deployer-moved", SecretString=json.dumps(login))["ARN"]
    monkeypatch.setenv("SNOWFLAKE_SECRET_ARN", moved)
    before = account.secret(secret)
    assert not account.update("FOLLOWS", SecretArn=secret, Recheck="new").reason
    assert account.secret(secret) == before | {"host": "127.0.0.1"}


def test_an_iam_role_logs_in_where_a_key_did_and_back(account, capsys):
    secret = account.make("SWITCHED")
    fields = account.secret(secret)
    by_key, by_role = {"SecretArn": secret}, {"IdentityArn": f"{ROLE_ARN}worker"}
    assert not account.update("SWITCHED", old=by_key, **by_role).reason
    assert account.described("SWITCHED")["HAS_WORKLOAD_IDENTITY"] == "true"
    with account.connect(fields):  # the tasks of the version before still run
        pass
    assert not account.update("SWITCHED", old=by_role, **by_role, Recheck="again").reason
    assert account.described("SWITCHED")["RSA_PUBLIC_KEY"] is None
    with pytest.raises(DatabaseError), account.connect(fields):
        pass
    changes(capsys)
    assert not account.update("SWITCHED", old=by_role, **by_role, Recheck="and again").reason
    assert changes(capsys) == []
    assert not account.update("SWITCHED", old=by_role, **by_key).reason
    assert account.described("SWITCHED")["HAS_WORKLOAD_IDENTITY"] == "true"
    assert not account.update("SWITCHED", old=by_key, **by_key, Recheck="again").reason
    assert account.described("SWITCHED")["HAS_WORKLOAD_IDENTITY"] == "false"
    with account.connect(fields):
        pass


def test_the_path_of_a_role_is_no_difference(account, capsys):
    properties = {"IdentityArn": f"{ROLE_ARN}services/reports/worker4"}
    assert not account.request("Create", "BY_PATH", properties=properties).reason
    changes(capsys)
    assert not account.update("BY_PATH", **properties, Recheck="again").reason
    assert changes(capsys) == []


def test_a_user_that_was_made_a_person_becomes_a_service_again(account):
    secret = account.make("PERSON")
    account.account.rows("ALTER USER PERSON SET TYPE = PERSON")
    assert not account.update("PERSON", SecretArn=secret).reason
    assert account.described("PERSON")["TYPE"] == "SERVICE"


def test_another_spelling_of_a_name_is_the_same_user_and_keeps_its_id_and_key(account):
    secret = account.make("Spelt")
    fields = account.secret(secret)
    outcome = account.request(
        "Update", "SPELT", PhysicalResourceId="Spelt", OldResourceProperties={"User": "Spelt"},
        properties={"SecretArn": secret},
    )  # fmt: skip
    assert (outcome.reason, outcome.physical_id) == ("", "Spelt")  # a new id would have CloudFormation drop the old one
    assert account.secret(secret)["private_key"] == fields["private_key"]


def test_the_deployer_itself_can_be_an_iam_role(account, become):
    become("robot")
    assert not account.request("Create", "BY_ROBOT", properties={"IdentityArn": f"{ROLE_ARN}worker2"}).reason
    assert account.described("BY_ROBOT")["COMMENT"] == MARK


def test_an_iam_role_that_is_not_the_deployers_is_refused_with_the_next_step(account, become):
    become("stranger")
    outcome = account.request("Create", "BY_STRANGER", properties={"IdentityArn": f"{ROLE_ARN}worker3"})
    assert "User ROBOT cannot log in to Snowflake account ORG-LOCAL by workload identity" in outcome.reason
    assert "WORKLOAD_IDENTITY must name the ARN of the IAM role" in outcome.reason
    assert outcome.physical_id.startswith("not-made")


def test_two_ways_of_logging_in_at_once_are_refused(account, monkeypatch):
    monkeypatch.setenv("SNOWFLAKE_USER", "ROBOT")
    outcome = account.request("Create", "TWICE", properties={"IdentityArn": f"{ROLE_ARN}worker"})
    assert "Two logins are named, SNOWFLAKE_SECRET_ARN and SNOWFLAKE_USER" in outcome.reason


def test_a_deleted_login_is_gone_and_deleting_it_again_is_no_error(account):
    secret = account.make("GONE")
    fields = account.secret(secret)
    for _ in range(2):
        assert not account.request("Delete", "GONE", PhysicalResourceId="GONE").reason
    with pytest.raises(DatabaseError), account.connect(fields):
        pass


def test_a_create_that_never_answered_is_cleaned_up_under_the_id_that_cloudformation_makes_up(account):
    made_up = "test-Secrets-RunnerLoginUser-1ABCDEF"
    account.make("SILENT")
    assert not account.request("Delete", "SILENT", PhysicalResourceId=made_up).reason
    with pytest.raises(ProgrammingError):
        account.described("SILENT")
    account.account.rows("CREATE USER OF_A_PERSON TYPE = SERVICE COMMENT = 'mine'")
    account.account.rows("GRANT OWNERSHIP ON USER OF_A_PERSON TO ROLE DEPLOYER")
    assert not account.request("Delete", "OF_A_PERSON", PhysicalResourceId=made_up).reason
    assert account.described("OF_A_PERSON")


def test_a_user_that_became_another_stacks_is_not_dropped(account):
    account.make("ADOPTED")
    other = MARK.replace("test-Secrets", "other-Secrets")
    account.account.rows(f"ALTER USER ADOPTED SET COMMENT = '{other}'")
    assert not account.request("Delete", "ADOPTED", PhysicalResourceId="ADOPTED").reason
    assert account.described("ADOPTED")["COMMENT"] == other


def test_a_create_that_was_killed_goes_on_where_it_stopped(account, monkeypatch):
    secret = account.store.create_secret(Name="login-KILLED", SecretString="{}")["ARN"]
    started = time.monotonic()
    with monkeypatch.context() as patch:
        patch.setattr("snowgate.lambdas.snowflake_deployer.login._grant", lambda *_: 1 / 0)
        assert "division" in account.request("Create", "KILLED", properties={"SecretArn": secret}).reason
    assert account.secret(secret) == {}
    assert not account.request("Create", "KILLED", properties={"SecretArn": secret}).reason
    with account.connect(account.secret(secret)):
        pass
    assert time.monotonic() - started < 30
