"""constructs/README.md: its snippets are one program that works."""

from __future__ import annotations

import re
from pathlib import Path

import aws_cdk as cdk
import pytest

import snowgate


@pytest.fixture
def manual(root: Path) -> str:
    return (root / "constructs" / "README.md").read_text()


def test_the_snippets_run_in_order_and_what_they_make_is_clean(
    manual: str, flags: dict[str, object], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "service").mkdir()
    (tmp_path / "service" / "Dockerfile").write_text("FROM scratch\n")
    (tmp_path / "snowflake_sql").mkdir()
    [script] = re.findall(r"```sql\n(.*?)```", manual, re.DOTALL)
    (tmp_path / "snowflake_sql" / "010_wake.sql").write_text(script)
    monkeypatch.chdir(tmp_path)
    app = cdk.App(
        context={**flags, "aws:cdk:bundling-stacks": []},
        builtin_cloud_formation_validation=False,
        outdir=str(tmp_path / "cdk.out"),
    )
    monkeypatch.setattr(cdk, "App", lambda: app)

    names: dict[str, object] = {}
    program = "\n".join(re.findall(r"```python\n(.*?)```", manual, re.DOTALL))
    exec(compile(program, "README.md", "exec"), names)  # noqa: S102
    app.synth()
    assert (tmp_path / "cdk.out" / "Reports.template.json").exists()


def test_every_construct_has_a_section_or_a_word(manual: str) -> None:
    for name in snowgate.__all__:
        assert f"## {name}\n" in manual or f"`{name}" in manual, name
