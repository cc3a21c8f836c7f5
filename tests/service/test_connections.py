"""`test-connections`: one line for each hop, and which one is broken; both stand-ins, and an API that is there."""

import json
import os
import subprocess
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from socketserver import StreamRequestHandler, ThreadingTCPServer

import pytest

from local.cloud.accounts import OPERATOR
from tests import sql_lint
from tests.local.cloud_server import REGION

PYTHON = sql_lint.ROOT / ".venv" / "bin" / "python"
TOKEN = "a-token-for-tests-0123456789"
HOPS = ["Snowflake login", "Snowflake role", "Snowflake warehouse", "Snowflake queue", "S3", "SNS", "API"]


@pytest.fixture(scope="module")
def api():
    """Something that answers as the report service's API does."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):  # noqa: N802
            right = self.headers.get("Authorization") == f"Bearer {TOKEN}"
            if self.path.startswith("/health"):
                self.answer(200, {"status": "healthy", "service": "report-service"})
            else:
                self.answer(200 if right else 401, {"jobs": []})

        def answer(self, status, value):
            body = json.dumps(value).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()


@pytest.fixture(scope="module")
def environment(cloud, snowflake_account, api):
    """The variables of a task for which every hop works."""
    store = cloud.client("secretsmanager")
    cloud.client("s3").create_bucket(Bucket="connections", CreateBucketConfiguration={"LocationConstraint": REGION})
    secret = store.create_secret(Name="connections", SecretString=json.dumps(snowflake_account.secret()))["ARN"]
    names = sql_lint.NAMES
    return {
        "PATH": os.environ["PATH"],
        "PYTHONPATH": str(sql_lint.ROOT / "service" / "src"),
        "AWS_ENDPOINT_URL": cloud.endpoint,
        "AWS_CA_BUNDLE": str(cloud.bundle),
        "AWS_REGION": REGION,
        "AWS_ACCESS_KEY_ID": OPERATOR.access_key_id,
        "AWS_SECRET_ACCESS_KEY": OPERATOR.secret_access_key,
        "SNOWFLAKE_SECRET_ARN": secret,
        "SNOWFLAKE_DATABASE": names["database"],
        "SNOWFLAKE_SCHEMA": names["config_schema"],
        "SNOWFLAKE_LOGIN_SECONDS": "5",
        "REPORT_BUCKET": "connections",
        "SNS_TOPIC_ARNS": cloud.client("sns").create_topic(Name="connections")["TopicArn"],
        "API_URL": api,
        "API_TOKEN": TOKEN,
    }


def look(environment, **changes):
    """Run the role as a container does: its exit code, and its lines by hop."""
    command = [PYTHON, "-m", "report_service", "test-connections"]
    variables = {name: value for name, value in (environment | changes).items() if value is not None}
    done = subprocess.run(command, env=variables, capture_output=True, text=True, timeout=60, check=False)
    lines = dict(line.split(": ", 1) for line in done.stdout.splitlines() if ": " in line and line[0] != "{")
    assert TOKEN not in done.stdout + done.stderr
    return done.returncode, lines


def broken(lines):
    return [hop for hop, line in lines.items() if line.startswith("DOES NOT WORK")]


def test_every_hop_that_works_has_a_line(environment, snowflake_account):
    code, lines = look(environment)
    assert (code, list(lines), broken(lines)) == (0, HOPS, [])
    user = snowflake_account.secret()["user"]
    assert lines["Snowflake login"].startswith(f"works, user {user} at LOCAL by key pair")
    assert "0 subscriptions" in lines["SNS"]
    assert "/jobs shows 0" in lines["API"]


def test_a_hop_that_is_not_configured_is_no_failure_and_no_success(environment):
    code, lines = look(environment, SNS_TOPIC_ARNS=None, API_URL=None)
    assert (code, broken(lines)) == (0, [])
    assert lines["SNS"] == "not configured (SNS_TOPIC_ARNS is not set)"
    assert lines["API"] == "not configured (API_URL is not set)"


@pytest.mark.parametrize(
    ("changes", "hops"),
    [
        ({"REPORT_BUCKET": "no-such-bucket"}, ["S3"]),
        ({"SNS_TOPIC_ARNS": f"arn:aws:sns:{REGION}:{OPERATOR.account_id}:nothing"}, ["SNS"]),
        ({"API_URL": "http://127.0.0.1:1"}, ["API"]),
        ({"API_TOKEN": "another-token-of-nobody"}, ["API"]),
        ({"SNOWFLAKE_SCHEMA": "NOWHERE"}, ["Snowflake queue"]),
        ({"SNOWFLAKE_PORT": "1"}, HOPS[:4]),
    ],
    ids=["bucket", "topic", "API", "token", "queue", "Snowflake"],
)
def test_the_hop_that_is_broken_is_named_and_the_others_are_tried(environment, changes, hops):
    code, lines = look(environment, **changes)
    assert (code, list(lines), broken(lines)) == (1, HOPS, hops)


@pytest.mark.parametrize("answer", [b"220 mail.example.com ESMTP\r\n", b"HTTP/1.0 200 OK\r\n\r\n[]"])
def test_something_else_at_the_address_of_the_api_is_told(environment, answer):
    class Other(StreamRequestHandler):
        def handle(self):
            self.request.recv(1024)
            self.wfile.write(answer)

    with ThreadingTCPServer(("127.0.0.1", 0), Other) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        code, lines = look(environment, API_URL=f"http://127.0.0.1:{server.server_address[1]}")
        server.shutdown()
    assert (code, list(lines), broken(lines)) == (1, HOPS, ["API"])


def test_a_key_that_snowflake_does_not_know_breaks_the_login_alone(environment, cloud, snowflake_account):
    from snowgate.lambdas.snowflake_deployer.pem import new_private_key

    fields = snowflake_account.secret() | {"private_key": new_private_key()}
    store = cloud.client("secretsmanager")
    secret = store.create_secret(Name="connections-foreign", SecretString=json.dumps(fields))["ARN"]
    code, lines = look(environment, SNOWFLAKE_SECRET_ARN=secret)
    assert (code, broken(lines)) == (1, HOPS[:4])
    assert "JWT token is invalid" in lines["Snowflake login"]
    assert "not tried, for the login does not work" in lines["Snowflake role"]


def test_a_role_that_the_user_was_not_granted_is_told(environment, cloud, snowflake_account):
    fields = snowflake_account.secret() | {"role": "SYSADMIN"}
    store = cloud.client("secretsmanager")
    secret = store.create_secret(Name="connections-role", SecretString=json.dumps(fields))["ARN"]
    code, lines = look(environment, SNOWFLAKE_SECRET_ARN=secret)
    assert code == 1
    assert "Snowflake login" in broken(lines) or "Snowflake role" in broken(lines)


def test_a_token_that_the_task_may_not_read_leaves_the_health_to_look_at(environment, cloud):
    store = cloud.client("secretsmanager")
    token = store.create_secret(Name="connections-token", SecretString=TOKEN)["ARN"]
    login = store.describe_secret(SecretId=environment["SNOWFLAKE_SECRET_ARN"])["ARN"]
    role = cloud.make_role(
        "connections",
        {"Principal": {"Service": "ecs-tasks.amazonaws.com"}},
        {"Action": "secretsmanager:GetSecretValue", "Resource": login},
        {"Action": ["s3:PutObject", "sns:GetTopicAttributes"], "Resource": "*"},
    )
    found = cloud.client("sts").assume_role(RoleArn=role, RoleSessionName="fargate-test")["Credentials"]
    keys = {
        "AWS_ACCESS_KEY_ID": found["AccessKeyId"],
        "AWS_SECRET_ACCESS_KEY": found["SecretAccessKey"],
        "AWS_SESSION_TOKEN": found["SessionToken"],
    }
    code, lines = look(environment, API_TOKEN=None, API_TOKEN_SECRET_ARN=token, **keys)
    assert (code, broken(lines)) == (0, [])
    assert "GET /jobs not tried: this role may not read the token" in lines["API"]
    code, lines = look(environment, API_TOKEN=None, API_TOKEN_SECRET_ARN=token)
    assert "/jobs shows 0" in lines["API"]
