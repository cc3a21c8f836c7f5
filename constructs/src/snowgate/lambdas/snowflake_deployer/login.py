"""Custom::SnowflakeLogin: a user of type SERVICE that logs in with a workload identity or with a key pair.

With the property IdentityArn the user is that IAM role, and there is no secret. Without it the property SecretArn names
the JSON secret into which the key pair goes that is made here.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from typing import Any

import boto3

from . import owner_mark, pem
from .connection import GONE, Session, StatementFailed, connect, identifier, literal
from .deployer_login import Login, LoginError, passphrase_of
from .patience import once_allowed
from .pem import UnusableKey
from .request import Properties, Request
from .user import SLOTS, User, describe_user, without_path

EXISTS = 2002


def apply(request: Request) -> dict[str, str]:
    """Make the user or bring it to its properties; its login goes into the secret once Snowflake has taken the key.

    Only what differs is changed. A key that the secret already holds for this user stays, so that running tasks go on.
    ``Drift`` says what somebody else had changed, and what stays so because it may be on purpose, or ``none``.
    """
    properties = request.properties
    name = identifier(properties.text("User"), "User")
    secret = _Secret(request) if properties.text("SecretArn", "") else None
    key = secret.key() if secret else None
    with connect(request.secrets, request.deadline) as session:
        found = describe_user(session, name)
        if found is None:
            _create(session, request, key)
        else:
            owner_mark.check(request, "user", name, found.comment)
            for statement in changes(request, found, key):
                session.run(statement, f"login {name}")
        held = _grant(session, request, name)
        if secret:
            secret.write(session.login)
    drift = _drift(request, found, key, held) + (left_alone(found, name) if found else [])
    print(json.dumps({"level": "info", "login": name, "drift": drift}))
    return {"User": name, "Drift": "; ".join(drift) or "none"}


def delete(request: Request) -> None:
    """Drop the user that this resource stands for, unless it has become another stack's."""
    answered = owner_mark.was_answered(request)
    name = identifier(request.physical_id if answered else request.properties.text("User"), "User")
    with connect(request.secrets, request.deadline) as session:
        found = describe_user(session, name)
        if found is None or not owner_mark.is_deletable(request, found.comment):
            reason = "not there" if found is None else f"not this stack's: its comment is {found.comment!r}"
            print(json.dumps({"level": "info", "not dropped": name, "reason": reason}))
            return
        session.run_unless_gone(f"DROP USER IF EXISTS {name}", f"drop user {name}")


def creation(request: Request, key: str | None) -> str:
    """The statement that makes the user as it should be; ``key`` is the public one, None for a workload identity."""
    wanted = _defaults(request.properties) | {"COMMENT": literal(owner_mark.mark(request))}
    way = {"RSA_PUBLIC_KEY": literal(key)} if key else {"WORKLOAD_IDENTITY": _identity(request.properties)}
    clauses = " ".join(f"{name} = {value}" for name, value in {**way, **wanted}.items())
    return f"CREATE USER {request.properties.text('User')} TYPE = SERVICE {clauses}"


def changes(request: Request, found: User, key: str | None) -> list[str]:
    """The statements that bring a user to its properties: none if it is as it should be.

    A key goes into a slot that is free. The other way of logging in is taken from the user, but not yet by the update
    that changes the way: the tasks that run meanwhile, and those of a rollback, log in by the way before.
    """
    user, differ = request.properties.text("User"), _differences(request, found, key)
    other_way = ["WORKLOAD_IDENTITY"] if found.has_identity else []
    superfluous = found.slots_in_use if key is None else other_way
    clauses = " ".join(f"{name} = {value}" for name, value in differ.items())
    statements = [f"ALTER USER {user} SET {clauses}"] if differ else []
    if superfluous and not _changes_way(request):
        statements.append(f"ALTER USER {user} UNSET {', '.join(superfluous)}")
    return statements


def left_alone(found: User, name: str) -> list[str]:
    """What keeps the user from logging in and no deploy changes: it may be on purpose."""
    if found.value("DISABLED").lower() != "true":
        return []
    return [f"USER {name} is disabled: it cannot log in; ALTER USER {name} SET DISABLED = FALSE brings it back"]


def _differences(request: Request, found: User, key: str | None) -> dict[str, str]:
    """What ALTER USER … SET must set, by the name of the clause."""
    differ = {name: value for name, value in _defaults(request.properties).items() if found.value(name) != value}
    if found.value("TYPE").upper() != "SERVICE":  # another type may have a password
        differ["TYPE"] = "SERVICE"
    if found.comment != owner_mark.mark(request):
        differ["COMMENT"] = literal(owner_mark.mark(request))
    if key is None:
        if found.identity != without_path(request.properties.text("IdentityArn")):
            differ["WORKLOAD_IDENTITY"] = _identity(request.properties)
    elif pem.fingerprint(key) not in found.fingerprints:
        differ[found.free_slot] = literal(key)
    return differ


def _drift(request: Request, found: User | None, key: str | None, held: set[str]) -> list[str]:
    """What is not as the last deploy left it: of the first deploy nothing can be said, and a new name is a new one."""
    name, old = request.properties.text("User"), request.old
    if old is None or old.text("User", "").upper() != name.upper():
        return []
    if found is None:
        return [f"USER {name} was missing"]
    before = dataclasses.replace(request, properties=Properties(name, {**request.properties.values, **old.values}))
    role = before.properties.text("Role")
    lost = [] if role.upper() in held else [f"USER {name} had lost role {role}"]
    # A user of an earlier release has another comment; the other way of logging in is the new properties' wish.
    expected = {"COMMENT", *(("WORKLOAD_IDENTITY", *SLOTS) if _changes_way(request) else ())}
    changed = [clause for clause in _differences(before, found, key) if clause not in expected]
    return lost + [f"USER {name}: {clause} was {_shown(found, clause)}" for clause in changed]


def _shown(found: User, clause: str) -> str:
    """A property as it was found; a key is only ever missing."""
    value = found.identity if clause == "WORKLOAD_IDENTITY" else found.value(clause)
    return "another key" if clause in SLOTS else value or "empty"


def _create(session: Session, request: Request, key: str | None) -> None:
    user = request.properties.text("User")
    try:
        session.run(creation(request, key), f"login {user}")
    except StatementFailed as error:
        if error.errno != EXISTS:
            raise
        raise owner_mark.ForeignObject(
            f"User {user} is there, and the deployer's role may not see it, so it is not this stack's: give the login "
            "another name, or have an administrator drop the user."
        ) from error


def _grant(session: Session, request: Request, user: str) -> set[str]:
    """Give the user its role, take the one of the properties before, and tell the roles that it was found with."""
    role = identifier(request.properties.text("Role"), "Role")
    rows = session.run(f"SHOW GRANTS TO USER {user}", f"roles of {user}", changes=False)
    held = {str(row["role"]).upper() for row in rows}
    if role.upper() not in held:
        try:
            session.run(f"GRANT ROLE {role} TO USER {user}", f"login {user}")
        except StatementFailed as error:
            if error.errno not in (*GONE, 3001):
                raise
            raise LoginError(
                f"Role {role} cannot be granted to user {user}: {error} An ACCOUNTADMIN makes the role, and gives the "
                "deployer the right to grant it, with the file of `make snowflake-bootstrap`."
            ) from error
    old = _old_role(request, user, role)
    if old and old.upper() in held:
        session.run(f"REVOKE ROLE {identifier(old, 'Role')} FROM USER {user}", f"login {user}")
    return held


def _defaults(properties: Properties) -> dict[str, str]:
    namespace = ".".join(identifier(properties.text(name), name).upper() for name in ("Database", "Schema"))
    return {
        "DEFAULT_ROLE": identifier(properties.text("Role"), "Role").upper(),
        "DEFAULT_WAREHOUSE": identifier(properties.text("Warehouse"), "Warehouse").upper(),
        "DEFAULT_NAMESPACE": namespace,
    }


def _identity(properties: Properties) -> str:
    return f"(TYPE = AWS ARN = {literal(properties.text('IdentityArn'))})"


def _changes_way(request: Request) -> bool:
    """Whether the properties before had the other way of logging in."""
    ways = [bool(each.text("SecretArn", "")) for each in (request.properties, request.old) if each is not None]
    return len(set(ways)) > 1


def _old_role(request: Request, user: str, role: str) -> str | None:
    """The role that the same user had before, if it was another one."""
    old = request.old
    if old is None or old.text("User", "").upper() != user.upper() or old.text("Role", role).upper() == role.upper():
        return None
    return old.text("Role")


class _Secret:
    """The secret of a login with a key pair: what it holds, and what it should hold."""

    def __init__(self, request: Request) -> None:
        self._request = request
        self._arn = request.properties.text("SecretArn")
        self._store = boto3.client("secretsmanager")
        self._held = once_allowed(self._read, request.deadline)
        same = str(self._held.get("user")).upper() == request.properties.text("User").upper()
        usable = same and _usable(self._held)
        self._pem = str(self._held["private_key"]) if usable else pem.new_private_key()
        self._passphrase = passphrase_of(self._held) if usable else None
        for text in (self._pem, self._passphrase or ""):
            request.secrets.add(text)

    def key(self) -> str:
        """The public key: of the pair that the secret holds for this user, else of a new one."""
        return pem.public_key(self._pem, self._passphrase, self._arn)

    def write(self, deployer: Login) -> None:
        """Put the login into the secret, unless it is there: account and address are the deployer's own."""
        wanted = self._login(deployer)
        if wanted == self._held:
            return
        self._request.deadline.begin(f"writing the login of {wanted['user']} to its secret")
        self._store.put_secret_value(SecretId=self._arn, SecretString=json.dumps(wanted))

    def _login(self, deployer: Login) -> dict[str, Any]:
        properties = self._request.properties
        names = ("User", "Role", "Warehouse", "Database", "Schema")
        locked = {"private_key_passphrase": self._passphrase} if self._passphrase else {}
        return {
            "account": deployer.account,
            "private_key": self._pem,
            **locked,
            **{name.lower(): properties.text(name) for name in names},
            **deployer.named_address,
        }

    def _read(self) -> dict[str, Any]:
        """The secret's object; empty while it holds what it was made with, or nothing."""
        try:
            held = json.loads(self._store.get_secret_value(SecretId=self._arn)["SecretString"])
        except self._store.exceptions.ResourceNotFoundException:
            return {}
        except ValueError:
            return {}
        return held if isinstance(held, dict) else {}


def _usable(held: Mapping[str, Any]) -> bool:
    try:
        pem.read_private_key(held["private_key"], passphrase_of(held), "of the login")
    except (UnusableKey, KeyError, AttributeError):
        return False
    return True
