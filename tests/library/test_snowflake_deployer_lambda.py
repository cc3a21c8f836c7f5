"""The deployer's handler: CloudFormation always gets one good answer, whatever happens on the other side."""

import json
import sys
import threading
import time
import types
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from botocore.exceptions import ClientError

from snowgate.lambdas.snowflake_deployer import deadline, handler, patience, response
from snowgate.lambdas.snowflake_deployer.api_integration import definition
from snowgate.lambdas.snowflake_deployer.deadline import Deadline, OutOfTime
from snowgate.lambdas.snowflake_deployer.deployer_login import LoginError, read_login
from snowgate.lambdas.snowflake_deployer.pem import UnusableKey, new_private_key, public_key, read_private_key
from snowgate.lambdas.snowflake_deployer.redaction import Secrets
from snowgate.lambdas.snowflake_deployer.request import Properties, PropertyError
from snowgate.lambdas.snowflake_deployer.response import Outcome
from snowgate.lambdas.snowflake_deployer.smoke import failed_hop

PACKAGE = handler.__package__
INTEGRATION = {"ServiceToken": "arn", "Name": "API", "RoleArn": "arn:aws:iam::111122223333:role/r"}


class Context:
    def __init__(self, seconds=300.0):
        self.until = time.monotonic() + seconds

    def get_remaining_time_in_millis(self):
        return int((self.until - time.monotonic()) * 1000)


@pytest.fixture
def answers():
    """The list of answers that CloudFormation's address has taken; `answers.url` is that address."""
    taken = []

    class Address(BaseHTTPRequestHandler):
        def do_PUT(self):  # noqa: N802
            body = self.rfile.read(int(self.headers["content-length"]))
            if answers.refusals:
                self.send_response(answers.refusals.pop())
            else:
                taken.append(json.loads(body) | {"bytes": len(body), "content-type": self.headers["content-type"]})
                self.send_response(200)
            self.end_headers()

        def log_message(self, *args):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Address)
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    answers = types.SimpleNamespace(taken=taken, url=f"http://127.0.0.1:{server.server_port}/answer", refusals=[])
    yield answers
    server.shutdown()
    server.server_close()


@pytest.fixture
def resource(monkeypatch):
    """A stand-in for the module behind Custom::SnowflakeApiIntegration; `calls` lists what it was asked."""
    module = types.ModuleType(f"{PACKAGE}.api_integration")
    module.calls = []
    module.apply = lambda request: module.calls.append(("apply", request)) or {"ExternalId": "x"}
    module.delete = lambda request: module.calls.append(("delete", request))
    monkeypatch.setitem(sys.modules, f"{PACKAGE}.api_integration", module)
    return module


def event(answers, kind="Create", **changes):
    return {
        "RequestType": kind,
        "ResponseURL": answers.url,
        "StackId": "stack",
        "RequestId": "request",
        "LogicalResourceId": "ApiIntegration",
        "ResourceType": "Custom::SnowflakeApiIntegration",
        "ResourceProperties": INTEGRATION,
    } | changes


def run(answers, *args, context=None, **changes):
    handler.handler(event(answers, *args, **changes), context or Context())
    (answer,) = answers.taken
    return answer


def test_success_is_answered_with_data_and_a_stable_id(answers, resource):
    answer = run(answers)
    assert answer["Status"] == "SUCCESS"
    assert answer["PhysicalResourceId"] == "API"
    assert answer["Data"] == {"ExternalId": "x"}
    assert (answer["StackId"], answer["RequestId"], answer["LogicalResourceId"]) == (
        "stack",
        "request",
        "ApiIntegration",
    )


def test_an_update_sees_the_old_properties_and_a_new_name_is_a_new_id(answers, resource):
    old = INTEGRATION | {"Name": "OLD"}
    answer = run(answers, "Update", PhysicalResourceId="OLD", OldResourceProperties=old)
    assert answer["PhysicalResourceId"] == "API"
    assert resource.calls[0][1].old.text("Name") == "OLD"


def test_an_error_is_answered_with_its_reason_and_the_id_that_a_delete_will_need(answers, resource):
    def apply(request):
        request.deadline.begin("the first statement", changes=True)
        raise RuntimeError("Snowflake said no")

    resource.apply = apply
    answer = run(answers)
    assert (answer["Status"], answer["PhysicalResourceId"]) == ("FAILED", "API")
    assert answer["Reason"] == "RuntimeError: Snowflake said no"


@pytest.mark.parametrize(
    ("kind", "given", "answered"),
    [("Create", {}, f"{handler.NOT_MADE}:ApiIntegration"), ("Update", {"PhysicalResourceId": "OLD"}, "OLD")],
)
def test_a_failure_before_the_first_statement_leaves_nothing_that_a_rollback_must_delete(
    answers, resource, kind, given, answered
):
    def apply(request):
        request.deadline.begin("logging in to Snowflake")
        raise LoginError("refused")

    resource.apply = apply
    answer = run(answers, kind, **given)
    assert (answer["Status"], answer["PhysicalResourceId"]) == ("FAILED", answered)


def test_a_module_that_cannot_be_imported_is_answered(answers, monkeypatch):
    monkeypatch.setitem(sys.modules, f"{PACKAGE}.api_integration", None)
    answer = run(answers)
    assert answer["Status"] == "FAILED"
    assert "api_integration" in answer["Reason"]


def test_the_handler_imports_nothing_that_could_fail_before_it_can_answer():
    top = {"api_integration", "connection", "login", "scripts", "smoke"}
    code = (
        "import sys; sys.path.insert(0, sys.argv[1]); import snowflake_deployer.handler; "
        "loaded = {name.split('.')[1] for name in sys.modules if name.startswith('snowflake_deployer.')}; "
        f"sys.exit(bool(loaded & {top!r} or {{'boto3', 'snowflake', 'cryptography'}} & set(sys.modules)))"
    )
    import subprocess

    folder = handler.__file__.rpartition("/snowflake_deployer/")[0]
    assert subprocess.run([sys.executable, "-I", "-c", code, folder], check=False).returncode == 0


def test_a_delete_of_what_never_was_does_nothing(answers, resource):
    answer = run(answers, "Delete", PhysicalResourceId=f"{handler.NOT_MADE}:ApiIntegration")
    assert answer["Status"] == "SUCCESS"
    assert resource.calls == []


def test_a_delete_after_a_failed_create_drops_what_its_id_names(answers, resource):
    answer = run(answers, "Delete", PhysicalResourceId="API")
    assert (answer["Status"], answer["PhysicalResourceId"]) == ("SUCCESS", "API")
    assert [(kind, request.physical_id) for kind, request in resource.calls] == [("delete", "API")]


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"ResourceType": "Custom::Other"}, "Custom::Other"),
        ({"ResourceProperties": {}}, "property Name must be text; given was None"),
    ],
)
def test_a_wrong_event_is_answered_and_made_nothing(answers, resource, changes, said):
    answer = run(answers, **changes)
    assert answer["Status"] == "FAILED"
    assert said in answer["Reason"]
    assert answer["PhysicalResourceId"].startswith(handler.NOT_MADE)


def test_a_statement_that_hangs_does_not_keep_the_answer_back(answers, resource, monkeypatch):
    later = []
    freed = threading.Event()

    def apply(request):
        request.deadline.begin("050_trigger.sql statement 3", changes=True)
        freed.wait(10)
        with pytest.raises(OutOfTime):
            request.deadline.begin("050_trigger.sql statement 4")
        later.append("stopped")

    resource.apply = apply
    monkeypatch.setattr(deadline, "ANSWER_SECONDS", 0.5)
    monkeypatch.setattr(deadline, "STATEMENT_SECONDS", 0.6)
    answer = run(answers, context=Context(1.0))
    assert answer["Status"] == "FAILED"
    assert "Out of time during: 050_trigger.sql statement 3" in answer["Reason"]
    assert answer["PhysicalResourceId"] == "API"
    freed.set()
    for _ in range(100):
        if later:
            break
        time.sleep(0.01)
    assert later == ["stopped"]  # a thread that Lambda thaws later runs no further statement


def test_no_statement_begins_when_time_is_nearly_over():
    nearly = Deadline(Context(deadline.STATEMENT_SECONDS - 1))
    with pytest.raises(OutOfTime, match="Stopped before statement 7.*deploy once more"):
        nearly.begin("statement 7")


def test_after_a_failure_there_is_time_to_tidy_up_until_the_answer_is_due():
    nearly = Deadline(Context(deadline.STATEMENT_SECONDS - 1))
    nearly.tidy()
    nearly.begin("release the lock")
    nearly.cancel()
    with pytest.raises(OutOfTime):
        nearly.begin("a statement after the answer")
    over = Deadline(Context(deadline.ANSWER_SECONDS - 1))
    over.tidy()
    with pytest.raises(OutOfTime):
        over.begin("release the lock")


def test_a_request_knows_its_id_and_the_name_of_its_stack(answers, resource):
    arn = "arn:aws:cloudformation:eu-west-1:111122223333:stack/prod-Snowflake/0d5c"
    run(answers, StackId=arn, RequestId="r-1")
    request = resource.calls[0][1]
    assert (request.id, request.stack) == ("r-1", "prod-Snowflake")


def test_an_answer_stays_under_four_kilobytes_and_keeps_both_ends_of_the_reason(answers, resource):
    def apply(request):
        raise RuntimeError("begins here " + "ü" * 20000 + " ends here")

    resource.apply = apply
    answer = run(answers)
    assert answer["bytes"] < response.LARGEST
    assert "begins here" in answer["Reason"]
    assert answer["Reason"].endswith("ends here")


def test_data_that_do_not_fit_are_a_failure():
    answer = json.loads(response.body(event(types.SimpleNamespace(url="")), Outcome("id", {"Big": "x" * 5000})))
    assert (answer["Status"], answer["Data"]) == ("FAILED", {})
    assert "too large" in answer["Reason"]


def test_an_answer_that_is_not_taken_is_sent_again(answers):
    answers.refusals = [503, 500]
    response.send(event(answers), Outcome("id", {}), pause=lambda seconds: None)
    (answer,) = answers.taken
    assert answer["content-type"] == ""


def test_secrets_are_neither_answered_nor_logged(answers, resource, capsys):
    pem = new_private_key()
    line = pem.splitlines()[3]

    def apply(request):
        request.secrets.add(pem)
        raise RuntimeError(f"cannot use {pem!r} because of {line}")

    resource.apply = apply
    reason = run(answers)["Reason"]
    assert "cannot use" in reason
    for text in (reason, "".join(capsys.readouterr())):
        assert not [part for part in pem.splitlines() if len(part) > 20 and not part.startswith("-") and part in text]


def test_hiding_finds_a_key_with_literal_line_breaks():
    secrets = Secrets()
    secrets.add("-----BEGIN-----\\nAAAABBBB\\nCCCCDDDD\\n-----END-----")
    assert secrets.hide("AAAABBBB and CCCCDDDD") == "*** and ***"


@pytest.mark.parametrize("spell", [str, lambda pem: pem.replace("\n", "\\n"), lambda pem: pem.strip()])
def test_a_key_may_have_real_or_literal_line_breaks(spell):
    pem = new_private_key()
    assert read_private_key(spell(pem), None, "secret") == read_private_key(pem, None, "secret")


def test_a_key_that_is_none_is_refused_without_quoting_it():
    with pytest.raises(UnusableKey) as refused:
        read_private_key("CANARY", None, "arn:secret")
    assert "CANARY" not in str(refused.value)
    assert "arn:secret" in str(refused.value)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("nonsense", "is not JSON"),
        ("[]", "is not a JSON object"),
        ('{"account": "A", "user": "U"}', "lacks private_key, role"),
    ],
)
def test_a_login_secret_that_cannot_be_used_says_what_is_wanted(text, said):
    with pytest.raises(LoginError, match=said):
        read_login(text, "arn:secret", Secrets())


def test_a_login_may_name_another_address():
    fields = {
        "account": "A",
        "user": "U",
        "private_key": new_private_key(),
        "role": "R",
        "host": "127.0.0.1",
        "port": 1,
        "protocol": "http",
    }
    assert read_login(json.dumps(fields), "arn", Secrets()).address == {
        "host": "127.0.0.1",
        "port": 1,
        "protocol": "http",
    }


def test_a_public_key_has_no_frame_and_no_line_breaks():
    key = public_key(new_private_key())
    assert key.startswith("MII")
    assert set(key).isdisjoint("-\n ")


def test_an_integration_that_is_as_it_should_be_is_left_alone_and_another_one_is_altered():
    wanted = definition(Properties("R", INTEGRATION | {"AllowedPrefixes": ["https://a/prod/"]}), "it's ours")
    assert wanted.create.startswith("CREATE API INTEGRATION IF NOT EXISTS API API_PROVIDER = aws_api_gateway ")
    as_it_is = {
        "API_AWS_ROLE_ARN": INTEGRATION["RoleArn"],
        "API_ALLOWED_PREFIXES": "https://a/prod/",
        "ENABLED": "true",
        "COMMENT": "it's ours",
    }
    assert wanted.changes(as_it_is) == {}
    assert wanted.changes(as_it_is | {"ENABLED": "false", "COMMENT": ""}) == {
        "ENABLED": "TRUE",
        "COMMENT": "'it''s ours'",
    }


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"AllowedPrefixes": []}, "AllowedPrefixes must be a list of texts"),
        ({"AllowedPrefixes": ["http://a/"]}, "AllowedPrefixes must begin with https://"),
        ({"AllowedPrefixes": ["https://a/"], "Name": "A B"}, "'A B' is no unquoted Snowflake name"),
    ],
)
def test_a_wrong_integration_is_refused_before_the_login(changes, said):
    with pytest.raises((PropertyError, ValueError), match=said):
        definition(Properties("R", INTEGRATION | changes), "mark")


@pytest.mark.parametrize(
    ("message", "hop"),
    [
        ("Error assuming AWS_ROLE. Please verify the role and externalId are configured correctly", "trust"),
        (
            "Error assuming AWS_ROLE: User: arn:x is not authorized to perform: sts:AssumeRole on resource",
            "trust",
        ),
        (
            'remote service error: 403 \'{"message":"The security token included in the request is invalid."}\'',
            "signature",
        ),
        (
            'remote service error: 403 \'{"Message":"User: arn:x is not authorized to perform: execute-api:Invoke"}\'',
            "policy",
        ),
        ('remote service error: 403 \'{"message":"Missing Authentication Token"}\'', "policy"),
        ('remote service error: 502 \'{"message": "Internal server error"}\'', "Lambda"),
        ('remote service error: 500 \'{"error": "Cluster reports has no active service"}\'', "Lambda"),
        ('remote service error: 400 \'{"error": "The body is not JSON"}\'', "request"),
        ("could not connect to abc.execute-api.eu-west-1.amazonaws.com", "network"),
        ("Timeout was reached", "network"),
        ("SSL connect error", "network"),
        ("Failure when receiving data from the peer", "network"),
        ("Server returned nothing (no headers, no data)", "network"),
        (
            'remote service error: 403 \'{"message":"Credential should be scoped to a valid region, not us-east-1."}\'',
            "signature",
        ),
        (
            'remote service error: 403 \'{"Message":"User: arn:aws:sts::111122223333:assumed-role/snowgate-snowflake'
            "/snowflake is not authorized to perform: execute-api:Invoke on resource: x with an explicit deny\"}'",
            "policy",
        ),
        ("API integration SNOWGATE_DEV_API is disabled", "integration"),
        ("Integration 'SNOWGATE_DEV_API' does not exist or not authorized.", "integration"),
    ],
)
def test_a_failed_call_names_its_hop(message, hop):
    assert failed_hop(f"Request failed for external function TRIGGER_ECS_SERVICE: {message}").name == hop


def test_an_integration_that_is_gone_is_named_though_nothing_was_called():
    hop = failed_hop("002003 (02000): SQL compilation error: Integration 'API' does not exist or not authorized.")
    assert (hop.name, hop.passes) == ("integration", False)


def test_a_failure_before_the_call_is_snowflakes_own_and_not_tried_again():
    hop = failed_hop("002003 (02000): SQL compilation error: Procedure 'X' does not exist or not authorized.")
    assert (hop.name, hop.passes) == ("Snowflake", False)


def refusals(codes):
    """A call that is refused with each code in turn and then answers."""
    left = list(codes)

    def call():
        if left:
            raise ClientError({"Error": {"Code": left.pop(0), "Message": "no"}}, "GetSecretValue")
        return "answer"

    return call


def test_a_call_that_iam_does_not_allow_yet_is_made_again(monkeypatch):
    monkeypatch.setattr(patience, "PAUSE_SECONDS", 0.01)
    call = refusals(["AccessDeniedException", "AccessDenied"])
    assert patience.once_allowed(call, Deadline(Context())) == "answer"


@pytest.mark.parametrize(("codes", "seconds"), [(["NoSuchKey"], 60.0), (["AccessDenied"] * 99, 0.05)])
def test_a_call_that_fails_otherwise_or_for_too_long_is_an_error(monkeypatch, codes, seconds):
    monkeypatch.setattr(patience, "PAUSE_SECONDS", 0.01)
    monkeypatch.setattr(patience, "PATIENCE_SECONDS", seconds)
    with pytest.raises(ClientError):
        patience.once_allowed(refusals(codes), Deadline(Context()))
