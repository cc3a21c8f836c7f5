"""What the ECS agent serves inside a Fargate task: metadata (version 4), the role's credentials, and task protection.

Terms and shapes: Amazon ECS Developer Guide, "Task metadata endpoint version 4 for tasks on Fargate", "Task IAM role"
and "Task scale-in protection endpoint".
"""

from __future__ import annotations

import json
import secrets
import threading
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Protocol


class Credentials(Protocol):
    """Where an endpoint gets the credentials of a task's role."""

    def __call__(self) -> dict[str, Any]:
        """Fresh credentials, as STS answers them."""


class Protect(Protocol):
    """How an endpoint passes a change of task protection on to ECS."""

    def __call__(self, enabled: bool, minutes: int | None) -> dict[str, Any]:
        """The new protection as ECS answers it."""


@dataclass(frozen=True)
class TaskFacts:
    """One task, as its own endpoint describes it."""

    metadata: dict[str, Any]
    credentials: Credentials
    protect: Protect


class TaskEndpoint:
    """One HTTP server on 127.0.0.1 for all tasks; each has a secret path of its own, as on Fargate."""

    def __init__(self) -> None:
        self._tasks: dict[str, TaskFacts] = {}
        endpoint = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self._answer(*endpoint.get(self.path))

            def do_PUT(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                self._answer(*endpoint.put(self.path, body))

            def _answer(self, status: int, value: dict[str, Any]) -> None:
                body = json.dumps(value, default=str).encode()
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, format: str, *args: Any) -> None:
                """Say nothing: the paths are secrets, and a running worker asks every second."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def add(self, facts: TaskFacts) -> dict[str, str]:
        """Serve a task; returns the environment variables that lead its containers here."""
        key = secrets.token_urlsafe(16)
        self._tasks[key] = facts
        base = f"http://127.0.0.1:{self._server.server_address[1]}"
        return {
            "ECS_CONTAINER_METADATA_URI_V4": f"{base}/v4/{key}",
            "ECS_AGENT_URI": f"{base}/api/{key}",
            "AWS_CONTAINER_CREDENTIALS_FULL_URI": f"{base}/credentials/{key}",
        }

    def remove(self, environment: dict[str, str]) -> None:
        """Forget the task that was given these variables."""
        self._tasks.pop(environment["ECS_AGENT_URI"].rsplit("/", 1)[1], None)

    def get(self, path: str) -> tuple[int, dict[str, Any]]:
        """Answer GET: the status and the JSON value."""
        kind, facts, rest = self._route(path)
        if facts and kind == "v4" and rest in ("", "task"):
            return 200, facts.metadata if rest else facts.metadata["Containers"][0]
        if facts and kind == "credentials" and not rest:
            found = facts.credentials()
            names = {"AccessKeyId": "AccessKeyId", "SecretAccessKey": "SecretAccessKey", "SessionToken": "Token"}
            expiration = found["Expiration"].strftime("%Y-%m-%dT%H:%M:%SZ")
            return 200, {new: found[old] for old, new in names.items()} | {"Expiration": expiration}
        return 404, {"error": {"Code": "NotFound", "Message": "no task has this path"}}

    def put(self, path: str, body: bytes) -> tuple[int, dict[str, Any]]:
        """Answer PUT: only task protection can be put."""
        kind, facts, rest = self._route(path)
        if not facts or kind != "api" or rest != "task-protection/v1/state":
            return 404, {"error": {"Code": "NotFound", "Message": "only task-protection/v1/state can be put"}}
        try:
            wish = json.loads(body)
            enabled, minutes = bool(wish["ProtectionEnabled"]), wish.get("ExpiresInMinutes")
        except (ValueError, KeyError, TypeError) as error:
            return 400, {"error": {"Code": "InvalidParameterException", "Message": f"body: {error!r}"}}
        answer = facts.protect(enabled, minutes)
        if answer.get("failures"):
            return 200, {"failure": answer["failures"][0]}
        protected = answer["protectedTasks"][0]
        return 200, {"protection": {name[0].upper() + name[1:]: value for name, value in protected.items()}}

    def _route(self, path: str) -> tuple[str, TaskFacts | None, str]:
        kind, key, rest = ([*path.lstrip("/").split("/", 2), "", "", ""])[:3]
        return kind, self._tasks.get(key), rest
