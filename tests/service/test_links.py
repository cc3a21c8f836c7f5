"""Links to finished reports: the function behind them takes what the worker makes."""

import datetime
import urllib.parse

import boto3
import pytest
from botocore.exceptions import EndpointConnectionError
from botocore.stub import Stubber

from report_service.errors import ReportError
from report_service.links import Links
from snowgate.lambdas.download import handler as download

BUCKET, SECRET = "reports-111122223333", "arn:aws:secretsmanager:eu-west-1:111122223333:secret:key"
URL = "https://abc.execute-api.eu-west-1.amazonaws.com"
KEY = "reports/pricing_summary/2026/11/28/17/1/pricing_summary.csv"
NOW = datetime.datetime(2026, 11, 28, 9, 30, 15, 123456)
WEEK = datetime.timedelta(days=7)


@pytest.fixture
def secrets_manager():
    return boto3.client("secretsmanager", region_name="eu-west-1", aws_access_key_id="x", aws_secret_access_key="x")


@pytest.fixture
def links(secrets_manager):
    return Links(secrets_manager, url=URL, secret_arn=SECRET, bucket=BUCKET, valid_for=WEEK)


@pytest.fixture
def make(links, secrets_manager):
    """Make a link with the secret's value at that moment."""

    def make_link(secret="current", config_id=17, key=KEY):
        with Stubber(secrets_manager) as stub:
            stub.add_response("get_secret_value", {"SecretString": secret}, {"SecretId": SECRET})
            return links.link(config_id, f"s3://{BUCKET}/{key}", now=NOW)

    return make_link


def clicked(url):
    """The link as API Gateway hands it to the function."""
    parts = urllib.parse.urlsplit(url)
    _, reports, config_id, verb = parts.path.split("/")
    assert (reports, verb) == ("reports", "download")
    return download.read_link(
        {"pathParameters": {"id": config_id}, "queryStringParameters": dict(urllib.parse.parse_qsl(parts.query))}
    )


@pytest.mark.parametrize("config_id", [1, 17, -5, 10**37])
@pytest.mark.parametrize("key", [KEY, "reports/ä ö&+%/=?#/1/x.csv"], ids=["usual", "put in by hand"])
def test_the_function_takes_what_the_worker_has_signed(make, config_id, key):
    link = clicked(make("a secret", config_id, key).url)
    assert (link.config_id, link.key) == (str(config_id), key)
    assert link.signature == download.signature(b"a secret", link.signed_text)
    assert link.signature != download.signature(b"another", link.signed_text)


def test_a_link_ends_after_its_days_by_snowflakes_clock(make):
    link = make()
    assert link.expires_at == datetime.datetime(2026, 12, 5, 9, 30, 15, tzinfo=datetime.UTC)
    assert int(clicked(link.url).expires) == link.expires_at.timestamp()


def test_a_link_bears_being_copied_out_of_an_e_mail(make):
    for config_id in range(200):
        url = make(config_id=config_id).url
        assert url.startswith(f"{URL}/reports/{config_id}/download?token=")
        assert not set(url) & set("&#+%<>\"'\\ ")
        assert url[-1].isalnum()  # what else stands at the end of an address, some mail programs leave out
        assert len(url) < 260


def test_each_link_is_signed_with_the_key_of_its_moment(make):
    for secret in ("old", "new"):
        link = clicked(make(secret).url)
        assert link.signature == download.signature(secret.encode(), link.signed_text)


def test_a_file_of_another_bucket_has_no_link(links):
    with pytest.raises(ReportError, match="s3://elsewhere/x.csv is not in s3://reports-111122223333/") as refused:
        links.link(17, "s3://elsewhere/x.csv", now=NOW)
    assert not refused.value.retry


def test_a_key_that_cannot_be_read_is_told_and_tried_again(links, secrets_manager):
    with Stubber(secrets_manager) as stub:
        stub.add_client_error("get_secret_value", "AccessDeniedException", "not allowed")
        with pytest.raises(ReportError, match="secret:key, could not be read: .*not allowed") as refused:
            links.link(17, f"s3://{BUCKET}/{KEY}", now=NOW)
        assert refused.value.retry

    def away(**_):
        raise EndpointConnectionError(endpoint_url="https://secretsmanager")

    secrets_manager.meta.events.register("before-call.secretsmanager", away)
    with pytest.raises(ReportError) as refused:
        links.link(17, f"s3://{BUCKET}/{KEY}", now=NOW)
    assert refused.value.retry
