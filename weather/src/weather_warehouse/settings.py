"""The environment of the container, typed and checked."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal, TypeVar

from psycopg import ProgrammingError
from psycopg.conninfo import conninfo_to_dict, make_conninfo
from pydantic import Field, SecretStr, ValidationError, field_validator, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

_PARTS = ("database_host", "database_user", "database_password")
_SECRETS = {"DATABASE_URL", "DATABASE_PASSWORD"}
RUN_ID = r"^[A-Za-z0-9][A-Za-z0-9_.:+-]{0,127}$"


class SettingsError(Exception):
    """Environment variables that are missing or wrong, one line each."""


class Settings(BaseSettings):
    """What both roles need. Each field is the environment variable of its name in capitals; an empty one is not set.

    The database is DATABASE_URL, or DATABASE_HOST with DATABASE_USER and DATABASE_PASSWORD, or with
    DATABASE_SECRET_ARN: a secret of Secrets Manager, a JSON object with username and password. DATABASE_SSLMODE is
    libpq's, without those of its modes that fall back to plain text unseen. By default the connection is encrypted and
    the server's name is not proven: `verify-full` needs Amazon RDS's own authorities in a file that PGSSLROOTCERT
    names, which neither a slim image nor libpq has. Source: Amazon RDS User Guide, "Using SSL with a PostgreSQL DB
    instance".
    """

    model_config = SettingsConfigDict(extra="ignore", frozen=True, env_ignore_empty=True)

    environment: str = Field(default="local", pattern=r"^[a-z0-9][a-z0-9-]{0,31}$")
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = "INFO"

    database_url: SecretStr | None = None
    database_host: str | None = None
    database_port: int = Field(default=5432, ge=1, le=65535)
    database_name: str = "weather_db"
    database_user: str | None = None
    database_password: SecretStr | None = None
    database_secret_arn: str | None = Field(
        default=None, pattern=r"^arn:aws[a-z-]*:secretsmanager:[a-z0-9-]+:[0-9]{12}:secret:.+$"
    )
    database_sslmode: Literal["disable", "require", "verify-ca", "verify-full"] = "require"

    @field_validator("database_url")
    @classmethod
    def _readable(cls, url: SecretStr | None) -> SecretStr | None:
        try:
            parts = conninfo_to_dict(url.get_secret_value()) if url else {}
        except ProgrammingError:  # its message repeats the text, and with it the password
            parts = {"port": "unreadable"}
        if not all(port.isdigit() for port in str(parts.get("port", "0")).split(",")):
            raise ValueError("postgresql://user:password@host:port/database is allowed, with a password %-encoded")
        return url

    @model_validator(mode="after")
    def _one_database(self) -> Settings:
        given = [name.upper() for name in (*_PARTS, "database_secret_arn") if getattr(self, name)]
        if self.database_url and given:
            raise ValueError(f"DATABASE_URL and {', '.join(given)} are set; set the one or the others")
        if self.database_secret_arn and (self.database_user or self.database_password):
            raise ValueError("DATABASE_SECRET_ARN and a user or password are set; set the one or the others")
        needed = _PARTS[:1] if self.database_secret_arn else _PARTS
        lacking = ", ".join(name.upper() for name in needed if not getattr(self, name))
        if not self.database_url and lacking:
            raise ValueError(f"{lacking} is not set; set DATABASE_URL, or DATABASE_HOST, _USER and _PASSWORD")
        return self

    @property
    def conninfo(self) -> str:
        """How libpq connects, password included unless it is a secret; DATABASE_URL goes before the other variables."""
        own: dict[str, Any]
        if self.database_url:
            own = {"sslmode": self.database_sslmode} | conninfo_to_dict(self.database_url.get_secret_value())
        else:
            own = {
                "host": self.database_host,
                "port": self.database_port,
                "dbname": self.database_name,
                "sslmode": self.database_sslmode,
            }
            if self.database_password:
                own |= {"user": self.database_user, "password": self.database_password.get_secret_value()}
        # A server that goes without a word is noticed, even while a long answer is awaited.
        waits = {"connect_timeout": 10, "keepalives_idle": 30, "keepalives_interval": 10, "keepalives_count": 3}
        return make_conninfo(**({"application_name": "weather_warehouse"} | waits | own))


class IngestSettings(Settings):
    """What the ingestion needs beside: where the station files are, and the run's name."""

    weather_bucket: str | None = Field(default=None, pattern=r"^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$")
    weather_prefix: str = "wx_data/"
    weather_folder: Path = Path("wx_data")
    ingest_run_id: str | None = Field(default=None, pattern=RUN_ID)


class WebSettings(Settings):
    """What the web role needs beside; times are in seconds."""

    port: int = Field(default=5000, ge=1, le=65535)
    web_host: str = "0.0.0.0"  # behind the load balancer; a machine without one sets 127.0.0.1
    web_connections: int = Field(default=4, ge=1, le=64)
    web_answer_seconds: int = Field(default=20, ge=1, le=300)  # after which the database gives up a query
    stop_seconds: int = Field(default=25, ge=1, le=115)  # ends before the task definition's stopTimeout, 30 s


AnySettings = TypeVar("AnySettings", bound=Settings)


def load(model: type[AnySettings], **given: Any) -> AnySettings:
    """Read the environment as `model`, with what is `given` instead of a variable.

    Raises:
        SettingsError: with each wrong variable, its value unless it is a secret, and what is allowed.
    """
    try:
        return model(**{name: value for name, value in given.items() if value is not None})
    except ValidationError as error:
        raise SettingsError("\n".join(_line(details) for details in error.errors())) from None


def _line(details: Any) -> str:
    if not details["loc"]:  # of several variables together
        return f"{details['ctx']['error']}."
    variable = str(details["loc"][0]).upper()
    given = "a value that is not shown" if variable in _SECRETS else repr(details["input"])
    return f"{variable} is {given}; {details['msg'][:1].lower()}{details['msg'][1:]}."
