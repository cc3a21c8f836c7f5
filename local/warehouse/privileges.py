"""Which privilege each statement needs, by kind of object: the rules that the guards apply. Pure Python.

The owner of an object may do everything with it, so OWNERSHIP is in no list; an empty list means: the owner alone.
Several privileges in a list mean: any of them. Sources: Snowflake's pages "Access control privileges" and "Overview of
access control", and the section "Access control requirements" of the page named at each rule.
"""

from __future__ import annotations

Privileges = tuple[str, ...]

ANY: Privileges = ("ANY",)  # one privilege, whichever: enough to see an object, and to resolve what it contains

# What a role has on the account from the start (page "Overview of access control", System-defined roles).
SYSTEM_ROLES: dict[str, frozenset[str]] = {
    "ACCOUNTADMIN": frozenset(
        {
            "CREATE INTEGRATION", "CREATE API INTEGRATION", "CREATE EXTERNAL ACCESS INTEGRATION", "CREATE SHARE",
            "IMPORT SHARE", "EXECUTE TASK", "EXECUTE MANAGED TASK", "MONITOR EXECUTION", "MONITOR USAGE", "APPLY TAG",
            "MANAGE WAREHOUSES", "BIND SERVICE ENDPOINT", "CREATE COMPUTE POOL",
        }
    ),
    "SECURITYADMIN": frozenset({"MANAGE GRANTS", "CREATE NETWORK POLICY"}),
    "USERADMIN": frozenset({"CREATE USER", "CREATE ROLE"}),
    "SYSADMIN": frozenset({"CREATE DATABASE", "CREATE WAREHOUSE"}),
    "PUBLIC": frozenset(),
}  # fmt: skip

# CREATE <kind>: where the privilege must be held, and which (pages "CREATE <kind>"). Only the primary role counts
# (page "Overview of access control", Authorization through primary role and secondary roles).
CREATE: dict[str, tuple[str, Privileges]] = {
    "DATABASE": ("ACCOUNT", ("CREATE DATABASE",)),
    "WAREHOUSE": ("ACCOUNT", ("CREATE WAREHOUSE",)),
    "ROLE": ("ACCOUNT", ("CREATE ROLE",)),
    "USER": ("ACCOUNT", ("CREATE USER",)),
    "API INTEGRATION": ("ACCOUNT", ("CREATE INTEGRATION", "CREATE API INTEGRATION")),
    "EXTERNAL ACCESS INTEGRATION": ("ACCOUNT", ("CREATE INTEGRATION", "CREATE EXTERNAL ACCESS INTEGRATION")),
    "SCHEMA": ("DATABASE", ("CREATE SCHEMA",)),
    "TABLE": ("SCHEMA", ("CREATE TABLE",)),
    "VIEW": ("SCHEMA", ("CREATE VIEW",)),
    "SEQUENCE": ("SCHEMA", ("CREATE SEQUENCE",)),
    "STREAM": ("SCHEMA", ("CREATE STREAM",)),
    "TASK": ("SCHEMA", ("CREATE TASK",)),
    "FUNCTION": ("SCHEMA", ("CREATE FUNCTION",)),
    "EXTERNAL FUNCTION": ("SCHEMA", ("CREATE FUNCTION",)),
    "PROCEDURE": ("SCHEMA", ("CREATE PROCEDURE",)),
    "SECRET": ("SCHEMA", ("CREATE SECRET",)),
    "NETWORK RULE": ("SCHEMA", ("CREATE NETWORK RULE",)),
}

# What a clause of CREATE or ALTER names must be usable (pages CREATE TASK, CREATE EXTERNAL FUNCTION, CREATE FUNCTION,
# CREATE PROCEDURE, CREATE EXTERNAL ACCESS INTEGRATION, "Creating and using an external access integration").
NAMED_IN_CLAUSES: dict[str, tuple[str, Privileges]] = {
    "WAREHOUSE": ("WAREHOUSE", ("USAGE",)),
    "API_INTEGRATION": ("INTEGRATION", ("USAGE",)),
    "EXTERNAL_ACCESS_INTEGRATIONS": ("INTEGRATION", ("USAGE",)),
    "SECRETS": ("SECRET", ("READ", "USAGE")),
    "ALLOWED_NETWORK_RULES": ("NETWORK RULE", ("USAGE",)),
    "ALLOWED_AUTHENTICATION_SECRETS": ("SECRET", ("READ", "USAGE")),
}

# ALTER <kind>, by action (pages ALTER WAREHOUSE, ALTER TASK, ALTER DATABASE, ALTER SCHEMA); all else is the owner's.
ALTER: dict[tuple[str, str], Privileges] = {
    ("WAREHOUSE", "RESUME"): ("OPERATE",),
    ("WAREHOUSE", "SUSPEND"): ("OPERATE",),
    ("WAREHOUSE", "SET"): ("MODIFY",),
    ("WAREHOUSE", "UNSET"): ("MODIFY",),
    ("TASK", "RESUME"): ("OPERATE",),
    ("TASK", "SUSPEND"): ("OPERATE",),
    ("DATABASE", "SET"): ("MODIFY",),
    ("DATABASE", "UNSET"): ("MODIFY",),
    ("SCHEMA", "SET"): ("MODIFY",),
    ("SCHEMA", "UNSET"): ("MODIFY",),
}
# What everybody may change of their own user (page "User & security DDL").
OWN_USER = frozenset({"DEFAULT_ROLE", "DEFAULT_WAREHOUSE", "DEFAULT_NAMESPACE", "DEFAULT_SECONDARY_ROLES"})

USE: dict[str, Privileges] = {"DATABASE": ANY, "SCHEMA": ANY, "WAREHOUSE": ("USAGE",)}

# Reading a table, view or stream (page "Access control privileges", Table, View and Stream privileges); a stream also
# needs SELECT on its table (page CREATE STREAM).
READ: Privileges = ("SELECT",)
# Every privilege of these is needed on the changed table (page "Access control privileges", Table privileges).
CHANGE: dict[str, Privileges] = {
    "INSERT": ("INSERT",),
    "INSERT OVERWRITE": ("INSERT", "DELETE"),
    "UPDATE": ("UPDATE",),
    "DELETE": ("DELETE",),
    "TRUNCATE": ("TRUNCATE",),
}
CALL: Privileges = ("USAGE",)  # functions and procedures (pages CALL, "Calling a UDF")
NEXT_VALUE: Privileges = ("USAGE",)  # sequences (page "Access control privileges", Sequence privileges)
WAREHOUSE: Privileges = ("USAGE",)  # of the session, for every statement that reads or writes rows

# Tasks (pages EXECUTE TASK and "Introduction to tasks", Task security): who starts one, and what its owner must hold
# on the account for every run; a task without a warehouse needs EXECUTE MANAGED TASK as well.
EXECUTE_TASK: Privileges = ("OPERATE",)
TASK_OWNER: Privileges = ("EXECUTE TASK",)
SERVERLESS_TASK_OWNER: Privileges = ("EXECUTE MANAGED TASK",)
TASK_HISTORY: Privileges = ("MONITOR", "OPERATE")  # on the task (page TASK_HISTORY), or
TASK_MONITOR: Privileges = ("MONITOR EXECUTION",)  # on the account

# Grants (pages GRANT <privileges>, GRANT ROLE, GRANT OWNERSHIP): the owner's, or of whoever has this on the account;
# its holder also sees every object (pages SHOW TABLES and its like, Usage notes).
MANAGE_GRANTS = "MANAGE GRANTS"
# A privilege on the account that holds on every object of a kind (page "Access control privileges").
EVERYWHERE: dict[str, tuple[str, Privileges]] = {"WAREHOUSE": ("MANAGE WAREHOUSES", ("MODIFY", "MONITOR", "OPERATE"))}
# What IMPORTED PRIVILEGES on a database gives on everything in it (page "Sharing: data consumers").
IMPORTED = "IMPORTED PRIVILEGES"
OF_IMPORTED = frozenset({"USAGE", "SELECT", "ANY"})
