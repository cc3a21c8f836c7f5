"""The key pair's private half, out of the text of an environment variable."""

from __future__ import annotations

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, load_pem_private_key


def read_private_key(pem: str, passphrase: str | None) -> bytes:
    """Return the RSA key as unencrypted DER, which the connector takes; line ends may be real or a backslash and an n.

    Raises ValueError that names the variable and never shows a part of the key.
    """
    text = pem.replace("\\r", "").replace("\\n", "\n").strip() + "\n"
    if "ENCRYPTED" in text and not passphrase:
        raise ValueError("SNOWFLAKE_PRIVATE_KEY is encrypted; set SNOWFLAKE_PRIVATE_KEY_PASSPHRASE too")
    try:
        key = load_pem_private_key(text.encode(), passphrase.encode() if passphrase else None)
    except TypeError:
        raise ValueError("SNOWFLAKE_PRIVATE_KEY is not encrypted; leave SNOWFLAKE_PRIVATE_KEY_PASSPHRASE out") from None
    except (ValueError, UnsupportedAlgorithm):
        raise ValueError(
            "SNOWFLAKE_PRIVATE_KEY is a value that is not shown; allowed is the whole PEM of an RSA key, from "
            "'-----BEGIN' to 'KEY-----', with its SNOWFLAKE_PRIVATE_KEY_PASSPHRASE if it is encrypted"
        ) from None
    if not isinstance(key, RSAPrivateKey):
        raise ValueError("SNOWFLAKE_PRIVATE_KEY is no RSA key, which Snowflake needs")
    return key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())
