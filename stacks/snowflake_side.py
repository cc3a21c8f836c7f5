"""What a deploy sends to Snowflake, read from the very templates and assets that the deploy would use."""

from __future__ import annotations

import json
import re
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from snowgate.lambdas.snowflake_deployer.deadline import Deadline
from snowgate.lambdas.snowflake_deployer.request import Properties, Request
from stacks.environment import Environment
from stacks.synthesis import ROOT, synthesise

# The value of an output of a deployed stack, by stack and output; None if it is not known.
Outputs = Callable[[str, str], str | None]


class Placeholder(NamedTuple):
    """A value that only a deploy knows, its name in ``<% … %>``, and where a reader finds it."""

    name: str
    where: str

    @property
    def text(self) -> str:
        """As it stands in SQL: in the syntax of the Snowflake CLI's variables ("Using variables for SQL templates")."""
        return f"<% {self.name} %>"

    @property
    def stand_in(self) -> str:
        """What stands in the properties instead: the deploy's own checks take it for a URL."""
        return f"https://{self.name}.placeholder.invalid"


class SnowflakeSide(NamedTuple):
    """The requests of CloudFormation for an environment, in the order in which a deploy sends them, and the SQL files.

    ``files`` are rendered and still hold the markers ``${name}``, as the deploy gets them; ``placeholders`` are what is
    not known: their stand-ins stand in the properties.
    """

    logins: list[Request]
    integrations: list[Request]
    scripts: Request
    files: dict[str, str]
    placeholders: list[Placeholder]

    def knows(self, value: str) -> bool:
        """Whether a property's value is more than a stand-in."""
        return all(one.stand_in != value for one in self.placeholders)


def read_side(environment: Environment, values: Mapping[str, str], outputs: Outputs) -> SnowflakeSide:
    """Synthesise an environment and read its Snowflake side.

    ``values`` go before what ``outputs`` knows; their names are those of the SQL files' deploy-time values.

    Raises:
        SqlFolderError: a SQL file cannot be rendered or read.
    """
    with tempfile.TemporaryDirectory() as folder:
        templates = list(synthesise(environment, Path(folder)))
        found = [
            (resource["Type"], stack, name, _by_outputs(resource["Properties"], stack, template))
            for stack, template in templates
            for name, resource in template["Resources"].items()
            if resource["Type"].startswith("Custom::Snowflake")
        ]
        raw = next(properties for kind, *_, properties in found if kind == "Custom::SnowflakeScripts")
        files = _files(Path(folder), raw["Key"])
    resolver = _Resolver(values, outputs)
    resolver.name_values(raw["Values"])

    def of_kind(kind: str) -> list[Request]:
        return [
            _request(environment, stack, Properties(name, resolver.resolve(given, "")))
            for type_, stack, name, given in found
            if type_ == kind
        ]

    logins = of_kind("Custom::SnowflakeLogin")
    integrations = of_kind("Custom::SnowflakeApiIntegration")
    (scripts,) = of_kind("Custom::SnowflakeScripts")
    return SnowflakeSide(logins, integrations, scripts, files, list(resolver.placeholders.values()))


def environment_file(name: str) -> Path:
    """The file of an environment by its name, or by a path to it."""
    return Path(name) if name.endswith(".toml") else ROOT / "environments" / f"{name}.toml"


def pair(text: str) -> tuple[str, str]:
    """The two halves of NAME=VALUE, as an option gives them.

    Raises:
        ValueError: it is no such pair.
    """
    name, equals, value = text.partition("=")
    if not equals:
        raise ValueError(f"--value {text}: say name=value, as in trigger_url=https://…")
    return name, value


class Unhurried:
    """Instead of Lambda's context: a person waits, so that no step is refused for want of time."""

    def get_remaining_time_in_millis(self) -> int:
        """Ten minutes, always."""
        return 600_000


def _request(environment: Environment, stack: str, properties: Properties) -> Request:
    place = f"{environment.role_arn('').split(':')[1]}:cloudformation:{environment.region}:{environment.account}"
    return Request(
        id="by-hand",
        stack_id=f"arn:{place}:stack/{stack}/by-hand",
        kind="Create",
        physical_id="",
        properties=properties,
        old=None,
        deadline=Deadline(Unhurried()),
    )


class _Resolver:
    """Turns the intrinsic functions of a template into values, or into placeholders."""

    def __init__(self, values: Mapping[str, str], outputs: Outputs) -> None:
        self._values, self._outputs = values, outputs
        self._named: dict[str, str] = {}
        self.placeholders: dict[str, Placeholder] = {}

    def name_values(self, values: Mapping[str, Any]) -> None:
        """Know what the SQL files' deploy-time values look like, so that they get their names wherever they stand."""
        self._named = {json.dumps(value, sort_keys=True): name for name, value in values.items()}

    def resolve(self, value: Any, name: str) -> Any:
        """The value with all that can be known; ``name`` is that of the property it belongs to."""
        if named := self._named.get(json.dumps(value, sort_keys=True)):
            name = named
            if name in self._values:
                return self._values[name]
        if isinstance(value, list):
            return [self.resolve(item, name) for item in value]
        if not isinstance(value, dict):
            return value
        if not _is_intrinsic(value):
            return {key: self.resolve(item, key) for key, item in value.items()}
        text = self._text(value)
        return self._placeholder(_snake(name), value) if text is None else text

    def _text(self, value: Any) -> str | None:
        if isinstance(value, str):
            return value
        if "Fn::Join" in value:
            separator, parts = value["Fn::Join"]
            texts = [self._text(part) for part in parts]
            return None if None in texts else separator.join(text for text in texts if text is not None)
        if "Fn::GetStackOutput" in value:
            asked = value["Fn::GetStackOutput"]
            return self._outputs(asked["StackName"], asked["OutputName"])
        return {"AWS::URLSuffix": "amazonaws.com", "AWS::Partition": "aws"}.get(str(value.get("Ref")))

    def _placeholder(self, name: str, value: Any) -> str:
        stacks = sorted(set(re.findall(r'"StackName": "([^"]+)"', json.dumps(value))))
        where = f"an output of stack {' or '.join(stacks)}" if stacks else "what the deploy makes"
        self.placeholders.setdefault(name, Placeholder(name, where))
        return self.placeholders[name].stand_in


def _by_outputs(value: Any, stack: str, template: dict[str, Any]) -> Any:
    """The value with references to the stack's own resources as outputs of the stack, where it has such outputs."""
    named = {json.dumps(one["Value"], sort_keys=True): name for name, one in template.get("Outputs", {}).items()}

    def changed(part: Any) -> Any:
        if isinstance(part, list):
            return [changed(item) for item in part]
        if not isinstance(part, dict):
            return part
        name = named.get(json.dumps(part, sort_keys=True))
        if name:
            return {"Fn::GetStackOutput": {"StackName": stack, "OutputName": name}}
        return {key: changed(item) for key, item in part.items()}

    return changed(value)


def _files(folder: Path, key: str) -> dict[str, str]:
    """The SQL files of the asset that a deploy would fetch under this key."""
    (asset,) = folder.rglob(f"asset.{key.removesuffix('.zip')}")
    return {file.name: file.read_text(encoding="utf-8") for file in sorted(asset.glob("*.sql"))}


def _is_intrinsic(value: dict[str, Any]) -> bool:
    return len(value) == 1 and next(iter(value)).startswith(("Fn::", "Ref"))


def _snake(name: str) -> str:
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).lower()
