"""The environment and the login secret: a wrong one is told by name, and no secret is shown."""

import json

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import BestAvailableEncryption, Encoding, NoEncryption, PrivateFormat

from report_service.errors import presentable
from report_service.login import LoginError, login_source, parse_login
from report_service.settings import SettingsError, WebSettings, WorkerSettings, load

GOOD = {
    "SNOWFLAKE_SECRET_ARN": "arn:aws:secretsmanager:eu-west-1:111122223333:secret:login",
    "REPORT_BUCKET": "reports-111122223333",
}
KEY = rsa.generate_private_key(65537, 2048)
PEM = KEY.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
LOCKED = KEY.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"open")).decode()


@pytest.fixture
def environment(monkeypatch):
    def set_environment(**changes):
        for name, value in (GOOD | changes).items():
            monkeypatch.setenv(name, value)

    return set_environment


def test_two_variables_are_enough(environment):
    environment()
    settings = load(WorkerSettings)
    assert (settings.snowflake_database, settings.snowflake_schema, settings.reports_per_task) == (
        "REPORTING_DB",
        "CONFIG",
        5,
    )
    assert (settings.reports_directory / "sales_report" / "report.toml").exists()


@pytest.mark.parametrize(
    ("name", "value", "allowed"),
    [
        ("LEASE_SECONDS", "soon", "integer"),
        ("LEASE_SECONDS", "1", "greater than or equal to 6"),
        ("REPORT_BUCKET", "Not A Bucket", "pattern"),
        ("SNOWFLAKE_DATABASE", "DB; DROP", "pattern"),
        ("LOG_LEVEL", "LOUD", "'DEBUG'"),
        ("MAIL_SENDER", "nobody", "@-sign"),
        ("SNOWFLAKE_SECRET_ARN", "secret", "pattern"),
        ("LINK_URL", "reports.example.com", "pattern"),
        ("LINK_DAYS", "31", "less than or equal to 30"),
    ],
)
def test_a_wrong_variable_is_told_with_its_value_and_what_is_allowed(environment, name, value, allowed):
    environment(**{name: value})
    with pytest.raises(SettingsError) as wrong:
        load(WorkerSettings)
    assert str(wrong.value).startswith(f"{name} is {value!r}")
    assert allowed in str(wrong.value)


@pytest.mark.parametrize(
    ("given", "value", "lacking"),
    [
        ("LINK_URL", "https://links.example.com", "LINK_KEY_SECRET_ARN"),
        ("LINK_KEY_SECRET_ARN", "arn:aws:secretsmanager:eu-west-1:111122223333:secret:key", "LINK_URL"),
    ],
)
def test_half_of_what_links_need_is_refused(environment, given, value, lacking):
    environment(**{given: value})
    with pytest.raises(SettingsError, match=f"{given} is set and {lacking} is not; set both, or neither"):
        load(WorkerSettings)


def test_all_wrong_variables_are_told_at_once_and_the_token_is_never_shown(environment):
    environment(API_TOKEN="tooshort", PORT="0")
    with pytest.raises(SettingsError) as wrong:
        load(WebSettings)
    assert "API_TOKEN" in str(wrong.value)
    assert "PORT is '0'" in str(wrong.value)
    assert "tooshort" not in str(wrong.value)


def secret(**changes):
    return json.dumps({"account": "A", "user": "U", "private_key": PEM} | changes)


@pytest.mark.parametrize(
    "text",
    [
        secret(),
        secret(private_key=PEM.replace("\n", "\\n")),
        secret(private_key=LOCKED, private_key_passphrase="open"),
        secret(private_key=LOCKED.replace("\n", "\\n"), private_key_passphrase="open"),
        secret(private_key=LOCKED, passphrase="open"),
    ],
    ids=["real line ends", "literal line ends", "locked", "locked, literal line ends", "the other name"],
)
def test_a_key_is_read_in_every_common_form(text):
    assert parse_login(text, origin="S").private_key == parse_login(secret(), origin="S").private_key


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("not json", "not JSON"),
        ("[]", "not a JSON object"),
        (secret(account=""), "lacks account"),
        (secret(password="hunter2"), "private_key instead"),
        (secret(private_key="nonsense"), "cannot be read"),
        (secret(private_key=LOCKED), "lacks private_key_passphrase"),
        (secret(private_key=LOCKED, private_key_passphrase="shut"), "private_key_passphrase is wrong"),
        (secret(private_key_passphrase="open"), "remove private_key_passphrase"),
        (secret(port="many"), "port"),
        (secret(protocol="gopher"), "protocol"),
    ],
    ids=lambda value: "login" if "private_key" in value else value,  # each process makes a key of its own
)
def test_a_wrong_login_is_told_without_its_values(text, words):
    with pytest.raises(LoginError, match=words) as wrong:
        parse_login(text, origin="the-secret")
    assert "the-secret" in str(wrong.value)
    assert "hunter2" not in str(wrong.value)
    assert "BEGIN" not in str(wrong.value)


def test_a_login_does_not_show_its_key():
    login = parse_login(secret(), origin="S")
    assert "private_key" not in repr(login)


@pytest.mark.parametrize(
    "text",
    [f"cannot read {PEM}", "password=hunter2", "Authorization: hunter2", '{"token": "hunter2"}', "secret = hunter2"],
    ids=["key", "password", "header", "json", "assignment"],
)
def test_secrets_do_not_get_into_messages(text):
    assert "hunter2" not in presentable(text)
    assert "MII" not in presentable(text)


IDENTITY = {"SNOWFLAKE_ACCOUNT": "ORG-ACC", "SNOWFLAKE_USER": "SERVICE", "SNOWFLAKE_ROLE": "RUNNER"}


def test_a_workload_identity_needs_no_secret(environment):
    environment(**IDENTITY, SNOWFLAKE_SECRET_ARN="", SNOWFLAKE_HOST="127.0.0.1", SNOWFLAKE_PORT="8080")
    login = login_source(load(WorkerSettings)).login()
    assert (login.account, login.user, login.role, login.host, login.port) == (
        "ORG-ACC",
        "SERVICE",
        "RUNNER",
        "127.0.0.1",
        8080,
    )
    assert login.way == {"authenticator": "WORKLOAD_IDENTITY", "workload_identity_provider": "AWS"}


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        (IDENTITY, "SNOWFLAKE_SECRET_ARN and SNOWFLAKE_ACCOUNT, SNOWFLAKE_USER, SNOWFLAKE_ROLE are set"),
        ({"SNOWFLAKE_SECRET_ARN": ""}, "No SNOWFLAKE_ variable of a login is set"),
        ({"SNOWFLAKE_SECRET_ARN": "", "SNOWFLAKE_USER": "SERVICE"}, "SNOWFLAKE_USER is set"),
    ],
)
def test_a_login_is_named_in_one_way_and_wholly(environment, changes, words):
    environment(**changes)
    with pytest.raises(SettingsError, match=words) as wrong:
        load(WorkerSettings)
    assert "set SNOWFLAKE_SECRET_ARN for a key pair, or" in str(wrong.value)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({}, "neither is set"),
        ({"API_TOKEN": "hunter2-hunter2-hunter2", "API_TOKEN_SECRET_ARN": GOOD["SNOWFLAKE_SECRET_ARN"]}, "both are"),
    ],
)
def test_the_web_role_has_one_token(environment, changes, words):
    environment(**changes)
    with pytest.raises(SettingsError, match=words) as wrong:
        load(WebSettings)
    assert "hunter2" not in str(wrong.value)
