"""Environments whose settings are those that the files in environments/ do not have."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

from stacks.environment import Environment

_CERTIFICATE = "arn:aws:acm:{region}:111122223333:certificate/12345678"
_NAT_INSTANCES: dict[str, Any] = {
    "network": {"mode": "nat_instance", "nat_ami": "ami-0123456789abcdef0", "nat_count": 1},
    "snowflake": {"login": "key_pair", "account": None, "login_secret": "snowgate/prod/deployer"},
    "web": {"certificate_arn": _CERTIFICATE.format(region="eu-west-1"), "domain": "reports.example.com"},
    "mail": {"sender": "reports@example.com"},
    "alarms": {"emails": ["ops@example.com"], "monthly_budget_usd": 100},
    "weather_warehouse": {
        "cache": True,
        "database": {"multi_az": False, "replica": True},
        "edge": {
            "domain": "weather.example.com",
            "certificate_arn": _CERTIFICATE.format(region="us-east-1"),
            "hosted_zone_id": "Z0123456789",
            "web_acl_arn": "arn:aws:wafv2:us-east-1:111122223333:global/webacl/weather/12345678",
            "waf": True,
        },
    },
}
_ENDPOINTS: dict[str, Any] = {
    "network": {"mode": "private"},
    "snowflake": {"connectivity": "private", "vpc_ids": ["vpc-0a1b2c3d"]},
    "web": None,
    "weather_warehouse": {"edge": None},
    "matillion_agent": {"create_bucket": False},
}
_PUBLIC: dict[str, Any] = {"network": {"mode": "public"}, "web": {"http_api": False}, "links": None}


def turned(prod: Environment) -> list[Environment]:
    """Production in three other networks, each with other doors, logins and sizes."""
    return [_changed(prod, name, change) for name, change in _CHANGES.items()]


_CHANGES = {"nat-instances": _NAT_INSTANCES, "endpoints": _ENDPOINTS, "public": _PUBLIC}


def _changed(environment: Environment, name: str, change: dict[str, Any]) -> Environment:
    data = environment.model_dump(exclude_unset=True)
    return Environment.model_validate(
        _merged(data, change) | {"name": name},
        context={"region": environment.region, "account": environment.account},
    )


def _merged(data: dict[str, Any], change: dict[str, Any]) -> dict[str, Any]:
    merged = deepcopy(data)
    for key, value in change.items():
        nested = isinstance(value, dict) and isinstance(merged.get(key), dict)
        merged[key] = _merged(merged[key], value) if nested else value
    return merged
