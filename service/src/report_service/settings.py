"""The environment of the container, typed and checked."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

from email_validator import EmailNotValidError, validate_email
from pydantic import AfterValidator, BeforeValidator, Field, SecretStr, ValidationError, model_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from report_service.health import WORKER_FILE
from report_service.recipients import RecipientRules

Identifier = Annotated[str, Field(pattern=r"^[A-Za-z_][A-Za-z0-9_$]{0,254}$")]
Arn = Annotated[str, Field(pattern=r"^arn:[a-z0-9-]+:[a-z0-9-]+:[a-z0-9-]*:\d*:.+$")]


def _address(value: str) -> str:
    try:
        return str(validate_email(value, check_deliverability=False, allow_smtputf8=False).ascii_email)
    except EmailNotValidError as error:
        raise ValueError(str(error)) from error


def _empty_is_absent(value: Any) -> Any:
    return None if value == "" else value


def _words(value: Any) -> Any:
    return tuple(filter(None, value.replace(" ", "").split(","))) if isinstance(value, str) else value


Words = Annotated[tuple[str, ...], NoDecode, BeforeValidator(_words)]
OptionalArn = Annotated[Arn | None, BeforeValidator(_empty_is_absent)]
OptionalText = Annotated[str | None, BeforeValidator(_empty_is_absent)]
OptionalToken = Annotated[Annotated[SecretStr, Field(min_length=16)] | None, BeforeValidator(_empty_is_absent)]
Url = Annotated[str, Field(pattern=r"^https?://[^/\s]+(/\S*)?$")]
OptionalUrl = Annotated[Url | None, BeforeValidator(_empty_is_absent)]
OptionalAddress = Annotated[Annotated[str, AfterValidator(_address)] | None, BeforeValidator(_empty_is_absent)]


IDENTITY = ("snowflake_account", "snowflake_user", "snowflake_role")
_ONE_LOGIN = (
    "set SNOWFLAKE_SECRET_ARN for a key pair, or SNOWFLAKE_ACCOUNT, SNOWFLAKE_USER and SNOWFLAKE_ROLE for a workload "
    "identity"
)
_SECRET_VARIABLES = {"API_TOKEN"}


class SettingsError(Exception):
    """Environment variables that are missing or wrong, one line each."""


class Settings(BaseSettings):
    """What both roles need. Each field is the environment variable of its name in capitals.

    The Snowflake login is a secret's (SNOWFLAKE_SECRET_ARN), or a workload identity (SNOWFLAKE_ACCOUNT, SNOWFLAKE_USER,
    SNOWFLAKE_ROLE, and the task's own IAM role). SNOWFLAKE_HOST, _PORT and _PROTOCOL lead elsewhere than to Snowflake.
    """

    model_config = SettingsConfigDict(extra="ignore", frozen=True)

    environment: str = Field(default="local", pattern=r"^[a-z0-9][a-z0-9-]{0,31}$")
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = "INFO"
    aws_region: str | None = None

    snowflake_secret_arn: OptionalArn = None
    snowflake_account: OptionalText = None
    snowflake_user: OptionalText = None
    snowflake_role: OptionalText = None
    snowflake_host: OptionalText = None
    snowflake_port: Annotated[Annotated[int, Field(ge=1, le=65535)] | None, BeforeValidator(_empty_is_absent)] = None
    snowflake_protocol: Annotated[Literal["https", "http"] | None, BeforeValidator(_empty_is_absent)] = None
    snowflake_database: Identifier = "REPORTING_DB"
    snowflake_schema: Identifier = "CONFIG"
    snowflake_login_seconds: int = Field(default=20, ge=1, le=300)

    report_bucket: str = Field(pattern=r"^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$")
    # Whom reports may be sent to; domains and topics are lists with commas.
    mail_failures_to: OptionalAddress = None
    mail_domains: Words = ()
    sns_topic_arns: Annotated[tuple[Arn, ...], NoDecode, BeforeValidator(_words)] = ()
    destinations_secret_arn: OptionalArn = None

    reports_directory: Path = Path(__file__).parents[2] / "reports"
    health_file: Path = WORKER_FILE

    @property
    def recipient_rules(self) -> RecipientRules:
        """Whom reports may be sent to."""
        return RecipientRules(
            domains=tuple(domain.lower() for domain in self.mail_domains),
            topics=self.sns_topic_arns,
            destinations=self.destinations_secret_arn is not None,
            failures_to=self.mail_failures_to,
        )

    @model_validator(mode="after")
    def _one_login(self) -> Settings:
        identity = {name: getattr(self, name) for name in IDENTITY}
        given = [name.upper() for name, value in identity.items() if value]
        if self.snowflake_secret_arn and given:
            raise ValueError(f"SNOWFLAKE_SECRET_ARN and {', '.join(given)} are set; {_ONE_LOGIN}")
        if not self.snowflake_secret_arn and len(given) < len(IDENTITY):
            raise ValueError(f"{', '.join(given) or 'no SNOWFLAKE_ variable of a login'} is set; {_ONE_LOGIN}")
        return self


class WorkerSettings(Settings):
    """What the worker needs beside: all times are in seconds."""

    max_tasks: int = Field(default=1, ge=1, le=1000)
    reports_per_task: int = Field(default=5, ge=1, le=100)
    poll_seconds: float = Field(default=2, gt=0, le=60)
    idle_seconds: float = Field(default=60, gt=0, le=86400)
    lease_seconds: int = Field(default=120, ge=6, le=3600)
    delivery_lease_seconds: int = Field(default=300, ge=6, le=3600)  # more than the longest call of SES, 66 s
    retry_seconds: float = Field(default=10, gt=0, le=3600)
    # From SIGTERM on, what runs may end; in the last 5 s of it the rest is handed back. It must end before the task
    # definition's stopTimeout (ours is 120 s, Fargate's most): what is killed stays in PROCESSING until its lease ends.
    stop_seconds: float = Field(default=110, ge=1, le=115)

    mail_sender: OptionalAddress = None
    mail_attachment_bytes: int = Field(default=7_000_000, ge=0, le=25_000_000)

    link_url: OptionalUrl = None
    link_key_secret_arn: OptionalArn = None
    link_days: int = Field(default=7, ge=1, le=30)

    alarm_clock_target_arn: OptionalArn = None
    alarm_clock_role_arn: OptionalArn = None
    alarm_clock_name: str | None = Field(default=None, pattern=r"^[0-9a-zA-Z_.-]{1,64}$")

    ecs_container_metadata_uri_v4: str | None = None
    ecs_agent_uri: str | None = None

    @model_validator(mode="after")
    def _whole_link(self) -> WorkerSettings:
        if bool(self.link_url) != bool(self.link_key_secret_arn):
            given, lacking = ("LINK_URL", "LINK_KEY_SECRET_ARN")[:: 1 if self.link_url else -1]
            raise ValueError(f"{given} is set and {lacking} is not; set both, or neither where there are no links")
        return self


class WebSettings(Settings):
    """What the web role needs beside; its token is that of a secret, or where there is no Secrets Manager, given."""

    port: int = Field(default=8000, ge=1, le=65535)
    web_host: str = "0.0.0.0"  # behind the load balancer; a machine without one sets 127.0.0.1
    stop_seconds: float = Field(default=25, ge=1, le=115)  # a request takes seconds; the queue keeps what it asked for
    api_token: OptionalToken = None
    api_token_secret_arn: OptionalArn = None
    web_connections: int = Field(default=4, ge=1, le=64)
    body_bytes: int = Field(default=65536, ge=1024, le=10_000_000)
    # Of each token and each process: so many a second on average, and up to web_burst at once.
    web_requests_per_second: float = Field(default=50, ge=1, le=10_000)
    web_burst: int = Field(default=100, ge=1, le=10_000)
    # API Gateway's HTTP APIs give up after 30 s, and answer in words of their own.
    web_answer_seconds: float = Field(default=25, ge=1, le=300)

    @model_validator(mode="after")
    def _one_token(self) -> WebSettings:
        if bool(self.api_token) == bool(self.api_token_secret_arn):
            both = "both are" if self.api_token else "neither is"
            raise ValueError(f"of API_TOKEN_SECRET_ARN and API_TOKEN {both} set; set the one that holds the token")
        return self


class CheckSettings(Settings):
    """What test-connections looks at beside, where it is set."""

    api_url: OptionalUrl = None
    api_token: OptionalToken = None
    api_token_secret_arn: OptionalArn = None


AnySettings = TypeVar("AnySettings", bound=Settings)


def load(model: type[AnySettings]) -> AnySettings:
    """Read the environment as `model`; raises SettingsError with each wrong variable, its value and what is allowed."""
    try:
        return model()  # type: ignore[call-arg]  # the fields come from the environment
    except ValidationError as error:
        raise SettingsError("\n".join(_line(details) for details in error.errors())) from None


def _line(details: Any) -> str:
    if not details["loc"]:  # of several variables together
        return f"{str(details['ctx']['error'])[:1].upper()}{str(details['ctx']['error'])[1:]}."
    variable = str(details["loc"][0]).upper()
    if details["type"] == "missing":
        return f"{variable} is not set; it is required."
    given = "a value that is not shown" if variable in _SECRET_VARIABLES else repr(details["input"])
    return f"{variable} is {given}; {details['msg'][:1].lower()}{details['msg'][1:]}."
