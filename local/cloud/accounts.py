"""The two AWS accounts of the local platform, with the fixed credentials of their root users."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Account:
    """One account of the stand-in and its root user's key pair; it opens nothing outside this machine."""

    account_id: str
    access_key_id: str
    secret_access_key: str


# ministack reads the account of an access key of twelve digits from the key itself, so each root key is its number.
OPERATOR = Account("000000000000", "000000000000", "snowgate-local-operator")
SNOWFLAKE = Account("999999999999", "999999999999", "snowgate-local-snowflake")

ACCOUNTS = (OPERATOR, SNOWFLAKE)
