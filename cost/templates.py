"""The synthesised templates, as the pricer reads them."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any


@dataclass(frozen=True, eq=False)
class Resource:
    """A resource of a template, with its stack: what it costs may stand in another one."""

    name: str
    type: str
    properties: Mapping[str, Any]
    stack: Stack

    def is_named_in(self, value: object) -> bool:
        """Whether a property of the same template refers to it, by Ref or by Fn::GetAtt, however deep."""
        return f'"{self.name}"' in json.dumps(value)


class Stack:
    """A template: ``name`` is the stack's without its environment, as in ReportService."""

    def __init__(self, name: str, template: Mapping[str, Any]) -> None:
        self.name = name
        self.resources = [
            Resource(logical_id, resource["Type"], resource.get("Properties", {}), self)
            for logical_id, resource in template.get("Resources", {}).items()
        ]

    def of_type(self, type_: str) -> Iterator[Resource]:
        """Its resources of one type."""
        return (resource for resource in self.resources if resource.type == type_)

    @cached_property
    def log_days(self) -> float:
        """For how long its logs are kept, at most; a year where a group never forgets."""
        return max(
            (group.properties.get("RetentionInDays", 365) for group in self.of_type("AWS::Logs::LogGroup")), default=0
        )


def read_stacks(assembly: Path, environment: str) -> list[Stack]:
    """The stacks of an environment in a cloud assembly, such as cdk.out."""
    folder = assembly / f"assembly-{environment}"
    artifacts = json.loads((folder / "manifest.json").read_text())["artifacts"].values()
    return [
        Stack(
            artifact["properties"]["stackName"].removeprefix(f"{environment}-"),
            json.loads((folder / artifact["properties"]["templateFile"]).read_text()),
        )
        for artifact in artifacts
        if artifact["type"] == "aws:cloudformation:stack"
    ]
