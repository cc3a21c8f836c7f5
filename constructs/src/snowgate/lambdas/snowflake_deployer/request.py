"""One request of CloudFormation, as the resources see it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from .deadline import Deadline
from .redaction import Secrets


class PropertyError(ValueError):
    """A property is missing or not usable."""


@dataclass(frozen=True)
class Properties:
    """The properties of a resource, read with checks."""

    resource: str
    values: Mapping[str, Any]

    def text(self, name: str, default: str | None = None) -> str:
        """A text property.

        Raises:
            PropertyError: it is missing and has no default, or is no text.
        """
        value = self.values.get(name, default)
        if not isinstance(value, str):
            raise PropertyError(f"{self.resource}: property {name} must be text; given was {value!r}.")
        return value

    def texts(self, name: str) -> list[str]:
        """A list of texts, at least one.

        Raises:
            PropertyError: it is something else.
        """
        value = self.values.get(name)
        if not isinstance(value, list) or not value or not all(isinstance(item, str) for item in value):
            raise PropertyError(f"{self.resource}: property {name} must be a list of texts; given was {value!r}.")
        return value

    def mapping(self, name: str) -> dict[str, str]:
        """A map from text to text; empty if absent.

        Raises:
            PropertyError: it is something else.
        """
        value = self.values.get(name, {})
        if not isinstance(value, dict) or not all(isinstance(item, str) for item in value.values()):
            raise PropertyError(f"{self.resource}: property {name} must map names to texts; given was {value!r}.")
        return value


@dataclass(frozen=True)
class Request:
    """A Create, Update or Delete; ``old`` is None except for an Update.

    ``id`` is CloudFormation's for this request: an invocation that is tried again has it again.
    """

    id: str
    stack_id: str
    kind: str
    physical_id: str
    properties: Properties
    old: Properties | None
    deadline: Deadline
    secrets: Secrets = field(default_factory=Secrets)

    @property
    def stack(self) -> str:
        """The stack's name, from its ARN ``arn:aws:cloudformation:region:account:stack/name/id``."""
        _, _, name = self.stack_id.partition(":stack/")
        return name.partition("/")[0] or self.stack_id
