"""The typed and checked form of environments/*.toml."""

from __future__ import annotations

import ipaddress
import re
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, ValidationError, ValidationInfo, field_validator, model_validator

from snowgate import Architecture, NetworkMode
from snowgate.subnet_ranges import ranges_in
from stacks.environment_errors import EnvironmentFileError, Problem, problems_of
from stacks.environment_load import LoadTable
from stacks.environment_snowflake import SnowflakeTable
from stacks.environment_systems import ConflictUpdaterTable, MatillionAgentTable, WeatherWarehouseTable
from stacks.environment_table import IMAGE, Fault, ImageUri, SizedTable, Table, refuse

# "ARN format" in the AWS IAM User Guide: the partitions that are not "aws", by the start of their regions' names.
PARTITIONS = {"cn-": "aws-cn", "us-gov-": "aws-us-gov"}
_ADDRESS = r"^[^@\s<>,;]+@[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)+$"
# "Address Allocation for Private Internets" (RFC 1918): what a VPC should have.
PRIVATE_NETWORKS = [ipaddress.IPv4Network(text) for text in ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16")]


class NetworkTable(Table):
    """Where the tasks run."""

    mode: Literal["public", "nat_instance", "nat_gateways", "private"] = Field(
        default="public",
        description='"public" (subnets without NAT), "nat_instance", "nat_gateways" or "private" (endpoints alone)',
    )
    cidr: str = Field(description='a private IPv4 network of /16 to /24, as in "10.20.0.0/16"')
    availability_zones: list[str] = Field(
        description="two or more different zones of the region, as in [eu-west-1a, eu-west-1b]"
    )
    public_cidrs: list[str] | None = Field(
        default=None, description='a range a zone, as in ["10.0.10.0/24", "10.0.11.0/24"]; left out, cidr is split'
    )
    private_cidrs: list[str] | None = Field(
        default=None, description='a range a zone, as in ["10.0.1.0/24", "10.0.2.0/24"]; left out, cidr is split'
    )
    nat_count: int | None = Field(default=None, ge=1, le=6, description="1 to 6 with NAT; left out, one a zone")
    nat_ami: str | None = Field(
        default=None,
        pattern=r"^ami-[0-9a-f]{8,17}$",
        description='the id of an AMI of fck-nat in the region, as in "ami-0123456789abcdef0"',
    )

    @field_validator("cidr")
    @classmethod
    def _is_network(cls, value: str) -> str:
        network = ipaddress.IPv4Network(value)
        private = any(network.subnet_of(whole) for whole in PRIVATE_NETWORKS)
        if not 16 <= network.prefixlen <= 24 or not private:
            raise ValueError(f"this is {'a private' if private else 'no private'} /{network.prefixlen}")
        return value

    @field_validator("availability_zones")
    @classmethod
    def _are_in_region(cls, value: list[str], info: ValidationInfo) -> list[str]:
        region = (info.context or {}).get("region")
        foreign = [zone for zone in value if not re.fullmatch(re.escape(str(region)) + "[a-z]", zone)]
        if isinstance(region, str) and foreign:
            raise ValueError(f"{', '.join(foreign)} not in region {region}")
        if len(set(value)) < max(2, len(value)):
            raise ValueError("fewer than two, or one twice")
        return value

    @model_validator(mode="after")
    def _fits_the_mode(self) -> NetworkTable:
        mode = self.network_mode
        faults = []
        if (mode is NetworkMode.NAT_INSTANCE) != (self.nat_ami is not None):
            faults.append(Fault("nat_ami", 'it goes with mode = "nat_instance", and that with it'))
        if self.nat_count and not (mode.has_nat and self.nat_count <= len(self.availability_zones)):
            faults.append(Fault("nat_count", f"mode is {self.mode}, with {len(self.availability_zones)} zones"))
        try:
            ranges_in(
                self.cidr, self.availability_zones, mode, {"Public": self.public_cidrs, "Private": self.private_cidrs}
            )
        except ValueError as error:
            faults.append(Fault("public_cidrs" if self.public_cidrs else "private_cidrs", str(error)))
        refuse(self, faults)
        return self

    @property
    def network_mode(self) -> NetworkMode:
        """The mode as the construct takes it."""
        return NetworkMode(self.mode)


class AlarmsTable(Table):
    """Who is told of alarms; without this table they are only shown."""

    emails: list[Annotated[str, Field(pattern=_ADDRESS)]] = Field(
        default=[],
        description='a list of e-mail addresses, each of which AWS asks to confirm, as in ["ops@example.com"]',
    )
    monthly_budget_usd: int | None = Field(
        default=None, gt=0, description="US dollars, more than 0: told of when 80 % and all of it are spent in a month"
    )
    dashboards: bool = Field(
        default=True, description="true (one for each stack that runs something, at 3 USD a month) or false"
    )


class LambdasTable(Table):
    """What the functions run on."""

    python: Literal["3.11", "3.12", "3.13", "3.14", "HOST"] = Field(
        default="3.13", description='"3.11" to "3.14", or "HOST" for the Python that synthesises'
    )

    @property
    def python_version(self) -> str:
        """The version, as in 3.13."""
        return f"{sys.version_info.major}.{sys.version_info.minor}" if self.python == "HOST" else self.python


class ImageTable(Table):
    """Where the service's image comes from."""

    uri: ImageUri | None = Field(default=None, description=f"{IMAGE}; left out, service/ is built")


class WorkerTable(SizedTable):
    """The worker that makes the reports."""

    max_tasks: int = Field(default=4, ge=1, le=1000, description="1 to 1000 tasks")
    reports_per_task: int = Field(default=5, ge=1, le=100, description="1 to 100 reports")
    poll_seconds: float = Field(default=2, gt=0, le=60, description="seconds, more than 0 and at most 60")
    idle_seconds: float = Field(default=60, gt=0, le=86400, description="seconds, more than 0 and at most 86400")
    lease_seconds: int = Field(default=120, ge=6, le=3600, description="6 to 3600 seconds")
    sweep_minutes: int = Field(default=30, ge=0, le=1440, description="0 (no sweep) to 1440 minutes")


class WebTable(SizedTable):
    """The web role; without this table there is none."""

    certificate_arn: str | None = Field(
        default=None,
        pattern=r"^arn:aws[a-z-]*:acm:[a-z0-9-]+:[0-9]{12}:certificate/.+$",
        description="ARN of an ACM certificate of the same region and account; left out, the load balancer is internal",
    )
    domain: str | None = Field(
        default=None,
        pattern=r"^([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z]{2,63}$",
        description='the host name that the certificate is for, in small letters, as in "reports.example.com"',
    )
    http_api: bool | None = Field(
        default=None,
        description="true (without a certificate_arn the default: an HTTP API makes the service reachable over TLS) or "
        "false",
    )
    requests_per_second: int = Field(
        default=50,
        ge=1,
        le=10_000,
        description="1 to 10000 requests a second, of each token and of an HTTP API's callers",
    )
    burst: int = Field(default=100, ge=1, le=5_000, description="1 to 5000 requests at once")

    @field_validator("certificate_arn")
    @classmethod
    def _is_at_hand(cls, value: str | None, info: ValidationInfo) -> str | None:
        place = [(info.context or {}).get(name) for name in ("region", "account")]
        if value is not None and value.split(":")[3:5] != place:
            raise ValueError(f"the environment's region is {place[0]}, its account {place[1]}")
        return value

    @model_validator(mode="after")
    def _has_one_door(self) -> WebTable:
        refuse(self, list(self._faults()))
        return self

    def _faults(self) -> Iterator[Fault]:
        if self.domain is not None and self.certificate_arn is None:
            yield Fault("domain", "it is for a load balancer with a certificate_arn; an HTTP API has a name of its own")
        if self.http_api and self.certificate_arn is not None:
            yield Fault("http_api", "with a certificate_arn the load balancer faces the internet itself: leave one out")

    @property
    def has_http_api(self) -> bool:
        """Whether an HTTP API stands before the internal load balancer."""
        return self.certificate_arn is None and self.http_api is not False

    @property
    def has_tls_host(self) -> bool:
        """Whether the service has a host name with TLS, which a network rule in Snowflake can name: door two."""
        return self.has_http_api or self.domain is not None


class MailTable(Table):
    """How e-mail is sent; without this table none is."""

    sender: str = Field(
        pattern=_ADDRESS,
        description="an e-mail address of an identity that SES has verified",
    )
    domains: list[Annotated[str, Field(pattern=r"^([a-z0-9-]+\.)+[a-z0-9-]+$")]] = Field(
        default=[],
        description='a list of domains whose addresses get e-mail, as in ["example.com"]; empty: all of them',
    )
    failures_to: str | None = Field(
        default=None,
        pattern=_ADDRESS,
        description="the e-mail address that is told of failures where REQUESTED_BY is no e-mail address",
    )


class NotifyTable(Table):
    """Where else finished reports may be announced; without this table nowhere."""

    topic_arns: list[Annotated[str, Field(pattern=r"^arn:aws[a-z-]*:sns:[a-z0-9-]+:[0-9]{12}:[\w-]+$")]] = Field(
        default=[], description="a list of ARNs of SNS topics"
    )
    destinations_secret_arn: str | None = Field(
        default=None,
        pattern=r"^arn:aws[a-z-]*:secretsmanager:[a-z0-9-]+:[0-9]{12}:secret:.+-[A-Za-z0-9]{6}$",
        description="the whole ARN of a secret: a JSON object of names and URLs of apprise",
    )


class BackupTable(Table):
    """What is copied into a second region; without this table nothing is."""

    region: str = Field(
        pattern=r"^[a-z]{2}(-[a-z]+)+-[0-9]$",
        description='another AWS region, as in "eu-central-1"',
    )
    database_key_arn: str | None = Field(
        default=None,
        pattern=r"^arn:aws[a-z-]*:kms:[a-z0-9-]+:[0-9]{12}:key/.+$",
        description="the ARN of a KMS key in that region, with which databases' backups are copied; left out, none are",
    )

    @field_validator("region")
    @classmethod
    def _is_another(cls, value: str, info: ValidationInfo) -> str:
        if value == (info.context or {}).get("region"):
            raise ValueError("this is the environment's own")
        return value

    @model_validator(mode="after")
    def _has_its_key_at_hand(self) -> BackupTable:
        if self.database_key_arn and self.database_key_arn.split(":")[3] != self.region:
            refuse(self, [Fault("database_key_arn", f"the copies' region is {self.region}")])
        return self


class LinksTable(Table):
    """Links by which recipients download what is too large to attach; without this table there are none."""

    days: int = Field(default=7, ge=1, le=30, description="1 to 30 days: for how long a link is valid")


class Environment(Table):
    """One environment: an AWS account and region, a Snowflake account, and what runs there."""

    name: str = Field(
        pattern=r"^[a-z][a-z0-9-]{0,19}$",
        description="the file's name: small letters, digits and -, a letter first, at most 20",
    )
    account: str = Field(
        pattern=r"^[0-9]{12}$", description='an AWS account: 12 digits, in quotes, as in "111122223333"'
    )
    region: str = Field(pattern=r"^[a-z]{2}(-[a-z]+)+-[0-9]$", description='an AWS region, as in "eu-west-1"')
    architecture: Literal["ARM64", "X86_64", "HOST"] = Field(
        default="ARM64", description='"ARM64", "X86_64", or "HOST" for that of the machine that synthesises'
    )
    removal: Literal["retain", "destroy"] = Field(
        default="retain", description='"retain" or "destroy": what a deleted stack does with its data'
    )
    network: NetworkTable
    lambdas: LambdasTable = LambdasTable()
    image: ImageTable = ImageTable()
    snowflake: SnowflakeTable
    worker: WorkerTable
    web: WebTable | None = None
    mail: MailTable | None = None
    notify: NotifyTable = NotifyTable()
    links: LinksTable | None = None
    backup: BackupTable | None = None
    alarms: AlarmsTable = AlarmsTable()
    weather_warehouse: WeatherWarehouseTable | None = None
    conflict_updater: ConflictUpdaterTable | None = None
    matillion_agent: MatillionAgentTable | None = None
    load: LoadTable = LoadTable()

    @model_validator(mode="after")
    def _fits_together(self) -> Environment:
        if self.snowflake.connectivity == "private" and self.web is not None and self.web.domain is None:
            text = (
                'snowflake.connectivity = "private" needs it, with a certificate_arn: an HTTP API has no private way in'
            )
            refuse(self, [Fault("web.domain", text)])
        return self

    @model_validator(mode="after")
    def _has_a_firewall_or_says_so(self) -> Environment:
        edge = self.weather_warehouse.edge if self.weather_warehouse else None
        if edge and edge.waf and not edge.web_acl_arn and self.region != "us-east-1":
            text = "in this region none is made for CloudFront: give a web_acl_arn, or say waf = false"
            refuse(self, [Fault("weather_warehouse.edge.waf", text)])
        return self

    @property
    def built_for(self) -> Architecture:
        """The architecture of images, tasks and functions."""
        return Architecture.of_this_machine() if self.architecture == "HOST" else Architecture(self.architecture)

    @property
    def tells_recipients(self) -> bool:
        """Whether finished reports are sent or announced to anybody."""
        return bool(self.mail or self.notify.topic_arns or self.notify.destinations_secret_arn)

    # Roles that Snowflake knows by their names, before they exist.

    @property
    def invoker_role_name(self) -> str:
        """The IAM role that Snowflake assumes."""
        return f"snowgate-{self.name}-snowflake"

    @property
    def deployer_role_name(self) -> str:
        """The IAM role of the function that deploys to Snowflake."""
        return f"snowgate-{self.name}-deployer"

    @property
    def worker_role_name(self) -> str:
        """The IAM role of the worker's tasks."""
        return f"snowgate-{self.name}-worker"

    @property
    def web_role_name(self) -> str:
        """The IAM role of the web role's tasks."""
        return f"snowgate-{self.name}-web"

    # Roles that GitHub's workflows know by their names.

    @property
    def github_deploy_role_name(self) -> str:
        """The IAM role as which GitHub Actions deploys."""
        return f"snowgate-{self.name}-github-deploy"

    @property
    def github_diff_role_name(self) -> str:
        """The IAM role as which GitHub Actions compares pull requests."""
        return f"snowgate-{self.name}-github-diff"

    def role_arn(self, role_name: str) -> str:
        """The ARN that a role of this name has in the environment's account, whether it exists or not."""
        partition = next((name for start, name in PARTITIONS.items() if self.region.startswith(start)), "aws")
        return f"arn:{partition}:iam::{self.account}:role/{role_name}"


def read_environment(file: Path) -> Environment:
    """Read and check one file.

    Raises:
        EnvironmentFileError: it is no TOML, or keys are wrong; the message has all of them.
    """
    try:
        data = tomllib.loads(file.read_text(encoding="utf-8-sig"))
    except (OSError, ValueError) as error:
        raise EnvironmentFileError(file, [Problem("", str(error))]) from error
    if "name" in data:
        raise EnvironmentFileError(file, [Problem("name", "the file's own name is the environment's; leave it out")])
    try:
        return Environment.model_validate(data | {"name": file.stem}, context=data)
    except ValidationError as error:
        raise EnvironmentFileError(file, problems_of(error, Environment)) from error


def read_environments(folder: Path) -> list[Environment]:
    """Read and check every file of a folder, in the order of their names.

    Raises:
        EnvironmentFileError: there is none, or some are wrong; the message has all of them.
    """
    environments, wrong = [], []
    for file in sorted(folder.glob("*.toml")):
        try:
            environments.append(read_environment(file))
        except EnvironmentFileError as error:
            wrong.append(error)
    if wrong:
        raise EnvironmentFileError.of_all(wrong)
    if not environments:
        raise EnvironmentFileError(folder, [Problem("", "no .toml file is here: each environment is one")])
    return environments
