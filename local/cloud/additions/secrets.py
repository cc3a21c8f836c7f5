"""What `Ref` of a secret gives."""

from __future__ import annotations

from typing import Any

from local.cloud.additions.patching import replaces_entry, require


def apply() -> None:
    """ministack's Ref of a secret is its name, AWS's its ARN: IAM statements and ECS secrets are built from it."""
    from ministack.services import secretsmanager
    from ministack.services.cloudformation import provisioners

    require(secretsmanager, "_secrets")
    handlers = provisioners._RESOURCE_HANDLERS["AWS::SecretsManager::Secret"]

    def name_of(arn: str) -> str:
        return next((name for name, record in secretsmanager._secrets.items() if record["ARN"] == arn), arn)

    @replaces_entry(handlers, "create", "logical_id props stack_name", "AWS::SecretsManager::Secret")
    def create(original: Any, *arguments: Any) -> Any:
        _name, attributes = original(*arguments)
        return attributes["Arn"], attributes

    @replaces_entry(
        handlers, "update", "physical_id old_props new_props stack_name logical_id", "AWS::SecretsManager::Secret"
    )
    def update(original: Any, physical_id: str, *arguments: Any) -> Any:
        _name, attributes = original(name_of(physical_id), *arguments)
        return attributes["Arn"], attributes

    @replaces_entry(handlers, "delete", "physical_id props", "AWS::SecretsManager::Secret")
    def delete(original: Any, physical_id: str, props: dict[str, Any]) -> Any:
        return original(name_of(physical_id), props)
