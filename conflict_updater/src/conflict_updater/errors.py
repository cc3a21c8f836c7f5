"""What can go wrong with a database, in words that hold no row of it."""

from __future__ import annotations

import psycopg
from snowflake.connector.errors import Error as SnowflakeError


class ConnectionFailedError(Exception):
    """A database that cannot be reached or does not let us in."""


def told(error: BaseException) -> str:
    """Return what the database says. PostgreSQL's details and contexts are left out: they repeat rows, SSNs too."""
    if isinstance(error, SnowflakeError):
        return f"{error.raw_msg or error}" + (f" (query {error.sfqid})" if error.sfqid else "")
    if isinstance(error, psycopg.Error) and error.diag.message_primary:
        return f"{error.diag.message_primary} (SQLSTATE {error.sqlstate})"
    return str(error).strip() or type(error).__name__
