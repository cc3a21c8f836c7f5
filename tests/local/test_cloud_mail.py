"""Who may send e-mail in the AWS stand-in: an identity's own grant, and nobody else's address."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from botocore.exceptions import ClientError

from tests.local.cloud_server import REGION, CloudServer, cloud_server

ADDRESS, DOMAIN = "reports@example.org", "mail.example.org"
MAIL = {
    "Destination": {"ToAddresses": ["somebody@example.org"]},
    "Content": {"Raw": {"Data": b"From: reports@example.org\r\nSubject: x\r\n\r\nx"}},
}


@pytest.fixture(scope="module")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[CloudServer]:
    with cloud_server(tmp_path_factory.mktemp("cloud")) as server:
        for identity in (ADDRESS, DOMAIN):
            server.client("sesv2").create_email_identity(EmailIdentity=identity)
        yield server


@pytest.mark.parametrize(("sender", "identity"), [(ADDRESS, ADDRESS), (f"other@{DOMAIN}", DOMAIN)])
def test_a_role_sends_as_its_own_address_and_as_nobody_else(cloud: CloudServer, sender: str, identity: str) -> None:
    account = cloud.client("sts").get_caller_identity()["Account"]
    role = cloud.make_role(
        f"sender-{identity}",
        {"Principal": {"AWS": f"arn:aws:iam::{account}:root"}},
        {
            "Action": ["ses:SendEmail", "ses:SendRawEmail"],
            "Resource": f"arn:aws:ses:{REGION}:{account}:identity/{identity}",
            "Condition": {"StringEquals": {"ses:FromAddress": sender}},
        },
    )
    credentials = cloud.client("sts").assume_role(RoleArn=role, RoleSessionName="test")["Credentials"]
    ses = cloud.client("sesv2", credentials)
    assert ses.send_email(FromEmailAddress=sender, **MAIL)["MessageId"]
    for wrong in {ADDRESS, f"other@{DOMAIN}", f"third@{DOMAIN}"} - {sender}:
        with pytest.raises(ClientError, match="not authorized to perform: ses:SendRawEmail on resource"):
            ses.send_email(FromEmailAddress=wrong, **MAIL)
