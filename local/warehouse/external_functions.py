"""External functions: Snowflake assumes the integration's role, signs each batch and posts it through API Gateway.

Source: Snowflake's pages "Introduction to external functions", "Remote service input and output data formats". The URL
that is signed is the real one; AWS_ENDPOINT_URL only says where the socket goes, so nothing in the SQL differs from
production.
"""

from __future__ import annotations

import json
import os
import time
import urllib.parse
import uuid
from typing import TYPE_CHECKING, Any

import urllib3
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.exceptions import BotoCoreError, ClientError

from local.warehouse.catalog import Record
from local.warehouse.errors import SnowflakeError, compilation_error, invalid_value
from local.warehouse.iam_user import assume_role, forget
from local.warehouse.names import full_name
from local.warehouse.statements import Create, Name

if TYPE_CHECKING:
    from local.warehouse.account import Account
    from local.warehouse.session import Session

RETRY_AFTER = (0.2, 0.5, 1.0, 2.0, 4.0)  # seconds; Snowflake goes on for up to ten minutes
TIMEOUT = 30.0  # seconds a batch; API Gateway stops at 29
LARGEST_ANSWER = 10 * 1024 * 1024  # bytes


def make(account: Account, session: Session, statement: Create, name: Name) -> dict[str, Any]:
    """The record of a new external function. Raises if its integration is missing, disabled or forbids the URL."""
    integration = account.catalog.need(
        "INTEGRATION", full_name("INTEGRATION", statement.clauses["API_INTEGRATION"], session)
    )
    if integration["type"] != "API":
        raise invalid_value(integration["key"], "API_INTEGRATION", "an API integration")
    check_url(integration, statement.extra["body"])
    return {
        "language": "EXTERNAL",
        "parameters": [vars(p) for p in statement.extra["parameters"]],
        "returns": statement.extra["returns"],
        "url": statement.extra["body"],
        "integration": integration["key"],
        "max_batch_rows": statement.clauses.get("MAX_BATCH_ROWS"),
        "headers": dict(statement.clauses.get("HEADERS", [])),
        "context_headers": statement.clauses.get("CONTEXT_HEADERS", []),
        "comment": statement.clauses.get("COMMENT", ""),
        "strict": False,
    }


def check_url(integration: Record, url: str) -> None:
    """Raise unless the integration is enabled, allows the URL and does not block it; blocked beats allowed."""
    allowed = any(url.startswith(prefix) for prefix in integration["API_ALLOWED_PREFIXES"])
    blocked = any(url.startswith(prefix) for prefix in integration.get("API_BLOCKED_PREFIXES") or [])
    if not integration["ENABLED"]:
        raise compilation_error(390920, "22023", f"API integration '{integration['key']}' is not enabled.")
    if not allowed or blocked:
        raise compilation_error(
            1008,
            "22023",
            f"URL '{url}' is not allowed by API integration '{integration['key']}' (API_ALLOWED_PREFIXES).",
        )


def call(account: Account, record: Record, session_id: str, rows: list[list[Any]]) -> list[Any]:
    """The answers for these rows, batch by batch. Raises 100301 or 100302 with the service's words."""
    integration = account.catalog.need("INTEGRATION", record["integration"])
    check_url(integration, record["url"])
    session = account.session_by_id(session_id)
    size = record["max_batch_rows"] or max(len(rows), 1)
    answers: list[Any] = []
    for start in range(0, len(rows), size):
        answers += _batch(record, integration, rows[start : start + size], _headers(record, session))
    return answers


def _headers(record: Record, session: Session) -> dict[str, str]:
    headers = {
        "Content-Type": "application/json",
        "User-Agent": "snowflake/1.0",
        "sf-external-function-format": "json",
        "sf-external-function-format-version": "1.0",
        "sf-external-function-current-query-id": session.current_query_id,
        "sf-external-function-query-batch-id": f"{session.current_query_id}:{uuid.uuid4()}",
        "sf-external-function-name": record["name"][-1],
        "sf-external-function-signature": "("
        + ", ".join(f"{p['name']} {p['type']}" for p in record["parameters"])
        + ")",
        "sf-external-function-return-type": record["returns"],
    }
    headers |= {f"sf-custom-{key}": value for key, value in record["headers"].items()}
    context = {
        "CURRENT_USER": session.user,
        "CURRENT_ROLE": session.role,
        "CURRENT_WAREHOUSE": session.warehouse,
        "CURRENT_DATABASE": session.database,
        "CURRENT_SCHEMA": session.schema,
        "CURRENT_SESSION": session.id,
        "CURRENT_ACCOUNT": "LOCAL",
    }
    for key in record["context_headers"]:
        if key not in context:
            raise SnowflakeError(2, "0A000", f"Unsupported feature 'CONTEXT_HEADERS {key}' in the local stand-in.")
        headers[f"sf-context-{key.lower().replace('_', '-')}"] = str(context[key] or "")
    return headers


def _batch(record: Record, integration: Record, rows: list[list[Any]], headers: dict[str, str]) -> list[Any]:
    body = json.dumps({"data": [[number, *row] for number, row in enumerate(rows)]}, default=str).encode()
    status, text = 0, b""
    for pause in (*RETRY_AFTER, None):
        try:
            status, text = _post(record["url"], body, headers, integration)
        except urllib3.exceptions.HTTPError as error:
            status, text = 0, str(error).encode()
        if status == 200:
            return _answers(record, text, len(rows))
        if status == 403:
            forget(integration)
        if pause is None or not (status in (0, 429) or status >= 500):
            break
        time.sleep(pause)
    raise SnowflakeError(
        100301,
        "22023",
        f"Request failed for external function {record['name'][-1]} with remote service error: "
        f"{status or 'no connection'} '{text[:500].decode(errors='replace')}'",
    )


def _post(url: str, body: bytes, headers: dict[str, str], integration: Record) -> tuple[int, bytes]:
    """Sign for the real URL, connect to AWS_ENDPOINT_URL if it is set; status and body, at most the largest answer."""
    real = urllib.parse.urlsplit(url)
    request = AWSRequest("POST", url, data=body, headers=dict(headers))
    try:
        SigV4Auth(assume_role(integration), "execute-api", _region(real.hostname or "")).add_auth(request)
    except (ClientError, BotoCoreError) as error:
        forget(integration)
        raise SnowflakeError(
            100302,
            "22023",
            f"Error assuming AWS_ROLE {integration['API_AWS_ROLE_ARN']}. "
            f"Please verify the role and its trust policy: {error}",
        ) from error
    socket = urllib.parse.urlsplit(os.environ.get("AWS_ENDPOINT_URL", "") or url)
    options: dict[str, Any] = {"timeout": TIMEOUT, "retries": False}
    if socket.scheme == "https" and os.environ.get("AWS_CA_BUNDLE"):
        options["ca_certs"] = os.environ["AWS_CA_BUNDLE"]
    with urllib3.connection_from_url(f"{socket.scheme}://{socket.netloc}", **options) as pool:
        path = real.path + (f"?{real.query}" if real.query else "")
        answer = pool.urlopen(
            "POST", path, body=body, headers={**dict(request.headers), "Host": real.netloc}, preload_content=False
        )
        text = answer.read(LARGEST_ANSWER + 1)
        answer.release_conn()
    return answer.status, text


def _region(host: str) -> str:
    parts = host.split(".")
    return parts[2] if len(parts) > 3 and parts[1] == "execute-api" else "us-east-1"


def _answers(record: Record, text: bytes, count: int) -> list[Any]:
    """The values by row number. Raises 100303 for an answer that is no batch or has other rows than were sent."""
    name = record["name"][-1]
    if len(text) > LARGEST_ANSWER:
        raise SnowflakeError(100303, "22023", f"External function {name} returned more than {LARGEST_ANSWER} bytes.")
    try:
        rows = json.loads(text)["data"]
        numbers = [row[0] for row in rows]
        values = {row[0]: row[1] for row in rows if len(row) == 2}
    except (ValueError, KeyError, TypeError, IndexError) as error:
        raise SnowflakeError(
            100303,
            "22023",
            f"Error parsing JSON response for external function {name}: {error!r}. It must be "
            f'{{"data": [[row number, value], …]}}, but was {text[:200].decode(errors="replace")}',
        ) from error
    if sorted(numbers, key=str) != sorted(range(count), key=str) or len(values) != count:
        raise SnowflakeError(
            100304,
            "22023",
            f"External function {name} returned rows {numbers[:10]}; {count} row(s) from 0 on were sent.",
        )
    return [values[number] for number in range(count)]
