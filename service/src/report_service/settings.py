"""The environment of the container, typed and checked."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

from email_validator import EmailNotValidError, validate_email
from pydantic import AfterValidator, BeforeValidator, Field, SecretStr, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

from report_service.health import WORKER_FILE

Identifier = Annotated[str, Field(pattern=r"^[A-Za-z_][A-Za-z0-9_$]{0,254}$")]
Arn = Annotated[str, Field(pattern=r"^arn:[a-z0-9-]+:[a-z0-9-]+:[a-z0-9-]*:\d*:.+$")]


def _address(value: str) -> str:
    try:
        return validate_email(value, check_deliverability=False).normalized
    except EmailNotValidError as error:
        raise ValueError(str(error)) from error


def _empty_is_absent(value: Any) -> Any:
    return None if value == "" else value


OptionalArn = Annotated[Arn | None, BeforeValidator(_empty_is_absent)]
OptionalAddress = Annotated[Annotated[str, AfterValidator(_address)] | None, BeforeValidator(_empty_is_absent)]


class SettingsError(Exception):
    """Environment variables that are missing or wrong, one line each."""


class Settings(BaseSettings):
    """What both roles need. Each field is the environment variable of its name in capitals."""

    model_config = SettingsConfigDict(extra="ignore", frozen=True)

    environment: str = Field(default="local", pattern=r"^[a-z0-9][a-z0-9-]{0,31}$")
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = "INFO"
    aws_region: str | None = None

    snowflake_secret_arn: Arn
    snowflake_database: Identifier = "REPORTING_DB"
    snowflake_schema: Identifier = "CONFIG"
    snowflake_login_seconds: int = Field(default=20, ge=1, le=300)

    report_bucket: str = Field(pattern=r"^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$")
    reports_directory: Path = Path(__file__).parents[2] / "reports"
    health_file: Path = WORKER_FILE


class WorkerSettings(Settings):
    """What the worker needs beside: all times are in seconds."""

    max_tasks: int = Field(default=1, ge=1, le=1000)
    reports_per_task: int = Field(default=5, ge=1, le=100)
    poll_seconds: float = Field(default=2, gt=0, le=60)
    idle_seconds: float = Field(default=60, gt=0, le=86400)
    lease_seconds: int = Field(default=120, ge=6, le=3600)
    retry_seconds: float = Field(default=10, gt=0, le=3600)
    # From SIGTERM on, what runs may end; in the last 5 s of it the rest is handed back. It must end before the task
    # definition's stopTimeout (ours is 120 s, Fargate's most): what is killed stays in PROCESSING until its lease ends.
    stop_seconds: float = Field(default=110, ge=1, le=115)

    mail_sender: OptionalAddress = None
    mail_attachment_bytes: int = Field(default=7_000_000, ge=0, le=25_000_000)

    alarm_clock_target_arn: OptionalArn = None
    alarm_clock_role_arn: OptionalArn = None
    alarm_clock_name: str | None = Field(default=None, pattern=r"^[0-9a-zA-Z_.-]{1,64}$")

    ecs_container_metadata_uri_v4: str | None = None
    ecs_agent_uri: str | None = None


class WebSettings(Settings):
    """What the web role needs beside."""

    port: int = Field(default=8000, ge=1, le=65535)
    web_host: str = "0.0.0.0"  # behind the load balancer; a machine without one sets 127.0.0.1
    stop_seconds: float = Field(default=25, ge=1, le=115)  # a request takes seconds; the queue keeps what it asked for
    api_token: SecretStr = Field(min_length=16)
    web_connections: int = Field(default=4, ge=1, le=64)
    body_bytes: int = Field(default=65536, ge=1024, le=10_000_000)


AnySettings = TypeVar("AnySettings", bound=Settings)


def load(model: type[AnySettings]) -> AnySettings:
    """Read the environment as `model`; raises SettingsError with each wrong variable, its value and what is allowed."""
    try:
        return model()  # type: ignore[call-arg]  # the fields come from the environment
    except ValidationError as error:
        raise SettingsError("\n".join(_line(details) for details in error.errors())) from None


def _line(details: Any) -> str:
    variable = str(details["loc"][0]).upper()
    if details["type"] == "missing":
        return f"{variable} is not set; it is required."
    given = "a value that is not shown" if variable == "API_TOKEN" else repr(details["input"])
    return f"{variable} is {given}; {details['msg'][:1].lower()}{details['msg'][1:]}."
