"""A key pair that is exchanged while the service runs."""

import json

import pytest
from botocore.exceptions import ClientError, EndpointConnectionError
from snowflake.connector.errors import Error as SnowflakeError

from report_service.login import LoginSecret
from report_service.warehouse import Warehouse


class Secrets:
    """Secrets Manager with one secret: what each reading gives, the last for ever; and a count of the readings."""

    def __init__(self, *values):
        self.values, self.reads = values, 0

    def get_secret_value(self, SecretId):  # noqa: N803 - as Secrets Manager's client has it
        value = self.values[min(self.reads, len(self.values) - 1)]
        self.reads += 1
        if isinstance(value, Exception):
            raise value
        return {"SecretString": json.dumps(value)}


@pytest.fixture
def open_session():
    """Open a session with the login of a secret."""
    sessions = []

    def open_one(secret):
        session = Warehouse(secret, database="REPORTING_DB", schema="CONFIG", query_tag="test")
        sessions.append(session)
        session.open()
        return session

    yield open_one
    for session in sessions:
        session.close()


def test_sessions_share_one_reading_of_the_secret(open_session, snowflake_account):
    secrets = Secrets(snowflake_account.secret())
    secret = LoginSecret("arn", secrets)
    for _ in range(3):
        assert open_session(secret).rows("SELECT 1") == [(1,)]
    assert secrets.reads == 1


def test_a_login_that_is_refused_is_read_again(open_session, snowflake_account):
    right = snowflake_account.secret()
    secrets = Secrets(right | {"user": "FORMER_USER"}, right)
    secret = LoginSecret("arn", secrets)
    for _ in range(3):
        assert open_session(secret).rows("SELECT CURRENT_USER()") == [(right["user"],)]
    assert secrets.reads == 2


def test_a_login_that_stays_wrong_is_snowflakes_error(open_session, snowflake_account):
    with pytest.raises(SnowflakeError):
        open_session(LoginSecret("arn", Secrets(snowflake_account.secret(user="NOBODY"))))


def test_a_secret_that_cannot_be_read_again_leaves_snowflakes_error(open_session, snowflake_account):
    denied = ClientError({"Error": {"Code": "AccessDeniedException", "Message": "no"}}, "GetSecretValue")
    with pytest.raises(SnowflakeError):
        open_session(LoginSecret("arn", Secrets(snowflake_account.secret(user="NOBODY"), denied)))


def test_the_login_is_read_again_by_the_first_session_an_hour_later(open_session, snowflake_account):
    now = [0.0]
    secrets = Secrets(snowflake_account.secret())
    secret = LoginSecret("arn", secrets, clock=lambda: now[0])
    for moment, reads in ((0, 1), (3599, 1), (3600, 2), (3700, 2)):
        now[0] = float(moment)
        open_session(secret)
        assert secrets.reads == reads


def test_sessions_do_not_wait_one_by_one_for_a_secrets_manager_that_does_not_answer(snowflake_account):
    now, tries = [0.0], []
    secrets = Secrets(snowflake_account.secret())
    secret = LoginSecret("arn", secrets, clock=lambda: now[0])
    before = secret.login()

    def away(**_):
        tries.append(1)
        raise EndpointConnectionError(endpoint_url="https://secretsmanager")

    secrets.get_secret_value = away
    now[0] = 3600.0
    assert [secret.login() for _ in range(5)] == [before] * 5
    assert len(tries) == 1
    now[0] += 60
    assert secret.login() == before
    assert len(tries) == 2


def test_the_address_of_the_environment_goes_over_that_of_the_secret(open_session, snowflake_account):
    right = snowflake_account.secret()
    moved = Secrets(right | {"port": 1, "host": "nowhere.example"})
    address = {name: right[name] for name in ("host", "port")}
    assert open_session(LoginSecret("arn", moved, address=address)).rows("SELECT 1") == [(1,)]
