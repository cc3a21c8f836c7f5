"""The role that tries every hop to the outside, one line for each, and tells which does not work."""

from __future__ import annotations

import http.client
import json
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from contextlib import closing
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError
from snowflake.connector.errors import Error as SnowflakeError

from report_service import aws
from report_service.errors import presentable
from report_service.login import LoginError, LoginSource, login_source
from report_service.settings import CheckSettings
from report_service.warehouse import Warehouse
from report_service.worker_role import open_warehouse

API_SECONDS = 10.0


class NotConfigured(Exception):
    """There is no such hop in this environment; the text says which setting would name it."""


class HopError(Exception):
    """A hop answers, and not as it should."""


def test_connections(settings: CheckSettings) -> bool:
    """Try each hop, print one line for each, and tell whether all that are configured work."""
    with closing(_Snowflake(settings)) as snowflake:
        hops: dict[str, Callable[[], str]] = {
            "Snowflake login": snowflake.login,
            "Snowflake role": snowflake.role,
            "Snowflake warehouse": snowflake.warehouse,
            "Snowflake queue": snowflake.queue,
            "S3": lambda: _bucket(settings),
            "SNS": lambda: _topic(settings),
            "API": lambda: _api(settings),
        }
        worked = [_works(name, hop) for name, hop in hops.items()]
    return all(worked)


class _Snowflake:
    """The hops to Snowflake, over one session."""

    def __init__(self, settings: CheckSettings) -> None:
        self._settings = settings
        self._source: LoginSource | None = None
        self._session: Warehouse | None = None

    def login(self) -> str:
        """Who this task is in Snowflake, and whether it is who it should be."""
        self._source = login_source(self._settings)
        login = self._source.login()
        session = open_warehouse(self._settings, self._source, "test-connections")
        session.open()
        self._session = session
        way = "key pair" if login.private_key else "workload identity"
        ((user,),) = session.rows("SELECT CURRENT_USER()")
        if str(user).upper() != login.user.upper():
            raise HopError(f"logged in as {user} at {login.account}, where {login.user} is configured")
        return f"user {user} at {login.account} by {way}"

    def role(self) -> str:
        """The session's role: one that the user was not granted is not taken."""
        ((role,),) = self._open().rows("SELECT CURRENT_ROLE()")
        wanted = self._source.login().role if self._source else None
        if role is None or (wanted and str(role).upper() != wanted.upper()):
            raise HopError(f"the role is {role}, where {wanted or 'a default role'} is configured")
        return f"role {role}"

    def warehouse(self) -> str:
        """The warehouse that queries run on."""
        ((name,),) = self._open().rows("SELECT CURRENT_WAREHOUSE()")
        if name is None:
            raise HopError("no warehouse is active: the user has no DEFAULT_WAREHOUSE that its role may use")
        return f"warehouse {name}"

    def queue(self) -> str:
        """The queue's table, read as the worker does."""
        ((pending,),) = self._open().rows("SELECT PENDING FROM V_QUEUE_DEMAND")
        return f"{pending} reports pending in {self._settings.snowflake_database}.{self._settings.snowflake_schema}"

    def close(self) -> None:
        """End the session."""
        if self._session:
            self._session.close()

    def _open(self) -> Warehouse:
        if self._session is None:
            raise HopError("not tried, for the login does not work")
        return self._session


def _bucket(settings: CheckSettings) -> str:
    """What a worker may do is write, so that is what is tried."""
    aws.client("s3").put_object(Bucket=settings.report_bucket, Key="reports/.connection-test", Body=b"")
    return f"bucket {settings.report_bucket} takes files"


def _topic(settings: CheckSettings) -> str:
    if not settings.sns_topic_arns:
        raise NotConfigured("SNS_TOPIC_ARNS")
    sns, found = aws.client("sns"), []
    for topic in settings.sns_topic_arns:
        attributes = sns.get_topic_attributes(TopicArn=topic)["Attributes"]
        found.append(f"topic {topic}, {attributes.get('SubscriptionsConfirmed', '0')} subscriptions")
    return "; ".join(found)


def _api(settings: CheckSettings) -> str:
    if settings.api_url is None:
        raise NotConfigured("API_URL")
    url = settings.api_url.rstrip("/")
    health = _get(f"{url}/health")
    if health.get("service") is None or health.get("status") != "healthy":
        raise HopError(f"{url}/health answered {json.dumps(health)[:200]}, not as the report service does")
    token, why_not = _token(settings)
    if token is None:
        return f"{url}/health is healthy; GET /jobs not tried: {why_not}"
    jobs = _get(f"{url}/jobs?limit=1", token)
    return f"{url}/health is healthy, /jobs shows {len(jobs.get('jobs', []))} of the newest 1"


def _token(settings: CheckSettings) -> tuple[str | None, str]:
    """The token, or why there is none: the worker's role, for one, may not read it."""
    if settings.api_token is not None:
        return settings.api_token.get_secret_value(), ""
    if settings.api_token_secret_arn is None:
        return None, "no token is configured"
    try:
        secret = aws.client("secretsmanager").get_secret_value(SecretId=settings.api_token_secret_arn)
    except ClientError as error:
        if error.response.get("Error", {}).get("Code") in ("AccessDenied", "AccessDeniedException"):
            return None, "this role may not read the token"
        raise
    return str(secret["SecretString"]), ""


def _get(url: str, token: str | None = None) -> dict[str, Any]:
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    request = urllib.request.Request(url, headers=headers)  # noqa: S310 - the setting allows http and https alone
    try:
        with urllib.request.urlopen(request, timeout=API_SECONDS) as answer:  # noqa: S310
            found = json.load(answer)
    except urllib.error.HTTPError as error:
        raise HopError(f"GET {url} answered {error.code} {error.reason}") from None
    except http.client.HTTPException as error:
        raise HopError(f"GET {url} answered no HTTP: {type(error).__name__}") from None
    except ValueError:
        found = None
    if not isinstance(found, dict):
        raise HopError(f"GET {url} answered no JSON object")
    return found


def _works(name: str, hop: Callable[[], str]) -> bool:
    started = time.monotonic()
    try:
        found = hop()
    except NotConfigured as missing:
        print(f"{name}: not configured ({missing} is not set)", flush=True)
        return True
    except (BotoCoreError, ClientError, SnowflakeError, LoginError, HopError, OSError) as error:
        print(f"{name}: DOES NOT WORK, {type(error).__name__}: {presentable(error)}", flush=True)
        return False
    print(f"{name}: works, {found}, {time.monotonic() - started:.2f} s", flush=True)
    return True
