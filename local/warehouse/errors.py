"""Errors with Snowflake's numbers, SQL states and wording. Pure Python: the project's tests import it too."""

from __future__ import annotations


class SnowflakeError(Exception):
    """What Snowflake answers to a statement it refuses: a number of six digits, a SQL state and a message."""

    def __init__(self, number: int, sqlstate: str, message: str) -> None:
        super().__init__(message)
        self.number = number
        self.sqlstate = sqlstate
        self.message = message
        self.query_id = ""

    @property
    def code(self) -> str:
        """The number as the protocol carries it, `002003`."""
        return f"{self.number:06d}"


def compilation_error(number: int, sqlstate: str, message: str) -> SnowflakeError:
    """An error found before anything ran."""
    return SnowflakeError(number, sqlstate, f"SQL compilation error:\n{message}")


def syntax_error(unexpected: str, line: int, position: int, expected: str = "") -> SnowflakeError:
    """001003: the text is no statement."""
    hint = f" Expected {expected}." if expected else ""
    return compilation_error(
        1003, "42000", f"syntax error line {line} at position {position} unexpected '{unexpected}'.{hint}"
    )


def missing(kind: str, name: str) -> SnowflakeError:
    """002003 for what lies in a schema, 002043 for what lies in the account; the wording is the same."""
    number = 2043 if kind.upper() in {"DATABASE", "SCHEMA", "WAREHOUSE"} else 2003
    return compilation_error(number, "02000", f"{kind.capitalize()} '{name}' does not exist or not authorized.")


def exists(name: str) -> SnowflakeError:
    """002002: the name is taken."""
    return compilation_error(2002, "42710", f"Object '{name}' already exists.")


def unsupported(what: str) -> SnowflakeError:
    """000002: real Snowflake may know it, this stand-in does not, and says so."""
    return SnowflakeError(2, "0A000", f"Unsupported feature '{what}'. The local stand-in does not have it.")


def invalid_property(name: str, kind: str) -> SnowflakeError:
    """001422: a property that this kind of object does not have."""
    return compilation_error(1422, "22023", f"invalid property '{name}' for '{kind}'")


def invalid_value(value: str, name: str, allowed: str = "") -> SnowflakeError:
    """001008: a property with a value it cannot have."""
    hint = f" Allowed: {allowed}." if allowed else ""
    return compilation_error(1008, "22023", f"invalid value [{value}] for parameter '{name}'{hint}")


def missing_option(name: str) -> SnowflakeError:
    """002029: a property that must be given."""
    return compilation_error(2029, "22023", f"Missing option(s): [{name}]")


def no_database(what: str) -> SnowflakeError:
    """090105: an unqualified name in a session without a database."""
    return SnowflakeError(
        90105,
        "22000",
        f"Cannot perform {what}. This session does not have a current database. "
        "Call 'USE DATABASE', or use a qualified name.",
    )


def no_schema(what: str) -> SnowflakeError:
    """090106: an unqualified name in a session without a schema."""
    return SnowflakeError(
        90106,
        "22000",
        f"Cannot perform {what}. This session does not have a current schema. "
        "Call 'USE SCHEMA', or use a qualified name.",
    )


def unknown_function(name: str) -> SnowflakeError:
    """002140: a function nobody knows."""
    return compilation_error(
        2140, "42601", f"Unknown function {name.upper()}. (The local stand-in has none of that name.)"
    )
