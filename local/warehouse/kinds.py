"""The clauses of every kind of object, kind by kind from Snowflake's documentation; PAGES names the page. Pure Python.

A clause that is not here is refused. So is what a page lists and the stand-in has not: tags, policies, replication,
OAuth2 secrets, session parameters of tasks, FINALIZE and notification integrations.
"""

from __future__ import annotations

from collections.abc import Mapping

from local.warehouse import lexer
from local.warehouse.clauses import (
    Clause,
    choice,
    flag,
    identifier_or_text,
    listed,
    name,
    names_or_all,
    number,
    number_or_null,
    pair,
    text,
    workload_identity,
)

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

# Which pages of Snowflake's SQL reference each kind's clauses were written from.
PAGES: Mapping[str, str] = {
    "WAREHOUSE": "CREATE WAREHOUSE, ALTER WAREHOUSE",
    "ROLE": "CREATE ROLE, ALTER ROLE",
    "USER": "CREATE USER, ALTER USER",
    "DATABASE": "CREATE DATABASE, ALTER DATABASE",
    "SCHEMA": "CREATE SCHEMA, ALTER SCHEMA",
    "NETWORK RULE": "CREATE NETWORK RULE, ALTER NETWORK RULE",
    "SECRET": "CREATE SECRET, ALTER SECRET",
    "API INTEGRATION": "CREATE API INTEGRATION, ALTER API INTEGRATION",
    "EXTERNAL ACCESS INTEGRATION": "CREATE EXTERNAL ACCESS INTEGRATION, ALTER EXTERNAL ACCESS INTEGRATION",
    "EXTERNAL FUNCTION": "CREATE EXTERNAL FUNCTION, ALTER FUNCTION",
    "FUNCTION": "CREATE FUNCTION, ALTER FUNCTION",
    "PROCEDURE": "CREATE PROCEDURE, ALTER PROCEDURE",
    "STREAM": "CREATE STREAM, ALTER STREAM",
    "TASK": "CREATE TASK, ALTER TASK, EXECUTE TASK",
}
# Which of them CREATE OR ALTER takes. Source: the page "CREATE OR ALTER <object>".
OR_ALTER = frozenset({"WAREHOUSE", "ROLE", "DATABASE", "SCHEMA", "FUNCTION", "PROCEDURE", "TASK"})
# What ALTER … SET cannot change, beside what it has no clause for.
FIXED: Mapping[str, frozenset[str]] = {
    "API INTEGRATION": frozenset({"API_PROVIDER"}),
    "NETWORK RULE": frozenset({"TYPE", "MODE"}),
    "SECRET": frozenset({"TYPE"}),
    "STREAM": frozenset({"APPEND_ONLY", "SHOW_INITIAL_ROWS"}),
    "SCHEMA": frozenset({"WITH MANAGED ACCESS"}),
    "WAREHOUSE": frozenset({"INITIALLY_SUSPENDED"}),
}
# The only clauses of programs that ALTER changes here.
PROGRAM_SETTINGS = frozenset(
    {"COMMENT", "EXTERNAL_ACCESS_INTEGRATIONS", "SECRETS", "API_INTEGRATION", "MAX_BATCH_ROWS"}
)
