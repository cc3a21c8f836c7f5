"""The names that the SQL files use, and which names SQL takes as they are."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from stacks.environment import Environment

PATTERN = r"^[A-Za-z_][A-Za-z0-9_$]{0,254}$"

# "System-defined roles" in the Snowflake documentation: every account has them, with rights and users of their own.
SYSTEM_ROLES = {"ACCOUNTADMIN", "GLOBALORGADMIN", "ORGADMIN", "PUBLIC", "SECURITYADMIN", "SYSADMIN", "USERADMIN"}

KEYWORDS_PAGE = "https://docs.snowflake.com/en/sql-reference/reserved-keywords"
# The words of that page: those that are reserved, those that a FROM clause or a SHOW command mistakes, and those that
# no expression takes for a name.
_KEYWORDS = """
    ALL ALTER AND ANY AS BETWEEN BY CHECK COLUMN CONNECT CREATE CURRENT DELETE DISTINCT DROP ELSE EXISTS FOLLOWING FOR
    FROM GRANT GROUP HAVING ILIKE IN INCREMENT INSERT INTERSECT INTO IS LIKE MINUS NOT NULL OF ON OR ORDER QUALIFY
    REGEXP REVOKE RLIKE ROW ROWS SAMPLE SELECT SET SOME START TABLE TABLESAMPLE THEN TO TRIGGER UNION UNIQUE UPDATE
    VALUES WHENEVER WHERE WITH
    CROSS FULL INNER JOIN LATERAL LEFT NATURAL RIGHT USING
    ACCOUNT CONNECTION DATABASE GSCLUSTER ISSUE ORGANIZATION SCHEMA VIEW
    CASE CAST CONSTRAINT CURRENT_DATE CURRENT_TIME CURRENT_TIMESTAMP CURRENT_USER FALSE LOCALTIME LOCALTIMESTAMP TRUE
    TRY_CAST WHEN
"""
KEYWORDS = set(_KEYWORDS.split())


def check_identifier(name: str) -> str:
    """A name that SQL takes unquoted.

    Raises:
        ValueError: it is a keyword, or has characters that only a quoted name may have.
    """
    if not re.fullmatch(PATTERN, name):
        raise ValueError("this is none")
    if name.upper() in KEYWORDS:
        raise ValueError(f"{name.upper()} is a word of SQL, see {KEYWORDS_PAGE}")
    return name


def check_own_role(name: str) -> str:
    """A role that the deploy may make and grant.

    Raises:
        ValueError: every account has it already.
    """
    if name.upper() in SYSTEM_ROLES:
        raise ValueError("this is a role of Snowflake's own; Snowgate makes and grants its roles")
    return name


def sql_names(environment: Environment, *, trigger_url: str, web_host: str | None) -> dict[str, str | int | bool]:
    """What the placeholders of the numbered files in snowflake_sql/ stand for.

    ``web_host`` is the host name of the web service, for door two; the files find an empty one where there is none.
    """
    table = environment.snowflake
    return {
        "database": table.database,
        "config_schema": table.config_schema,
        "reporting_schema": table.reporting_schema,
        "warehouse": table.warehouse,
        "deployer_role": table.deployer_role,
        "owner_role": table.owner_role,
        "runner_role": table.runner_role,
        "runner_user": table.runner_user,
        "web_user": table.web_user,
        "api_integration": table.api_integration,
        "external_access": table.external_access,
        "trigger_interval_seconds": table.trigger_interval_seconds,
        "tasks_enabled": table.tasks_enabled,
        "daily_reports_enabled": table.daily_reports,
        "private": table.connectivity == "private",
        "trigger_url": trigger_url,
        "web_host": web_host or "",
    }


def bootstrap_names(environment: Environment, *, public_key: str | None) -> dict[str, str | None]:
    """What the placeholders of bootstrap.sql stand for; the deployer's user has its role's name."""
    table = environment.snowflake
    by_role = table.login == "workload_identity"
    return {
        "database": table.database,
        "warehouse": table.warehouse,
        "deployer_role": table.deployer_role,
        "deployer_user": table.deployer_role,
        "owner_role": table.owner_role,
        "runner_role": table.runner_role,
        "deployer_role_arn": environment.role_arn(environment.deployer_role_name) if by_role else None,
        "public_key": public_key,
    }
