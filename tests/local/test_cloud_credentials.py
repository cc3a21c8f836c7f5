"""Who gets in: signatures and root keys."""

from __future__ import annotations

import dataclasses
import urllib.error
from collections.abc import Iterator

import pytest
from botocore.exceptions import ClientError
from cloud_server import REGION, CloudServer, cloud_server

from local.cloud.accounts import OPERATOR, SNOWFLAKE

LIST_USERS = b"Action=ListUsers&Version=2010-05-08"


@pytest.fixture(scope="module")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[CloudServer]:
    with cloud_server(tmp_path_factory.mktemp("cloud")) as server:
        yield server


@pytest.mark.parametrize("account", [OPERATOR, SNOWFLAKE])
def test_both_accounts_have_a_root_user(cloud: CloudServer, account) -> None:
    assert cloud.client("sts", account).get_caller_identity()["Arn"] == f"arn:aws:iam::{account.account_id}:root"


@pytest.mark.parametrize("service", ["iam", "s3"])
def test_a_wrong_signature_is_refused(cloud: CloudServer, service: str) -> None:
    forged = dataclasses.replace(OPERATOR, secret_access_key="a guess")
    client = cloud.client(service, forged)
    with pytest.raises(ClientError, match="SignatureDoesNotMatch"):
        client.list_users() if service == "iam" else client.list_buckets()


@pytest.mark.parametrize("key", ["test", "123456789012", "AKIA-of-nobody"])
def test_a_key_that_nobody_has_is_refused(cloud: CloudServer, key: str) -> None:
    stranger = dataclasses.replace(OPERATOR, access_key_id=key, secret_access_key="test")
    with pytest.raises(ClientError, match="InvalidClientTokenId"):
        cloud.client("iam", stranger).list_users()


@pytest.mark.parametrize("header", [None, "Basic Zm9v", "Bearer anything", "AWS4-HMAC-SHA256 Signature=x"])
def test_a_call_without_a_key_is_refused(cloud: CloudServer, header: str | None) -> None:
    with pytest.raises(urllib.error.HTTPError, match="HTTP Error 40[03]"):
        cloud.get("/", data=LIST_USERS, headers={"Authorization": header} if header else {})


def test_an_object_is_open_by_a_signed_link_only(cloud: CloudServer) -> None:
    s3 = cloud.client("s3")
    s3.create_bucket(Bucket="reports", CreateBucketConfiguration={"LocationConstraint": REGION})
    s3.put_object(Bucket="reports", Key="a.csv", Body=b"1,2")
    link = s3.generate_presigned_url("get_object", Params={"Bucket": "reports", "Key": "a.csv"})

    assert cloud.get(link.removeprefix(cloud.endpoint)) == b"1,2"
    for forged in ("/reports/a.csv", link.removeprefix(cloud.endpoint).replace("Signature=", "Signature=0")):
        with pytest.raises(urllib.error.HTTPError, match="403"):
            cloud.get(forged)


def test_a_bucket_policy_that_denies_everybody_denies_root_too(cloud: CloudServer) -> None:
    s3 = cloud.client("s3")
    s3.create_bucket(Bucket="closed", CreateBucketConfiguration={"LocationConstraint": REGION})
    deny = '{"Statement": [{"Effect": "Deny", "Principal": "*", "Action": "s3:PutObject", "Resource": "*"}]}'
    s3.put_bucket_policy(Bucket="closed", Policy=deny)
    with pytest.raises(ClientError, match="AccessDenied"):
        s3.put_object(Bucket="closed", Key="k", Body=b"")
    s3.delete_bucket_policy(Bucket="closed")
    s3.put_object(Bucket="closed", Key="k", Body=b"")
