"""The names of what the application synthesises."""

from __future__ import annotations

from collections.abc import Callable

import aws_cdk as cdk

STACKS = ("Network", "Alarms", "Secrets", "Image", "ReportService", "Trigger", "Snowflake")
SYSTEMS = ("WeatherWarehouse", "ConflictUpdater", "MatillionAgent")
ENVIRONMENTS = ("dev", "local", "prod", "staging")
COPIES = ("Copies",)  # in a second region, where the file has [backup]
# Each stack with its environment; dev has the report service alone.
ALL = [
    (environment, stack)
    for environment in ENVIRONMENTS
    for stack in (
        *STACKS,
        *(SYSTEMS if environment != "dev" else ()),
        *(COPIES if environment == "prod" else ()),
    )
]

MakeApp = Callable[..., cdk.App]
