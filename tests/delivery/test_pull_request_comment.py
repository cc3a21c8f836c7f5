"""The comment on a pull request, over HTTP, with a server that keeps comments as GitHub's API does."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from delivery import pull_request_comment
from delivery.diff import FOLDER, Comparison
from delivery.pull_request_comment import LONGEST, MARK

COMMENTS = "/repos/octo-org/octo-repo/issues/7/comments"
TOKEN = "Bearer ghs-0"
PAGE = 2  # comments; GitHub's own is up to 100


class GitHub(ThreadingHTTPServer):
    """Comments of pull request 7, in pages; refuses other addresses, other tokens and bodies that are too long."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Requests)
        self.comments: list[dict[str, Any]] = []
        self.url = f"http://127.0.0.1:{self.server_port}"

    def add(self, body: str, kind: str) -> dict[str, Any]:
        number = len(self.comments) + 1
        address = f"https://github.com/octo-org/octo-repo/pull/7#issuecomment-{number}"
        self.comments.append({"id": number, "body": body, "user": {"type": kind}, "html_url": address})
        return self.comments[-1]


class Requests(BaseHTTPRequestHandler):
    server: GitHub

    def do_GET(self) -> None:  # noqa: N802 - http.server's own name
        parts = urlsplit(self.path)
        if parts.path != COMMENTS:
            return self._answer(404, {"message": "Not Found"})
        number = int(parse_qs(parts.query).get("page", ["1"])[0])
        found = self.server.comments[(number - 1) * PAGE : number * PAGE]
        more = number * PAGE < len(self.server.comments)
        link = f'<{self.server.url}{COMMENTS}?page={number + 1}>; rel="next"'
        return self._answer(200, found, {"Link": link} if more else {})

    def do_POST(self) -> None:  # noqa: N802
        if self.path != COMMENTS:
            return self._answer(404, {"message": "Not Found"})
        return self._answer(201, self.server.add(self._body(), "Bot"))

    def do_PATCH(self) -> None:  # noqa: N802
        number = int(self.path.removeprefix("/repos/octo-org/octo-repo/issues/comments/"))
        self.server.comments[number - 1]["body"] = self._body()
        return self._answer(200, self.server.comments[number - 1])

    def _body(self) -> str:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))["body"]
        assert len(body) <= LONGEST
        return str(body)

    def _answer(self, status: int, content: object, headers: dict[str, str] | None = None) -> None:
        if self.headers["Authorization"] != TOKEN:
            status, content = 401, {"message": "Bad credentials"}
        self.send_response(status)
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(json.dumps(content).encode())

    def log_message(self, *_: object) -> None:
        """Tests have no log."""


@pytest.fixture
def github() -> Iterator[GitHub]:
    server = GitHub()
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def variables(github: GitHub) -> dict[str, str]:
    return {
        "GITHUB_REPOSITORY": "octo-org/octo-repo",
        "GITHUB_TOKEN": "ghs-0",
        "GITHUB_API_URL": github.url,
        "GITHUB_SERVER_URL": "https://github.com",
        "GITHUB_RUN_ID": "42",
    }


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def compared(text: str) -> None:
    Comparison("dev", 0, f"Stack dev/Network (dev-Network)\nResources\n[+] {text}\n").write(FOLDER)


def test_the_first_run_writes_one_comment_and_the_second_changes_it(
    github: GitHub, variables: dict[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    for number in range(PAGE + 1):
        github.add(f"Comment {number}", "User")
    github.add(f"{MARK}\nquoted by somebody", "User")

    compared("AWS::SNS::Topic First")
    assert pull_request_comment.main(["7"], variables) == 0
    compared("AWS::SNS::Topic Second")
    assert pull_request_comment.main(["7"], variables) == 0

    *others, ours = github.comments
    assert len(others) == PAGE + 2
    assert others[-1]["body"] == f"{MARK}\nquoted by somebody"
    assert "Second" in ours["body"]
    assert "### prod: not compared" in ours["body"]
    assert "First" not in ours["body"]
    assert "https://github.com/octo-org/octo-repo/actions/runs/42" in ours["body"]
    assert capsys.readouterr().out.split() == [ours["html_url"]] * 2


def test_a_comparison_of_any_length_fits(github: GitHub, variables: dict[str, str]) -> None:
    compared("x" * LONGEST)
    assert pull_request_comment.main(["7"], variables) == 0
    [ours] = github.comments
    assert "dev-Network: too long for here, whole in the job's summary." in ours["body"]


@pytest.mark.parametrize(
    ("name", "why"), [("GITHUB_TOKEN", "401 Unauthorized"), ("GITHUB_REPOSITORY", "404 Not Found")]
)
def test_a_refusal_is_told(
    github: GitHub, variables: dict[str, str], capsys: pytest.CaptureFixture[str], name: str, why: str
) -> None:
    assert pull_request_comment.main(["7"], variables | {name: "another/one"}) == 1
    assert why in capsys.readouterr().err
    assert github.comments == []


def test_outside_of_actions_the_missing_variable_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    assert pull_request_comment.main(["7"], {}) == 1
    assert "'GITHUB_REPOSITORY' is not set" in capsys.readouterr().err
