"""What roles hold: the hierarchy of roles, the grants and the owners, answered out of a picture kept until they change.

Source: Snowflake's page "Overview of access control".
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from local.warehouse import privileges
from local.warehouse.catalog import Catalog, Record
from local.warehouse.privileges import ANY, Privileges
from local.warehouse.statements import Name

if TYPE_CHECKING:
    from local.warehouse.session import Session

Roles = frozenset[str]
ALL_SECONDARY = "ALL"


class _Picture:
    """The hierarchy and the grants at one moment."""

    def __init__(self, catalog: Catalog) -> None:
        self.version = catalog.grant_version
        self.of_role: dict[str, list[str]] = {}
        self.of_user: dict[str, list[str]] = {}
        self.granted: dict[tuple[str, str], dict[str, set[str]]] = {}
        self.grantable: dict[tuple[str, str], dict[str, set[str]]] = {}
        self.closures: dict[tuple[str, ...], Roles] = {}
        for given in catalog.all("ROLE GRANT"):
            roles = self.of_role if given["grantee_kind"] == "ROLE" else self.of_user
            roles.setdefault(given["grantee"], []).append(given["role"])
        for grant in catalog.all("GRANT"):
            place, privilege, role = (grant["on_kind"], grant["on"]), grant["privilege"], grant["role"]
            self.granted.setdefault(place, {}).setdefault(privilege, set()).add(role)
            if grant["option"]:
                self.grantable.setdefault(place, {}).setdefault(privilege, set()).add(role)

    def closure(self, *roles: str) -> Roles:
        """The roles, all roles they have, and PUBLIC."""
        known = self.closures.get(roles)
        if known is None:
            found: set[str] = set()
            open_ = ["PUBLIC", *roles]
            while open_:
                role = open_.pop()
                if role not in found:
                    found.add(role)
                    open_ += self.of_role.get(role, [])
            known = self.closures[roles] = frozenset(found)
        return known


class Authority:
    """Answers whether roles hold a privilege on an object of a catalogue."""

    def __init__(self, catalog: Catalog) -> None:
        self._catalog = catalog
        self._picture = _Picture(catalog)

    def _now(self) -> _Picture:
        if self._picture.version != self._catalog.grant_version:
            self._picture = _Picture(self._catalog)
        return self._picture

    # --- roles

    def closure(self, role: str) -> Roles:
        """A role, every role it has, and PUBLIC."""
        return self._now().closure(role)

    def of_user(self, user: str) -> Roles:
        """Every role a user can take, directly or through another role."""
        picture = self._now()
        return picture.closure(*picture.of_user.get(user, []))

    def of(self, session: Session) -> Roles:
        """The roles by which a session acts: its primary role, and with secondary roles all of its user's."""
        if session.secondary_roles != ALL_SECONDARY:
            return self.closure(session.role)
        picture = self._now()
        return picture.closure(session.role, *picture.of_user.get(session.user, []))

    # --- privileges

    def on_account(self, roles: Roles, wanted: Privileges) -> bool:
        """Do the roles hold one of these on the account?"""
        given = self._now().granted.get(("ACCOUNT", "LOCAL"), {})
        return any(
            not roles.isdisjoint(given.get(privilege, ()))
            or any(privilege in held for role, held in privileges.SYSTEM_ROLES.items() if role in roles)
            for privilege in wanted
        )

    def manages_grants(self, roles: Roles) -> bool:
        """Do the roles hold MANAGE GRANTS?"""
        return self.on_account(roles, (privileges.MANAGE_GRANTS,))

    def holds(self, roles: Roles, record: Record, wanted: Privileges = ()) -> bool:
        """Do the roles own the object, or hold one of these privileges on it?"""
        if record["owner"] in roles:
            return True
        if self.is_imported(record):
            on_database = self._now().granted.get(("DATABASE", record["name"][0]), {})
            given = on_database.get(privileges.IMPORTED, set())
            return not privileges.OF_IMPORTED.isdisjoint(wanted) and not roles.isdisjoint(given)
        on_object = self._now().granted.get((record["kind"], record["key"]))
        if on_object is not None:
            names = on_object if wanted == ANY else wanted
            if any(not roles.isdisjoint(on_object.get(privilege, ())) for privilege in names):
                return True
        everywhere, which = privileges.EVERYWHERE.get(record["kind"], ("", ()))
        return bool(everywhere) and not set(wanted).isdisjoint((*which, *ANY)) and self.on_account(roles, (everywhere,))

    def may_grant(self, roles: Roles, kind: str, key: str, privilege: str) -> bool:
        """Do the roles hold the privilege with the right to grant it?"""
        given = self._now().grantable.get((kind, key), {}).get(privilege, ())
        return not roles.isdisjoint(given)

    def is_imported(self, record: Record) -> bool:
        """Does the object lie in a database that another account shares, or is it that database?"""
        if record["kind"] not in _IN_DATABASES:
            return False
        database = self._catalog.get("DATABASE", (record["name"][0],))
        return database is not None and bool(database.get("imported"))

    def resolves(self, roles: Roles, name: Name) -> bool:
        """Do the roles hold any privilege on the database, and on the schema, in which the object of that name lies?

        What is not there does not count: whoever looks for it says so.
        """
        for kind, size in (("DATABASE", 1), ("SCHEMA", 2)):
            if len(name) > size:
                record = self._catalog.get(kind, tuple(name[:size]))
                if record is not None and not self.holds(roles, record, ANY):
                    return False
        return True

    def sees(self, roles: Roles, record: Record, user: str = "") -> bool:
        """May the roles know of the object? Everybody knows the roles, and `user` itself."""
        if record["kind"] == "ROLE" or (record["kind"] == "USER" and record["key"] == user):
            return True
        if self.manages_grants(roles):
            return True
        return self.holds(roles, record, ANY) and self.resolves(roles, tuple(record["name"]))


_IN_DATABASES = frozenset({"DATABASE", "SCHEMA", "TABLE", "VIEW", "SEQUENCE"})
