"""The shipped environments' names of accounts that are nobody's."""

from __future__ import annotations

from stacks.environment import Environment

EXAMPLES = ("111122223333", "MYORG-MYACCOUNT")


def warning(environment: Environment) -> str:
    """What to change before anybody runs a file made for this environment; empty if nothing."""
    given = (environment.account, environment.snowflake.account)
    left = [name for name in EXAMPLES if name in given]
    if not left:
        return ""
    accounts = f"account{'s' if len(left) > 1 else ''} {' and '.join(left)}"
    return (
        f"environments/{environment.name}.toml still names the example {accounts}: put yours in before anybody runs "
        "this file"
    )


def with_warning(environment: Environment, sql: str) -> str:
    """The SQL with the warning as its first line, if there is one."""
    text = warning(environment)
    return f"-- {text}.\n\n{sql}" if text else sql
