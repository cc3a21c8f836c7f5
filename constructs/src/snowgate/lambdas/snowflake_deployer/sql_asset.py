"""What a SnowflakeScripts resource brings with it: its files, and the secrets that they name."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Mapping
from typing import NamedTuple

import boto3
from botocore.exceptions import ClientError

from . import statements
from .deadline import Deadline
from .patience import once_allowed
from .redaction import Secrets
from .request import Properties, PropertyError
from .statements import Script


class SecretValue(NamedTuple):
    """A secret's current value; its version tells whether it is another one than in the deploy before."""

    text: str
    version: str


def read_scripts(properties: Properties, deadline: Deadline) -> list[Script]:
    """The files of the asset, filled and read, in the order of their names.

    Raises:
        PropertyError: the asset holds no SQL file.
        ScriptError: a file cannot be read or a ``${name}`` in it has no value.
    """
    bucket, key = properties.text("Bucket"), properties.text("Key")
    store = boto3.client("s3")
    body = once_allowed(lambda: store.get_object(Bucket=bucket, Key=key), deadline)["Body"].read()
    values = properties.mapping("Values")
    with zipfile.ZipFile(io.BytesIO(body)) as archive:
        texts = {name: archive.read(name).decode() for name in archive.namelist() if name.endswith(".sql")}
    scripts = statements.read_all({name: statements.fill(name, text, values) for name, text in texts.items()})
    if not scripts:
        raise PropertyError(f"{properties.resource}: s3://{bucket}/{key} holds no .sql file that makes anything.")
    return scripts


def read_secrets(
    properties: Properties, scripts: list[Script], deadline: Deadline, secrets: Secrets
) -> dict[str, SecretValue]:
    """The values of the secrets that the files name.

    Raises:
        PropertyError: a file names a secret that the resource does not give, or one that cannot be read.
    """
    arns = properties.mapping("Secrets")
    store = boto3.client("secretsmanager")
    found: dict[str, SecretValue] = {}
    for script in scripts:
        for name in sorted(script.secrets - found.keys()):
            if name not in arns:
                known = ", ".join(sorted(arns)) or "none"
                raise PropertyError(f"{script.name}: ${{secret:{name}}} is not among the Secrets; given are: {known}.")
            found[name] = _read(store, name, arns[name], deadline)
            secrets.add(found[name].text)
    return found


def file_digest(script: Script, versions: Mapping[str, str]) -> str:
    """SHA-256 of a file and of the versions of the secrets in it, in hex."""
    return statements.digest(script.digest, *(f"{name} {versions[name]}" for name in sorted(script.secrets)))


def _read(store: object, name: str, arn: str, deadline: Deadline) -> SecretValue:
    try:
        answer = once_allowed(lambda: store.get_secret_value(SecretId=arn), deadline)  # type: ignore[attr-defined]
    except ClientError as error:
        raise PropertyError(f"Secret {name} ({arn}) cannot be read: {error}.") from error
    if "SecretString" not in answer:
        raise PropertyError(f"Secret {name} ({arn}) holds bytes; SQL takes text.")
    return SecretValue(answer["SecretString"], answer["VersionId"])
