"""Snowflake's own IAM user, in an AWS account of its own: it assumes the roles that API integrations name."""

from __future__ import annotations

import os
import threading
import time
from typing import Any

import boto3
from botocore.credentials import Credentials
from botocore.exceptions import BotoCoreError, ClientError

from local.cloud.accounts import SNOWFLAKE
from local.warehouse.catalog import Record
from local.warehouse.errors import SnowflakeError

USER = "local-s-stand-in"
_ASSUME = '{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"sts:AssumeRole","Resource":"*"}]}'
_lock = threading.Lock()
_keys: dict[str, str] = {}
_roles: dict[tuple[str, str], tuple[Credentials, float]] = {}


def arn() -> str:
    """The user's ARN, as DESC INTEGRATION shows it."""
    return f"arn:aws:iam::{SNOWFLAKE.account_id}:user/{USER}"


def _client(service: str, **keys: str) -> Any:
    return boto3.client(  # type: ignore[call-overload]  # the service is a variable
        service,
        region_name="us-east-1",
        endpoint_url=os.environ.get("AWS_ENDPOINT_URL") or None,
        verify=os.environ.get("AWS_CA_BUNDLE") or None,
        **keys,
    )


def ensure() -> None:
    """Make the user in the local cloud with a key of its own; nothing to do without AWS_ENDPOINT_URL.

    Raises SnowflakeError if the cloud refuses or does not answer.
    """
    if not os.environ.get("AWS_ENDPOINT_URL"):
        return
    try:
        _make()
    except (ClientError, BotoCoreError) as error:
        raise SnowflakeError(
            370001, "XX000", f"The stand-in's IAM user could not be made at {os.environ['AWS_ENDPOINT_URL']}: {error}"
        ) from error


def _make() -> None:
    with _lock:
        if _keys:
            return
        iam = _client(
            "iam", aws_access_key_id=SNOWFLAKE.access_key_id, aws_secret_access_key=SNOWFLAKE.secret_access_key
        )
        try:
            iam.create_user(UserName=USER)
        except iam.exceptions.EntityAlreadyExistsException:
            for key in iam.list_access_keys(UserName=USER)["AccessKeyMetadata"]:
                iam.delete_access_key(UserName=USER, AccessKeyId=key["AccessKeyId"])
        iam.put_user_policy(UserName=USER, PolicyName="assume", PolicyDocument=_ASSUME)
        made = iam.create_access_key(UserName=USER)["AccessKey"]
        _keys.update(aws_access_key_id=made["AccessKeyId"], aws_secret_access_key=made["SecretAccessKey"])


def assume_role(integration: Record) -> Credentials:
    """Credentials of the integration's role, kept until shortly before they expire."""
    key = (integration["API_AWS_ROLE_ARN"], integration["API_AWS_EXTERNAL_ID"])
    credentials, until = _roles.get(key, (None, 0.0))
    if credentials is None or time.time() >= until:
        ensure()
        answer = _client("sts", **_keys).assume_role(
            RoleArn=integration["API_AWS_ROLE_ARN"],
            RoleSessionName="snowflake",
            ExternalId=integration["API_AWS_EXTERNAL_ID"],
        )["Credentials"]
        credentials = Credentials(answer["AccessKeyId"], answer["SecretAccessKey"], answer["SessionToken"])
        _roles[key] = (credentials, answer["Expiration"].timestamp() - 60)
    return credentials


def forget(integration: Record) -> None:
    """Drop the kept credentials: the role was refused, so its trust or its policies have changed."""
    _roles.pop((integration["API_AWS_ROLE_ARN"], integration["API_AWS_EXTERNAL_ID"]), None)
