"""A report too large to attach: the link out of the e-mail, followed while no worker runs, until it is revoked."""

from __future__ import annotations

import base64
import datetime
import email
import email.policy
import hashlib
import json
import re
import ssl
import time
import urllib.error
import urllib.request
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest
import snowflake.connector
from analyst import Requests

from local.cloud.additions.mail import INBOX
from local.demo import Demo
from local.platform import Platform
from report_service.links import Links

RECIPIENT = "far-away@example.com"
# All customers: 13 MB as CSV, where mail_attachment_bytes is 7 MB.
COLUMNS = {
    "OUTPUT_FORMAT": "'CSV'",
    "PARAMETERS": "PARSE_JSON('{\"minimum_balance\": -1000}')",
    "RECIPIENTS": f"""PARSE_JSON('[{{"channel": "email", "to": "{RECIPIENT}"}}]')""",
}


def trust(platform: Platform) -> ssl.SSLContext:
    return ssl.create_default_context(cafile=str(platform.certificate_bundle))


def open_url(platform: Platform, url: str, method: str = "GET") -> Any:
    """Open a URL of the cloud as a browser does, redirects followed; only the socket goes to this machine."""
    public = urlsplit(url)
    request = urllib.request.Request(f"{platform.aws_endpoint}{public.path}?{public.query}", method=method)
    request.add_unredirected_header("Host", public.netloc)
    return urllib.request.urlopen(request, timeout=30, context=trust(platform))


def head(platform: Platform, url: str) -> list[httpx.Response]:
    """The answers to a HEAD and to those that it leads to: urllib would go on with a GET."""
    public = urlsplit(url)
    with httpx.Client(verify=trust(platform), timeout=30) as client:
        here = f"{platform.aws_endpoint}{public.path}?{public.query}"
        answers = [client.head(here, headers={"Host": public.netloc})]
        while answers[-1].is_redirect:
            answers.append(client.head(answers[-1].headers["Location"]))
    return answers


def refused(platform: Platform, url: str, method: str = "GET") -> tuple[int, str]:
    with pytest.raises(urllib.error.HTTPError) as answer:
        open_url(platform, url, method)
    return answer.value.code, answer.value.read().decode()


def mail_to(platform: Platform, recipient: str) -> str:
    """The text of the last e-mail to somebody."""
    with urllib.request.urlopen(f"{platform.aws_endpoint}{INBOX}", timeout=30, context=trust(platform)) as answer:
        boxes = json.load(answer)["messages"]
    mails = [
        email.message_from_bytes(base64.b64decode(message["Raw"]), policy=email.policy.default)
        for messages in boxes.values()
        for message in messages
        if message["Raw"]
    ]
    last = [mail for mail in mails if mail["To"] == recipient][-1]
    body = last.get_body(("plain",))
    assert body is not None
    assert list(last.iter_attachments()) == []
    return str(body.get_content())


@pytest.fixture(scope="module")
def link(platform: Platform, mail_sender: str) -> tuple[str, dict[str, Any]]:
    """The link out of the e-mail, and the report's row."""
    with platform.connect() as connection:
        requests = Requests(connection.cursor(snowflake.connector.DictCursor))
        row = requests.finished(requests.insert("customer_balance", **COLUMNS))
        assert (row["STATUS"], row["ERROR_MESSAGE"]) == ("COMPLETED", None)
        assert row["FILE_BYTES"] > 7_000_000
        assert requests.delivered(row["CONFIG_ID"])["STATUS"] == "SENT"
    text = mail_to(platform, RECIPIENT)
    [url] = re.findall(r"https://\S+", text)
    assert "attached" not in text
    assert row["S3_LOCATION"] not in text
    return url, row


def test_the_link_gives_the_file_while_no_worker_runs(platform: Platform, link: tuple[str, dict[str, Any]]) -> None:
    url, row = link
    demo = Demo(platform, None)  # type: ignore[arg-type]  # only its waiting is used
    demo.wait_for_sleep(60)

    assert url.startswith(f"{platform.outputs('ReportService')['LinkUrl']}/reports/{row['CONFIG_ID']}/download?token=")
    for _ in range(2):  # a scanner of mailboxes first, perhaps
        with open_url(platform, url) as answer:
            assert hashlib.sha256(answer.read()).hexdigest() == row["FILE_SHA256"]
            name = f"customer_balance-{row['CONFIG_ID']}.csv"
            assert answer.headers["Content-Disposition"] == f'attachment; filename="{name}"'
    assert demo.worker_tasks() == (0, 0)


def test_only_its_size_is_told_to_a_head(platform: Platform, link: tuple[str, dict[str, Any]]) -> None:
    url, row = link
    answers = head(platform, url)
    assert [answer.status_code for answer in answers] == [302, 200]
    assert int(answers[-1].headers["Content-Length"]) == row["FILE_BYTES"]


def test_a_changed_link_opens_nothing(platform: Platform, link: tuple[str, dict[str, Any]]) -> None:
    url, row = link
    other = url.replace(f"/reports/{row['CONFIG_ID']}/", f"/reports/{row['CONFIG_ID'] + 1}/")
    for wrong in (other, url.replace("token=1", "token=2"), url[:-1], url.partition("?")[0]):
        status, page = refused(platform, wrong)
        assert status == 403, wrong
        assert "not a valid link" in page
        assert "customer_balance" not in page


def test_no_other_method_reaches_the_function(platform: Platform, link: tuple[str, dict[str, Any]]) -> None:
    assert refused(platform, link[0], "POST") == (404, '{"message":"Not Found"}')


def test_the_function_can_neither_list_nor_write_nor_read_beside_the_reports(
    platform: Platform, link: tuple[str, dict[str, Any]]
) -> None:
    functions = platform.client("lambda").list_functions()["Functions"]
    [role] = [found["Role"] for found in functions if found["Description"].startswith("Sends the holder")]
    names = platform.client("iam").list_role_policies(RoleName=role.rpartition("/")[2])["PolicyNames"]
    documents = [
        platform.client("iam").get_role_policy(RoleName=role.rpartition("/")[2], PolicyName=name)["PolicyDocument"]
        for name in names
    ]
    allowed = json.dumps(documents)
    assert "s3:GetObject" in allowed
    assert not re.search(r"s3:(List|Put|Delete|\*)", allowed)


def test_links_bear_that_their_key_is_exchanged(platform: Platform, link: tuple[str, dict[str, Any]]) -> None:
    url, row = link
    outputs, manager = platform.outputs("ReportService"), platform.client("secretsmanager")
    links = Links(
        manager,
        url=outputs["LinkUrl"],
        secret_arn=outputs["LinkKeySecretArn"],
        bucket=outputs["BucketName"],
        valid_for=datetime.timedelta(days=1),
    )

    version = manager.rotate_secret(SecretId=outputs["LinkKeySecretArn"])["VersionId"]
    until = time.monotonic() + 60
    while manager.get_secret_value(SecretId=outputs["LinkKeySecretArn"])["VersionId"] != version:
        assert time.monotonic() < until
        time.sleep(0.2)

    now = datetime.datetime.now(datetime.UTC).replace(tzinfo=None)
    new = links.link(row["CONFIG_ID"], row["S3_LOCATION"], now=now).url
    while [answer.status_code for answer in head(platform, new)] != [302, 200]:
        assert time.monotonic() < until  # the function looks for other keys once in ten seconds
        time.sleep(1)
    assert open_url(platform, url).status == 200


def test_a_revoked_link_is_refused_until_it_is_allowed_again(
    platform: Platform, link: tuple[str, dict[str, Any]]
) -> None:
    url, row = link
    bucket, key = row["S3_LOCATION"].removeprefix("s3://").split("/", 1)
    s3 = platform.client("s3")
    s3.put_object_tagging(Bucket=bucket, Key=key, Tagging={"TagSet": [{"Key": "download", "Value": "revoked"}]})
    status, page = refused(platform, url)
    assert (status, "has been revoked" in page) == (410, True)
    assert [answer.status_code for answer in head(platform, url)] == [410]

    s3.delete_object_tagging(Bucket=bucket, Key=key)
    assert open_url(platform, url).status == 200
    s3.delete_object(Bucket=bucket, Key=key)
    status, page = refused(platform, url)
    assert (status, "not there any more" in page) == (404, True)
