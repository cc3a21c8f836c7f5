"""RSA key pairs as PEM text: read in every common form, made anew, and told apart by their fingerprints."""

from __future__ import annotations

import base64
import hashlib

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

KEY_BITS = 2048


class UnusableKey(ValueError):
    """A private key that cannot be used; the message never quotes it."""


def read_private_key(pem: str, passphrase: str | None, source: str) -> bytes:
    """The key in the form that the connector takes (DER, PKCS 8); PEM with real or literal ``\\n``.

    Raises:
        UnusableKey: it is no RSA key of 2048 bits or more, or its passphrase is wrong, missing or one too many.
    """
    return _load(pem, passphrase, source).private_bytes(
        serialization.Encoding.DER, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def new_private_key(passphrase: str | None = None) -> str:
    """A new RSA key as PEM text (PKCS 8); without a passphrase not encrypted, for the secret store encrypts it."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=KEY_BITS)
    lock = serialization.BestAvailableEncryption(passphrase.encode()) if passphrase else serialization.NoEncryption()
    return key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, lock).decode()


def public_key(pem: str, passphrase: str | None = None, source: str = "of the user") -> str:
    """The public half as Snowflake takes it: base64 without the BEGIN and END lines."""
    key = _load(pem, passphrase, source).public_key()
    der = key.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    return base64.b64encode(der).decode()


def fingerprint(public: str) -> str:
    """What DESC USER shows of a registered public key as RSA_PUBLIC_KEY_FP: ``SHA256:…``."""
    return f"SHA256:{base64.b64encode(hashlib.sha256(base64.b64decode(public)).digest()).decode()}"


def _load(pem: str, passphrase: str | None, source: str) -> rsa.RSAPrivateKey:
    """The library's own messages may quote the text, so they are not passed on."""
    text = pem.replace("\\n", "\n").replace("\\r", "").strip() + "\n"
    if "ENCRYPTED" in text and not passphrase:
        raise UnusableKey(
            f"The private_key of secret {source} is encrypted: put its passphrase into private_key_passphrase."
        )
    try:
        key = serialization.load_pem_private_key(text.encode(), passphrase.encode() if passphrase else None)
    except TypeError as error:
        raise UnusableKey(
            f"The private_key of secret {source} is not encrypted: take private_key_passphrase out of the secret."
        ) from error
    except (ValueError, UnsupportedAlgorithm) as error:
        raise UnusableKey(
            f"The private_key of secret {source} is no PEM key, or its private_key_passphrase is wrong."
        ) from error
    if not isinstance(key, rsa.RSAPrivateKey) or key.key_size < KEY_BITS:
        raise UnusableKey(f"The private_key of secret {source} must be an RSA key of {KEY_BITS} bits or more.")
    return key
