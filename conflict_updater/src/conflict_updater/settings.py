"""The environment of the container, typed and checked."""

from __future__ import annotations

import difflib
from enum import StrEnum
from functools import cached_property
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, SecretStr, ValidationError, model_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from conflict_updater.private_key import read_private_key

SECRETS = ("snowflake_private_key", "snowflake_private_key_passphrase", "postgres_password")


class Action(StrEnum):
    """What the container can be asked to do."""

    UPDATE = "task02_00_run_conflict_update"
    TEST_CONNECTIONS = "test_connections"
    VALIDATE_CONFIG = "validate_config"


class SettingsError(Exception):
    """Environment variables that are missing or wrong, one line each."""


def _actions(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    words = [word.strip().lower() for word in value.split(",")]
    for word in words:
        if word not in set(Action):
            nearest = difflib.get_close_matches(word, list(Action), n=1, cutoff=0.3)
            raise ValueError(
                f"there is no action {word!r}, allowed are {', '.join(Action)}, or several of them with commas"
                + (f"; the nearest is {nearest[0]}" if nearest else "")
            )
    return tuple(dict.fromkeys(words))


def _switch(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    switch = {"true": True, "false": False}.get(value.strip().lower())
    if switch is None:
        raise ValueError("allowed are true and false")
    return switch


Switch = Annotated[bool, BeforeValidator(_switch)]
Port = Annotated[int, Field(ge=1, le=65535)]
Identifier = Annotated[str, Field(pattern=r"^[A-Za-z_][A-Za-z0-9_$]{0,254}$")]
TableName = Annotated[str, Field(pattern=r"^[A-Za-z_][A-Za-z0-9_$]{0,254}(\.[A-Za-z_][A-Za-z0-9_$]{0,254}){0,2}$")]
HostName = Annotated[str, Field(pattern=r"^[A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?$")]


class Settings(BaseSettings):
    """Each field is the environment variable of its name in capitals; an empty one counts as absent.

    What Snowflake's user has a default of (database, schema, role) may be left out. SNOWFLAKE_HOST, _PORT and _PROTOCOL
    lead elsewhere than to Snowflake.
    """

    model_config = SettingsConfigDict(extra="ignore", frozen=True, env_ignore_empty=True)

    action: Annotated[tuple[Action, ...], NoDecode, BeforeValidator(_actions)] = (Action.UPDATE,)
    environment: str = Field(default="dev", pattern=r"^[a-z0-9][a-z0-9-]{0,31}$")
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = "INFO"

    lookback_hours: int = Field(default=36, ge=1, le=87_600)
    lookback_years: int = Field(default=2, ge=0, le=100)
    lookforward_days: int = Field(default=45, ge=0, le=36_500)
    batch_size: int = Field(default=5000, ge=1, le=100_000)  # visits, and pairs: what is in memory at once
    enable_asymmetric_join: Switch = True
    enable_stale_cleanup: Switch = True
    # From SIGTERM on, what a batch may take; it must end before the task definition's stopTimeout, 30 s in the guide's.
    stop_seconds: float = Field(default=20, gt=0, le=115)

    snowflake_account: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]*$")
    snowflake_user: str
    snowflake_warehouse: Identifier
    snowflake_private_key: SecretStr
    snowflake_private_key_passphrase: SecretStr | None = None
    snowflake_database: Identifier | None = None
    snowflake_schema: Identifier | None = None
    snowflake_role: Identifier | None = None
    snowflake_host: HostName | None = None
    snowflake_port: Port | None = None
    snowflake_protocol: Literal["https", "http"] | None = None
    snowflake_visits_table: TableName = "VISITS"
    snowflake_excluded_ssns_table: TableName = "EXCLUDED_SSNS"

    postgres_host: HostName
    postgres_port: Port = 5432
    postgres_user: str
    postgres_password: SecretStr
    postgres_database: str = Field(default="postgres", max_length=63)
    # PostgreSQL folds a name that is not quoted to small letters, and whoever asks the table writes it so.
    postgres_schema: str = Field(default="conflict_dev", pattern=r"^[a-z_][a-z0-9_]{0,62}$")
    postgres_sslmode: Literal["disable", "allow", "prefer", "require", "verify-ca", "verify-full"] = "require"

    @cached_property
    def private_key(self) -> bytes:
        """The key of the Snowflake login, as unencrypted DER."""
        passphrase = self.snowflake_private_key_passphrase
        return read_private_key(
            self.snowflake_private_key.get_secret_value(), passphrase.get_secret_value() if passphrase else None
        )

    @model_validator(mode="after")
    def _readable_key(self) -> Settings:
        _ = self.private_key
        return self

    def lines(self) -> list[str]:
        """Every variable with its value, secrets as stars."""
        return [f"{name.upper()} = {self._shown(name)}" for name in type(self).model_fields]

    def without_secrets(self, text: object) -> str:
        """Return `text` with the value of every secret replaced by stars, whole or one line of it."""
        shown = str(text)
        for name in SECRETS:
            value = getattr(self, name)
            for part in {value.get_secret_value(), *_lines_of(value.get_secret_value())} if value else ():
                shown = shown.replace(part, "***")
        return shown

    def _shown(self, name: str) -> str:
        value = getattr(self, name)
        if value is None:
            return "(not set)"
        if name in SECRETS:
            return "***"
        if isinstance(value, tuple):
            return ",".join(value)
        return str(value).lower() if isinstance(value, bool) else str(value)


def _lines_of(secret: str) -> list[str]:
    return [line for line in secret.replace("\\n", "\n").split() if len(line) > 20]


def load() -> Settings:
    """Read the environment; raises SettingsError with each wrong variable, its value and what is allowed."""
    try:
        return Settings()  # type: ignore[call-arg]  # the fields come from the environment
    except ValidationError as error:
        raise SettingsError("\n".join(_line(details) for details in error.errors())) from None


def _line(details: Any) -> str:
    message = str(details.get("ctx", {}).get("error") or details["msg"])
    if not details["loc"]:  # of several variables together
        return f"{message}."
    field = str(details["loc"][0])
    if details["type"] == "missing":
        return f"{field.upper()} is not set; it is required."
    given = "a value that is not shown" if field in SECRETS else repr(details["input"])
    return f"{field.upper()} is {given}; {message[:1].lower()}{message[1:]}."
