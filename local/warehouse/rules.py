"""What a statement's values must satisfy whatever the account holds. Pure Python.

Sources: the pages CREATE NETWORK RULE, CREATE SECRET, CREATE API INTEGRATION, CREATE EXTERNAL ACCESS INTEGRATION,
CREATE EXTERNAL FUNCTION, CREATE FUNCTION, CREATE PROCEDURE, CREATE USER and CREATE WAREHOUSE; tasks: `task_rules`.
"""

from __future__ import annotations

import ipaddress
import re
from typing import Any

from local.warehouse import task_rules
from local.warehouse.errors import SnowflakeError, compilation_error, invalid_property, invalid_value, missing_option
from local.warehouse.statements import Alter, Create, Statement

_HOST = re.compile(r"(\*\.)?([A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?\.)+[A-Za-z]([A-Za-z0-9-]*[A-Za-z0-9])?(:\d{1,5})?")
_ENDPOINT = re.compile(r"vpce-[0-9a-z]+")
_ROLE = re.compile(r"arn:aws[a-z-]*:iam::\d{12}:role/[\w+=,.@/-]+")
_PREFIX = re.compile(r"https://[a-z0-9-]+(\.[a-z0-9-]+)+(/.*)?", re.IGNORECASE)
ANYWHERE = ("0.0.0.0:443", "0.0.0.0:80")  # the page's own way to allow every host at these ports
MODES = {"HOST_PORT": ("EGRESS",), "PRIVATE_HOST_PORT": ("EGRESS",), "IPV4": ("INGRESS", "INTERNAL_STAGE"),
         "AWSVPCEID": ("INGRESS", "INTERNAL_STAGE")}  # fmt: skip
SERVICE_FORBIDS = ("PASSWORD", "FIRST_NAME", "LAST_NAME", "MUST_CHANGE_PASSWORD")


def check(statement: Statement) -> None:
    """Raise SnowflakeError for a value or a combination that Snowflake refuses."""
    if not isinstance(statement, (Create, Alter)):
        return
    values = statement.clauses
    if statement.kind == "NETWORK RULE":
        _network_rule(values, isinstance(statement, Create))
    elif statement.kind == "SECRET" and isinstance(statement, Create):
        _secret(values)
    elif statement.kind == "API INTEGRATION":
        _api_integration(values)
    elif statement.kind == "EXTERNAL ACCESS INTEGRATION":
        _external_access(statement)
    elif statement.kind == "EXTERNAL FUNCTION":
        _external_function(statement)
    elif statement.kind in ("FUNCTION", "PROCEDURE"):
        _program(statement)
    elif statement.kind == "USER":
        _user(values)
    elif statement.kind == "WAREHOUSE":
        _warehouse(values)
    elif statement.kind == "TASK":
        task_rules.check(statement)


def _network_rule(values: dict[str, Any], complete: bool) -> None:
    if not complete:
        # ALTER does not say of which type the rule is; only a host has a port.
        for value in values.get("VALUE_LIST", []):
            if ":" in value:
                _host_port(value, "HOST_PORT")
        return
    kind = values.get("TYPE")
    if kind is None:
        return
    mode = values.get("MODE", "INGRESS")
    if mode not in MODES[kind]:
        raise invalid_value(mode, "MODE", f"{' or '.join(MODES[kind])} for TYPE = {kind} (without MODE it is INGRESS)")
    value_list(values["VALUE_LIST"], kind)


def value_list(values: list[str], kind: str) -> None:
    """Raise for what a network rule of this type cannot list."""
    if not values:
        raise invalid_value("()", "VALUE_LIST", "one value or more")
    if kind.endswith("HOST_PORT"):
        for value in values:
            _host_port(value, kind)
    elif kind == "IPV4":
        for value in values:
            _ipv4(value)
    elif not all(_ENDPOINT.fullmatch(value) for value in values):
        raise invalid_value(", ".join(values), "VALUE_LIST", "ids of VPC endpoints, vpce-…")
    if kind == "PRIVATE_HOST_PORT" and len(values) != 1:
        raise invalid_value(", ".join(values), "VALUE_LIST", "exactly one domain for PRIVATE_HOST_PORT")


def _host_port(value: str, kind: str) -> None:
    """A domain with an optional port: 443 without one, 0 for all."""
    if value in ANYWHERE and kind == "HOST_PORT":
        return
    port = value.rpartition(":")[2] if ":" in value else "443"
    if not _HOST.fullmatch(value) or (kind.startswith("PRIVATE") and value.startswith("*")):
        raise invalid_value(
            value, "VALUE_LIST", "domain names with an optional port, api.example.com:443; no addresses"
        )
    if int(port) > 65_535:
        raise invalid_value(value, "VALUE_LIST", "ports from 1 to 65535, and 0 for all of them")


def _ipv4(value: str) -> None:
    try:
        ipaddress.IPv4Network(value)
    except ValueError:
        raise invalid_value(value, "VALUE_LIST", "IPv4 addresses and ranges, 203.0.113.0/24") from None


def _secret(values: dict[str, Any]) -> None:
    needed = {"GENERIC_STRING": {"SECRET_STRING"}, "PASSWORD": {"USERNAME", "PASSWORD"}}[values["TYPE"]]
    for key in sorted(needed - set(values)):
        raise missing_option(key)
    for key in sorted(set(values) - needed - {"TYPE", "COMMENT"}):
        raise invalid_property(key, f"SECRET of TYPE = {values['TYPE']}")


def _api_integration(values: dict[str, Any]) -> None:
    if (role := values.get("API_AWS_ROLE_ARN")) is not None and not _ROLE.fullmatch(role):
        raise invalid_value(role, "API_AWS_ROLE_ARN", "arn:aws:iam::<account>:role/<name>")
    for key in ("API_ALLOWED_PREFIXES", "API_BLOCKED_PREFIXES"):
        for prefix in values.get(key) or []:
            if not _PREFIX.fullmatch(prefix):
                raise invalid_value(prefix, key, "https:// URLs")
    if values.get("API_ALLOWED_PREFIXES") == []:
        raise missing_option("API_ALLOWED_PREFIXES")


def _external_access(statement: Create | Alter) -> None:
    if isinstance(statement, Create) and statement.if_not_exists:
        raise _no_if_not_exists("EXTERNAL ACCESS INTEGRATION")
    if statement.clauses.get("ALLOWED_NETWORK_RULES") == []:
        raise missing_option("ALLOWED_NETWORK_RULES")


def _no_if_not_exists(kind: str) -> SnowflakeError:
    return compilation_error(1003, "42000", f"syntax error: {kind} has no IF NOT EXISTS.")


def _external_function(statement: Create | Alter) -> None:
    if isinstance(statement, Create) and statement.if_not_exists:
        raise _no_if_not_exists("EXTERNAL FUNCTION")
    if isinstance(statement, Create) and not _PREFIX.fullmatch(statement.extra["body"]):
        raise invalid_value(statement.extra["body"], "url", "an https:// URL")
    _batch(statement.clauses)


def _batch(values: dict[str, Any]) -> None:
    if (size := values.get("MAX_BATCH_ROWS")) is not None and size < 1:
        raise invalid_value(str(size), "MAX_BATCH_ROWS", "1 and more")


def _program(statement: Create | Alter) -> None:
    values = statement.clauses
    _batch(values)
    keys = [key for key, _ in values.get("SECRETS") or []]
    if len(keys) != len(set(keys)):
        raise invalid_value(", ".join(keys), "SECRETS", "each name once")
    if isinstance(statement, Create) and keys and not values.get("EXTERNAL_ACCESS_INTEGRATIONS"):
        raise missing_option("EXTERNAL_ACCESS_INTEGRATIONS (SECRETS come through one that allows them)")


def _user(values: dict[str, Any]) -> None:
    if values.get("TYPE") == "SERVICE":
        for key in SERVICE_FORBIDS:
            if key in values:
                raise invalid_property(key, "USER of TYPE = SERVICE")


def _warehouse(values: dict[str, Any]) -> None:
    least, most = values.get("MIN_CLUSTER_COUNT"), values.get("MAX_CLUSTER_COUNT")
    if least is not None and most is not None and least > most:
        raise invalid_value(str(least), "MIN_CLUSTER_COUNT", f"up to MAX_CLUSTER_COUNT = {most}")
