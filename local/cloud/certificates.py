"""The stand-in's own certificate, and the CA file that makes clients trust it beside the system's roots."""

from __future__ import annotations

import datetime
import ipaddress
import os
import ssl
from collections.abc import Sequence
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

VALID = datetime.timedelta(days=365)
RENEW_BEFORE = datetime.timedelta(days=7)


def make(folder: Path, region: str = "us-east-1") -> None:
    """Write tls.crt, tls.key and ca.pem (the system's roots and ours) into a folder, unless valid ones lie there.

    The certificate is for 127.0.0.1 and for the host names that the APIs of a region and CloudFront's have.
    """
    folder.mkdir(parents=True, exist_ok=True)
    certificate, key = folder / "tls.crt", folder / "tls.key"
    hosts = (f"*.execute-api.{region}.amazonaws.com", "*.cloudfront.net")
    if not (key.exists() and _is_valid(certificate, hosts)):
        _write_pair(certificate, key, hosts)
    (folder / "ca.pem").write_bytes(_system_roots() + certificate.read_bytes())


def _is_valid(certificate: Path, hosts: Sequence[str]) -> bool:
    if not certificate.exists():
        return False
    found = x509.load_pem_x509_certificate(certificate.read_bytes())
    names = found.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    lasts = found.not_valid_after_utc - RENEW_BEFORE > datetime.datetime.now(datetime.UTC)
    return lasts and {*hosts} <= {*names.get_values_for_type(x509.DNSName)}


def _write_pair(certificate: Path, key_file: Path, hosts: Sequence[str]) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Snowgate local AWS stand-in")])
    now = datetime.datetime.now(datetime.UTC)
    # Not a CA: strict clients refuse a CA certificate as a server's own, and nobody can sign others with it.
    usage = x509.KeyUsage(
        digital_signature=True,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=False,
        crl_sign=False,
        encipher_only=False,
        decipher_only=False,
    )
    names = map(x509.DNSName, ("localhost", *hosts))
    alternatives = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.IPv4Address("127.0.0.1")), *names])
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(minutes=5))
        .not_valid_after(now + VALID)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(usage, critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(alternatives, critical=False)
        .sign(key, hashes.SHA256())
    )
    key_file.unlink(missing_ok=True)
    handle = os.open(key_file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(handle, "wb") as file:
        file.write(
            key.private_bytes(
                serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
            )
        )
    certificate.write_bytes(made.public_bytes(serialization.Encoding.PEM))


def _system_roots() -> bytes:
    file = ssl.get_default_verify_paths().cafile
    if file is None or not Path(file).is_file():
        return b""
    return Path(file).read_bytes().rstrip() + b"\n"
