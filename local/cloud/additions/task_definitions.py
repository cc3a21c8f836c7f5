"""Task definitions that CloudFormation makes."""

from __future__ import annotations

from typing import Any

from local.cloud.additions.patching import replaces, replaces_entry

# Maps whose keys are the user's own words.
OWN_KEYS = ("dockerLabels", "options", "labels", "driverOpts")
DROPPED = {"RuntimePlatform": "runtimePlatform", "EphemeralStorage": "ephemeralStorage"}
LEFT_IN_PASCAL_CASE = {"Volumes": "volumes", "PlacementConstraints": "placementConstraints"}


def apply() -> None:
    """ministack keeps Secrets, HealthCheck and more as CloudFormation spells them, and drops RuntimePlatform.

    AWS gives them back in the API's spelling; boto3 shows other spellings as empty.
    """
    from ministack.services import ecs
    from ministack.services.cloudformation import provisioners

    @replaces(provisioners, "_normalize_container_defs", "cdefs")
    def normalize_container_defs(_original: Any, definitions: list[dict[str, Any]]) -> Any:
        return api_spelling(definitions)

    def create(original: Any, logical_id: str, props: dict[str, Any], stack_name: str) -> Any:
        arn, attributes = original(logical_id, props, stack_name)
        definition = ecs._task_defs[arn.rsplit("/", 1)[1]]
        for given, stored in (DROPPED | LEFT_IN_PASCAL_CASE).items():
            if given in props:
                definition[stored] = api_spelling(props[given])
        return arn, attributes

    handlers = provisioners._RESOURCE_HANDLERS["AWS::ECS::TaskDefinition"]
    replaces_entry(handlers, "create", "logical_id props stack_name", "AWS::ECS::TaskDefinition")(create)
    # An update registers a new revision by this name.
    replaces(provisioners, "_ecs_task_def_create", "logical_id props stack_name")(create)


def api_spelling(value: Any) -> Any:
    """A CloudFormation property as the ECS API spells it, camelCase at every level but in the user's own keys."""
    if isinstance(value, list):
        return [api_spelling(entry) for entry in value]
    if not isinstance(value, dict):
        return value
    spelled = {key[:1].lower() + key[1:]: entry for key, entry in value.items()}
    return {key: entry if key in OWN_KEYS else api_spelling(entry) for key, entry in spelled.items()}
