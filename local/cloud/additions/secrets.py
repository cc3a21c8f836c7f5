"""What `Ref` of a secret gives, and what CloudFormation generates into one."""

from __future__ import annotations

import json
from typing import Any

from local.cloud.additions.patching import replaces, replaces_entry, require

_FLAGS = (
    "ExcludeLowercase", "ExcludeNumbers", "ExcludePunctuation", "ExcludeUppercase", "IncludeSpace",
    "RequireEachIncludedType",
)  # fmt: skip
_TEXTS = ("ExcludeCharacters", "GenerateStringKey", "SecretStringTemplate")


def apply() -> None:
    """Put AWS's meaning of a secret's `Ref` and of its GenerateSecretString in the place of ministack's."""
    _ref_is_arn()
    _generate_with_all_options()


def _generate_with_all_options() -> None:
    """ministack's CloudFormation reads four of nine options; its GetRandomPassword reads them all."""
    from ministack.services import secretsmanager
    from ministack.services.cloudformation import provisioners

    require(secretsmanager, "_get_random_password")

    @replaces(provisioners, "_sm_secret_string", "props")
    def secret_string(original: Any, props: dict[str, Any]) -> str:
        if not isinstance(given := props.get("GenerateSecretString"), dict):
            return str(original(props))
        if "SecretString" in props:
            raise ValueError("AWS::SecretsManager::Secret: give SecretString or GenerateSecretString, not both")
        options = _options(given)
        status, _headers, body = secretsmanager._get_random_password(options)
        answer = json.loads(body)
        if status != 200:
            raise ValueError(f"AWS::SecretsManager::Secret GenerateSecretString: {answer['message']}")
        return _in_template(options, answer["RandomPassword"])


def _options(given: dict[str, Any]) -> dict[str, Any]:
    """The options with their types: a template may have numbers and booleans as texts."""
    if unknown := sorted(set(given) - {*_FLAGS, *_TEXTS, "PasswordLength"}):
        raise ValueError(f"AWS::SecretsManager::Secret GenerateSecretString has no {', '.join(unknown)}")
    options = dict(given)
    if "PasswordLength" in options:
        options["PasswordLength"] = int(options["PasswordLength"])
    for name in set(_FLAGS) & set(options):
        options[name] = str(options[name]).lower() == "true"
    return options


def _in_template(options: dict[str, Any], password: str) -> str:
    """The password alone, or as one more key of the template's object."""
    template, key = options.get("SecretStringTemplate"), options.get("GenerateStringKey")
    if (template is None) != (key is None):
        raise ValueError(
            "AWS::SecretsManager::Secret GenerateSecretString: SecretStringTemplate and GenerateStringKey go together"
        )
    if template is None:
        return password
    try:
        found = json.loads(template)
    except json.JSONDecodeError as error:
        raise ValueError(f"AWS::SecretsManager::Secret SecretStringTemplate is no JSON: {error}") from error
    if not isinstance(found, dict):
        raise ValueError(f"AWS::SecretsManager::Secret SecretStringTemplate {template!r} is no JSON object")
    return json.dumps({**found, key: password})


def _ref_is_arn() -> None:
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
