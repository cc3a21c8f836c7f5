"""What the local platform needs to know of its environment file: the names that the deploy gives to things."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from pathlib import Path

from local.processes import ROOT

ENVIRONMENTS = ROOT / "environments"


@dataclass(frozen=True)
class LocalEnvironment:
    """The part of environments/local.toml that stands outside the deploy: where it goes and who logs in."""

    name: str
    account: str
    region: str
    login: str
    database: str
    config_schema: str
    warehouse: str
    image: str
    weather_image: str | None
    tables: frozenset[str]
    sender: str | None

    @classmethod
    def read(cls, name: str = "local", folder: Path = ENVIRONMENTS) -> LocalEnvironment:
        """Read <folder>/<name>.toml; the CDK application checks it, this only picks from it."""
        with (folder / f"{name}.toml").open("rb") as file:
            values = tomllib.load(file)
        snowflake = values["snowflake"]
        return cls(
            name=name,
            account=values["account"],
            region=values["region"],
            login=snowflake.get("login", "workload_identity"),
            database=snowflake["database"],
            config_schema=snowflake["config_schema"],
            warehouse=snowflake["warehouse"],
            image=values["image"]["uri"],
            tables=frozenset(values),
            weather_image=values.get("weather_warehouse", {}).get("image"),
            sender=values.get("mail", {}).get("sender"),
        )
