"""The private keys of login secrets, in every form in which people store them."""

from __future__ import annotations

import json

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from snowgate.lambdas.snowflake_deployer.deployer_login import LoginError, read_login
from snowgate.lambdas.snowflake_deployer.pem import UnusableKey, fingerprint, new_private_key, public_key
from snowgate.lambdas.snowflake_deployer.redaction import Secrets

PLAIN = new_private_key()
LOCKED = new_private_key("open")


def small(key: rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey) -> str:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    ).decode()


def login(**fields: str) -> str:
    return json.dumps({"account": "A", "user": "U", "role": "R"} | fields)


@pytest.mark.parametrize(
    "fields",
    [
        {"private_key": PLAIN},
        {"private_key": PLAIN.replace("\n", "\\n")},
        {"private_key": PLAIN.replace("\n", "\r\n")},
        {"private_key": LOCKED, "private_key_passphrase": "open"},
        {"private_key": LOCKED.replace("\n", "\\n"), "private_key_passphrase": "open"},
        {"private_key": LOCKED, "passphrase": "open"},
    ],
    ids=["real", "literal", "windows", "locked", "locked and literal", "the passphrase's other name"],
)
def test_a_key_is_read_in_every_common_form(fields: dict[str, str]) -> None:
    way = read_login(login(**fields), "S", Secrets()).way
    key = serialization.load_der_private_key(way["private_key"], None)
    wanted = public_key(PLAIN) if "ENCRYPTED" not in fields["private_key"] else public_key(LOCKED, "open")
    assert isinstance(key, rsa.RSAPrivateKey)
    assert public_key(small(key)) == wanted


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"private_key": "nonsense"}, "no PEM key"),
        ({"private_key": LOCKED}, "put its passphrase into private_key_passphrase"),
        ({"private_key": LOCKED, "private_key_passphrase": "shut"}, "private_key_passphrase is wrong"),
        ({"private_key": PLAIN, "private_key_passphrase": "open"}, "take private_key_passphrase out"),
        ({"private_key": small(ec.generate_private_key(ec.SECP256R1()))}, "RSA key of 2048 bits"),
        ({"private_key": small(rsa.generate_private_key(65537, 1024))}, "RSA key of 2048 bits"),
        ({"private_key": PLAIN, "password": "hunter2"}, "passwords off for services"),
        ({"password": "hunter2"}, "passwords off for services"),
    ],
)
def test_a_login_that_cannot_be_used_is_told_without_its_values(fields: dict[str, str], words: str) -> None:
    with pytest.raises(LoginError, match=words) as wrong:
        read_login(login(**fields), "the-secret", Secrets())
    assert "the-secret" in str(wrong.value)
    for value in ("hunter2", "shut", "BEGIN", "MII"):
        assert value not in str(wrong.value)


def test_the_parts_of_a_login_are_hidden_from_then_on() -> None:
    secrets = Secrets()
    locked = new_private_key("open sesame")
    read_login(login(private_key=locked, private_key_passphrase="open sesame"), "S", secrets)
    line = locked.splitlines()[3]
    assert secrets.hide(f"{line} open sesame") == "*** ***"


def test_a_fingerprint_is_that_of_desc_user() -> None:
    assert fingerprint(public_key(PLAIN)).startswith("SHA256:")
    assert fingerprint(public_key(PLAIN)) != fingerprint(public_key(LOCKED, "open"))
    with pytest.raises(UnusableKey):
        public_key("nonsense")
