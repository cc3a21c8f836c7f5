"""Key pairs: the public keys of users, and the tokens that their private keys sign.

Source: "Key-pair authentication and key-pair rotation" in the Snowflake documentation.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import time
from typing import Any

import jwt
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.serialization import load_der_public_key

from local.warehouse.catalog import Record
from local.warehouse.errors import SnowflakeError, compilation_error

ACCOUNT = "LOCAL"  # what the stand-in is called: the first part of a token's subject
KEY_SLOTS = ("RSA_PUBLIC_KEY", "RSA_PUBLIC_KEY_2")
LONGEST_LIFE = 3600  # seconds; "the token is valid for at most one hour"
CLOCKS_DIFFER = 60  # seconds that client and server may disagree
SHORTEST_KEY = 2048  # bits
BAD_TOKEN = SnowflakeError(390144, "08001", "JWT token is invalid.")


def fingerprint(key: str) -> str:
    """`SHA256:…` of a public key, as DESC USER shows it and tokens name it."""
    return "SHA256:" + base64.b64encode(hashlib.sha256(base64.b64decode(key)).digest()).decode()


def key_text(value: str, name: str) -> str:
    """The base64 of a public key without line breaks. Raises 390432 for what is no RSA key of 2048 bits or more."""
    text = "".join(line for line in value.replace("\\n", "\n").split("\n") if "-----" not in line).strip()
    try:
        key = load_der_public_key(base64.b64decode(text, validate=True))
    except (binascii.Error, ValueError, UnsupportedAlgorithm):
        key = None
    if not isinstance(key, RSAPublicKey) or key.key_size < SHORTEST_KEY:
        raise compilation_error(
            390432, "22023", f"New public key rejected by current policy. Reason: 'Invalid public key' ({name})"
        )
    return text


def check(user: Record, token: str) -> None:
    """Raise 390144 unless one of the user's keys signed the token, for this account and user and for this moment."""
    for key in filter(None, map(user.get, KEY_SLOTS)):
        claims = _claims(token, key)
        if claims is not None and _names(claims, user["key"], key) and _is_in_time(claims):
            return
    raise BAD_TOKEN


def _claims(token: str, key: str) -> dict[str, Any] | None:
    """What the token says, if this key signed it and it has not expired."""
    wanted = {"verify_aud": False, "require": ["exp", "iat", "iss", "sub"]}
    try:
        return dict(
            jwt.decode(
                token,
                load_der_public_key(base64.b64decode(key)),
                algorithms=["RS256"],
                options=wanted,
                leeway=CLOCKS_DIFFER,
            )
        )
    except jwt.InvalidTokenError:
        return None


def _names(claims: dict[str, Any], user: str, key: str) -> bool:
    subject = str(claims["sub"])
    return subject.upper() == f"{ACCOUNT}.{user}".upper() and claims["iss"] == f"{subject}.{fingerprint(key)}"


def _is_in_time(claims: dict[str, Any]) -> bool:
    issued, expires = float(claims["iat"]), float(claims["exp"])
    return issued <= time.time() + CLOCKS_DIFFER and 0 < expires - issued <= LONGEST_LIFE
