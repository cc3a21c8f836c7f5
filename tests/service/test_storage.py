"""Uploads to the stand-in's S3 while they are written: whole, in parts, given up, refused and killed."""

import hashlib
import os
import subprocess
import sys
import time

import pytest
from botocore.config import Config
from faulty_proxy import FaultyProxy
from fleet import cloud_environment

from report_service import storage
from report_service.errors import ErrorCode, ReportError
from report_service.storage import Storage

BUCKET = "storage-tests"
MIB = 1024**2


@pytest.fixture(scope="module")
def s3(cloud):
    client = cloud.client("s3")
    client.create_bucket(Bucket=BUCKET, CreateBucketConfiguration={"LocationConstraint": "eu-west-1"})
    return client


@pytest.fixture
def stored(s3):
    return Storage(s3, BUCKET)


def writing(stored, key="reports/a.csv", limit=10**9):
    return stored.writing(key, media_type="text/csv", limit=limit)


def left_over(s3):
    """Objects and unfinished uploads of the bucket."""
    objects = [each["Key"] for each in s3.list_objects_v2(Bucket=BUCKET).get("Contents", [])]
    unfinished = [each["Key"] for each in s3.list_multipart_uploads(Bucket=BUCKET).get("Uploads", [])]
    return objects, unfinished


@pytest.fixture(autouse=True)
def emptied(s3):
    yield
    for each in s3.list_objects_v2(Bucket=BUCKET).get("Contents", []):
        s3.delete_object(Bucket=BUCKET, Key=each["Key"])
    for each in s3.list_multipart_uploads(Bucket=BUCKET).get("Uploads", []):
        s3.abort_multipart_upload(Bucket=BUCKET, Key=each["Key"], UploadId=each["UploadId"])


@pytest.mark.parametrize("size", [0, 1, 8 * MIB - 1, 8 * MIB, 8 * MIB + 1, 25 * MIB])
def test_what_is_written_lies_in_the_bucket_with_its_size_and_digest(s3, stored, size):
    content = os.urandom(size)
    with writing(stored) as upload:
        for start in range(0, size, 3 * MIB + 7):
            upload.write(content[start : start + 3 * MIB + 7])
        assert left_over(s3)[0] == []  # nothing is there before the end
        found = upload.finish()
    answer = s3.get_object(Bucket=BUCKET, Key="reports/a.csv")
    assert answer["Body"].read() == content
    assert answer["ContentType"] == "text/csv"
    assert (found.location, found.bytes) == (f"s3://{BUCKET}/reports/a.csv", size)
    assert found.sha256 == hashlib.sha256(content).hexdigest()
    assert left_over(s3) == (["reports/a.csv"], [])


def attempt(stored, mebibytes, *, limit=10**9, end=lambda upload: upload.finish()):
    """Write so much and end."""
    with writing(stored, limit=limit) as upload:
        for _ in range(mebibytes):
            upload.write(bytes(MIB))
        end(upload)


@pytest.mark.parametrize("mebibytes", [1, 20])
def test_a_file_that_is_not_finished_leaves_nothing(s3, stored, mebibytes):
    with pytest.raises(ZeroDivisionError):
        attempt(stored, mebibytes, end=lambda upload: 1 / 0)
    attempt(stored, mebibytes, end=lambda upload: None)
    assert left_over(s3) == ([], [])


def test_a_file_beyond_its_limit_is_refused_while_it_is_written(s3, stored):
    with pytest.raises(ReportError, match="more than 10,000,000 bytes") as refused:
        attempt(stored, 20, limit=10**7)
    assert refused.value.code == ErrorCode.FILE_TOO_LARGE
    assert not refused.value.retry
    assert left_over(s3) == ([], [])


def test_what_is_written_after_an_error_goes_nowhere(s3, stored):
    """XlsxWriter's zip file, say, writes its end from a destructor."""
    with pytest.raises(ReportError), writing(stored, limit=10) as upload:
        upload.write(bytes(11))
    assert upload.write(bytes(30 * MIB)) == 30 * MIB
    upload.flush()
    assert left_over(s3) == ([], [])


@pytest.mark.parametrize("fault", [("status", 500), ("nonsense", "<html>"), "cut", "cut after"])
@pytest.mark.parametrize("step", ["create", "part", "complete", "whole"])
def test_an_s3_that_fails_at_a_step_makes_the_upload_fail(cloud, s3, step, fault):
    """What was sent is given up."""
    proxy = FaultyProxy(cloud.endpoint, str(cloud.bundle))
    query = {"create": "?uploads", "part": "partNumber=", "complete": "?uploadId=", "whole": "reports/a.csv"}[step]
    method = "POST" if step in ("create", "complete") else "PUT"
    proxy.fault = lambda request: fault if request[0] == method and query in request[1] else None
    options = {"retries": {"total_max_attempts": 1}, "s3": {"addressing_style": "path"}}
    client = cloud.client("s3", endpoint_url=proxy.url, config=Config(**options))
    try:
        with pytest.raises(ReportError, match="could not be stored") as failed:
            attempt(Storage(client, BUCKET), 1 if step == "whole" else 20)
    finally:
        proxy.close()
    assert failed.value.code == ErrorCode.UPLOAD_FAILED
    assert failed.value.retry
    objects, unfinished = left_over(s3)
    if fault == "cut after":  # done, and nobody heard of it: an object that no row names, or parts for the lifecycle
        assert len(objects + unfinished) <= 1
    else:
        assert (objects, unfinished) == ([], [])


@pytest.mark.parametrize("mebibytes", [9, 40])  # told by the last part, and by one before it
def test_an_s3_that_gives_a_part_no_tag_makes_the_upload_fail(s3, mebibytes):
    class Tagless:
        def __getattr__(self, name):
            return getattr(s3, name)

        def upload_part(self, **call):
            s3.upload_part(**call)
            return {}

    with pytest.raises(ReportError, match="could not be stored .* without 'ETag'") as failed:
        attempt(Storage(Tagless(), BUCKET), mebibytes)
    assert (failed.value.code, failed.value.retry) == (ErrorCode.UPLOAD_FAILED, True)
    assert left_over(s3) == ([], [])


KILLED = """
import sys, time
from report_service.aws import client
from report_service.storage import Storage
with Storage(client("s3"), sys.argv[1]).writing("reports/killed.csv", media_type="text/csv", limit=10**9) as upload:
    while True:
        upload.write(bytes(2**20))
        print(upload.tell(), flush=True)
        time.sleep(0.01)
"""


def test_a_worker_that_is_killed_in_the_middle_of_an_upload_leaves_no_file(cloud, s3):
    """What is left of it are parts; the bucket's lifecycle removes them within a day (tests/library)."""
    process = subprocess.Popen(
        [sys.executable, "-c", KILLED, BUCKET], env=cloud_environment(cloud), stdout=subprocess.PIPE
    )
    until = time.monotonic() + 30
    while not left_over(s3)[1] and time.monotonic() < until:
        process.stdout.readline()
    process.kill()
    process.wait()
    assert left_over(s3) == ([], ["reports/killed.csv"])


def test_it_holds_three_parts_at_most(stored, monkeypatch):
    """An S3 that is slower than the writer makes the writer wait."""
    held = []

    class Slow:
        def __getattr__(self, name):
            return lambda **_: {"UploadId": "1", "ETag": "x"}

        def upload_part(self, **call):
            held.append(len(call["Body"]))
            time.sleep(0.2)
            return {"ETag": "x"}

    monkeypatch.setattr(storage, "_PART", MIB)
    written = []
    with writing(Storage(Slow(), BUCKET)) as upload:
        for number in range(12):
            upload.write(bytes(MIB))
            written.append(number + 1 - len(held))
        upload.finish()
    assert len(held) == 12
    assert max(written) <= 2
