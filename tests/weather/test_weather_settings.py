"""The environment of the weather warehouse: a wrong one is told by name, and no secret is shown."""

import subprocess
import sys

import pytest
from psycopg.conninfo import conninfo_to_dict

from weather_warehouse.settings import IngestSettings, SettingsError, WebSettings, load

PARTS = {"DATABASE_HOST": "db.example.com", "DATABASE_USER": "weather_user", "DATABASE_PASSWORD": "p'ss w\\rd@/"}


@pytest.fixture
def environment(monkeypatch):
    for name in ("DATABASE_URL", "DATABASE_SECRET_ARN", "DATABASE_SSLMODE", "PORT", "WEATHER_BUCKET"):
        monkeypatch.delenv(name, raising=False)

    def set_environment(**variables):
        for name, value in variables.items():
            monkeypatch.setenv(name, value)

    return set_environment


def test_the_parts_make_a_connection_that_is_encrypted(environment):
    environment(**PARTS)
    told = conninfo_to_dict(load(WebSettings).conninfo)
    wanted = {"host": "db.example.com", "port": "5432", "dbname": "weather_db", "user": "weather_user"}
    assert told.items() >= (wanted | {"password": PARTS["DATABASE_PASSWORD"], "sslmode": "require"}).items()


def test_a_url_is_taken_as_it_is_and_encrypted_unless_it_says_how(environment):
    environment(DATABASE_URL="postgresql://u:p%40ss@db.example.com:5433/other?connect_timeout=3")
    told = conninfo_to_dict(load(WebSettings).conninfo)
    assert (told["password"], told["port"], told["dbname"], told["connect_timeout"]) == ("p@ss", "5433", "other", "3")
    assert told["sslmode"] == "require"
    environment(DATABASE_URL="postgresql://u:p@db.example.com/other?sslmode=verify-full")
    assert conninfo_to_dict(load(WebSettings).conninfo)["sslmode"] == "verify-full"


def test_an_empty_variable_is_one_that_is_not_set(environment):
    environment(**PARTS, DATABASE_URL="", WEATHER_BUCKET="", INGEST_RUN_ID="", PORT="")
    assert load(IngestSettings).weather_bucket is None
    assert load(WebSettings).port == 5000


@pytest.mark.parametrize(
    ("name", "value", "allowed"),
    [
        ("DATABASE_SSLMODE", "prefer", "'disable', 'require', 'verify-ca' or 'verify-full'"),
        ("DATABASE_PORT", "0", "greater than or equal to 1"),
        ("WEATHER_BUCKET", "Not A Bucket", "pattern"),
        ("INGEST_RUN_ID", "a run", "pattern"),
        ("ENVIRONMENT", "Prod!", "pattern"),
    ],
)
def test_a_wrong_variable_is_told_with_its_value_and_what_is_allowed(environment, name, value, allowed):
    environment(**PARTS | {name: value})
    with pytest.raises(SettingsError) as wrong:
        load(IngestSettings)
    assert str(wrong.value).startswith(f"{name} is {value!r}")
    assert allowed in str(wrong.value)


@pytest.mark.parametrize(
    "url", ["postgresql://user:hunter2@a:b@host/db", "postgresql://user:hunter2%zz@host/db", "hunter2"]
)
def test_a_url_that_cannot_be_read_is_not_shown(environment, url):
    environment(DATABASE_URL=url)
    with pytest.raises(SettingsError, match=r"^DATABASE_URL is a value that is not shown; .*%-encoded") as wrong:
        load(WebSettings)
    assert "hunter2" not in str(wrong.value)


def test_half_a_database_and_two_of_them_are_refused(environment):
    environment(DATABASE_HOST="db.example.com", DATABASE_USER="weather_user")
    with pytest.raises(SettingsError, match="DATABASE_PASSWORD is not set; set DATABASE_URL, or DATABASE_HOST"):
        load(WebSettings)
    environment(DATABASE_URL="postgresql://u:p@h/d")
    with pytest.raises(SettingsError, match="DATABASE_URL and DATABASE_HOST, DATABASE_USER are set"):
        load(WebSettings)


def test_the_command_tells_what_is_wrong_and_returns_1(environment):
    command = [sys.executable, "-m", "weather_warehouse"]
    run = subprocess.run([*command, "ingest"], capture_output=True, text=True)
    assert (run.returncode, run.stdout) == (1, "")
    assert run.stderr.startswith("DATABASE_HOST, DATABASE_USER, DATABASE_PASSWORD is not set")
    environment(**PARTS)
    run = subprocess.run([*command, "ingest", "--source", "s3"], capture_output=True, text=True)
    assert (run.returncode, run.stderr) == (1, "WEATHER_BUCKET is not set; it is required with --source s3.\n")
    run = subprocess.run([*command, "ingest", "--run-id", "a run"], capture_output=True, text=True)
    assert (run.returncode, run.stderr.partition(";")[0]) == (1, "INGEST_RUN_ID is 'a run'")


ARN = "arn:aws:secretsmanager:eu-west-1:111122223333:secret:login-AbCdEf"


def test_a_secret_stands_for_user_and_password(environment):
    environment(DATABASE_HOST="db.example.com", DATABASE_SECRET_ARN=ARN)
    told = conninfo_to_dict(load(WebSettings).conninfo)
    assert told["host"] == "db.example.com"
    assert "password" not in told
    environment(DATABASE_USER="weather_user")
    with pytest.raises(SettingsError, match="DATABASE_SECRET_ARN and a user or password are set"):
        load(WebSettings)


def test_a_secret_does_not_say_where_the_database_is(environment):
    environment(DATABASE_SECRET_ARN=ARN)
    with pytest.raises(SettingsError, match="DATABASE_HOST is not set"):
        load(WebSettings)
