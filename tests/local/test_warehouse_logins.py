"""Logins of services at the Snowflake stand-in: signed tokens and workload identities, really checked."""

from __future__ import annotations

import base64
import datetime
import gzip
import hashlib
import hmac
import json
import time
import urllib.request
from collections.abc import Iterator
from typing import Any

import pytest
import snowflake.connector
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from cloud_server import CloudServer, cloud_server
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from snowflake.connector.errors import DatabaseError
from warehouse_server import Warehouse, warehouse

from local.cloud.accounts import OPERATOR

TASKS = {"Principal": {"Service": "ecs-tasks.amazonaws.com"}}
KEY = rsa.generate_private_key(65537, 2048)
PUBLIC = KEY.public_key().public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
FINGERPRINT = "SHA256:" + base64.b64encode(hashlib.sha256(PUBLIC).digest()).decode()


@pytest.fixture(scope="module")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[CloudServer]:
    """The AWS stand-in, with the roles `worker` and `stranger`."""
    with cloud_server(tmp_path_factory.mktemp("cloud")) as server:
        for name in ("worker", "stranger"):
            server.make_role(name, TASKS)
        yield server


@pytest.fixture(scope="module")
def snowflake_account(cloud: CloudServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Warehouse]:
    """The Snowflake stand-in beside it: user WORKER is the role `worker`, user SIGNER has a key."""
    environment = {"AWS_ENDPOINT_URL": cloud.endpoint, "AWS_CA_BUNDLE": str(cloud.bundle)}
    with warehouse(tmp_path_factory.mktemp("warehouse"), environment=environment) as running:
        arn = f"arn:aws:iam::{OPERATOR.account_id}:role/worker"
        running.rows(f"CREATE USER WORKER TYPE = SERVICE WORKLOAD_IDENTITY = (TYPE = AWS ARN = '{arn}')")
        running.rows(f"CREATE USER SIGNER TYPE = SERVICE RSA_PUBLIC_KEY = '{base64.b64encode(PUBLIC).decode()}'")
        yield running


@pytest.fixture
def become(cloud: CloudServer, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Let this process be a session of a role, as the ECS agent makes a task one."""

    def become(role: str) -> dict[str, str]:
        arn = f"arn:aws:iam::{OPERATOR.account_id}:role/{role}"
        found = cloud.client("sts").assume_role(RoleArn=arn, RoleSessionName="fargate-task")["Credentials"]
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", found["AccessKeyId"])
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", found["SecretAccessKey"])
        monkeypatch.setenv("AWS_SESSION_TOKEN", found["SessionToken"])
        monkeypatch.setenv("AWS_REGION", "eu-west-1")
        monkeypatch.setenv("SNOWFLAKE_WIF_ALLOWED_HOST_SUFFIXES", "127.0.0.1")
        return dict(found)

    return become


def log_in(account: Warehouse, **options: Any) -> str:
    """The user that a workload becomes."""
    way = {"authenticator": "WORKLOAD_IDENTITY", "workload_identity_provider": "AWS"} | options
    login = {key: value for key, value in account.login(**way).items() if key not in ("user", "password")}
    with snowflake.connector.connect(**login) as connection, connection.cursor() as cursor:
        [(user,)] = cursor.execute("SELECT CURRENT_USER()").fetchall()
        return str(user)


def test_a_role_logs_in_as_the_user_that_names_it(snowflake_account: Warehouse, become: Any) -> None:
    become("worker")
    assert log_in(snowflake_account) == "WORKER"


def test_a_role_that_no_user_names_is_refused(snowflake_account: Warehouse, become: Any) -> None:
    become("stranger")
    with pytest.raises(DatabaseError, match="no user has the workload identity .*role/stranger") as refused:
        log_in(snowflake_account)
    assert refused.value.errno == 390144


def test_a_role_does_not_become_another_user_by_naming_it(snowflake_account: Warehouse, become: Any) -> None:
    become("worker")
    assert log_in(snowflake_account, user="SIGNER") == "WORKER"  # as with Snowflake, the identity decides


def test_a_forged_signature_is_refused_by_sts(
    snowflake_account: Warehouse, become: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    become("worker")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "guessed")
    with pytest.raises(DatabaseError, match="AWS STS answered 403"):
        log_in(snowflake_account)


def test_a_request_that_was_signed_long_ago_is_refused(
    snowflake_account: Warehouse, become: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    credentials = become("worker")
    url = "https://sts.eu-west-1.amazonaws.com/?Action=GetCallerIdentity&Version=2011-06-15"

    def signed() -> str:
        audience = {"X-Snowflake-Audience": "snowflakecomputing.com"}
        request = AWSRequest(method="POST", url=url, headers=audience)
        keys = (credentials[name] for name in ("AccessKeyId", "SecretAccessKey", "SessionToken"))
        SigV4Auth(Credentials(*keys), "sts", "eu-west-1").add_auth(request)
        return sts_request(url, **dict(request.headers.items()))

    login = {"AUTHENTICATOR": "WORKLOAD_IDENTITY", "PROVIDER": "AWS"}
    assert post_login(snowflake_account, **login, TOKEN=signed())["success"]
    before = datetime.datetime.now(datetime.UTC) - datetime.timedelta(minutes=20)
    monkeypatch.setattr("botocore.auth.get_current_datetime", lambda **_: before.replace(tzinfo=None))
    answer = post_login(snowflake_account, **login, TOKEN=signed())
    assert (answer["success"], answer["code"]) == (False, "390144")
    assert "AWS STS answered 403" in answer["message"]


STS = "https://sts.amazonaws.com/?Action=GetCallerIdentity"


def sts_request(url: str, **headers: str) -> str:
    """The token of a login whose client would have Snowflake send this request."""
    wish = {"url": url, "method": "POST", "headers": {"Host": url.split("/")[2], **headers}}
    return base64.b64encode(json.dumps(wish).encode()).decode()


@pytest.mark.parametrize(
    ("token", "reason"),
    [
        ("no token", "no signed request"),
        (sts_request("https://example.com/?Action=GetCallerIdentity"), "the request is for example.com"),
        (sts_request("https://sts.amazonaws.com.example.com/?Action=GetCallerIdentity"), "the request is for"),
        (sts_request("https://sts.amazonaws.com@example.com/?Action=GetCallerIdentity"), "the request is for"),
        (sts_request("https://sts.amazonaws.com:444/?Action=GetCallerIdentity"), "the request is for"),
        (sts_request(STS, Host="example.com"), "the request is for"),
        (sts_request(f"{STS}&Action=GetSessionToken"), "not POST GetCallerIdentity"),
        (sts_request(STS, Authorization="SignedHeaders=host\r\nX-Other: 1"), "a header has several lines"),
        (sts_request("https://sts.amazonaws.com/?Action=GetSessionToken"), "not POST GetCallerIdentity"),
        (sts_request("https://sts.eu-west-1.amazonaws.com/?Action=GetCallerIdentity"), "does not cover the audience"),
    ],
)
def test_nothing_but_a_signed_question_to_sts_is_passed_on(
    snowflake_account: Warehouse, token: str, reason: str
) -> None:
    answer = post_login(snowflake_account, AUTHENTICATOR="WORKLOAD_IDENTITY", PROVIDER="AWS", TOKEN=token)
    assert (answer["success"], answer["code"]) == (False, "390144")
    assert reason in answer["message"]


def post_login(account: Warehouse, **data: str) -> dict[str, Any]:
    """The server's answer to a login request."""
    url = f"http://127.0.0.1:{account.port}/session/v1/login-request"
    body = gzip.compress(json.dumps({"data": {"ACCOUNT_NAME": "LOCAL", **data}}).encode())
    request = urllib.request.Request(url, body, {"Content-Encoding": "gzip"}, method="POST")
    with urllib.request.urlopen(request, timeout=20) as answer:
        found: dict[str, Any] = json.load(answer)
    return found


PEM = KEY.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)


def signature_of(text: bytes, algorithm: str, key: rsa.RSAPrivateKey) -> bytes:
    """What somebody who has only the public key, or no key, would sign with, beside what the connector does."""
    if algorithm.startswith("RS"):
        return key.sign(text, padding.PKCS1v15(), hashes.SHA256() if algorithm == "RS256" else hashes.SHA512())
    return {"HS256": hmac.digest(PEM, text, "sha256"), "none": b""}[algorithm]


def token(key: rsa.RSAPrivateKey = KEY, algorithm: str = "RS256", **claims: Any) -> str:
    """A token as the connector signs it, changed by `claims`."""
    now = int(time.time())
    said = {"iss": f"LOCAL.SIGNER.{FINGERPRINT}", "sub": "LOCAL.SIGNER", "iat": now, "exp": now + 60} | claims
    parts = [{"alg": algorithm, "typ": "JWT"}, {name: value for name, value in said.items() if value is not None}]
    text = ".".join(base64.urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=").decode() for part in parts)
    signature = signature_of(text.encode(), algorithm, key)
    return f"{text}.{base64.urlsafe_b64encode(signature).rstrip(b'=').decode()}"


def test_a_token_that_is_right_in_everything_logs_in(snowflake_account: Warehouse) -> None:
    answer = post_login(snowflake_account, AUTHENTICATOR="SNOWFLAKE_JWT", LOGIN_NAME="SIGNER", TOKEN=token())
    assert answer["success"], answer["message"]


NOW = int(time.time())  # of the import: the tests may run half an hour later


@pytest.mark.parametrize(
    "claims",
    [
        {"exp": NOW - 120, "iat": NOW - 180},
        {"iat": NOW, "exp": NOW + 3700},
        {"iat": NOW + 86_400, "exp": NOW + 86_460},
        {"iat": None},
        {"exp": None},
        {"sub": "OTHER.SIGNER", "iss": f"OTHER.SIGNER.{FINGERPRINT}"},
        {"sub": "LOCAL.WORKER", "iss": f"LOCAL.WORKER.{FINGERPRINT}"},
        {"iss": "LOCAL.SIGNER.SHA256:AAAA"},
        {"iss": "LOCAL.SIGNER"},
        {"key": rsa.generate_private_key(65537, 2048)},
        {"algorithm": "none"},
        {"algorithm": "HS256"},
        {"algorithm": "RS512"},
    ],
    ids=[
        "expired",
        "longer than an hour",
        "of the future",
        "without a beginning",
        "without an end",
        "of another account",
        "of another user",
        "of another key",
        "without a key",
        "signed by another key",
        "not signed",
        "signed with the public key as a password",
        "signed by another algorithm than Snowflake's",
    ],
)
def test_a_token_is_refused(snowflake_account: Warehouse, claims: dict[str, Any]) -> None:
    answer = post_login(snowflake_account, AUTHENTICATOR="SNOWFLAKE_JWT", LOGIN_NAME="SIGNER", TOKEN=token(**claims))
    assert (answer["success"], answer["code"]) == (False, "390144")


def test_show_and_desc_tell_how_a_service_logs_in(snowflake_account: Warehouse) -> None:
    [row] = snowflake_account.rows("SHOW USER WORKLOAD IDENTITY AUTHENTICATION METHODS FOR USER WORKER")
    assert (row[1], json.loads(row[5])) == (
        "AWS",
        {"awsPartition": "aws", "awsAccount": OPERATOR.account_id, "type": "IAM_ROLE", "iamRole": "worker"},
    )
    told = {row[0]: row[1] for row in snowflake_account.rows("DESC USER SIGNER")}
    assert (told["HAS_WORKLOAD_IDENTITY"], told["RSA_PUBLIC_KEY_FP"]) == ("false", FINGERPRINT)


def test_a_person_has_no_workload_identity(snowflake_account: Warehouse) -> None:
    arn = "arn:aws:iam::000000000000:role/worker"
    with pytest.raises(snowflake.connector.errors.ProgrammingError, match="WORKLOAD_IDENTITY"):
        snowflake_account.rows(f"CREATE USER P WORKLOAD_IDENTITY = (TYPE = AWS ARN = '{arn}')")
