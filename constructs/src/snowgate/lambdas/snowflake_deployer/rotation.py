"""Rotation by Secrets Manager: the four steps, for the key pair of a login and for a token that Snowflake sends.

"Rotation by Lambda function" in the Secrets Manager User Guide. The secret's tags say what it is: snowgate:rotates is
``key-pair`` or ``token``, snowgate:snowflake-secret the name of the SECRET in Snowflake that holds the token too. Each
step can be run again after it was killed anywhere.
"""

from __future__ import annotations

import traceback
from typing import Any

import boto3

from .deadline import Deadline, LambdaContext
from .patience import once_allowed
from .redaction import Secrets
from .rotation_versions import Versions

KIND, SNOWFLAKE_SECRET = "snowgate:rotates", "snowgate:snowflake-secret"


class RotationFailed(RuntimeError):
    """A step did not succeed; Secrets Manager tries it again, and the current value stays as it is."""


def handler(event: dict[str, str], context: LambdaContext) -> None:
    """Run one step: createSecret, setSecret, testSecret or finishSecret.

    Raises:
        RotationFailed: the step did not succeed; the message and the log hold no secret.
    """
    secrets = Secrets()
    step, arn = event["Step"], event["SecretId"]
    try:
        _run(event, secrets, Deadline(context))
    except Exception as error:  # noqa: BLE001 - whatever it is, what goes out of here must not show a secret
        print(secrets.hide("".join(traceback.format_exception(error))))
        raise RotationFailed(secrets.hide(f"{step} of secret {arn}: {type(error).__name__}: {error}")) from None


def _run(event: dict[str, str], secrets: Secrets, deadline: Deadline) -> None:
    store = boto3.client("secretsmanager")
    # Secrets Manager tries the function as soon as the deploy has made the schedule.
    versions = once_allowed(lambda: Versions(store, event["SecretId"], event["ClientRequestToken"], secrets), deadline)
    rotated = _rotated(versions, secrets, deadline)
    steps = {
        "createSecret": rotated.create,
        "setSecret": rotated.set,
        "testSecret": rotated.test,
        "finishSecret": rotated.finish,
    }
    step = event["Step"]
    if step not in steps:
        raise ValueError(f"There is no step {step!r}; there are {', '.join(steps)}.")
    if versions.is_current and step != "finishSecret":
        print(f"{step}: version {versions.token} is current already")
        return
    steps[step]()


def _rotated(versions: Versions, secrets: Secrets, deadline: Deadline) -> Any:
    from .rotation_key_pair import KeyPair
    from .rotation_token import Token

    kind = versions.tags.get(KIND)
    if kind == "key-pair":
        return KeyPair(versions, secrets, deadline)
    if kind == "token":
        return Token(versions, secrets, deadline, versions.tags.get(SNOWFLAKE_SECRET))
    raise ValueError(f"The secret's tag {KIND} is {kind!r}; this function rotates key-pair and token.")
