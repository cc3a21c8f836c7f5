"""GRANT, REVOKE and SHOW GRANTS, with the privileges that each kind of object has. Pure Python.

Source: Snowflake's page "Access control privileges".
"""

from __future__ import annotations

from local.warehouse import clauses, programs_grammar
from local.warehouse.errors import compilation_error, unsupported
from local.warehouse.lexer import Reader
from local.warehouse.statements import Grant, GrantRole, Name, ShowGrants, Statement

CREATABLE = (
    "TABLE", "VIEW", "SEQUENCE", "FUNCTION", "PROCEDURE", "STREAM", "TASK", "SECRET", "STAGE", "PIPE", "DYNAMIC TABLE",
    "EXTERNAL TABLE", "FILE FORMAT", "MATERIALIZED VIEW", "NETWORK RULE", "TEMPORARY TABLE", "TAG", "MASKING POLICY",
    "ROW ACCESS POLICY", "SERVICE", "IMAGE REPOSITORY", "ALERT",
)  # fmt: skip
PRIVILEGES: dict[str, tuple[str, ...]] = {
    "ACCOUNT": (
        "CREATE DATABASE", "CREATE ROLE", "CREATE USER", "CREATE WAREHOUSE", "CREATE INTEGRATION",
        "CREATE API INTEGRATION", "CREATE EXTERNAL ACCESS INTEGRATION", "EXECUTE TASK", "EXECUTE MANAGED TASK",
        "MANAGE GRANTS", "MANAGE WAREHOUSES", "MONITOR EXECUTION", "MONITOR USAGE", "IMPORT SHARE", "CREATE SHARE",
        "APPLY TAG", "CREATE NETWORK POLICY", "BIND SERVICE ENDPOINT", "CREATE COMPUTE POOL",
    ),
    "DATABASE": ("USAGE", "MONITOR", "MODIFY", "CREATE SCHEMA", "CREATE DATABASE ROLE", "IMPORTED PRIVILEGES"),
    "SCHEMA": ("USAGE", "MONITOR", "MODIFY", "ADD SEARCH OPTIMIZATION", *(f"CREATE {kind}" for kind in CREATABLE)),
    "WAREHOUSE": ("USAGE", "OPERATE", "MONITOR", "MODIFY", "APPLYBUDGET"),
    "TABLE": ("SELECT", "INSERT", "UPDATE", "DELETE", "TRUNCATE", "REFERENCES", "EVOLVE SCHEMA"),
    "VIEW": ("SELECT", "REFERENCES"),
    "SEQUENCE": ("USAGE",),
    "STREAM": ("SELECT",),
    "TASK": ("MONITOR", "OPERATE"),
    "FUNCTION": ("USAGE",),
    "PROCEDURE": ("USAGE",),
    "SECRET": ("USAGE", "READ"),
    "NETWORK RULE": ("USAGE",),
    "INTEGRATION": ("USAGE", "USE_ANY_ROLE"),
    "USER": ("MONITOR",),
    "ROLE": (),
}  # fmt: skip
_PLURAL = {kind + "S": kind for kind in PRIVILEGES if kind not in ("ACCOUNT", "USER", "ROLE", "WAREHOUSE")}
_ALL_PRIVILEGES = sorted({p for many in PRIVILEGES.values() for p in many}, key=len, reverse=True)


def _privileges(reader: Reader) -> tuple[str, ...]:
    if reader.words("ALL"):
        reader.words("PRIVILEGES")
        return ("ALL",)
    found: list[str] = []
    while not found or reader.sign(","):
        for privilege in ("OWNERSHIP", *_ALL_PRIVILEGES):
            if reader.words(*privilege.split()):
                found.append(privilege)
                break
        else:
            raise reader.unexpected("a privilege")
    return tuple(found)


def _types(reader: Reader, kind: str) -> tuple[str, ...] | None:
    if kind not in ("FUNCTION", "PROCEDURE"):
        return None
    return tuple(programs_grammar.signature_type(t) for t in clauses.listed(programs_grammar.read_type)(reader))


def _kind(reader: Reader) -> str:
    for kind in sorted(PRIVILEGES, key=len, reverse=True):
        if reader.words(*kind.split()):
            return kind
    raise reader.unexpected("a kind of object")


def _container(reader: Reader) -> tuple[str, str]:
    """`TABLES IN SCHEMA` -> (TABLE, SCHEMA)."""
    for plural in sorted(_PLURAL, key=len, reverse=True):
        if reader.words(*plural.split()):
            break
    else:
        raise reader.unexpected("the plural of a kind of object")
    reader.expect_words("IN")
    for container in ("DATABASE", "SCHEMA"):
        if reader.words(container):
            return _PLURAL[plural], container
    raise reader.unexpected("DATABASE or SCHEMA")


def _check(privileges: tuple[str, ...], kind: str) -> None:
    for privilege in privileges:
        if privilege not in ("ALL", "OWNERSHIP") and privilege not in PRIVILEGES[kind]:
            raise compilation_error(3011, "42501", f"Privilege '{privilege}' is not valid for object type '{kind}'.")


def grant(reader: Reader) -> Statement:
    """GRANT … TO … or REVOKE … FROM …."""
    revoke = reader.next().value == "REVOKE"
    to = "FROM" if revoke else "TO"
    if reader.peek().is_word("DATABASE") and reader.peek(1).is_word("ROLE"):
        raise unsupported("DATABASE ROLE")
    if reader.words("ROLE"):
        role = reader.identifier()
        reader.expect_words(to)
        grantee_kind = "ROLE" if reader.words("ROLE") else "USER"
        if grantee_kind == "USER":
            reader.expect_words("USER")
        return GrantRole(reader.sql, revoke, role, grantee_kind, reader.identifier())
    if revoke and reader.words("GRANT", "OPTION", "FOR"):
        raise unsupported("REVOKE GRANT OPTION FOR")
    return _object_grant(reader, revoke, to)


def _object_grant(reader: Reader, revoke: bool, to: str) -> Grant:
    privileges = _privileges(reader)
    reader.expect_words("ON")
    scope, container = "ON", ""
    name: Name = ()
    if reader.peek().is_word("ALL", "FUTURE"):
        scope = reader.next().value
        kind, container = _container(reader)
    else:
        kind = _kind(reader)
    if kind in ("ROLE",) and privileges != ("OWNERSHIP",):
        raise reader.unexpected()
    _check(privileges, kind)
    if kind != "ACCOUNT":
        name = reader.name()
    types = _types(reader, kind) if scope == "ON" else None
    reader.expect_words(to)
    if reader.peek().is_word("DATABASE", "USER", "SHARE", "APPLICATION") and reader.peek(1).kind != "end":
        raise unsupported(f"{to} {reader.peek().value}")
    reader.words("ROLE")
    role = reader.identifier()
    current = ""
    for way in ("COPY", "REVOKE"):
        if privileges == ("OWNERSHIP",) and reader.words(way, "CURRENT", "GRANTS"):
            current = way
    with_option = not revoke and reader.words("WITH", "GRANT", "OPTION")
    if revoke:
        _ = reader.words("RESTRICT") or reader.words("CASCADE")
    return Grant(reader.sql, revoke, privileges, kind, name, role, scope, container, types, with_option, current)


def show(reader: Reader) -> ShowGrants:
    """SHOW GRANTS [TO ROLE r | TO USER u | OF ROLE r | ON kind name]."""
    if reader.words("TO"):
        kind = "ROLE" if reader.words("ROLE") else "USER"
        if kind == "USER":
            reader.expect_words("USER")
        return ShowGrants(reader.sql, "TO", kind, (reader.identifier(),))
    if reader.words("OF"):
        reader.expect_words("ROLE")
        return ShowGrants(reader.sql, "OF", "ROLE", (reader.identifier(),))
    if reader.words("ON"):
        kind = _kind(reader)
        name: Name = () if kind == "ACCOUNT" else reader.name()
        return ShowGrants(reader.sql, "ON", kind, name, _types(reader, kind))
    if reader.peek().kind != "end":
        raise unsupported("SHOW GRANTS " + reader.peek().value)
    return ShowGrants(reader.sql, "TO", "CURRENT USER", ())


def show_future(reader: Reader) -> ShowGrants:
    """SHOW FUTURE GRANTS { IN { DATABASE | SCHEMA } name | TO ROLE r }."""
    if reader.words("TO"):
        reader.expect_words("ROLE")
        return ShowGrants(reader.sql, "FUTURE TO", "ROLE", (reader.identifier(),))
    reader.expect_words("IN")
    for kind in ("DATABASE", "SCHEMA"):
        if reader.words(kind):
            return ShowGrants(reader.sql, "FUTURE IN", kind, reader.name())
    raise reader.unexpected("DATABASE or SCHEMA")
