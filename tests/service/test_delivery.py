"""From a finished row to its recipients: each at most once, whatever SES and this worker do."""

import base64
import datetime
import email
import email.policy
import html
import itertools
import json
import re
import subprocess
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import apprise
import pytest
from botocore.awsrequest import AWSResponse
from botocore.config import Config
from botocore.exceptions import ConnectTimeoutError, ReadTimeoutError
from faulty_proxy import FaultyProxy
from service_rows import insert
from snowflake.connector.errors import Error as SnowflakeError
from snowflake.connector.errors import OperationalError

from local.cloud.additions.mail import INBOX
from report_service.attempt import Attempt
from report_service.catalogue import CsvForm
from report_service.channels import AppriseChannel, DeliveryError, EmailChannel, SnsChannel, _mime
from report_service.delivery import Delivery
from report_service.errors import RequestError
from report_service.links import Links
from report_service.message import Message
from report_service.queue import DeliveryLedger, statements
from report_service.queue.abandoned import AbandonedTransactions
from report_service.recipients import RecipientRules
from report_service.renderers.csv_file import CsvRenderer
from report_service.storage import Storage
from report_service.workshop import Workshop

BUCKET = "delivery-tests"
SENDER = "reports@example.com"
ANYBODY = RecipientRules()
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

    def one_round(ses, sender=SENDER, attachment_bytes=10**6, rules=ANYBODY, channels=None, links=None, **options):
        channels = {"email": EmailChannel(ses, sender=sender)} | (channels or {})
        limits = {"rules": rules, "attachment_bytes": attachment_bytes, "links": links}
        delivery = Delivery(catalogue, Storage(s3, BUCKET), channels, **limits)
        delivery.give_up_lost(ledger)
        token, dues = ledger.claim(50)
        for _, group in itertools.groupby(dues, key=lambda due: due.config_id):
            delivery.deliver(ledger, token, list(group), **options)
        return len(dues)

    return one_round


@pytest.fixture
def finished(warehouse, queue, catalogue, s3):
    """A finished report with recipients; returns its CONFIG_ID."""

    def make(*names, rules=ANYBODY, others=(), **columns):
        to = [{"channel": "email", "to": f"{name}@example.com"} for name in names] + list(others)
        given = {"REPORT_NAME": "pricing_summary", "OUTPUT_FORMAT": "CSV", "RECIPIENTS": to} | columns
        config_id = insert(warehouse, **given)
        (claim,) = queue.claim(1)
        queue.settle([Workshop(catalogue, Storage(s3, BUCKET), rules=rules).carry_out(Attempt(claim), warehouse)])
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


def test_the_lock_is_what_is_told_when_what_holds_it_cannot_be_ended(caplog):
    class Away:
        def rows(self, sql):
            raise OperationalError("no answer")

    lock = SnowflakeError("the lock", errno=625)
    with pytest.raises(SnowflakeError) as told, AbandonedTransactions(Away(), seconds=1).out_of_the_way():
        raise lock
    assert told.value is lock
    assert "queue.transactions_not_ended" in caplog.text


def test_a_dead_worker_that_holds_the_ledger_is_ended_by_whoever_waits_for_it(snowflake_account, finished, cloud):
    finished("a")
    with snowflake_account.warehouse("dead") as dead, snowflake_account.warehouse("two", lock_seconds=1) as session:
        dead._run(lambda cursor: cursor.execute("UPDATE REPORT_DELIVERY SET ATTEMPTS = 1"))  # and no COMMIT
        ledger = DeliveryLedger(session, actor="two", abandoned_seconds=3)
        with pytest.raises(SnowflakeError, match="lock"):
            ledger.claim(1)  # it may still be at work
        time.sleep(2.5)
        with pytest.raises(SnowflakeError, match="lock"):
            ledger.claim(1)
        assert len(ledger.claim(1)[1]) == 1


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


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16", "windows-1252"])
def test_an_attached_csv_says_its_encoding(tmp_path, encoding):
    path = tmp_path / "r.csv"
    path.write_bytes("Zürich\r\n".encode(encoding))
    message = Message("A title", "text", path, CsvRenderer(CsvForm(encoding=encoding)).media_type)
    sent = _mime(message, SENDER, "a@example.com").as_bytes()
    (attached,) = email.message_from_bytes(sent, policy=email.policy.default).iter_attachments()
    assert (attached.get_content_type(), attached.get_content_charset()) == ("text/csv", encoding)
    assert attached.get_filename() == "r.csv"
    assert attached.get_payload(decode=True) == path.read_bytes()


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


# --- the other channels


class Hook:
    """A server that takes what apprise posts; `answer(body)` returns status and text, or None to cut the connection."""

    def __init__(self, answer):
        self.got = []
        hook = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"])).decode()
                found = answer(body)
                if found is None:
                    self.connection.close()
                    return
                hook.got.append(body)
                self.send_response(found[0])
                self.send_header("Content-Length", str(len(found[1])))
                self.end_headers()
                self.wfile.write(found[1].encode())

            def log_message(self, *_):
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"json://127.0.0.1:{self.server.server_port}/?rto=2&retry=0"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()


@pytest.fixture
def hook():
    made = []

    def make(answer):
        made.append(Hook(answer))
        return made[-1]

    yield make
    for each in made:
        each.server.shutdown()
        each.server.server_close()


@pytest.fixture
def destinations(cloud):
    """An apprise channel over a secret with these names and URLs."""

    def make(value):
        client = cloud.client("secretsmanager")
        text = value if isinstance(value, str) else json.dumps(value)
        arn = client.create_secret(Name=f"destinations-{time.time_ns()}", SecretString=text)["ARN"]
        return AppriseChannel(client, arn)

    return make


ELSEWHERE = RecipientRules(destinations=True)


def to_apprise(*names):
    return [{"channel": "apprise", "to": name} for name in names]


def test_a_webhook_is_told_what_an_email_says_once(warehouse, finished, deliver, cloud, hook, destinations):
    there = hook(lambda body: (200, "ok"))
    finished(others=to_apprise("finance"), rules=ELSEWHERE)
    channels = {"apprise": destinations({"finance": there.url})}
    assert deliver(answering(cloud, lambda _: None), channels=channels) == 1
    assert deliver(answering(cloud, lambda _: None), channels=channels) == 0
    (told,) = map(json.loads, there.got)
    assert told["title"] == "Pricing summary"
    assert f"s3://{BUCKET}/reports/pricing_summary/" in told["message"]
    assert ledger_rows(warehouse) == [("finance", "SENT", 1, None, None)]


@pytest.mark.parametrize(
    ("answer", "status", "code"),
    [
        ((404, "no such hook"), "FAILED", "SEND_FAILED"),
        ((429, "slowly"), "PENDING", "SEND_FAILED"),
        ((503, "away"), "PENDING", "SEND_FAILED"),
        ((500, "<html>broken</html>"), "UNCERTAIN", "NO_ANSWER"),
        (None, "UNCERTAIN", "NO_ANSWER"),
    ],
)
def test_a_webhook_that_fails_is_told_in_the_ledger_and_the_others_have_the_report(
    warehouse, finished, deliver, cloud, hook, destinations, answer, status, code
):
    bad, good = hook(lambda body: answer), hook(lambda body: (200, "ok"))
    finished("a", others=to_apprise("bad", "good"), rules=ELSEWHERE)
    deliver(
        answering(cloud, lambda _: None),
        channels={"apprise": destinations({"bad": bad.url, "good": good.url})},
    )
    found = {entry[0]: entry for entry in ledger_rows(warehouse)}
    assert found["bad"][1:4] == (status, 1, code)
    assert bad.url not in found["bad"][4]
    assert (found["a@example.com"][1], found["good"][1]) == ("SENT", "SENT")


def test_a_destination_that_speaks_html_gets_text_and_no_markup(hook, destinations):
    """As Telegram's does; a parameter of a report is whatever its requester wrote."""
    there = hook(lambda body: (200, "ok"))
    destinations({"html": f"{there.url}&format=html"})(Message("A title", '<a href="http://x">a</a> & b'), "html")
    told = json.loads(there.got[0])["message"]
    assert html.unescape(told).replace("\xa0", " ") == '<a href="http://x">a</a> & b'
    assert "<a" not in told


@pytest.mark.parametrize("form", ["", "&format=markdown"])
def test_slack_gets_text_and_no_markup(hook, destinations, monkeypatch, form):
    there = hook(lambda body: (200, "ok"))
    address = there.url.replace("json://", "http://").split("/?")[0]
    monkeypatch.setattr(apprise.plugins.N_MGR["slack"], "webhook_url", address)
    url = f"slack://T1JJ3T3L2/A1BRTD4JD/TIiajkdnlazkcOXrIdevi7FQ/#general?retry=0{form}"
    destinations({"slack": url})(Message("A title", "<!channel> <http://x|text> *b* & <@U1234567>"), "slack")
    told = json.loads(there.got[0])
    (attachment,) = told["attachments"]
    assert told["mrkdwn"] is False
    assert "mrkdwn_in" not in attachment
    assert attachment["text"] == "&lt;!channel&gt; &lt;http://x|text&gt; *b* &amp; &lt;@U1234567&gt;"


def test_a_destination_that_speaks_markdown_is_told_plain_text(hook, destinations):
    there = hook(lambda body: (200, "ok"))
    destinations({"md": f"{there.url}&format=markdown"})(Message("A title", "*b* [a](http://x)"), "md")
    assert json.loads(there.got[0])["message"] == "*b* [a](http://x)"


def test_a_destination_that_is_new_in_the_secret_is_known_at_once(cloud, hook):
    there, secrets = hook(lambda body: (200, "ok")), cloud.client("secretsmanager")
    arn = secrets.create_secret(Name="destinations-new", SecretString=json.dumps({"old": there.url}))["ARN"]
    channel = AppriseChannel(secrets, arn)
    with pytest.raises(DeliveryError, match="no destination 'new'; there are: old"):
        channel(Message("title", "text"), "new")
    secrets.put_secret_value(SecretId=arn, SecretString=json.dumps({"old": there.url, "new": there.url}))
    channel(Message("title", "text"), "new")
    assert len(there.got) == 1


UNREADABLE = """
from report_service import log
from report_service.channels import AppriseChannel, DeliveryError
from report_service.message import Message

class Secrets:
    def get_secret_value(self, SecretId):
        return {"SecretString": '{"a": "slak://TOKEN-A/TOKEN-B", "b": "slack://TOKEN-C/x"}'}

log.start("INFO")
for name in "ab":
    try:
        AppriseChannel(Secrets(), "arn")(Message("title", "text"), name)
    except DeliveryError as error:
        log.error("refused", error)
"""


def test_the_log_has_no_token_of_a_url_that_apprise_cannot_read():
    ran = subprocess.run([sys.executable, "-c", UNREADABLE], capture_output=True, text=True, check=True)
    assert ran.stdout.count("apprise knows no service") == 2
    assert "TOKEN" not in ran.stdout + ran.stderr


def test_a_webhook_that_is_slow_is_uncertain_after_its_time(warehouse, finished, deliver, cloud, hook, destinations):
    slow = hook(lambda body: time.sleep(4) or (200, "ok"))
    finished(others=to_apprise("slow"), rules=ELSEWHERE)
    deliver(answering(cloud, lambda _: None), channels={"apprise": destinations({"slow": slow.url})})
    assert ledger_rows(warehouse)[0][1:4] == ("UNCERTAIN", 1, "NO_ANSWER")


@pytest.mark.parametrize(
    ("secret", "code", "words"),
    [
        ({"other": "json://127.0.0.1"}, "UNKNOWN_DESTINATION", "there are: other"),
        ({"finance": "nothing"}, "INVALID_DESTINATION", "'finance'"),
        ("no json", "NO_DESTINATIONS", "JSON object"),
        ({"finance": 7}, "NO_DESTINATIONS", "JSON object"),
    ],
)
def test_a_secret_of_destinations_that_is_wrong_is_told(
    warehouse, finished, deliver, cloud, destinations, secret, code, words
):
    finished(others=to_apprise("finance"), rules=ELSEWHERE)
    deliver(answering(cloud, lambda _: None), channels={"apprise": destinations(secret)})
    ((_, status, _, found, message),) = ledger_rows(warehouse)
    assert (status, found) == ("FAILED", code)
    assert words in message


def test_a_topic_is_told_and_one_that_is_gone_fails_alone(warehouse, finished, deliver, cloud):
    sns, published = cloud.client("sns"), []
    sns.meta.events.register("before-call.sns.Publish", lambda params, **_: published.append(params["body"]))
    topic, gone = (sns.create_topic(Name=name)["TopicArn"] for name in ("told", "gone"))
    rules = RecipientRules(topics=(topic, gone))
    finished(others=[{"channel": "sns", "to": "told"}, {"channel": "sns", "to": gone}], rules=rules)
    sns.delete_topic(TopicArn=gone)
    deliver(answering(cloud, lambda _: None), channels={"sns": SnsChannel(sns)})
    assert [entry[:4] for entry in ledger_rows(warehouse)] == [
        (topic, "SENT", 1, None),
        (gone, "FAILED", 1, "SEND_FAILED"),
    ]
    assert published[0]["Subject"] == "Pricing summary"
    assert f"s3://{BUCKET}/reports/pricing_summary/" in published[0]["Message"]


@pytest.mark.parametrize("fault", [("status", 503), ("status", 500), ("nonsense", "<html>"), "cut after"])
def test_an_sns_that_fails_is_told_in_the_ledger(warehouse, finished, deliver, cloud, fault):
    topic = cloud.client("sns").create_topic(Name="faults")["TopicArn"]
    proxy = FaultyProxy(cloud.endpoint, str(cloud.bundle))
    proxy.fault = lambda request: fault
    finished("a", others=[{"channel": "sns", "to": topic}], rules=RecipientRules(topics=(topic,)))
    once = Config(retries={"total_max_attempts": 1})
    try:
        channels = {"sns": SnsChannel(cloud.client("sns", endpoint_url=proxy.url, config=once))}
        deliver(answering(cloud, lambda _: None), channels=channels)
    finally:
        proxy.close()
    mail, sns = sorted(ledger_rows(warehouse))
    assert mail[1] == "SENT"
    assert sns[1] == ("PENDING" if fault == ("status", 503) else "UNCERTAIN")
    assert sns[4]


# --- what the requester is told


def test_whoever_asked_is_told_that_a_report_could_not_be_made(warehouse, finished, deliver, cloud):
    config_id = finished("a", PARAMETERS={"delta": -1}, REQUESTED_BY="asker@example.com")
    texts = []
    client = answering(cloud, lambda _: None)
    client.meta.events.register("before-call.sesv2.SendEmail", lambda params, **_: texts.append(text_of(params)))
    assert deliver(client) == 1
    assert client.sent == ["asker@example.com"]
    assert "The report pricing_summary could not be made." in texts[0]
    assert "INVALID_PARAMETER" in texts[0]
    assert 'Parameters: {"delta":-1}' in texts[0].replace(" -1", "-1")
    assert "Ask again with what is allowed" in texts[0]
    assert f"the procedure RERUN_REPORT({config_id})" in texts[0]


@pytest.mark.parametrize("name", ["no\r\nBcc: other@example.com", "no\nsuch", "no\u2028such \x0b\x85"])
def test_a_name_with_line_breaks_is_told_in_one_line(warehouse, finished, deliver, cloud, name):
    finished(REPORT_NAME=name, REQUESTED_BY="asker@example.com")
    client = answering(cloud, lambda _: None)
    assert deliver(client) == 1
    assert client.sent == ["asker@example.com"]
    assert ledger_rows(warehouse)[0][1] == "SENT"


def text_of(params):
    raw = json.loads(params["body"])["Content"]["Raw"]["Data"]
    return email.message_from_bytes(base64.b64decode(raw), policy=email.policy.default).get_body().get_content()


def test_whoever_asked_is_told_whom_the_report_did_not_reach_once(warehouse, finished, deliver, cloud):
    finished("a", "b", "c", REQUESTED_BY="asker@example.com", PARAMETERS={"delta": 77})
    rejected = refusal(400, "MessageRejected", "Address is on the suppression list.")
    texts = []
    client = answering(cloud, lambda address: rejected if address[0] in "bc" else None)
    client.meta.events.register("before-call.sesv2.SendEmail", lambda params, **_: texts.append(text_of(params)))
    assert deliver(client) == 3
    assert deliver(client) == 1
    assert deliver(client) == 0
    assert client.sent == ["a@example.com", "asker@example.com"]
    assert "email b@example.com: FAILED, SEND_FAILED: SES did not take the message" in texts[-1]
    assert "email c@example.com: FAILED" in texts[-1]
    assert "Days before 1998-12-01: 77" in texts[-1]  # the label, as in the report
    assert "File: attached, " in texts[0]
    assert "s3://" not in texts[0]  # whoever has the file needs no other place of it
    assert "a@example.com" not in texts[-1]


def test_whoever_asked_is_told_once_of_what_a_dead_worker_was_sending(warehouse, finished, deliver, cloud, ledger):
    finished("a", "b", REQUESTED_BY="asker@example.com")
    token, dues = ledger.claim(50)
    assert all(ledger.sending(due, token) for due in dues)
    warehouse.change("UPDATE REPORT_DELIVERY SET LEASE_UNTIL = DATEADD('SECOND', -1, SYSDATE())")
    client = answering(cloud, lambda _: None)
    assert deliver(client) == 1
    assert deliver(client) == 0
    assert client.sent == ["asker@example.com"]
    assert [entry[1] for entry in ledger_rows(warehouse)] == ["UNCERTAIN", "UNCERTAIN", "SENT"]


def test_whoever_asked_is_told_again_of_a_recipient_that_is_lost_later(warehouse, finished, deliver, cloud, ledger):
    finished("a", "b", REQUESTED_BY="asker@example.com")
    client = answering(cloud, lambda _: None)
    token, dues = ledger.claim(50)
    for due in dues:
        assert ledger.sending(due, token)
        warehouse.change(
            "UPDATE REPORT_DELIVERY SET LEASE_UNTIL = DATEADD('SECOND', -1, SYSDATE()) WHERE DELIVERY_ID = ?",
            (due.delivery_id,),
        )
        assert deliver(client) == 1
    assert client.sent == ["asker@example.com"] * 2


def test_two_workers_that_find_the_same_lost_recipient_tell_of_it_once(warehouse, finished, ledger, monkeypatch):
    config_id = finished("a", REQUESTED_BY="asker@example.com")
    token, (due,) = ledger.claim(50)
    assert ledger.sending(due, token)
    warehouse.change("UPDATE REPORT_DELIVERY SET LEASE_UNTIL = DATEADD('SECOND', -1, SYSDATE())")
    both = warehouse.rows(statements.LOST_DELIVERIES)
    assert ledger.give_up_lost() == [(config_id, "asker@example.com")]
    monkeypatch.setattr(warehouse, "rows", lambda _: both)  # the other one had looked before
    assert ledger.give_up_lost() == []


def test_two_workers_at_one_report_make_one_notice(snowflake_account, warehouse, finished, ledger):
    config_id = finished("a")
    values = ("email", "asker@example.com", config_id)
    with snowflake_account.warehouse("two") as other:
        other._run(lambda cursor: cursor.execute(statements.TELL_REQUESTER, values))  # and no COMMIT yet
        second = threading.Thread(target=ledger.tell_requester, args=(config_id, "email", "asker@example.com"))
        second.start()
        second.join(1)  # without a lock it does not wait
        other.change("COMMIT")
        second.join()
    assert [entry[0] for entry in ledger_rows(warehouse)] == ["a@example.com", "asker@example.com"]


def test_a_notice_that_fails_makes_no_other(warehouse, finished, deliver, cloud):
    finished(PARAMETERS={"delta": -1}, REQUESTED_BY="asker@example.com")
    rejected = refusal(400, "MessageRejected", "Address is on the suppression list.")
    assert deliver(answering(cloud, lambda _: rejected)) == 1
    assert deliver(answering(cloud, lambda _: rejected)) == 0
    assert [entry[1] for entry in ledger_rows(warehouse)] == ["FAILED"]


@pytest.mark.parametrize(
    ("requested_by", "rules", "told"),
    [
        ("ANALYST", RecipientRules(), None),
        ("ANALYST", RecipientRules(failures_to="data@example.com"), "data@example.com"),
        ("asker@example.com", RecipientRules(failures_to="data@example.com"), "asker@example.com"),
        ("asker@elsewhere.org", RecipientRules(domains=("example.com",)), None),
        ("asker@example.com", RecipientRules(failures_to="data@example.com", requesters=False), None),  # without mail
    ],
)
def test_a_requester_without_an_allowed_address_is_told_nothing(warehouse, finished, requested_by, rules, told):
    finished(PARAMETERS={"delta": -1}, REQUESTED_BY=requested_by, rules=rules)
    assert [entry[0] for entry in ledger_rows(warehouse)] == ([told] if told else [])


@pytest.mark.parametrize(
    ("entry", "words"),
    [
        ({"channel": "email", "to": "a@elsewhere.org"}, "allowed: example.com, bücher.de"),
        ({"channel": "email", "to": "a@sub.example.com"}, "allowed: example.com"),
        ({"channel": "email", "to": "jürgen@example.com"}, "no e-mail address"),  # SES has no SMTPUTF8
        ({"channel": "sns", "to": "other"}, "allowed: finance"),
        ({"channel": "sns", "to": 7}, "allowed: finance"),
        ({"channel": "apprise", "to": "finance"}, r"set \[notify\] destinations_secret_arn"),
        ({"channel": "pigeon", "to": "x"}, "allowed: email, sns, apprise"),
    ],
)
def test_a_recipient_whom_the_environment_does_not_allow_is_refused(entry, words):
    rules = RecipientRules(domains=("example.com", "bücher.de"), topics=("arn:aws:sns:eu-west-1:111122223333:finance",))
    with pytest.raises(RequestError, match=words) as refused:
        rules.check([{"channel": "email", "to": "a@EXAMPLE.com"}, entry])
    assert "Recipient 2" in refused.value.message


def test_domains_are_compared_as_the_mail_does():
    rules = RecipientRules(domains=("bücher.de",))
    for domain in ("xn--bcher-kva.de", "bücher.de", "BÜCHER.DE"):
        (recipient,) = rules.check([{"channel": "email", "to": f"a@{domain}"}])
        assert recipient.address == "a@xn--bcher-kva.de"  # as SES takes it
    with pytest.raises(RequestError, match=r"has no topics; set \[notify\] topic_arns"):
        rules.check([{"channel": "sns", "to": "finance"}])
    with pytest.raises(RequestError, match="no name of a destination"):
        RecipientRules(destinations=True).check([{"channel": "apprise", "to": "slack://token"}])
