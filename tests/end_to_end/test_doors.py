"""Who may wake the worker on a deployed platform, and what happens to tasks that die."""

from __future__ import annotations

import json
import ssl
import time
from typing import Any

import httpx
import psutil
import pytest
import snowflake.connector
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from local.cloud.accounts import OPERATOR
from local.demo import Demo
from local.platform import Platform
from snowgate.manual_secret import FILL_IN


def post(platform: Platform, credentials: Credentials | None) -> int:
    """POST {} to the deployed trigger URL, signed or not; the true host is signed, only the socket goes here."""
    url = httpx.URL(platform.outputs("Trigger")["TriggerUrl"])
    headers = {"Host": url.host, "Content-Type": "application/json"}
    if credentials:
        request = AWSRequest("POST", str(url), data=b"{}", headers=headers)
        SigV4Auth(credentials, "execute-api", platform.environment.region).add_auth(request)
        headers = dict(request.headers)
    here = f"{platform.aws_endpoint}{url.path}"
    trust = ssl.create_default_context(cafile=str(platform.certificate_bundle))
    return httpx.post(here, content=b"{}", headers=headers, verify=trust).status_code


def test_an_unsigned_call_is_refused(platform: Platform) -> None:
    assert post(platform, None) == 403


def test_the_accounts_own_administrator_is_refused_by_the_resource_policy(platform: Platform) -> None:
    assert post(platform, Credentials(OPERATOR.access_key_id, OPERATOR.secret_access_key)) == 403


def test_nobody_but_snowflakes_user_with_its_external_id_may_assume_the_role(platform: Platform) -> None:
    role = platform.client("iam").get_role(RoleName="snowgate-local-snowflake")["Role"]
    trust = json.dumps(role["AssumeRolePolicyDocument"])
    outputs = platform.outputs("Snowflake")
    assert outputs["IamUserArn"] in trust
    assert outputs["ExternalId"] in trust

    sts = platform.client("sts")
    with pytest.raises(sts.exceptions.ClientError, match="AccessDenied"):
        sts.assume_role(RoleArn=role["Arn"], RoleSessionName="intruder", ExternalId=outputs["ExternalId"])


def test_no_login_to_snowflake_has_a_secret_and_what_is_secret_lies_only_in_its_own(platform: Platform) -> None:
    manager = platform.client("secretsmanager")
    names = [secret["ARN"] for secret in manager.list_secrets()["SecretList"]]
    values = {name: manager.get_secret_value(SecretId=name)["SecretString"] for name in names}
    token, key = platform.outputs("Secrets")["ApiTokenSecretArn"], platform.outputs("ReportService")["LinkKeySecretArn"]
    of_others = ("task02/", "rds!db-", "local-MatillionAgent-")
    assert {name for name in values if not name.split(":secret:")[1].startswith(of_others)} == {token, key}

    logs = [file for file in platform.logs.rglob("*") if file.is_file()]
    templates = list(platform.assembly.rglob("*.json"))
    assert logs
    assert templates
    texts = {file: file.read_text(errors="replace") for file in logs + templates}
    kept = [word for value in values.values() for word in _secret_words(value)]
    assert len(kept) > 2
    assert [file for file, text in texts.items() if any(word in text for word in kept)] == []


def _secret_words(value: str) -> list[str]:
    """What nobody may read of a secret: all of it, or what is secret in its JSON object."""
    if not value.startswith("{"):
        return [value]
    held = json.loads(value)
    return [held[name] for name in ("password", "private_key") if held.get(name, FILL_IN) != FILL_IN]


def test_an_iam_role_becomes_no_other_user_than_its_own(platform: Platform, monkeypatch: pytest.MonkeyPatch) -> None:
    web = f"arn:aws:iam::{platform.environment.account}:role/snowgate-local-web"
    found = platform.client("sts").assume_role(RoleArn=web, RoleSessionName="fargate-intruder")["Credentials"]
    for name, value in platform.snowflake_environment().items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("AWS_REGION", platform.environment.region)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", found["AccessKeyId"])
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", found["SecretAccessKey"])
    monkeypatch.setenv("AWS_SESSION_TOKEN", found["SessionToken"])
    workload = {"authenticator": "WORKLOAD_IDENTITY", "workload_identity_provider": "AWS", "role": None}
    login = {key: value for key, value in (platform.login() | workload).items() if value is not None}
    del login["password"]
    with snowflake.connector.connect(**(login | {"user": "REPORTING_SERVICE"})) as connection:
        assert connection.cursor().execute("SELECT CURRENT_USER()").fetchall() == [("REPORTING_SERVICE_WEB",)]


def test_a_killed_web_task_is_replaced(platform: Platform) -> None:
    before = next(task for task in platform.tasks() if task["port"])
    psutil.Process(before["pid"]).kill()

    until = time.monotonic() + 20
    while (url := platform.web_url()) is None or url.endswith(f":{before['port']}") or not answers(url):
        assert time.monotonic() < until, platform.tasks()
        time.sleep(0.2)


def answers(url: str) -> bool:
    try:
        return httpx.get(f"{url}/health").status_code == 200
    except httpx.TransportError:
        return False


def test_a_call_by_hand_wakes_one_worker_which_sleeps_again(platform: Platform) -> None:
    demo = Demo(platform, None)  # type: ignore[arg-type]  # only its waiting is used
    demo.wait_for_sleep(60)
    waker = next(
        function["FunctionName"]
        for function in platform.client("lambda").list_functions()["Functions"]
        if "Waker" in function["FunctionName"]
    )
    answer: Any = platform.client("lambda").invoke(FunctionName=waker, Payload=b'{"body": "{}"}')
    reply = json.loads(json.loads(answer["Payload"].read())["body"])

    assert reply == {"data": [[0, {"desired": 1, "was": 0}]]}
    assert demo.worker_tasks()[0] == 1
    demo.wait_for_sleep(60)
