"""What the AWS stand-in says of objects that are not there."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.local.cloud_server import REGION, CloudServer, cloud_server

BUCKET = "objects"
READ = {"Action": ["s3:GetObject", "s3:GetObjectTagging"], "Resource": f"arn:aws:s3:::{BUCKET}/*"}
LIST = {"Action": "s3:ListBucket", "Resource": f"arn:aws:s3:::{BUCKET}"}


@pytest.fixture(scope="module")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[CloudServer]:
    with cloud_server(tmp_path_factory.mktemp("cloud")) as server:
        s3 = server.client("s3")
        s3.create_bucket(Bucket=BUCKET, CreateBucketConfiguration={"LocationConstraint": REGION})
        s3.put_bucket_versioning(Bucket=BUCKET, VersioningConfiguration={"Status": "Enabled"})
        s3.put_object(Bucket=BUCKET, Key="there", Body=b"1", Tagging="a=b")
        s3.put_object(Bucket=BUCKET, Key="deleted", Body=b"1", Tagging="a=b")
        s3.delete_object(Bucket=BUCKET, Key="deleted")
        yield server


def reader(cloud: CloudServer, name: str, *allows: dict[str, Any]) -> Any:
    account = cloud.client("sts").get_caller_identity()["Account"]
    role = cloud.make_role(name, {"Principal": {"AWS": f"arn:aws:iam::{account}:root"}}, *allows)
    return cloud.client("s3", cloud.client("sts").assume_role(RoleArn=role, RoleSessionName="test")["Credentials"])


def code(call: Any, key: str) -> str:
    with pytest.raises(ClientError) as refused:
        call(Bucket=BUCKET, Key=key)
    return str(refused.value.response["Error"]["Code"])


def test_who_may_list_learns_that_an_object_is_missing_and_who_may_not_does_not(cloud: CloudServer) -> None:
    for name, allows, says in (("lister", (READ, LIST), "NoSuchKey"), ("reader", (READ,), "AccessDenied")):
        s3 = reader(cloud, name, *allows)
        assert s3.get_object(Bucket=BUCKET, Key="there")["Body"].read() == b"1"
        assert s3.get_object_tagging(Bucket=BUCKET, Key="there")["TagSet"] == [{"Key": "a", "Value": "b"}]
        assert code(s3.get_object, "missing") == says
        assert code(s3.get_object, "deleted") == says
        assert code(s3.get_object_tagging, "missing") == says
        assert code(s3.head_object, "missing") == ("404" if says == "NoSuchKey" else "403")


def test_a_delete_marker_has_no_tags_to_be_asked_for(cloud: CloudServer) -> None:
    s3 = cloud.client("s3")
    assert code(s3.get_object_tagging, "deleted") == "MethodNotAllowed"
    s3.put_object(Bucket=BUCKET, Key="deleted", Body=b"2")
    assert s3.get_object_tagging(Bucket=BUCKET, Key="deleted")["TagSet"] == []
    s3.delete_object(Bucket=BUCKET, Key="deleted")
