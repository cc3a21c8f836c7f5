"""Custom::SnowflakeApiIntegration: the object through which Snowflake assumes an IAM role to call API Gateway."""

from __future__ import annotations

from .connection import Session, connect, identifier, literal
from .request import Properties, PropertyError, Request

# The names of DESC INTEGRATION's rows and of the attributes that the role's trust is made from.
ATTRIBUTES = {"IamUserArn": "API_AWS_IAM_USER_ARN", "ExternalId": "API_AWS_EXTERNAL_ID"}


def apply(request: Request) -> dict[str, str]:
    """Make the integration or bring it to its properties, and give the two names that the role must trust.

    It is never replaced: a new integration has a new external id, which the role does not trust yet.
    """
    name, statements = definition(request.properties)
    with connect(request.secrets, request.deadline) as session:
        for statement in statements:
            session.run(statement, f"API integration {name}")
        return _trusted(session, name)


def delete(request: Request) -> None:
    """Drop the integration that this resource stands for."""
    name = identifier(request.physical_id, "API integration")
    with connect(request.secrets, request.deadline) as session:
        session.run_unless_gone(f"DROP API INTEGRATION IF EXISTS {name}", f"drop API integration {name}")


def definition(properties: Properties) -> tuple[str, list[str]]:
    """The integration's name and the statements that make it as it should be, whether it is there or not.

    Raises:
        PropertyError: a prefix is no https URL.
        ValueError: the name is no unquoted identifier.
    """
    name = identifier(properties.text("Name"), "API integration")
    prefixes = properties.texts("AllowedPrefixes")
    for prefix in prefixes:
        if not prefix.startswith("https://"):
            raise PropertyError(
                f"{properties.resource}: AllowedPrefixes must begin with https://; given was {prefix!r}."
            )
    role = f"API_AWS_ROLE_ARN = {literal(properties.text('RoleArn'))}"
    allowed = f"API_ALLOWED_PREFIXES = ({', '.join(map(literal, prefixes))})"
    comment = f"COMMENT = {literal(properties.text('Comment', ''))}"
    return name, [
        f"CREATE API INTEGRATION IF NOT EXISTS {name} API_PROVIDER = aws_api_gateway {role} {allowed} "
        f"ENABLED = TRUE {comment}",
        f"ALTER API INTEGRATION {name} SET {role} {allowed} ENABLED = TRUE {comment}",
    ]


def _trusted(session: Session, name: str) -> dict[str, str]:
    rows = session.run(f"DESC INTEGRATION {name}", f"describe API integration {name}")
    described = {row["property"]: row["property_value"] for row in rows}
    missing = [column for column in ATTRIBUTES.values() if not described.get(column)]
    if missing:
        raise RuntimeError(f"DESC INTEGRATION {name} did not give {' and '.join(missing)}: is it of another kind?")
    return {attribute: described[column] for attribute, column in ATTRIBUTES.items()}
