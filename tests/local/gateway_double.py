"""A tiny HTTP server that stands for IAM, STS and API Gateway, and remembers what it was asked."""

from __future__ import annotations

import json
import threading
import urllib.parse
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

Answer = tuple[int, Any]
_ASSUMED = """<AssumeRoleResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><AssumeRoleResult><Credentials>
<AccessKeyId>ASIA{number}</AccessKeyId><SecretAccessKey>secret</SecretAccessKey><SessionToken>token{number}</SessionToken>
<Expiration>2099-01-01T00:00:00Z</Expiration></Credentials></AssumeRoleResult></AssumeRoleResponse>"""
_DENIED = "<ErrorResponse><Error><Code>AccessDenied</Code><Message>not trusted</Message></Error></ErrorResponse>"
_KEY = """<CreateAccessKeyResponse xmlns="https://iam.amazonaws.com/doc/2010-05-08/"><CreateAccessKeyResult><AccessKey>
<UserName>u</UserName><AccessKeyId>AKIA1</AccessKeyId><Status>Active</Status><SecretAccessKey>s</SecretAccessKey>
</AccessKey></CreateAccessKeyResult></CreateAccessKeyResponse>"""


@dataclass
class Gateway:
    """What was received, and how to answer: `answer` gets a batch's rows and returns (status, body)."""

    endpoint: str = ""
    calls: list[dict[str, Any]] = field(default_factory=list)
    assumed: list[dict[str, str]] = field(default_factory=list)
    trusted: bool = True
    answer: Callable[[list[list[Any]]], Answer] = lambda rows: (200, {"data": [[row[0], row[1:]] for row in rows]})


def _handler(gateway: Gateway) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:  # noqa: N802 - the base class's name
            body = self.rfile.read(int(self.headers["Content-Length"] or 0))
            if "execute-api" in self.headers["Host"]:
                rows = json.loads(body)["data"]
                headers = {key.lower(): value for key, value in self.headers.items()}
                gateway.calls.append({"path": self.path, "headers": headers, "rows": rows})
                status, answer = gateway.answer(rows)
                self._send(status, answer if isinstance(answer, bytes) else json.dumps(answer).encode())
                return
            form = dict(urllib.parse.parse_qsl(body.decode()))
            if form["Action"] == "AssumeRole":
                gateway.assumed.append(form)
                text = _ASSUMED.format(number=len(gateway.assumed)) if gateway.trusted else _DENIED
                self._send(200 if gateway.trusted else 403, text.encode())
            elif form["Action"] == "CreateAccessKey":
                self._send(200, _KEY.encode())
            elif form["Action"] == "CreateUser":
                self._send(200, b"<CreateUserResponse><CreateUserResult/></CreateUserResponse>")
            else:
                self._send(200, f"<{form['Action']}Response/>".encode())

        def _send(self, status: int, body: bytes) -> None:
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: Any) -> None:
            """Say nothing."""

    return Handler


@contextmanager
def gateway_double() -> Iterator[Gateway]:
    """Serve until the end."""
    gateway = Gateway()
    server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(gateway))
    gateway.endpoint = f"http://127.0.0.1:{server.server_port}"
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield gateway
    finally:
        server.shutdown()
        server.server_close()
