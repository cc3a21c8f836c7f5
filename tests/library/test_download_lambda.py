"""The function behind download links: what it lets through, what it refuses, and what it does without S3."""

import base64
import hashlib
import hmac
import json
import urllib.parse

import boto3
import pytest
from botocore.exceptions import EndpointConnectionError, ReadTimeoutError
from botocore.stub import Stubber

from snowgate.lambdas.download import handler as download

BUCKET, SECRET = "reports-111122223333", "arn:aws:secretsmanager:eu-west-1:111122223333:secret:key"
KEY = "reports/pricing_summary/2026/11/28/17/1/pricing_summary.csv"
NOW = 1_800_000_000
CREDENTIALS = {"region_name": "eu-west-1", "aws_access_key_id": "x", "aws_secret_access_key": "x"}


class Cloud:
    """Stubs that fail a test on any call that is not expected."""

    def __init__(self, clients):
        self.s3, self.secrets = Stubber(clients["s3"]), Stubber(clients["secretsmanager"])

    def has_keys(self, current, previous=None):
        asked = {"SecretId": SECRET, "VersionStage": "AWSCURRENT"}
        self.secrets.add_response("get_secret_value", {"SecretString": current}, asked)
        asked = asked | {"VersionStage": "AWSPREVIOUS"}
        if previous:
            self.secrets.add_response("get_secret_value", {"SecretString": previous}, asked)
        else:
            self.secrets.add_client_error("get_secret_value", "ResourceNotFoundException", expected_params=asked)

    def has_file(self, *tags):
        found = {"TagSet": [{"Key": name, "Value": value} for name, value in tags]}
        self.s3.add_response("get_object_tagging", found, {"Bucket": BUCKET, "Key": KEY})


@pytest.fixture
def clock(monkeypatch):
    """The time as the function sees it."""

    class Clock:
        time = float(NOW)

    monkeypatch.setattr(download.time, "time", lambda: Clock.time)
    return Clock


@pytest.fixture
def cloud(monkeypatch, clock):
    monkeypatch.setenv("BUCKET", BUCKET)
    monkeypatch.setenv("KEY_SECRET_ARN", SECRET)
    config = {"s3": download._S3_CONFIG, "secretsmanager": download._CONFIG}
    clients = {name: boto3.client(name, config=config[name], **CREDENTIALS) for name in config}
    monkeypatch.setattr(download, "_clients", clients)
    monkeypatch.setattr(download, "_keys", download.Keys())
    found = Cloud(clients)
    with found.s3, found.secrets:
        yield found
        found.s3.assert_no_pending_responses()
        found.secrets.assert_no_pending_responses()


def token(key="current", config_id="17", expires=NOW + 60, path=KEY):
    """Made by the definition alone, not by the code under test."""
    digest = hmac.new(key.encode(), f"{config_id}/{expires}/{path}".encode(), hashlib.sha256).digest()
    return f"{expires}/{path}/{base64.urlsafe_b64encode(digest).decode()[:43]}"


def click(given=None, config_id="17", method="GET"):
    query = {} if given is None else {"queryStringParameters": {"token": given}}
    event = {"pathParameters": {"id": config_id}, "requestContext": {"http": {"method": method}}} | query
    return download.handler(event, None)


def test_a_good_link_leads_to_the_object_for_five_minutes_under_a_name_of_its_own(cloud):
    cloud.has_keys("current")
    cloud.has_file()
    answer = click(token())
    assert (answer["statusCode"], answer["body"]) == (302, "")
    assert answer["headers"]["cache-control"] == "no-store"
    url = urllib.parse.urlsplit(answer["headers"]["location"])
    assert (url.netloc, url.path) == (f"{BUCKET}.s3.eu-west-1.amazonaws.com", f"/{KEY}")
    query = dict(urllib.parse.parse_qsl(url.query))
    assert (query["X-Amz-Algorithm"], query["X-Amz-Expires"]) == ("AWS4-HMAC-SHA256", "300")
    assert query["response-content-disposition"] == 'attachment; filename="pricing_summary-17.csv"'


def test_a_head_leads_to_a_url_that_is_signed_for_head(cloud):
    cloud.has_keys("current")
    cloud.has_file()
    cloud.has_file()
    get, head = (click(token(), method=method)["headers"]["location"] for method in ("GET", "HEAD"))
    assert urllib.parse.urlsplit(head).path == urllib.parse.urlsplit(get).path
    assert "response-content-disposition" not in head  # botocore of older runtimes does not know it for HEAD


def test_following_a_link_does_not_use_it_up_and_reads_the_keys_once(cloud):
    cloud.has_keys("current")
    for _ in range(5):
        cloud.has_file()
        assert click(token())["statusCode"] == 302


NO_LINK = {
    "no token": (None, "17"),
    "an empty token": ("", "17"),
    "a signature cut short": (token()[:-1], "17"),
    "no signature": (f"{NOW + 60}/{KEY}", "17"),
    "an end that is no number": (token(expires="never"), "17"),
    "an end in other digits": (token(expires="١٨٠٠٠٠٠٠٦٠"), "17"),
    "a report that is no number": (token(config_id="x"), "x"),
    # The text that is signed is the same, taken apart elsewhere.
    "parts that have moved": (token().partition("/")[2], f"17/{NOW + 60}"),
}
NOT_SIGNED = {
    "another report": (token(), "18"),
    "a later end": (token().replace(str(NOW + 60), str(NOW + 6000)), "17"),
    "another file": (token().replace("/1/", "/2/"), "17"),
    "another key": (token("stolen"), "17"),
    "half a surrogate pair": (token().replace("pricing", "\ud800"), "17"),
    "two tokens": (f"{token()},{token()}", "17"),
    "a changed signature": (token()[:-2] + ("AA" if token()[-2:] != "AA" else "BA"), "17"),
    "the same signature written otherwise": (token()[:-1] + chr(ord(token()[-1]) + 1), "17"),
}


def is_told_nothing(answer):
    return (
        answer["statusCode"] == 403
        and "Copy the whole link" in answer["body"]
        and not any(known in json.dumps(answer) for known in ("17", "18", "pricing", BUCKET))
    )


@pytest.mark.parametrize(("given", "config_id"), NO_LINK.values(), ids=NO_LINK)
def test_what_has_not_the_form_of_a_link_is_refused_before_anything_is_read(cloud, given, config_id):
    assert is_told_nothing(click(given, config_id))


@pytest.mark.parametrize(("given", "config_id"), NOT_SIGNED.values(), ids=NOT_SIGNED)
def test_what_the_key_has_not_signed_is_refused_before_s3_is_asked(cloud, given, config_id):
    cloud.has_keys("current")
    assert is_told_nothing(click(given, config_id))


def test_a_link_ends_at_its_second_and_says_when_that_was(cloud, clock):
    cloud.has_keys("current")
    cloud.has_file()
    clock.time = NOW + 59.9
    assert click(token())["statusCode"] == 302
    clock.time = NOW + 60.0
    answer = click(token())
    assert answer["statusCode"] == 410
    assert "valid until 2027-01-15 08:01 UTC" in answer["body"]
    assert "Ask whoever requested report 17" in answer["body"]


def test_a_revoked_link_is_refused_at_the_next_click(cloud):
    cloud.has_keys("current")
    cloud.has_file(("team", "finance"), ("download", "allowed"))
    cloud.has_file(("team", "finance"), ("download", "revoked"))
    assert click(token())["statusCode"] == 302
    answer = click(token())
    assert (answer["statusCode"], "has been revoked" in answer["body"]) == (410, True)


# The second where there is a delete marker, the third to who may not list the bucket.
@pytest.mark.parametrize("code", ["NoSuchKey", "MethodNotAllowed", "AccessDenied"])
def test_a_file_that_is_gone_is_not_found(cloud, capsys, code):
    cloud.has_keys("current")
    cloud.s3.add_client_error("get_object_tagging", code, http_status_code=403)
    answer = click(token())
    assert answer["statusCode"] == 404
    assert "not there any more" in answer["body"]
    assert json.loads(capsys.readouterr().out.splitlines()[0])["code"] == code


def _raising(error):
    def raise_it(**_):
        raise error

    return raise_it


FAULTS = {
    "slow": ReadTimeoutError(endpoint_url="https://s3"),
    "away": EndpointConnectionError(endpoint_url="https://s3"),
}


@pytest.mark.parametrize("error", FAULTS.values(), ids=FAULTS)
@pytest.mark.parametrize("service", ["s3", "secretsmanager"])
def test_without_an_answer_of_aws_the_link_is_to_be_tried_again(cloud, capsys, service, error):
    if service == "s3":
        cloud.has_keys("current")
    download._clients[service].meta.events.register(f"before-call.{service}", _raising(error))
    answer = click(token())
    assert answer["statusCode"] == 503
    assert answer["headers"]["retry-after"] == "30"
    assert "Nothing is wrong with your link" in answer["body"]
    assert "download.failed" in capsys.readouterr().out


@pytest.mark.parametrize("code", ["SlowDown", "InternalError", "ExpiredToken"])
def test_an_s3_that_fails_is_no_file_that_is_gone(cloud, code):
    cloud.has_keys("current")
    cloud.s3.add_client_error("get_object_tagging", code, http_status_code=503)
    assert click(token())["statusCode"] == 503


def test_an_exchanged_key_is_taken_at_once_and_the_one_before_still(cloud, clock):
    cloud.has_keys("old")
    cloud.has_file()
    assert click(token("old"))["statusCode"] == 302
    clock.time += download.PAUSE_SECONDS
    cloud.has_keys("new", previous="old")
    for key in ("new", "old"):
        cloud.has_file()
        assert click(token(key))["statusCode"] == 302


def test_two_rotations_end_every_link_within_five_minutes(cloud, clock):
    cloud.has_keys("leaked")
    cloud.has_file()
    later = NOW + 6000
    assert click(token("leaked", expires=later))["statusCode"] == 302
    clock.time += download.READ_AGAIN_SECONDS
    cloud.has_keys("third", previous="second")
    assert click(token("leaked", expires=later))["statusCode"] == 403


def test_wrong_links_have_the_keys_read_once_in_ten_seconds_at_most(cloud, clock):
    cloud.has_keys("current")
    for _ in range(20):
        assert click(token("guessed"))["statusCode"] == 403
    clock.time += download.PAUSE_SECONDS
    cloud.has_keys("current")
    for _ in range(20):
        assert click(token("guessed"))["statusCode"] == 403


def test_the_log_has_neither_token_nor_url(cloud, capsys):
    cloud.has_keys("current")
    cloud.has_file()
    given = token()
    location = click(given)["headers"]["location"]
    click(given[:-1])
    said = capsys.readouterr().out
    assert "download.signed" in said
    assert "download.refused" in said
    for secret in (given.rpartition("/")[2][:42], "X-Amz-Signature", location):
        assert secret not in said


def test_a_page_may_load_and_run_nothing(cloud):
    answer = click("<script>alert(1)</script>")
    assert answer["headers"]["content-security-policy"] == "default-src 'none'"
    assert answer["headers"]["content-type"] == "text/html; charset=utf-8"
    assert "<script>" not in answer["body"]
