"""Custom::SnowflakeApiIntegration: the object through which Snowflake assumes an IAM role to call API Gateway."""

from __future__ import annotations

import dataclasses
import json
from typing import Any, NamedTuple

from . import owner_mark
from .connection import Session, connect, identifier, literal
from .request import Properties, PropertyError, Request

# The names of DESC INTEGRATION's rows and of the attributes that the role's trust is made from.
ATTRIBUTES = {"IamUserArn": "API_AWS_IAM_USER_ARN", "ExternalId": "API_AWS_EXTERNAL_ID"}
LONGEST_VALUE = 200
PROVIDERS = ("aws_api_gateway", "aws_private_api_gateway")


class Wanted(NamedTuple):
    """An integration as the properties describe it."""

    name: str
    provider: str
    role_arn: str
    prefixes: tuple[str, ...]
    comment: str

    @property
    def create(self) -> str:
        """The statement that makes it if it is not there."""
        return (
            f"CREATE API INTEGRATION IF NOT EXISTS {self.name} API_PROVIDER = {self.provider} "
            f"API_AWS_ROLE_ARN = {literal(self.role_arn)} API_ALLOWED_PREFIXES = {_listed(self.prefixes)} "
            f"ENABLED = TRUE COMMENT = {literal(self.comment)}"
        )

    def changes(self, found: dict[str, str]) -> dict[str, str]:
        """What ALTER … SET must set, by the name of the clause; nothing if the integration is as it should be."""
        should = {
            "API_AWS_ROLE_ARN": (self.role_arn, literal(self.role_arn)),
            "API_ALLOWED_PREFIXES": (_together(self.prefixes), _listed(self.prefixes)),
            "ENABLED": ("true", "TRUE"),
            "COMMENT": (self.comment, literal(self.comment)),
        }
        is_now = found | {
            "ENABLED": found.get("ENABLED", "").lower(),
            "API_ALLOWED_PREFIXES": _together(_split(found.get("API_ALLOWED_PREFIXES", ""))),
        }
        return {clause: sql for clause, (value, sql) in should.items() if is_now.get(clause, "") != value}

    def unchangeable(self, found: dict[str, str]) -> str:
        """Why the integration cannot be brought to the properties; empty if it can."""
        provider = found.get("API_PROVIDER", "").lower()
        if provider == self.provider:
            return ""
        return (
            f"integration {self.name} has the provider {provider or '(none)'}, wanted is {self.provider}, and "
            "Snowflake cannot change it. Give the integration a new name: the new one is made before the old one goes."
        )


def apply(request: Request) -> dict[str, str]:
    """Make the integration or bring it to its properties, and give the two names that the role must trust.

    Nothing is changed if DESC says what the properties say. The integration is never replaced: a new one has a new
    external id, which the role does not trust yet. ``Drift`` says what somebody else had changed, or ``none``.

    Raises:
        ForeignObject: an integration of this name was not made by this stack.
        PropertyError: a property is wrong, or asks for another provider than the integration has.
    """
    wanted = definition(request.properties, owner_mark.mark(request))
    with connect(request.secrets, request.deadline) as session:
        found = look(session, wanted.name)
        drift = _drift(request, wanted, found)
        if found is None:
            session.run(wanted.create, f"make API integration {wanted.name}")
            found = _made(session, wanted.name)
            # Somebody may have been quicker.
            _refuse_others(request, found)
        else:
            _refuse_others(request, found)
            found = _bring(session, request, wanted, found)
    print(json.dumps({"level": "info", "api_integration": wanted.name, "drift": drift}))
    return {**_trusted(wanted.name, found), "Drift": "; ".join(drift) or "none"}


def delete(request: Request) -> None:
    """Drop the integration that this resource stands for, unless it has become another stack's."""
    answered = owner_mark.was_answered(request)
    name = identifier(request.physical_id if answered else request.properties.text("Name"), "API integration").upper()
    with connect(request.secrets, request.deadline) as session:
        found = look(session, name)
        comment = found["COMMENT"] if found else ""
        if found is None or not owner_mark.is_deletable(request, comment):
            reason = "not there" if found is None else f"not this stack's: its comment is {comment!r}"
            print(json.dumps({"level": "info", "not dropped": name, "reason": reason}))
            return
        session.run_unless_gone(f"DROP API INTEGRATION IF EXISTS {name}", f"drop API integration {name}")


def definition(properties: Properties, mark: str) -> Wanted:
    """What the properties ask for.

    Raises:
        PropertyError: a prefix is no https URL, or the provider is unknown.
        ValueError: the name is no unquoted identifier.
    """
    name = identifier(properties.text("Name"), "API integration").upper()
    provider = properties.text("Provider", PROVIDERS[0])
    if provider not in PROVIDERS:
        raise PropertyError(
            f"{properties.resource}: Provider must be {' or '.join(PROVIDERS)}; given was {provider!r}."
        )
    prefixes = properties.texts("AllowedPrefixes")
    for prefix in prefixes:
        if not prefix.startswith("https://"):
            raise PropertyError(
                f"{properties.resource}: AllowedPrefixes must begin with https://; given was {prefix!r}."
            )
    return Wanted(name, provider, properties.text("RoleArn"), tuple(prefixes), mark)


def look(session: Session, name: str) -> dict[str, str] | None:
    """What SHOW and DESC say of an integration, by the names of DESC; None if it is not there."""
    # An underscore stands for any character in LIKE.
    rows = session.run(f"SHOW INTEGRATIONS LIKE {literal(name)}", f"look for API integration {name}", changes=False)
    shown = next((row for row in rows if row["name"] == name), None)
    if shown is None:
        return None
    described = session.run(f"DESC INTEGRATION {name}", f"describe API integration {name}", changes=False)
    properties = {str(row["property"]): str(row["property_value"] or "") for row in described}
    # Not every kind of integration has these two in DESC, and SHOW has them for all.
    return properties | {"COMMENT": str(shown["comment"] or ""), "ENABLED": str(shown["enabled"])}


def _made(session: Session, name: str) -> dict[str, str]:
    found = look(session, name)
    if found is None:
        raise RuntimeError(
            f"API integration {name} was made and SHOW INTEGRATIONS does not have it: another role owns it?"
        )
    return found


def _bring(session: Session, request: Request, wanted: Wanted, found: dict[str, str]) -> dict[str, str]:
    if reason := wanted.unchangeable(found):
        raise PropertyError(f"{request.properties.resource}: {reason}")
    changes = wanted.changes(found)
    if changes:
        values = " ".join(f"{clause} = {sql}" for clause, sql in changes.items())
        session.run(f"ALTER API INTEGRATION {wanted.name} SET {values}", f"change API integration {wanted.name}")
    blocked = found.get("API_BLOCKED_PREFIXES", "")
    if blocked:
        # A blocked prefix beats an allowed one.
        statement = f"ALTER API INTEGRATION {wanted.name} UNSET API_BLOCKED_PREFIXES"
        session.run(statement, f"unblock {blocked} in API integration {wanted.name}")
    return _made(session, wanted.name) if changes or blocked else found


def _drift(request: Request, wanted: Wanted, found: dict[str, str] | None) -> list[str]:
    """What is not as the last deploy left it: of the first deploy nothing can be said, and a new name is a new one."""
    if request.old is None or request.old.text("Name", "").upper() != wanted.name:
        return []
    if found is None:
        return [
            f"API INTEGRATION {wanted.name} was missing: a new one has a new external id, which the role trusts now"
        ]
    before = definition(request.old, owner_mark.mark(request))
    # An integration of an earlier release has another comment.
    changed = [clause for clause in before.changes(found) if clause != "COMMENT"]
    changed += ["API_BLOCKED_PREFIXES"] if found.get("API_BLOCKED_PREFIXES") else []
    return [f"API INTEGRATION {wanted.name}: {clause} was {_short(found.get(clause, ''))}" for clause in changed]


def _short(value: str) -> str:
    """A value as far as the answer to CloudFormation has room for it."""
    return (value if len(value) <= LONGEST_VALUE else f"{value[: LONGEST_VALUE - 1]}…") or "empty"


def _refuse_others(request: Request, found: dict[str, str]) -> None:
    # What this resource made may have become another stack's since.
    asked = dataclasses.replace(request, kind="Create") if owner_mark.is_foreign(request, found["COMMENT"]) else request
    owner_mark.check(asked, "integration", request.properties.text("Name"), found["COMMENT"])


def _trusted(name: str, found: dict[str, Any]) -> dict[str, str]:
    missing = [column for column in ATTRIBUTES.values() if not found.get(column)]
    if missing:
        raise RuntimeError(f"DESC INTEGRATION {name} did not give {' and '.join(missing)}: is it of another kind?")
    return {attribute: found[column] for attribute, column in ATTRIBUTES.items()}


def _listed(prefixes: tuple[str, ...]) -> str:
    return f"({', '.join(map(literal, prefixes))})"


def _split(text: str) -> tuple[str, ...]:
    return tuple(part for part in text.split(",") if part)


def _together(prefixes: tuple[str, ...]) -> str:
    """Prefixes in a form that does not depend on order or on a slash at the end, which Snowflake may add."""
    return ",".join(sorted(prefix.strip().rstrip("/") for prefix in prefixes))
