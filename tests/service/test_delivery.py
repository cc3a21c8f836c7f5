"""From a finished row to its recipients: each at most once, whatever SES and this worker do."""

import base64
import datetime
import email
import email.policy
import itertools
import json
import re

import pytest
from botocore.awsrequest import AWSResponse
from botocore.exceptions import ConnectTimeoutError, ReadTimeoutError
from service_rows import insert
from snowflake.connector.errors import OperationalError

from local.cloud.additions.mail import INBOX
from report_service.attempt import Attempt
from report_service.delivery import Delivery, EmailChannel
from report_service.links import Links
from report_service.queue import DeliveryLedger
from report_service.storage import Storage
from report_service.workshop import Workshop

BUCKET = "delivery-tests"
SENDER = "reports@example.com"
LEDGER = "SELECT RECIPIENT, STATUS, ATTEMPTS, ERROR_CODE, ERROR_MESSAGE FROM REPORT_DELIVERY ORDER BY DELIVERY_ID"


@pytest.fixture(scope="module")
def s3(cloud):
    client = cloud.client("s3")
    client.create_bucket(Bucket=BUCKET, CreateBucketConfiguration={"LocationConstraint": "eu-west-1"})
    cloud.client("sesv2").create_email_identity(EmailIdentity=SENDER)
    return client


@pytest.fixture
def ledger(warehouse):
    return DeliveryLedger(warehouse, actor="one")


@pytest.fixture
def deliver(catalogue, s3, ledger):
    """Claim what is due and bring it out through an e-mail channel over `ses`."""

    def one_round(ses, sender=SENDER, attachment_bytes=10**6, links=None, **options):
        channels = {"email": EmailChannel(ses, sender=sender)}
        storage = Storage(s3, BUCKET)
        delivery = Delivery(catalogue, storage, channels, attachment_bytes=attachment_bytes, links=links)
        token, dues = ledger.claim(50)
        for _, group in itertools.groupby(dues, key=lambda due: due.config_id):
            delivery.deliver(ledger, token, list(group), **options)
        return len(dues)

    return one_round


@pytest.fixture
def finished(warehouse, queue, catalogue, s3):
    """A finished report with recipients; returns its CONFIG_ID."""

    def make(*names, **columns):
        to = [{"channel": "email", "to": f"{name}@example.com"} for name in names]
        config_id = insert(warehouse, REPORT_NAME="pricing_summary", OUTPUT_FORMAT="CSV", RECIPIENTS=to, **columns)
        (claim,) = queue.claim(1)
        queue.settle([Workshop(catalogue, Storage(s3, BUCKET)).carry_out(Attempt(claim), warehouse)])
        return config_id

    return make


def answering(cloud, answer, event="before-call"):
    """A client of SES for which `answer(address)` may answer, raise, or leave it to the stand-in by None."""
    client = cloud.client("sesv2")
    client.sent = []

    def handle(params, **_):
        (address,) = json.loads(params["body"])["Destination"]["ToAddresses"]
        found = answer(address)
        if found is None:
            client.sent.append(address)
        return found

    client.meta.events.register(f"{event}.sesv2.SendEmail", handle)
    return client


def refusal(status, code, message):
    return AWSResponse("", status, {}, None), {
        "Error": {"Code": code, "Message": message},
        "ResponseMetadata": {"HTTPStatusCode": status},
    }


def ledger_rows(warehouse):
    return [tuple(entry) for entry in warehouse.rows(LEDGER)]


def test_each_recipient_has_a_row_and_gets_the_report_once(warehouse, finished, deliver, cloud, queue):
    finished("a", "b", "a")
    assert queue.demand().deliveries == queue.demand().pending == 1
    client = answering(cloud, lambda _: None)
    assert deliver(client) == 2
    assert client.sent == ["a@example.com", "b@example.com"]
    assert ledger_rows(warehouse) == [(f"{name}@example.com", "SENT", 1, None, None) for name in "ab"]
    assert deliver(client) == 0
    assert queue.demand().pending == 0


def test_a_recipient_whom_ses_refuses_is_told_in_the_ledger_and_the_others_have_the_report(
    warehouse, finished, deliver, cloud, caplog
):
    rejected = refusal(400, "MessageRejected", "Address is on the suppression list.")
    finished("a", "b", "c")
    deliver(answering(cloud, lambda address: rejected if address.startswith("b") else None))
    first, refused, last = ledger_rows(warehouse)
    assert (first[1], last[1]) == ("SENT", "SENT")
    assert refused[:4] == ("b@example.com", "FAILED", 1, "SEND_FAILED")
    assert "Address is on the suppression list." in refused[4]
    assert "delivery.failed" in caplog.text
    assert "@example.com" not in caplog.text + str([vars(record) for record in caplog.records])


def _unreachable(_):
    raise ConnectTimeoutError(endpoint_url="https://email")


@pytest.mark.parametrize(
    "answer",
    [
        lambda _: refusal(503, "ServiceUnavailable", "away"),
        lambda _: refusal(429, "TooManyRequestsException", "too fast"),
        _unreachable,
    ],
    ids=["broken", "too busy", "not there"],
)
def test_what_ses_did_not_take_is_tried_again_when_it_is_back(warehouse, finished, deliver, cloud, queue, answer):
    finished("a")
    deliver(answering(cloud, answer))
    ((_, status, attempts, code, message),) = ledger_rows(warehouse)
    assert (status, attempts, code) == ("PENDING", 1, "SEND_FAILED")
    assert message
    back = answering(cloud, lambda _: None)
    assert deliver(back) == 0  # not before ten seconds have passed
    demand = queue.demand()
    assert demand.pending == 0
    assert 0 < (demand.next_due_at - demand.now).total_seconds() < 11
    warehouse.change("UPDATE REPORT_DELIVERY SET NOT_BEFORE = SYSDATE()")
    assert deliver(back) == 1
    assert back.sent == ["a@example.com"]
    assert ledger_rows(warehouse) == [("a@example.com", "SENT", 2, None, None)]


def test_a_delivery_that_always_fails_ends_with_its_reason(warehouse, finished, deliver, cloud):
    finished("a")
    for _ in range(8):
        warehouse.change("UPDATE REPORT_DELIVERY SET NOT_BEFORE = NULL")
        deliver(answering(cloud, lambda _: refusal(503, "ServiceUnavailable", "away")))
    assert ledger_rows(warehouse)[0][1:4] == ("FAILED", 8, "SEND_FAILED")


def _late(_):
    raise ReadTimeoutError(endpoint_url="https://email")


@pytest.mark.parametrize(
    "answer",
    [_late, lambda _: (AWSResponse("", 200, {}, None), {})],
    ids=["no answer in time", "nonsense"],
)
def test_a_message_that_may_have_arrived_is_not_sent_again(warehouse, finished, deliver, cloud, queue, answer):
    finished("a", "b")
    deliver(answering(cloud, lambda address: answer(address) if address.startswith("a") else None))
    first, second = ledger_rows(warehouse)
    assert first[1:4] == ("UNCERTAIN", 1, "NO_ANSWER")
    assert "may have arrived" in first[4]
    assert second[1] == "SENT"
    assert queue.demand().pending == 0


def test_what_a_dead_worker_was_sending_is_uncertain_and_the_rest_goes_on(
    warehouse, finished, deliver, cloud, ledger, queue
):
    finished("a", "b")
    token, dues = ledger.claim(50)
    assert ledger.sending(dues[0], token)
    assert queue.demand().pending == 0  # its lease has not run out
    back = answering(cloud, lambda _: None)
    assert deliver(back) == 0
    warehouse.change("UPDATE REPORT_DELIVERY SET LEASE_UNTIL = DATEADD('SECOND', -1, SYSDATE())")
    assert queue.demand().deliveries == 1
    assert deliver(back) == 1
    assert back.sent == ["b@example.com"]
    first, second = ledger_rows(warehouse)
    assert first[1:4] == ("UNCERTAIN", 1, "SENDER_LOST")
    assert "one" in first[4]
    assert second[1] == "SENT"
    ledger.sent(dues[0], token)  # it was not dead, but slow
    assert ledger_rows(warehouse)[0][1:4] == ("SENT", 1, None)


def test_two_workers_never_send_to_the_same_recipient(snowflake_account, warehouse, finished, ledger):
    finished("a")
    token, (due,) = ledger.claim(50)
    warehouse.change("UPDATE REPORT_DELIVERY SET LEASE_UNTIL = DATEADD('SECOND', -1, SYSDATE())")
    other = DeliveryLedger(warehouse, actor="two")
    its_token, (same,) = other.claim(50)
    assert same.delivery_id == due.delivery_id
    assert not ledger.sending(due, token)
    assert other.sending(same, its_token)
    assert other.sending(same, its_token)  # the answer to the first may have been lost, and then nothing was sent
    assert not ledger.sending(due, token)
    assert ledger_rows(warehouse)[0][1:3] == ("SENDING", 1)


def test_what_became_of_a_message_is_recorded_over_a_short_fault(
    warehouse, finished, cloud, ledger, deliver, monkeypatch
):
    finished("a")
    monkeypatch.setattr("report_service.delivery._RECORD_PAUSES", (0.01, 0.01))
    sent, faults = DeliveryLedger.sent, [OperationalError("away"), OperationalError("away")]

    def record(self, due, token):
        if faults:
            raise faults.pop()
        sent(self, due, token)

    monkeypatch.setattr(DeliveryLedger, "sent", record)
    deliver(answering(cloud, lambda _: None))
    assert (faults, ledger_rows(warehouse)[0][1]) == ([], "SENT")


def test_a_file_that_is_gone_is_told_and_one_too_large_is_not_needed(warehouse, finished, deliver, cloud, s3):
    finished("a")
    key = warehouse.rows("SELECT S3_LOCATION FROM REPORT_CONFIG")[0][0].removeprefix(f"s3://{BUCKET}/")
    s3.delete_object(Bucket=BUCKET, Key=key)
    deliver(answering(cloud, lambda _: None))
    assert ledger_rows(warehouse)[0][1:4] == ("FAILED", 1, "FILE_UNAVAILABLE")
    warehouse.change("UPDATE REPORT_DELIVERY SET STATUS = 'PENDING'")
    deliver(answering(cloud, lambda _: None), attachment_bytes=0)
    assert ledger_rows(warehouse)[0][1] == "SENT"


def text_of_the_last_mail(cloud):
    messages = json.loads(cloud.get(INBOX))["messages"]
    raw = [message["Raw"] for box in messages.values() for message in box][-1]
    mail = email.message_from_bytes(base64.b64decode(raw), policy=email.policy.default)
    assert list(mail.iter_attachments()) == []
    return mail.get_body(("plain",)).get_content()


def test_a_file_too_large_to_attach_is_where_its_link_leads(warehouse, finished, deliver, cloud):
    secret = cloud.client("secretsmanager").create_secret(Name="links", SecretString="x" * 48)["ARN"]
    links = Links(
        cloud.client("secretsmanager"),
        url="https://abc.execute-api.eu-west-1.amazonaws.com",
        secret_arn=secret,
        bucket=BUCKET,
        valid_for=datetime.timedelta(days=3),
    )
    config_id = finished("a")
    deliver(cloud.client("sesv2"), attachment_bytes=0, links=links)
    assert ledger_rows(warehouse)[0][1] == "SENT"
    ((location, sent_at),) = warehouse.rows(
        "SELECT S3_LOCATION, SENT_AT FROM REPORT_DELIVERY AS D JOIN REPORT_CONFIG AS C ON C.CONFIG_ID = D.CONFIG_ID"
    )
    text = text_of_the_last_mail(cloud)
    assert location not in text
    (url,) = re.findall(r"https://\S+", text)
    expires, key = re.search(rf"/reports/{config_id}/download\?token=(\d+)/(.+)/", url).groups()
    assert f"s3://{BUCKET}/{key}" == location
    end = datetime.datetime.fromtimestamp(int(expires), datetime.UTC).replace(tzinfo=None)
    assert abs(end - sent_at - datetime.timedelta(days=3)) < datetime.timedelta(minutes=1)
    assert f"bytes, until {end:%Y-%m-%d %H:%M} UTC at:" in text

    # Without links its place in S3 is all there is to tell.
    warehouse.change("UPDATE REPORT_DELIVERY SET STATUS = 'PENDING'")
    deliver(cloud.client("sesv2"), attachment_bytes=0)
    text = text_of_the_last_mail(cloud)
    assert location in text
    assert "https://" not in text


def test_a_key_that_cannot_be_read_delays_the_mail_and_loses_none(warehouse, finished, deliver, cloud):
    links = Links(
        cloud.client("secretsmanager"),
        url="https://abc.example.com",
        secret_arn="arn:aws:secretsmanager:eu-west-1:000000000000:secret:nobody-has-it",
        bucket=BUCKET,
        valid_for=datetime.timedelta(days=3),
    )
    finished("a")
    client = answering(cloud, lambda _: None)
    deliver(client, attachment_bytes=0, links=links)
    assert client.sent == []
    assert ledger_rows(warehouse)[0][1:4] == ("PENDING", 1, "FILE_UNAVAILABLE")


def test_without_a_sender_the_ledger_says_so(warehouse, finished, deliver):
    finished("a")
    deliver(None, sender=None)
    ((_, status, _, code, message),) = ledger_rows(warehouse)
    assert (status, code) == ("FAILED", "NO_SENDER")
    assert "mail sender" in message


def test_a_stopping_worker_begins_no_other_delivery(warehouse, finished, deliver, cloud):
    finished("a", "b")
    client = answering(cloud, lambda _: None)
    deliver(client, stopping=lambda: len(client.sent) == 1)
    assert client.sent == ["a@example.com"]
    assert [entry[1] for entry in ledger_rows(warehouse)] == ["SENT", "PENDING"]


def test_a_row_of_nonsense_in_the_ledger_keeps_nobody_waiting(warehouse, finished, deliver, cloud):
    warehouse.change("INSERT INTO REPORT_DELIVERY (CHANNEL, RECIPIENT) SELECT 'email', 'x@example.com'")
    finished("a", "b")
    warehouse.change("UPDATE REPORT_DELIVERY SET CHANNEL = 'pigeon' WHERE RECIPIENT = 'b@example.com'")
    client = answering(cloud, lambda _: None)
    for _ in range(2):
        deliver(client)
    assert client.sent == ["a@example.com"]
    assert [entry[1:4] for entry in ledger_rows(warehouse)] == [
        ("FAILED", 1, "NO_FILE"),
        ("SENT", 1, None),
        ("FAILED", 1, "UNKNOWN_CHANNEL"),
    ]
