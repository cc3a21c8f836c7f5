"""What `make up` and its like refuse before they begin, and what `make up` prints in the end."""

from __future__ import annotations

import ast
import textwrap
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from rich.console import Console

import local.__main__ as cli
from local import platform
from local.demo import Demo
from local.processes import StepFailed


@pytest.fixture
def wrong_report(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A catalogue with one report, which has no title."""
    folder = tmp_path / "service" / "reports" / "a_report"
    folder.mkdir(parents=True)
    (folder / "query.sql").write_text("SELECT 1 AS N")
    (folder / "report.toml").write_text('description = "d"\nsource = "DB.S"\n')
    monkeypatch.setattr(platform, "ROOT", tmp_path)


def test_the_catalogue_as_it_is_shipped_is_taken() -> None:
    platform.require_catalogue()


@pytest.mark.usefixtures("wrong_report")
def test_a_wrong_report_is_named_before_anything_is_started(tmp_path: Path) -> None:
    there = platform.Platform(tmp_path / "platform")
    with pytest.raises(StepFailed, match=r"service/reports failed: .*a_report.*title"):
        Demo(there, Console(quiet=True)).deploy()
    assert there.warehouse.process() is None


@pytest.mark.usefixtures("wrong_report")
def test_a_wrong_report_is_named_before_a_deploy_and_keeps_nothing_else_from_running(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Running:
        def __init__(self, *_: Any, **__: Any) -> None:
            self.warehouse = SimpleNamespace(process=lambda: 1)

        def tools_environment(self) -> dict[str, str]:
            return {}

    monkeypatch.setattr(cli, "Platform", Running)
    with pytest.raises(StepFailed, match="a_report"):
        cli.run_with(tmp_path, ["cdk", "deploy", "local/*"])
    assert cli.run_with(tmp_path, ["/bin/true", "deploy"]) == 0


def test_the_lines_for_python_close_their_connection() -> None:
    there: Any = SimpleNamespace(
        login=lambda: {"user": "ADMIN", "password": "x"},
        environment=SimpleNamespace(warehouse="WH"),
        operator_environment=dict,
        outputs=lambda _: {"ApiTokenSecretArn": "arn"},
        web_url=lambda: "http://127.0.0.1:1",
        weather_url=lambda: "http://127.0.0.1:2",
        aws_endpoint="https://127.0.0.1:1",
        superuser=SimpleNamespace(url=lambda: "postgresql://rdsadmin"),
        logs=Path("logs"),
    )
    lines = cli._how_to_connect(there).partition("python:\n")[2].partition("\n\n")[0]
    _, connecting = ast.parse(textwrap.dedent(lines)).body
    assert isinstance(connecting, ast.With)
    assert "INSERT INTO REPORT_CONFIG" in ast.unparse(connecting.body[0])
