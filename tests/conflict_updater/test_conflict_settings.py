"""The environment of the conflict updater: a wrong variable is told by name, and no secret is shown."""

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_der_private_key,
)

from conflict_updater.settings import Action, Settings, SettingsError, load

KEY = rsa.generate_private_key(65537, 2048)
PEM = KEY.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
LOCKED = KEY.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"open-sesame")).decode()
ELLIPTIC = (
    ec.generate_private_key(ec.SECP256R1()).private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
)
SEVEN = {
    "SNOWFLAKE_ACCOUNT": "acme-care",
    "SNOWFLAKE_USER": "TASK02",
    "SNOWFLAKE_WAREHOUSE": "TASK02_WH",
    "SNOWFLAKE_PRIVATE_KEY": PEM,
    "POSTGRES_HOST": "db.example.com",
    "POSTGRES_USER": "task02",
    "POSTGRES_PASSWORD": "p4ss-word",
}


@pytest.fixture
def environment(monkeypatch):
    for name in Settings.model_fields:
        monkeypatch.delenv(name.upper(), raising=False)

    def set_environment(**changes):
        for name, value in (SEVEN | changes).items():
            monkeypatch.setenv(name, value)

    return set_environment


def test_the_seven_secret_variables_are_enough_and_the_rest_has_the_guides_defaults(environment):
    environment()
    settings = load()
    assert settings.action == (Action.UPDATE,)
    assert (settings.environment, settings.log_level) == ("dev", "INFO")
    assert (settings.lookback_hours, settings.lookback_years, settings.lookforward_days) == (36, 2, 45)
    assert (settings.batch_size, settings.enable_asymmetric_join, settings.enable_stale_cleanup) == (5000, True, True)
    assert (settings.postgres_port, settings.postgres_schema, settings.postgres_sslmode) == (
        5432,
        "conflict_dev",
        "require",
    )


@pytest.mark.parametrize("name", SEVEN)
@pytest.mark.parametrize("value", [None, ""])
def test_each_of_the_seven_is_required(environment, monkeypatch, name, value):
    environment()
    monkeypatch.delenv(name) if value is None else monkeypatch.setenv(name, value)
    with pytest.raises(SettingsError, match=f"^{name} is not set; it is required.$"):
        load()


@pytest.mark.parametrize(
    ("name", "value", "allowed"),
    [
        (
            "ACTION",
            "task02",
            "allowed are task02_00_run_conflict_update, test_connections, validate_config, or several",
        ),
        ("ACTION", "test_conections", "the nearest is test_connections"),
        ("ACTION", "validate_config,", "there is no action ''"),
        ("ENVIRONMENT", "Dev!", "pattern"),
        ("LOG_LEVEL", "LOUD", "'DEBUG', 'INFO', 'WARNING' or 'ERROR'"),
        ("LOOKBACK_HOURS", "0", "greater than or equal to 1"),
        ("LOOKBACK_HOURS", "87601", "less than or equal to 87600"),
        ("LOOKBACK_HOURS", "soon", "integer"),
        ("LOOKBACK_YEARS", "-1", "greater than or equal to 0"),
        ("LOOKBACK_YEARS", "101", "less than or equal to 100"),
        ("LOOKFORWARD_DAYS", "1.5", "integer"),
        ("LOOKFORWARD_DAYS", "36501", "less than or equal to 36500"),
        ("BATCH_SIZE", "0", "greater than or equal to 1"),
        ("BATCH_SIZE", "100001", "less than or equal to 100000"),
        ("ENABLE_ASYMMETRIC_JOIN", "maybe", "allowed are true and false"),
        ("ENABLE_STALE_CLEANUP", "2", "allowed are true and false"),
        ("STOP_SECONDS", "0", "greater than 0"),
        ("STOP_SECONDS", "116", "less than or equal to 115"),
        ("SNOWFLAKE_ACCOUNT", "https://acme.snowflakecomputing.com", "pattern"),
        ("SNOWFLAKE_WAREHOUSE", "WH; DROP", "pattern"),
        ("SNOWFLAKE_DATABASE", "A.B", "pattern"),
        ("SNOWFLAKE_SCHEMA", "1", "pattern"),
        ("SNOWFLAKE_ROLE", "a b", "pattern"),
        ("SNOWFLAKE_HOST", "a/b", "pattern"),
        ("SNOWFLAKE_PORT", "0", "greater than or equal to 1"),
        ("SNOWFLAKE_PROTOCOL", "ftp", "'https' or 'http'"),
        ("SNOWFLAKE_VISITS_TABLE", "VISITS; DELETE", "pattern"),
        ("SNOWFLAKE_VISITS_TABLE", "A.B.C.D", "pattern"),
        ("SNOWFLAKE_EXCLUDED_SSNS_TABLE", "(SELECT 1)", "pattern"),
        ("POSTGRES_HOST", "postgresql://db", "pattern"),
        ("POSTGRES_PORT", "65536", "less than or equal to 65535"),
        ("POSTGRES_DATABASE", "d" * 64, "at most 63"),
        ("POSTGRES_SCHEMA", "Conflict", "pattern"),
        ("POSTGRES_SSLMODE", "on", "'disable', 'allow'"),
    ],
)
def test_a_wrong_variable_is_told_with_its_value_and_what_is_allowed(environment, name, value, allowed):
    environment(**{name: value})
    with pytest.raises(SettingsError) as wrong:
        load()
    assert str(wrong.value).startswith(f"{name} is {value!r}; ")
    assert allowed in str(wrong.value)
    assert "\n" not in str(wrong.value)


def test_all_wrong_variables_are_told_at_once(environment):
    environment(LOOKBACK_HOURS="x", BATCH_SIZE="y")
    with pytest.raises(SettingsError, match="LOOKBACK_HOURS is 'x'.*\nBATCH_SIZE is 'y'"):
        load()


def test_several_actions_keep_their_order(environment):
    environment(ACTION=" validate_config, TEST_CONNECTIONS,validate_config")
    assert load().action == (Action.VALIDATE_CONFIG, Action.TEST_CONNECTIONS)


@pytest.mark.parametrize(
    "text",
    [PEM, PEM.replace("\n", "\\n"), PEM.replace("\n", "\\r\\n"), PEM.strip(), f"  {PEM}\n"],
    ids=["real", "written out", "of Windows, written out", "none at the end", "blanks around"],
)
def test_the_keys_line_ends_may_be_real_or_written_out(environment, text):
    environment(SNOWFLAKE_PRIVATE_KEY=text)
    assert load_der_private_key(load().private_key, None).private_numbers() == KEY.private_numbers()


def test_an_encrypted_key_is_opened_with_its_passphrase(environment):
    environment(SNOWFLAKE_PRIVATE_KEY=LOCKED, SNOWFLAKE_PRIVATE_KEY_PASSPHRASE="open-sesame")
    assert load_der_private_key(load().private_key, None).private_numbers() == KEY.private_numbers()


@pytest.mark.parametrize(
    ("key", "passphrase", "says"),
    [
        ("not-a-key-at-all", "", "allowed is the whole PEM of an RSA key"),
        (PEM[:300], "", "allowed is the whole PEM of an RSA key"),
        (LOCKED, "", "set SNOWFLAKE_PRIVATE_KEY_PASSPHRASE too"),
        (LOCKED, "wrong-words", "SNOWFLAKE_PRIVATE_KEY_PASSPHRASE"),
        (PEM, "open-sesame", "is not encrypted"),
        (ELLIPTIC, "", "is no RSA key"),
    ],
    ids=["no key", "half a key", "no passphrase", "wrong passphrase", "needless passphrase", "not RSA"],
)
def test_a_key_that_cannot_be_used_is_told_without_a_part_of_it(environment, key, passphrase, says):
    environment(SNOWFLAKE_PRIVATE_KEY=key, SNOWFLAKE_PRIVATE_KEY_PASSPHRASE=passphrase)
    with pytest.raises(SettingsError) as wrong:
        load()
    assert str(wrong.value).startswith("SNOWFLAKE_PRIVATE_KEY ")
    assert says in str(wrong.value)
    shown = [line for line in [*key.splitlines(), passphrase] if line and line in str(wrong.value)]
    assert shown == []


def test_the_shown_settings_have_every_variable_and_no_secret(environment):
    environment(SNOWFLAKE_PRIVATE_KEY=LOCKED, SNOWFLAKE_PRIVATE_KEY_PASSPHRASE="open-sesame")
    text = "\n".join(load().lines())
    for line in (
        "LOOKBACK_HOURS = 36",
        "ENABLE_STALE_CLEANUP = true",
        "SNOWFLAKE_ROLE = (not set)",
        "POSTGRES_PASSWORD = ***",
    ):
        assert line in text
    assert len(text.splitlines()) == len(Settings.model_fields)
    assert [secret for secret in (*LOCKED.splitlines(), "open-sesame", "p4ss-word") if secret in text] == []


def test_a_message_that_repeats_a_secret_has_stars_in_its_place(environment):
    environment(SNOWFLAKE_PRIVATE_KEY=PEM.replace("\n", "\\n"))
    message = f"cannot use p4ss-word with {PEM.splitlines()[3]}"
    assert load().without_secrets(message) == "cannot use *** with ***"
