"""Station files in S3: the AWS stand-in with IAM enforced."""

import json
from concurrent.futures import ThreadPoolExecutor

import pytest
from weather_process import ROWS, entry, ingest

from local.cloud.accounts import OPERATOR
from tests.local.cloud_server import cloud_server
from weather_warehouse.sources import Bucket

NAME = "weather-111122223333"


@pytest.fixture(scope="module")
def cloud(tmp_path_factory):
    with cloud_server(tmp_path_factory.mktemp("cloud")) as started:
        yield started


@pytest.fixture(scope="module")
def s3(cloud):
    client = cloud.client("s3")
    client.create_bucket(Bucket=NAME, CreateBucketConfiguration={"LocationConstraint": "eu-west-1"})
    return client


@pytest.fixture
def task(cloud, monkeypatch):
    """The environment of a task with an account's keys."""
    keys = {"AWS_ACCESS_KEY_ID": OPERATOR.access_key_id, "AWS_SECRET_ACCESS_KEY": OPERATOR.secret_access_key}
    place = {"AWS_ENDPOINT_URL": cloud.endpoint, "AWS_CA_BUNDLE": str(cloud.bundle), "AWS_REGION": "eu-west-1"}
    for name, value in (keys | place | {"WEATHER_BUCKET": NAME}).items():
        monkeypatch.setenv(name, value)


def put(s3, stations, prefix):
    for path in stations.glob("*.txt"):
        s3.upload_file(str(path), NAME, f"{prefix}{path.name}")


def test_a_bucket_gives_the_same_table_as_a_folder(database, stations, s3, task):
    put(s3, stations, "wx_data/")
    for key in ("wx_data/older/USC00116738.txt", "wx_data/README.md", "other/USC00000001.txt"):
        s3.put_object(Bucket=NAME, Key=key, Body=b"not a station's file")
    code, log = ingest()
    assert (code, entry(log, "ingest.started")["source"]) == (0, f"s3://{NAME}/wx_data/")
    from_bucket = database.execute(ROWS).fetchall()
    database.execute("TRUNCATE observation")
    ingest("--source", "folder")
    assert database.execute(ROWS).fetchall() == from_bucket
    assert len(from_bucket) == 2400


def test_a_list_of_more_than_a_thousand_is_read_to_its_end(s3):
    names = [f"S{number:04}" for number in range(1005)]
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda name: s3.put_object(Bucket=NAME, Key=f"many/{name}.txt", Body=b""), names))
    assert [file.station for file in Bucket(s3, NAME, "many/").files()] == names


@pytest.mark.parametrize(
    ("allowed", "event"), [("s3:GetObject", "ingest.source_failed"), ("s3:ListBucket", "file.failed")]
)
def test_what_the_role_lacks_is_told(database, stations, cloud, s3, task, monkeypatch, allowed, event):
    put(s3, stations, "guarded/")
    role = cloud.make_role(
        f"only-{allowed[3:]}",
        {"Principal": {"Service": "ecs-tasks.amazonaws.com"}},
        {"Action": allowed, "Resource": "*"},
    )
    keys = cloud.client("sts").assume_role(RoleArn=role, RoleSessionName="fargate-test")["Credentials"]
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", keys["AccessKeyId"])
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", keys["SecretAccessKey"])
    monkeypatch.setenv("AWS_SESSION_TOKEN", keys["SessionToken"])
    code, log = ingest(WEATHER_PREFIX="guarded/")
    assert code == 1
    assert event in [line["event"] for line in log]
    assert "AccessDenied" in json.dumps(log)
    assert keys["SecretAccessKey"] not in json.dumps(log)
    assert database.execute(ROWS).fetchall() == []
