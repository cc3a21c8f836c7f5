"""The templates of one environment, read from a cloud assembly, and what their resources refer to."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

# Properties by which a resource is named in an ARN that the CDK writes out instead of referring to the resource.
NAMED_BY = {
    "AWS::Lambda::Function": "FunctionName",
    "AWS::IAM::Role": "RoleName",
    "AWS::ECS::TaskDefinition": "Family",
}


@dataclass(frozen=True)
class Resource:
    """A resource of a template; two are the same if their stack and logical id are."""

    stack: str
    name: str
    type: str = field(compare=False)
    properties: dict[str, Any] = field(compare=False, repr=False)


class Templates:
    """All templates of one environment: their stacks, resources, outputs and references, across stacks too."""

    def __init__(self, assembly: Path, environment: str) -> None:
        """Read the environment's folder of the assembly; FileNotFoundError where it has none."""
        folder = assembly / f"assembly-{environment}"
        artifacts = json.loads((folder / "manifest.json").read_text())["artifacts"]
        found = {key: one for key, one in artifacts.items() if one["type"] == "aws:cloudformation:stack"}
        names = {key: one["properties"]["stackName"].removeprefix(f"{environment}-") for key, one in found.items()}
        self.environment = environment
        self.dependencies = {
            names[key]: sorted(names[other] for other in one["dependencies"] if other in names)
            for key, one in found.items()
        }
        self._templates: dict[str, dict[str, Any]] = {
            names[key]: json.loads((folder / one["properties"]["templateFile"]).read_text())
            for key, one in found.items()
        }
        self._resources = {
            (stack, name): Resource(stack, name, resource["Type"], resource.get("Properties", {}))
            for stack, template in self._templates.items()
            for name, resource in template["Resources"].items()
            if resource["Type"] != "AWS::CDK::Metadata"  # the CDK's own count of users, which tests leave out
        }
        self._by_name = dict(self._physical_names())

    def all(self, *types: str, stack: str | None = None) -> list[Resource]:
        """The resources of these types (of all, if none is named), in the templates' order."""
        return [
            one
            for one in self._resources.values()
            if (not types or one.type in types) and (stack is None or one.stack == stack)
        ]

    def references(self, value: Any, stack: str) -> list[Resource]:
        """The resources that a property's value of this stack refers to, each once, in order."""
        return list(dict.fromkeys(self._walk(value, stack)))

    def _walk(self, value: Any, stack: str) -> Any:
        if isinstance(value, str):
            for token in re.findall(r"[\w-]+", value):
                if token in self._by_name:
                    yield self._by_name[token]
        elif isinstance(value, list):
            for one in value:
                yield from self._walk(one, stack)
        elif isinstance(value, dict):
            for key, held in value.items():
                if key == "Fn::GetStackOutput":
                    other = held["StackName"].removeprefix(f"{self.environment}-")
                    yield from self._walk(self._templates[other]["Outputs"][held["OutputName"]]["Value"], other)
                elif key in ("Ref", "Fn::GetAtt"):
                    name = held if isinstance(held, str) else held[0]
                    if (stack, name) in self._resources:  # else a parameter or AWS::Region and the like
                        yield self._resources[stack, name]
                else:
                    yield from self._walk(held, stack)

    def _physical_names(self) -> Any:
        for one in self._resources.values():
            if one.type == "AWS::ECS::Service":  # CloudFormation's own name begins so
                yield f"{self.environment}-{one.stack}-{one.name}", one
            name = one.properties.get(NAMED_BY.get(one.type, ""))
            if isinstance(name, str):
                yield name, one
