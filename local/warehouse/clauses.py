"""Which clauses each kind of object has, and which values each clause takes. Pure Python.

Source: the pages CREATE … and ALTER … of Snowflake's SQL reference. A clause that is not here is refused.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from local.warehouse import lexer
from local.warehouse.errors import invalid_property, invalid_value, missing_option
from local.warehouse.lexer import Reader

Read = Callable[[Reader], Any]


@dataclass(frozen=True)
class Clause:
    """How a clause's value is read, and whether CREATE needs it.

    `equals` is False for `LANGUAGE PYTHON` and its like.
    """

    read: Read
    required: bool = False
    equals: bool = True


def text(reader: Reader) -> str:
    """A string."""
    return reader.string()


def number(reader: Reader) -> int:
    """A whole number."""
    return reader.number()


def flag(reader: Reader) -> bool:
    """TRUE or FALSE."""
    if reader.words("TRUE"):
        return True
    if reader.words("FALSE"):
        return False
    raise reader.unexpected("TRUE or FALSE")


def name(reader: Reader) -> tuple[str, ...]:
    """An object's name."""
    return reader.name()


def identifier_or_text(reader: Reader) -> str:
    """A name of one part, bare or as a string; kept as Snowflake would resolve it, in upper case unless quoted."""
    return reader.string().upper() if reader.peek().kind == lexer.STRING else reader.identifier()


def number_or_null(reader: Reader) -> int | None:
    """A whole number or NULL."""
    return None if reader.words("NULL") else reader.number()


def choice(*allowed: str) -> Read:
    """One of these words, bare or as a string, in any case; the value is the spelling given here."""

    def read(reader: Reader) -> str:
        given = reader.string() if reader.peek().kind == lexer.STRING else reader.identifier()
        for word in allowed:
            if word.upper() == given.upper():
                return word
        raise invalid_value(given, "value", ", ".join(allowed))

    return read


def listed(item: Read) -> Read:
    """A list in parentheses, perhaps empty."""

    def read(reader: Reader) -> list[Any]:
        reader.expect_sign("(")
        values: list[Any] = []
        while not reader.sign(")"):
            if values:
                reader.expect_sign(",")
            values.append(item(reader))
        return values

    return read


def pair(value: Read) -> Read:
    """`'key' = value`."""

    def read(reader: Reader) -> tuple[str, Any]:
        key = reader.string()
        reader.expect_sign("=")
        return key, value(reader)

    return read


def workload_identity(reader: Reader) -> dict[str, str]:
    """`( TYPE = AWS ARN = '…' )`."""
    reader.expect_sign("(")
    got = read_clauses(reader, {"TYPE": Clause(choice("AWS"), required=True), "ARN": Clause(text, required=True)}, "x")
    reader.expect_sign(")")
    return got


def names_or_all(reader: Reader) -> list[tuple[str, ...]] | str:
    """A list of names, or ALL, or NONE."""
    if reader.words("ALL"):
        return "ALL"
    if reader.words("NONE"):
        return []
    return list(listed(name)(reader))


COMMENT = Clause(text)
SIZES = (
    "XSMALL", "X-SMALL", "SMALL", "MEDIUM", "LARGE", "XLARGE", "X-LARGE", "XXLARGE", "X2LARGE", "2X-LARGE",
    "XXXLARGE", "X3LARGE", "3X-LARGE", "X4LARGE", "4X-LARGE",
)  # fmt: skip

WAREHOUSE = {
    "WAREHOUSE_TYPE": Clause(choice("STANDARD", "SNOWPARK-OPTIMIZED")),
    "WAREHOUSE_SIZE": Clause(choice(*SIZES)),
    "MAX_CLUSTER_COUNT": Clause(number),
    "MIN_CLUSTER_COUNT": Clause(number),
    "SCALING_POLICY": Clause(choice("STANDARD", "ECONOMY")),
    "AUTO_SUSPEND": Clause(number_or_null),
    "AUTO_RESUME": Clause(flag),
    "INITIALLY_SUSPENDED": Clause(flag),
    "ENABLE_QUERY_ACCELERATION": Clause(flag),
    "MAX_CONCURRENCY_LEVEL": Clause(number),
    "STATEMENT_QUEUED_TIMEOUT_IN_SECONDS": Clause(number),
    "STATEMENT_TIMEOUT_IN_SECONDS": Clause(number),
    "COMMENT": COMMENT,
}
USER = {
    "PASSWORD": Clause(text),
    "LOGIN_NAME": Clause(identifier_or_text),
    "DISPLAY_NAME": Clause(identifier_or_text),
    "FIRST_NAME": Clause(text),
    "LAST_NAME": Clause(text),
    "EMAIL": Clause(text),
    "MUST_CHANGE_PASSWORD": Clause(flag),
    "DISABLED": Clause(flag),
    "DEFAULT_WAREHOUSE": Clause(identifier_or_text),
    "DEFAULT_NAMESPACE": Clause(lambda r: r.string().upper() if r.peek().kind == lexer.STRING else ".".join(r.name())),
    "DEFAULT_ROLE": Clause(identifier_or_text),
    "DEFAULT_SECONDARY_ROLES": Clause(listed(choice("ALL"))),
    "RSA_PUBLIC_KEY": Clause(text),
    "RSA_PUBLIC_KEY_2": Clause(text),
    "TYPE": Clause(choice("PERSON", "SERVICE", "LEGACY_SERVICE")),
    "WORKLOAD_IDENTITY": Clause(workload_identity),
    "COMMENT": COMMENT,
}
NETWORK_RULE = {
    "TYPE": Clause(choice("IPV4", "AWSVPCEID", "HOST_PORT", "PRIVATE_HOST_PORT"), required=True),
    "VALUE_LIST": Clause(listed(text), required=True),
    "MODE": Clause(choice("INGRESS", "INTERNAL_STAGE", "EGRESS")),
    "COMMENT": COMMENT,
}
SECRET = {
    "TYPE": Clause(choice("GENERIC_STRING", "PASSWORD"), required=True),
    "SECRET_STRING": Clause(text),
    "USERNAME": Clause(text),
    "PASSWORD": Clause(text),
    "COMMENT": COMMENT,
}
API_INTEGRATION = {
    "API_PROVIDER": Clause(choice("aws_api_gateway", "aws_private_api_gateway"), required=True),
    "API_AWS_ROLE_ARN": Clause(text, required=True),
    "API_KEY": Clause(text),
    "API_ALLOWED_PREFIXES": Clause(listed(text), required=True),
    "API_BLOCKED_PREFIXES": Clause(listed(text)),
    "ENABLED": Clause(flag, required=True),
    "COMMENT": COMMENT,
}
EXTERNAL_ACCESS_INTEGRATION = {
    "ALLOWED_NETWORK_RULES": Clause(listed(name), required=True),
    "ALLOWED_AUTHENTICATION_SECRETS": Clause(names_or_all),
    "ENABLED": Clause(flag, required=True),
    "COMMENT": COMMENT,
}
_NULLS = {
    "CALLED ON NULL INPUT": Clause(lambda _: True, equals=False),
    "RETURNS NULL ON NULL INPUT": Clause(lambda _: True, equals=False),
    "STRICT": Clause(lambda _: True, equals=False),
    "VOLATILE": Clause(lambda _: True, equals=False),
    "IMMUTABLE": Clause(lambda _: True, equals=False),
    "COMMENT": COMMENT,
}
CONTEXT = (
    "CURRENT_ACCOUNT", "CURRENT_CLIENT", "CURRENT_DATABASE", "CURRENT_DATE", "CURRENT_IP_ADDRESS", "CURRENT_REGION",
    "CURRENT_ROLE", "CURRENT_SCHEMA", "CURRENT_SCHEMAS", "CURRENT_SESSION", "CURRENT_STATEMENT", "CURRENT_TIME",
    "CURRENT_TIMESTAMP", "CURRENT_TRANSACTION", "CURRENT_USER", "CURRENT_VERSION", "CURRENT_WAREHOUSE",
    "LAST_QUERY_ID", "LAST_TRANSACTION", "LOCALTIME", "LOCALTIMESTAMP",
)  # fmt: skip
EXTERNAL_FUNCTION = _NULLS | {
    "API_INTEGRATION": Clause(name, required=True),
    "HEADERS": Clause(listed(pair(text))),
    "CONTEXT_HEADERS": Clause(listed(choice(*CONTEXT))),
    "MAX_BATCH_ROWS": Clause(number),
    "COMPRESSION": Clause(choice("NONE", "AUTO", "GZIP", "DEFLATE")),
}
_PYTHON = {
    "LANGUAGE": Clause(choice("PYTHON", "SQL", "JAVASCRIPT", "JAVA", "SCALA"), equals=False),
    "RUNTIME_VERSION": Clause(lambda r: r.string() if r.peek().kind == lexer.STRING else r.next().value),
    "PACKAGES": Clause(listed(text)),
    "HANDLER": Clause(text),
    "EXTERNAL_ACCESS_INTEGRATIONS": Clause(listed(name)),
    "SECRETS": Clause(listed(pair(name))),
}
FUNCTION = _NULLS | _PYTHON
PROCEDURE = _NULLS | _PYTHON | {"EXECUTE AS": Clause(choice("CALLER", "OWNER"), equals=False)}
STREAM = {"APPEND_ONLY": Clause(flag), "SHOW_INITIAL_ROWS": Clause(flag), "COMMENT": COMMENT}
TASK = {
    "WAREHOUSE": Clause(identifier_or_text),
    "USER_TASK_MANAGED_INITIAL_WAREHOUSE_SIZE": Clause(choice(*SIZES)),
    "SERVERLESS_TASK_MIN_STATEMENT_SIZE": Clause(choice(*SIZES)),
    "SERVERLESS_TASK_MAX_STATEMENT_SIZE": Clause(choice(*SIZES)),
    "SCHEDULE": Clause(text),
    "CONFIG": Clause(text),
    "ALLOW_OVERLAPPING_EXECUTION": Clause(flag),
    "USER_TASK_TIMEOUT_MS": Clause(number),
    "SUSPEND_TASK_AFTER_NUM_FAILURES": Clause(number),
    "TASK_AUTO_RETRY_ATTEMPTS": Clause(number),
    "USER_TASK_MINIMUM_TRIGGER_INTERVAL_IN_SECONDS": Clause(number),
    "TARGET_COMPLETION_INTERVAL": Clause(text),
    "COMMENT": COMMENT,
}
RETENTION = {"DATA_RETENTION_TIME_IN_DAYS": Clause(number), "MAX_DATA_EXTENSION_TIME_IN_DAYS": Clause(number)}
KINDS: Mapping[str, Mapping[str, Clause]] = {
    "WAREHOUSE": WAREHOUSE,
    "ROLE": {"COMMENT": COMMENT},
    "USER": USER,
    "DATABASE": RETENTION | {"COMMENT": COMMENT},
    "SCHEMA": RETENTION | {"WITH MANAGED ACCESS": Clause(lambda _: True, equals=False), "COMMENT": COMMENT},
    "NETWORK RULE": NETWORK_RULE,
    "SECRET": SECRET,
    "API INTEGRATION": API_INTEGRATION,
    "EXTERNAL ACCESS INTEGRATION": EXTERNAL_ACCESS_INTEGRATION,
    "EXTERNAL FUNCTION": EXTERNAL_FUNCTION,
    "FUNCTION": FUNCTION,
    "PROCEDURE": PROCEDURE,
    "STREAM": STREAM,
    "TASK": TASK,
}


def read_clause(reader: Reader, clauses: Mapping[str, Clause], kind: str) -> tuple[str, Any] | None:
    """The next clause and its value, or None if none of these comes next.

    Raises for a word with `=` it does not know.
    """
    for key, clause in clauses.items():
        if not reader.words(*key.split()):
            continue
        if clause.equals:
            reader.expect_sign("=")
        return key, clause.read(reader)
    if reader.peek().kind == lexer.WORD and reader.peek(1).is_sign("="):
        raise invalid_property(reader.peek().value, kind)
    return None


def read_clauses(
    reader: Reader, clauses: Mapping[str, Clause], kind: str, *, commas: bool = False, complete: bool = True
) -> dict[str, Any]:
    """Clauses in any order, each once, between commas where `commas` allows them.

    `complete`: required ones must be there.
    """
    found: dict[str, Any] = {}
    while (got := read_clause(reader, clauses, kind)) is not None:
        if got[0] in found:
            raise invalid_property(f"{got[0]} (given twice)", kind)
        found[got[0]] = got[1]
        if commas and reader.peek().is_sign(","):
            reader.next()
    if complete:
        for key, clause in clauses.items():
            if clause.required and key not in found:
                raise missing_option(key)
    return found
