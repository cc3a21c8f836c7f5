"""The statements that the grammar reads, as data. Names are tuples of one to three resolved parts. Pure Python."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

Name = tuple[str, ...]


@dataclass(frozen=True)
class Parameter:
    """A parameter of a function or procedure; `default` is the SQL text after DEFAULT."""

    name: str
    type: str
    default: str | None = None


@dataclass(frozen=True)
class Statement:
    """Any statement; `sql` is the whole text."""

    sql: str = field(repr=False)


@dataclass(frozen=True)
class Create(Statement):
    """CREATE of a kind.

    `clauses` are its properties, `extra` what only this kind has (parameters, body, table, when …).
    """

    kind: str
    name: Name
    clauses: dict[str, Any]
    or_replace: bool = False
    if_not_exists: bool = False
    extra: dict[str, Any] = field(default_factory=dict)
    or_alter: bool = False


@dataclass(frozen=True)
class Alter(Statement):
    """ALTER.

    `action` is SET, UNSET, RENAME, RESUME, SUSPEND, ADD AFTER, REMOVE AFTER, MODIFY AS, MODIFY WHEN, REMOVE WHEN.
    """

    kind: str
    name: Name
    action: str
    if_exists: bool = False
    clauses: dict[str, Any] = field(default_factory=dict)
    extra: Any = None
    types: tuple[str, ...] | None = None


@dataclass(frozen=True)
class Drop(Statement):
    """DROP; `types` are the argument types of a function or procedure."""

    kind: str
    name: Name
    if_exists: bool = False
    types: tuple[str, ...] | None = None


@dataclass(frozen=True)
class Undrop(Statement):
    """UNDROP TABLE."""

    name: Name


@dataclass(frozen=True)
class Describe(Statement):
    """DESC of what is not a table or a view."""

    kind: str
    name: Name
    types: tuple[str, ...] | None = None


@dataclass(frozen=True)
class Show(Statement):
    """SHOW of a kind in the plural's singular; `scope` is ("ACCOUNT" | "DATABASE" | "SCHEMA" | "TABLE", name) or
    None.
    """

    kind: str
    like: str | None = None
    scope: tuple[str, Name] | None = None
    starts_with: str | None = None
    limit: int | None = None
    terse: bool = False


@dataclass(frozen=True)
class ShowGrants(Statement):
    """SHOW [FUTURE] GRANTS; `direction` is TO, ON, OF, FUTURE IN, FUTURE TO."""

    direction: str
    kind: str
    name: Name
    types: tuple[str, ...] | None = None


@dataclass(frozen=True)
class Grant(Statement):
    """GRANT or REVOKE of privileges.

    `scope` is ON, ALL or FUTURE; with ALL and FUTURE `kind` is what lies in `container`.
    """

    revoke: bool
    privileges: tuple[str, ...]
    kind: str
    name: Name
    role: str
    scope: str = "ON"
    container: str = ""
    types: tuple[str, ...] | None = None
    with_grant_option: bool = False
    current_grants: str = ""


@dataclass(frozen=True)
class GrantRole(Statement):
    """GRANT or REVOKE of a role to a role or a user."""

    revoke: bool
    role: str
    grantee_kind: str
    grantee: str


@dataclass(frozen=True)
class Use(Statement):
    """USE ROLE, WAREHOUSE, DATABASE, SCHEMA or SECONDARY ROLES (then the name is ALL or NONE)."""

    kind: str
    name: Name


@dataclass(frozen=True)
class Call(Statement):
    """CALL; `arguments` are the SQL texts between the parentheses."""

    name: Name
    arguments: tuple[str, ...]


@dataclass(frozen=True)
class ExecuteTask(Statement):
    """EXECUTE TASK."""

    name: Name


@dataclass(frozen=True)
class Transaction(Statement):
    """BEGIN, COMMIT or ROLLBACK."""

    action: str


@dataclass(frozen=True)
class AlterSession(Statement):
    """ALTER SESSION SET (values) or UNSET (values are None)."""

    parameters: dict[str, Any]


@dataclass(frozen=True)
class Comment(Statement):
    """COMMENT ON … IS."""

    kind: str
    name: Name
    text: str
    if_exists: bool = False
