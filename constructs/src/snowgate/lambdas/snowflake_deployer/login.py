"""Custom::SnowflakeLogin: a user of type SERVICE with a key pair, and the JSON secret that holds its login."""

from __future__ import annotations

import json
from typing import Any

import boto3
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from .connection import Login, LoginError, connect, identifier, literal, read_private_key
from .patience import once_allowed
from .request import Properties, Request

KEY_BITS = 2048


def apply(request: Request) -> dict[str, str]:
    """Make user, role and key pair, and write the login into the secret once Snowflake has taken the key.

    A key that the secret already holds for this user stays, so that running tasks go on.
    """
    properties = request.properties
    user = identifier(properties.text("User"), "User")
    role = identifier(properties.text("Role"), "Role")
    store = boto3.client("secretsmanager")
    arn = properties.text("SecretArn")
    pem = once_allowed(lambda: _held_key(store, arn, user), request.deadline) or new_private_key()
    request.secrets.add(pem)
    with connect(request.secrets, request.deadline) as session:
        for statement in definition(properties, public_key(pem), session.login.role, _old_role(request, user, role)):
            session.run(statement, f"login {user}")
        login = _login(properties, session.login, pem)
    request.deadline.begin(f"writing the login of {user} to its secret")
    store.put_secret_value(SecretId=arn, SecretString=json.dumps(login))
    return {"User": user}


def delete(request: Request) -> None:
    """Drop the user; its role stays, because grants on tables with data hang on it."""
    user = identifier(request.physical_id, "User")
    with connect(request.secrets, request.deadline) as session:
        session.run_unless_gone(f"DROP USER IF EXISTS {user}", f"drop user {user}")


def definition(properties: Properties, key: str, deployer_role: str, old_role: str | None) -> list[str]:
    """The statements that make the login as it should be, whether it is there or not."""
    user, role = properties.text("User"), properties.text("Role")
    warehouse = identifier(properties.text("Warehouse"), "Warehouse")
    namespace = ".".join(identifier(properties.text(name), name) for name in ("Database", "Schema"))
    defaults = f"DEFAULT_ROLE = {role} DEFAULT_WAREHOUSE = {warehouse} DEFAULT_NAMESPACE = {namespace}"
    statements = [
        f"CREATE ROLE IF NOT EXISTS {role}",
        f"GRANT ROLE {role} TO ROLE {identifier(deployer_role, 'Role')}",
        f"CREATE USER IF NOT EXISTS {user} TYPE = SERVICE {defaults} COMMENT = 'Containers of Snowgate'",
        f"ALTER USER {user} SET {defaults}",
        f"ALTER USER {user} SET RSA_PUBLIC_KEY = {literal(key)}",
        f"GRANT ROLE {role} TO USER {user}",
    ]
    if old_role:
        statements.append(f"REVOKE ROLE {identifier(old_role, 'Role')} FROM USER {user}")
    return statements


def new_private_key() -> str:
    """A new RSA key as PEM text (PKCS 8, not encrypted: the secret store encrypts it)."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=KEY_BITS)
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    ).decode()


def public_key(pem: str) -> str:
    """The public half as Snowflake takes it: base64 without the BEGIN and END lines."""
    der = read_private_key(pem, None, "of the user")
    key = serialization.load_der_private_key(der, None).public_key()
    text = key.public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo).decode()
    return "".join(line for line in text.splitlines() if not line.startswith("-----"))


def _held_key(store: Any, arn: str, user: str) -> str | None:
    """The key that the secret holds for this user, if it is one that can be used."""
    try:
        held = json.loads(store.get_secret_value(SecretId=arn)["SecretString"])
        if held["user"] != user:
            return None
        read_private_key(held["private_key"], None, arn)
    except store.exceptions.ResourceNotFoundException:
        return None  # a secret without a value
    except (ValueError, KeyError, TypeError, AttributeError, LoginError):
        return None  # what the secret was made with
    return str(held["private_key"])


def _login(properties: Properties, deployer: Login, pem: str) -> dict[str, Any]:
    return {
        "account": deployer.account,
        "user": properties.text("User"),
        "private_key": pem,
        "role": properties.text("Role"),
        "warehouse": properties.text("Warehouse"),
        "database": properties.text("Database"),
        "schema": properties.text("Schema"),
        **deployer.address,
    }


def _old_role(request: Request, user: str, role: str) -> str | None:
    """The role that the same user had before, if it was another one."""
    if request.old is None or request.old.text("User", "") != user or request.old.text("Role", role) == role:
        return None
    return request.old.text("Role")
