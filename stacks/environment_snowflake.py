"""The [snowflake] table of an environment file: names, logins, and the way the two clouds talk."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, field_validator, model_validator

from stacks.environment_table import Fault, Table, refuse
from stacks.snowflake_names import PATTERN, check_identifier, check_own_role

Identifier = Annotated[
    str,
    AfterValidator(check_identifier),
    Field(
        description="an unquoted Snowflake identifier: letters, digits, _ and $, no digit first, at most 255, no word "
        "of SQL"
    ),
]
Role = Annotated[Identifier, AfterValidator(check_own_role)]

DEPLOYMENT_SCHEMA = "DEPLOYMENT"


class SnowflakeTable(Table):
    """The names on the Snowflake side, how one logs in there, and by which way the two clouds talk.

    ``external_access`` and ``web_user`` follow from ``api_integration`` and ``runner_user`` where they are left out.
    """

    login: Literal["workload_identity", "key_pair"] = Field(
        default="workload_identity",
        description='"workload_identity" (IAM roles log in, there is no secret) or "key_pair" (secrets, rotated)',
    )
    account: str | None = Field(
        default=None,
        pattern=r"^[A-Za-z][A-Za-z0-9]*-[A-Za-z0-9_-]+$",
        description='the Snowflake account, ORGANIZATION-ACCOUNT, as in "MYORG-REPORTS"',
    )
    login_secret: str | None = Field(
        default=None,
        pattern=r"^[A-Za-z0-9/_+=.@-]{1,512}$",
        description="the name of the Secrets Manager secret that holds the deployer's login",
    )
    database: Identifier
    config_schema: Identifier
    reporting_schema: Identifier
    warehouse: Identifier
    deployer_role: Role
    owner_role: Role
    runner_role: Role
    runner_user: Identifier
    web_user: Identifier
    api_integration: Identifier
    external_access: Identifier
    trigger_interval_seconds: int = Field(
        default=10, ge=10, le=604800, description="10 to 604800 seconds; 10 is Snowflake's own minimum"
    )
    tasks_enabled: bool = Field(default=True, description="true or false")
    daily_reports: bool = Field(default=False, description="true or false: whether DAILY_REPORTS_TASK runs")
    connectivity: Literal["public", "private"] = Field(
        default="public", description='"public" (TLS over the internet) or "private" (AWS PrivateLink)'
    )
    vpc_ids: list[Annotated[str, Field(pattern=r"^vpc-[0-9a-f]{8,17}$", description='ids as in "vpc-0a1b2c3d"')]] = (
        Field(
            default=[],
            description="the ids of Snowflake's own VPCs, as an ACCOUNTADMIN reads them with SELECT "
            "SYSTEM$GET_SNOWFLAKE_PLATFORM_INFO()",
        )
    )

    @model_validator(mode="before")
    @classmethod
    def _derive(cls, data: Any) -> Any:
        if not isinstance(data, dict):
            return data
        # Where the other name is wrong or missing, that alone is the finding.
        for key, base, end in (("web_user", "runner_user", "_WEB"), ("external_access", "api_integration", "_EGRESS")):
            given = data.get(base)
            right = isinstance(given, str) and re.fullmatch(PATTERN, given)
            data = {key: f"{given if right else key.upper()}{end}"} | data
        return data

    @field_validator("login_secret")
    @classmethod
    def _is_no_partial_arn(cls, value: str | None) -> str | None:
        # "CreateSecret" in the Secrets Manager API Reference: such an end is taken for the one that an ARN has.
        if value is not None and re.search(r"-.{6}$", value):
            raise ValueError("Secrets Manager mistakes a hyphen and six characters at the end for a part of the ARN")
        return value

    @model_validator(mode="after")
    def _fits_together(self) -> SnowflakeTable:
        refuse(self, [*self._login_faults(), *self._name_faults(), *self._connectivity_faults()])
        return self

    def _login_faults(self) -> Iterator[Fault]:
        if self.login == "workload_identity" and self.account is None:
            yield Fault("account", 'login = "workload_identity" needs it, because no secret names it')
        if self.login == "workload_identity" and self.login_secret is not None:
            yield Fault("login_secret", 'with login = "workload_identity" no secret exists: leave it out')
        if self.login == "key_pair" and self.login_secret is None:
            yield Fault("login_secret", 'login = "key_pair" needs it')

    def _name_faults(self) -> Iterator[Fault]:
        if _repeats(self.deployer_role, self.owner_role, self.runner_role):
            yield Fault("runner_role", "deployer_role, owner_role and runner_role must be three different roles")
        if _repeats(self.runner_user, self.web_user, self.deployer_role):
            yield Fault(
                "runner_user",
                "runner_user, web_user and deployer_role, which is the name of the deployer's user too, must be three "
                "different names",
            )
        if _repeats(self.config_schema, self.reporting_schema, DEPLOYMENT_SCHEMA):
            yield Fault(
                "config_schema",
                "config_schema and reporting_schema must be two different schemas, and neither may be "
                f"{DEPLOYMENT_SCHEMA}, which holds the deploy's own history",
            )
        if _repeats(self.api_integration, self.external_access):
            yield Fault("external_access", "api_integration and external_access must be two different integrations")

    def _connectivity_faults(self) -> Iterator[Fault]:
        if self.connectivity == "private" and not self.vpc_ids:
            yield Fault("vpc_ids", 'connectivity = "private" needs them')
        if self.connectivity == "public" and self.vpc_ids:
            yield Fault("vpc_ids", 'they are for connectivity = "private": leave them out')


def _repeats(*names: str) -> bool:
    return len({name.upper() for name in names}) < len(names)
