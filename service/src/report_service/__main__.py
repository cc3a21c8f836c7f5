"""`python -m report_service ROLE`: web, worker, test-connections, validate-config or health.

The environment variable ACTION chooses the role instead of the argument (test_connections, validate_config). The exit
code is 0, and 1 if something is wrong.
"""

from __future__ import annotations

import os
import sys
from typing import NoReturn

from report_service.health import check_health

ROLES = ("web", "worker", "test-connections", "validate-config", "health")


def main(arguments: list[str]) -> int:
    """Run one role and return the exit code."""
    if arguments == ["health"]:  # the container's health check, whatever ACTION says
        return 0 if check_health() else 1
    role = (os.environ.get("ACTION") or " ".join(arguments) or "worker").replace("_", "-").strip().lower()
    if role not in ROLES:
        print(f"There is no role {role!r}; there are {', '.join(ROLES)}.", file=sys.stderr)
        return 1
    from report_service.roles import run  # only now: the health check must stay light

    return run(role)


def leave(code: int) -> NoReturn:
    """End the process as it is, with what it has said.

    The Snowflake connector has threads of its own, written in Rust, that call Python: one that did while the
    interpreter was being taken apart made a segmentation fault of an exit code.
    """
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


if __name__ == "__main__":
    leave(main(sys.argv[1:]))
