"""The tables of the systems beside the report service; an environment has those that its file names."""

from __future__ import annotations

import ipaddress
import re
from typing import Annotated, Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import AfterValidator, Field, ValidationInfo, field_validator, model_validator

from stacks.environment_table import IMAGE, Fault, ImageUri, SizedTable, Table, refuse

# "Amazon RDS DB instance classes": what PostgreSQL is offered on that runs on Graviton.
_CLASS = r"^db\.(t4g|m[6-9]g|m[7-9]gd?|r[6-9]g|r[7-9]gd?)\.[a-z0-9]+$"


_IDENTIFIER = r"^[A-Za-z_][A-Za-z0-9_$]*$"


def _is_zone(name: str) -> str:
    try:
        return ZoneInfo(name).key
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise ValueError("the IANA database has no such zone") from error


def _is_cron(text: str) -> str:
    if not re.fullmatch(r"(cron|rate)\([^()]+\)", text):
        raise ValueError("neither cron(…) nor rate(…)")
    return text


TIME = r"^([01][0-9]|2[0-3]):[0-5][0-9]$"
SCHEDULE = 'a schedule of EventBridge Scheduler, as in "cron(0 2 * * ? *)" or "rate(1 hour)"'
WHOLE_ARN = "the whole ARN of a secret in Secrets Manager; left out, the stack makes one"
Schedule = Annotated[
    str,
    AfterValidator(_is_cron),
    Field(description=SCHEDULE),
]
TimeZone = Annotated[
    str, AfterValidator(_is_zone), Field(description='a time zone of the IANA database, as in "Europe/Berlin"')
]
Port = Annotated[
    str, Field(pattern=r"^([1-9][0-9]{0,3}|[1-5][0-9]{4}|6[0-5][0-9]{3})$", description="a TCP port, as in 5432")
]
SslMode = Annotated[
    Literal["disable", "require", "verify-ca", "verify-full"],
    Field(description='a mode of libpq: "disable", "require", "verify-ca" or "verify-full"'),
]
Cidr = Annotated[
    str,
    AfterValidator(lambda text: str(ipaddress.IPv4Network(text))),
    Field(description='a range of IPv4 addresses that the server lies in, as in "10.0.0.0/8"'),
]
SecretArn = Annotated[
    str,
    Field(
        pattern=r"^arn:aws[a-z-]*:secretsmanager:[a-z0-9-]+:[0-9]{12}:secret:.+-[A-Za-z0-9]{6}$",
        description=WHOLE_ARN,
    ),
]


class DatabaseTable(Table):
    """A PostgreSQL of the system's own."""

    instance_class: str = Field(
        default="db.t4g.micro", pattern=_CLASS, description='a class of Amazon RDS on Graviton, as in "db.t4g.micro"'
    )
    storage_gib: int = Field(default=20, ge=20, le=65_536, description="20 to 65536 GiB")
    multi_az: bool = Field(default=False, description="true or false")
    replica: bool = Field(default=False, description="true (a read replica beside it) or false")
    backup_days: int = Field(default=7, ge=1, le=35, description="1 to 35 days")
    ssl_mode: SslMode = "require"


class EdgeTable(Table):
    """CloudFront before the API; without this table callers come from the network alone."""

    domain: str | None = Field(
        default=None,
        pattern=r"^([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z]{2,63}$",
        description='a host name, as in "weather.example.com"; left out, CloudFront\'s own is used',
    )
    certificate_arn: str | None = Field(
        default=None,
        pattern=r"^arn:aws[a-z-]*:acm:us-east-1:[0-9]{12}:certificate/.+$",
        description="the ARN of a certificate for the domain, in us-east-1, where CloudFront looks for it",
    )
    hosted_zone_id: str | None = Field(
        default=None,
        pattern=r"^[A-Z0-9]+$",
        description="the id of the Route 53 zone that is to lead the domain to CloudFront",
    )
    web_acl_arn: str | None = Field(
        default=None,
        pattern=r"^arn:aws[a-z-]*:wafv2:us-east-1:[0-9]{12}:global/webacl/.+$",
        description="the ARN of a firewall of scope CLOUDFRONT, which AWS keeps in us-east-1",
    )
    waf: bool = Field(
        default=True,
        description="true (web_acl_arn, or one that is made, where the region is us-east-1) or false: no firewall",
    )

    @model_validator(mode="after")
    def _has_a_certificate(self) -> EdgeTable:
        if (self.domain is None) != (self.certificate_arn is None):
            refuse(self, [Fault("domain", "domain and certificate_arn go together")])
        if self.web_acl_arn and not self.waf:
            refuse(self, [Fault("waf", "there is a web_acl_arn: leave one of them out")])
        if self.hosted_zone_id and not self.domain:
            refuse(self, [Fault("hosted_zone_id", "it is for a domain")])
        return self


class WeatherWarehouseTable(SizedTable):
    """The weather warehouse: a database, an ingestion each day, and an API before it."""

    image: ImageUri | None = Field(default=None, description=f"{IMAGE}; left out, weather/ is built")
    min_tasks: int = Field(default=2, ge=1, le=100, description="1 to 100 tasks")
    max_tasks: int = Field(default=4, ge=1, le=1000, description="1 to 1000 tasks, not fewer than min_tasks")
    ingest_schedule: Schedule = "cron(0 2 * * ? *)"
    ingest_timezone: TimeZone = "UTC"
    edge: EdgeTable | None = None
    cache: bool = Field(
        default=False, description="true (Valkey, which the API may reach and keeps nothing in yet) or false"
    )
    database: DatabaseTable = DatabaseTable()

    @field_validator("max_tasks")
    @classmethod
    def _holds_all(cls, value: int, info: ValidationInfo) -> int:
        if value < info.data.get("min_tasks", 0):
            raise ValueError(f"min_tasks is {info.data['min_tasks']}")
        return value


class ConflictUpdaterTable(SizedTable):
    """The conflict updater: a job that compares visits in Snowflake and keeps the pairs in PostgreSQL."""

    image: ImageUri | None = Field(default=None, description=f"{IMAGE}; left out, conflict_updater/ is built")
    secret_prefix: str = Field(
        default="task02",
        pattern=r"^[A-Za-z0-9/_+=.@-]{1,200}$",
        description="what the names of the two secrets begin with that the stack makes, to be filled by hand",
    )
    snowflake_secret_arn: SecretArn | None = Field(default=None, description=WHOLE_ARN)
    snowflake_database: str = Field(pattern=_IDENTIFIER, description="the database that holds the visits")
    snowflake_schema: str = Field(pattern=_IDENTIFIER, description="the schema that holds the visits")
    snowflake_role: str | None = Field(
        default=None, pattern=_IDENTIFIER, description="a role of Snowflake; left out, the user's default role"
    )
    postgres_secret_arn: SecretArn | None = Field(default=None, description=WHOLE_ARN)
    postgres_database: str = Field(min_length=1, description="the database that the pairs are kept in")
    postgres_schema: str = Field(default="conflict_dev", min_length=1, description="the schema of conflictvisitmaps")
    postgres_sslmode: SslMode = "require"
    postgres_port: int = Field(default=5432, ge=1, le=65535, description="1 to 65535")
    postgres_cidr: Cidr = "10.0.0.0/8"
    schedule: Schedule | None = Field(default=None, description=SCHEDULE)
    timezone: TimeZone = "UTC"
    timeout_minutes: int = Field(default=60, ge=1, le=1440, description="1 to 1440 minutes")
    lookback_hours: int = Field(default=36, ge=1, le=8760, description="1 to 8760 hours")
    lookback_years: int = Field(default=2, ge=0, le=20, description="0 to 20 years")
    lookforward_days: int = Field(default=45, ge=0, le=3660, description="0 to 3660 days")
    batch_size: int = Field(default=5000, ge=1, le=1_000_000, description="1 to 1000000 rows")
    enable_asymmetric_join: bool = Field(default=True, description="true or false")
    enable_stale_cleanup: bool = Field(default=True, description="true or false")


class QuietTable(Table):
    """Hours of the day with one task; they need max_count."""

    down: str = Field(pattern=TIME, description='when they begin, as in "20:00"')
    up: str = Field(pattern=TIME, description='when they end, as in "06:00"')
    days: str = Field(default="*", pattern=r"^[A-Z0-9*,-]+$", description='days as cron has them, as in "MON-FRI"')
    timezone: TimeZone = "UTC"


class MatillionAgentTable(SizedTable):
    """The Matillion agent: a service without a way in, that asks Matillion for work."""

    image: ImageUri
    account_id: str = Field(min_length=1, description="the id of the Matillion account")
    agent_id: str = Field(min_length=1, description="the id of the agent, as Matillion shows it when it is made")
    matillion_region: str = Field(pattern=r"^[a-z]{2}[0-9]$|^[a-z]{2}(-[a-z]+)+-[0-9]$", description='as in "us1"')
    oauth_secret_arn: SecretArn | None = Field(default=None, description=WHOLE_ARN)
    desired_count: int = Field(default=2, ge=1, le=1000, description="1 to 1000 tasks")
    max_count: int | None = Field(default=None, ge=1, le=1000, description="1 to 1000 tasks; left out, no scaling")
    ephemeral_gib: int | None = Field(default=None, ge=21, le=200, description="21 to 200 GiB; left out, 20")
    spot_percent: int = Field(default=0, ge=0, le=100, description="0 to 100")
    quiet: QuietTable | None = None
    outbound: dict[Port, list[Cidr]] = Field(
        default={}, description='ports of databases and the ranges behind them, as in { 5432 = ["10.0.0.0/8"] }'
    )
    create_bucket: bool = Field(default=False, description="true or false")
    extension_library_location: str | None = Field(
        default=None, pattern=r"^\S+$", description='where extension libraries lie, as in "s3://bucket/prefix"'
    )
    extension_library_protocol: Literal["s3", "https"] | None = Field(default=None, description='"s3" or "https"')

    @model_validator(mode="after")
    def _scales_where_it_is_quiet(self) -> MatillionAgentTable:
        if self.max_count is not None and self.max_count < self.desired_count:
            refuse(self, [Fault("max_count", f"desired_count is {self.desired_count}")])
        if self.quiet and self.max_count is None:
            refuse(self, [Fault("quiet.down", "it is for a service that scales: give max_count")])
        return self
